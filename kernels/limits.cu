// Limits of whole tensors (N67, N68), before Adam's own pass: a launch for the sums of each chunk,
// which wait in the chunk's own limit, and one that adds up each segment's and turns them into what
// all of its chunks take.
#include "adam.cuh"

// Two sums of a chunk: of g^2 / vhat and of parameters alive, or of g^2 and of theta^2.
struct limit_sums {
  double first, second;
};

struct limit_reals {
  const float *theta, *gradient, *m, *v, *v_max; // v_max NULL without AMSGrad
};

// (N67) What Adam's step would divide by; nothing is written.
template <int MODE>
static __device__ limit_sums sum_ratios(const adam_step &step, const limit_reals &at, int count) {
  const float least = step.epsilon > LEAST_ROOT ? step.epsilon : LEAST_ROOT;
  limit_sums sums = {0.0, 0.0};
  for (int i = 4 * (int)threadIdx.x; i < count; i += 4 * BLOCK) {
    float theta[4], gradient[4], m[4], v[4], v_max[4];
    load_of_chunk(theta, at.theta, i, count);
    load_of_chunk(gradient, at.gradient, i, count);
    load_of_chunk(m, at.m, i, count);
    load_of_chunk(v, at.v, i, count);
    set_zero(v_max);
    if (MODE & AMSGRAD)
      load_of_chunk(v_max, at.v_max, i, count);
    float ratio = 0.0f, live = 0.0f; // of zeros behind the end: nothing
    for (int j = 0; j < 4; ++j) {
      const adam_result to = result_of<MODE>(step, theta[j], gradient[j], m[j], v[j], v_max[j]);
      float share = to.g / (to.root > least ? to.root : least);
      ratio = fmaf(share, share, ratio);
      live += fabsf(to.g) + to.second > 0.0f ? 1.0f : 0.0f;
    }
    sums.first += (double)ratio;
    sums.second += (double)live;
  }
  return sums;
}

// (N68)
static __device__ limit_sums sum_squares(double own, double decay, const limit_reals &at,
                                         int count) {
  limit_sums sums = {0.0, 0.0};
  for (int i = 4 * (int)threadIdx.x; i < count; i += 4 * BLOCK) {
    float theta[4], gradient[4];
    load_of_chunk(theta, at.theta, i, count);
    load_of_chunk(gradient, at.gradient, i, count);
    for (int j = 0; j < 4; ++j) {
      double g = own * (double)gradient[j] + decay * (double)theta[j];
      sums.first += g * g;
      sums.second += (double)theta[j] * (double)theta[j];
    }
  }
  return sums;
}

template <int MODE>
static __device__ limit_sums sums_of_chunk(const vane_adam_desc &desc, vane_chunk chunk,
                                           const limit_reals &at, const vane_step_record *record) {
  if (desc.update_clip > 0.0) {
    __shared__ adam_step shared_step;
    if (threadIdx.x == 0) {
      const adam_step own = step_of<MODE>(desc, chunk, nullptr, record);
      shared_step = own;
    }
    __syncthreads();
    const adam_step step = shared_step;
    return sum_ratios<MODE>(step, at, chunk.count);
  }
  double own = record->clip * record->coefficient[chunk.task];
  double decay = chunk.decay ? record->clip * record->coefficient[VANE_LOSS_REGULARIZATION] : 0.0;
  return sum_squares(own, decay, at, chunk.count);
}

template <int MODE>
static __global__ void __launch_bounds__(BLOCK, LEAST_BLOCKS)
    k_limit_sums(vane_adam_desc desc, const vane_chunk *chunks, limit_reals at,
                 vane_adam_limit *limits, const vane_step_record *record) {
  const vane_chunk chunk = chunks[blockIdx.x];
  at.theta += chunk.offset, at.gradient += chunk.offset, at.m += chunk.offset, at.v += chunk.offset;
  if (MODE & AMSGRAD)
    at.v_max += chunk.offset;
  const limit_sums sums = sums_of_chunk<MODE>(desc, chunk, at, record);
  const double first = block_sum(sums.first), second = block_sum(sums.second);
  if (threadIdx.x == 0)
    limits[blockIdx.x] = {first, second};
}

static __device__ vane_adam_limit limit_of(const vane_adam_desc &desc, double correction,
                                           limit_sums sums) {
  if (desc.update_clip > 0.0) {
    double rms = sums.second > 0.0 ? sqrt(correction * sums.first / sums.second) : 0.0;
    return {1.0, rms > desc.update_clip ? desc.update_clip / rms : 1.0};
  }
  double most = desc.adaptive_clip * fmax(sqrt(sums.second), VANE_LEAST_WEIGHT);
  double length = sqrt(sums.first);
  return {length > most ? most / length : 1.0, 1.0};
}

// A block of threads for each segment.
static __global__ void __launch_bounds__(BLOCK)
    k_limits(vane_adam_desc desc, const int64_t *first_chunk, vane_adam_limit *limits,
             const vane_step_record *record) {
  __shared__ vane_adam_limit shared_limit;
  const int64_t begin = first_chunk[blockIdx.x], end = first_chunk[blockIdx.x + 1];
  limit_sums sums = {0.0, 0.0};
  for (int64_t i = begin + threadIdx.x; i < end; i += BLOCK) {
    sums.first += limits[i].gradient;
    sums.second += limits[i].lr;
  }
  sums = {block_sum(sums.first), block_sum(sums.second)};
  if (threadIdx.x == 0)
    shared_limit = limit_of(desc, record->in.bias2, sums);
  __syncthreads();
  for (int64_t i = begin + threadIdx.x; i < end; i += BLOCK)
    limits[i] = shared_limit;
}

template <int MODE>
static cudaError_t launch_sums(const vane_adam_desc &desc, vane_chunks chunks, limit_reals at,
                               vane_adam_limit *limits, const vane_step_record *record,
                               cudaStream_t stream) {
  return VANE_LAUNCH_MEETING(k_limit_sums<MODE>, (unsigned)chunks.n, BLOCK, stream, desc,
                             chunks.chunk, at, limits, record);
}

cudaError_t vane_launch_limits(vane_adam_desc desc, vane_chunks chunks, vane_adam_memory memory,
                               const vane_step_record *record, cudaStream_t stream) {
  if (chunks.n == 0)
    return cudaSuccess;
  if (chunks.n > INT32_MAX || !memory.limits || desc.amsgrad != (memory.v_max != nullptr))
    return cudaErrorInvalidValue;
  if (!is_aligned(memory.parameters) || !is_aligned(memory.gradients) || !is_aligned(memory.m) ||
      !is_aligned(memory.v) || !is_aligned(memory.v_max))
    return cudaErrorInvalidValue;
  const limit_reals at = {(const float *)memory.parameters, (const float *)memory.gradients,
                          (const float *)memory.m, (const float *)memory.v,
                          (const float *)memory.v_max};
  desc.rule = VANE_RULE_ADAM; // of the rules that may be limited, all have its v
  cudaError_t status =
      desc.amsgrad ? launch_sums<GENERAL | AMSGRAD>(desc, chunks, at, memory.limits, record, stream)
                   : launch_sums<GENERAL>(desc, chunks, at, memory.limits, record, stream);
  if (status != cudaSuccess)
    return status;
  return VANE_LAUNCH_MEETING(k_limits, (unsigned)chunks.n_segments, BLOCK, stream, desc,
                             chunks.first, memory.limits, record);
}
