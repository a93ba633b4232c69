// Adam in one launch over all segments of the block of parameters (N30..N35): 28 bytes per
// parameter are moved (p, g, m, v read; p, m, v written), 36 with AMSGrad, in 128-bit loads and
// stores, and little else, so memory sets the speed.
//
// The formulas and their order of roundings are src/device/cpu/cpu_adam.c's, where they are
// explained: with fused multiply-adds both give the same bits.
#include "chunk.cuh"

// What differs between segments: g = gradient * grad + weight * theta.
struct adam_scale {
  float gradient, weight;
  float shrink; // decoupled decay takes off so much of theta
};

// What a block of threads works out in double, once, from the step's record.
struct adam_step {
  float rate1, rate2; // 1 - b1, 1 - b2
  float rest2;        // what rounding took from 1 - b2
  float length;       // lr r/(1 - b1^t), r = sqrt(1 - b2^t)
  float epsilon;      // beside the uncorrected root
  adam_scale scale;   // of the block's segment
};

struct adam_reals {
  float *theta;
  const float *gradient;
  float *m, *v, *v_max; // v_max NULL without AMSGrad
};

static __device__ adam_scale scale_of(const vane_adam_desc &desc, vane_chunk chunk,
                                      const vane_step_record *record) {
  adam_scale scale = {(float)(record->clip * record->coefficient[chunk.task]), 0.0f, 0.0f};
  if (!chunk.decay)
    return scale;
  bool l2 = desc.decay_mode == VANE_DECAY_L2;
  scale.weight = (float)(record->clip * record->coefficient[VANE_LOSS_REGULARIZATION] +
                         (l2 ? desc.weight_decay : 0.0));
  scale.shrink = l2 ? 0.0f : (float)(vane_record_lr(record) * desc.weight_decay);
  return scale;
}

static __device__ adam_step step_of(const vane_adam_desc &desc, vane_chunk chunk,
                                    const vane_step_record *record) {
  double root = sqrt(record->in.bias2);
  double rate2 = 1.0 - desc.beta2;
  bool hat = desc.epsilon_mode == VANE_EPSILON_HAT;
  adam_step step;
  step.rate1 = (float)(1.0 - desc.beta1);
  step.rate2 = (float)rate2;
  step.rest2 = (float)(rate2 - (double)(float)rate2);
  step.length = (float)(vane_record_lr(record) * root / record->in.bias1);
  step.epsilon = (float)(hat ? desc.epsilon : desc.epsilon * root);
  step.scale = scale_of(desc, chunk, record);
  return step;
}

template <bool AMSGRAD>
static __device__ __forceinline__ void update(const adam_step &step, float grad, float &theta,
                                              float &m, float &v, float &v_max) {
  float g = fmaf(step.scale.gradient, grad, step.scale.weight * theta);
  m = fmaf(step.rate1, g, fmaf(-step.rate1, m, m));
  float growth = fmaf(g, g, -v);
  v = fmaf(step.rate2, growth, fmaf(step.rest2, growth, v));
  float second = v;
  if (AMSGRAD) {
    second = v_max > v ? v_max : v;
    v_max = second;
  }
  float shrunk = fmaf(-step.scale.shrink, theta, theta);
  theta = fmaf(-step.length, m / (sqrtf(second) + step.epsilon), shrunk);
}

// V neighbours from i on.
template <bool AMSGRAD, int V>
static __device__ __forceinline__ void update_at(const adam_step &step, adam_reals at, int i) {
  float theta[V], gradient[V], m[V], v[V], v_max[V];
  load(theta, at.theta + i);
  load(gradient, at.gradient + i);
  load(m, at.m + i);
  load(v, at.v + i);
  if (AMSGRAD)
    load(v_max, at.v_max + i);
#pragma unroll
  for (int j = 0; j < V; ++j)
    update<AMSGRAD>(step, gradient[j], theta[j], m[j], v[j], v_max[j]);
  store(at.theta + i, theta);
  store(at.m + i, m);
  store(at.v + i, v);
  if (AMSGRAD)
    store(at.v_max + i, v_max);
}

// A block of threads for each chunk: which multiprocessor takes the next is the hardware's choice.
template <bool AMSGRAD>
static __global__ void __launch_bounds__(BLOCK)
    k_adam(vane_adam_desc desc, const vane_chunk *chunks, adam_reals at,
           const vane_step_record *record) {
  __shared__ vane_chunk shared_chunk;
  __shared__ adam_step shared_step;
  if (threadIdx.x == 0) { // alone, so that these bytes do not count beside the parameters'
    vane_chunk chunk = chunks[blockIdx.x];
    const adam_step step = step_of(desc, chunk, record);
    if (record->skip)
      chunk.count = 0;
    shared_chunk = chunk;
    shared_step = step;
  }
  __syncthreads();
  const vane_chunk chunk = shared_chunk;
  const adam_step step = shared_step;
  at.theta += chunk.offset, at.gradient += chunk.offset, at.m += chunk.offset, at.v += chunk.offset;
  if (AMSGRAD)
    at.v_max += chunk.offset;
  for (int i = 4 * (int)threadIdx.x; i + 4 <= chunk.count; i += 4 * (int)blockDim.x)
    update_at<AMSGRAD, 4>(step, at, i);
  int last = chunk.count / 4 * 4 + (int)threadIdx.x; // of one to three
  if (last < chunk.count)
    update_at<AMSGRAD, 1>(step, at, last);
}

// Threads of a block: one for each four reals of the average chunk, so that few stand idle where
// most segments are small.
static unsigned adam_block(vane_chunks chunks) {
  int64_t warps = (chunks.n_reals / chunks.n / 4 + WARP - 1) / WARP;
  int64_t most = BLOCK / WARP;
  return (unsigned)((warps < 1 ? 1 : warps > most ? most : warps) * WARP);
}

cudaError_t vane_launch_adam(vane_adam_desc desc, vane_chunks chunks, vane_adam_memory memory,
                             const vane_step_record *record, cudaStream_t stream) {
  if (chunks.n == 0)
    return cudaSuccess;
  if (chunks.n > INT32_MAX || desc.amsgrad != (memory.v_max != nullptr))
    return cudaErrorInvalidValue;
  if (!is_aligned(memory.parameters) || !is_aligned(memory.gradients) || !is_aligned(memory.m) ||
      !is_aligned(memory.v) || !is_aligned(memory.v_max))
    return cudaErrorInvalidValue;
  adam_reals at = {(float *)memory.parameters, (const float *)memory.gradients, (float *)memory.m,
                   (float *)memory.v, (float *)memory.v_max};
  unsigned n_blocks = (unsigned)chunks.n, n_threads = adam_block(chunks);
  if (desc.amsgrad)
    return VANE_LAUNCH_MEETING(k_adam<true>, n_blocks, n_threads, stream, desc, chunks.chunk, at,
                               record);
  return VANE_LAUNCH_MEETING(k_adam<false>, n_blocks, n_threads, stream, desc, chunks.chunk, at,
                             record);
}
