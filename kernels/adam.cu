// Adam in one launch over all segments of the block of parameters (N30..N35, N40): 28 bytes per
// parameter are moved (p, g, m, v read; p, m, v written), 36 with AMSGrad, in 128-bit loads and
// stores, and little else, so memory sets the speed. Parameters that convolutions read in bf16 take
// 2 more: they are in a register here, and a pass of its own would move 6.
//
// The formulas and their order of roundings are src/device/cpu/cpu_adam.c's, where they are
// explained: with fused multiply-adds both give the same bits.
#include <float.h>

#include "chunk.cuh"

// The root of the smallest normal float: the divisor of g^2 is no smaller.
static constexpr float LEAST_ROOT = 1.0842021724855044e-19f; // 2^-63

// A kernel for each combination of the first two, and in each a loop for chunks that have a shadow,
// so that none pays for another.
enum { AMSGRAD = 1, TELEMETRY = 2, SHADOW = 4 };

// Blocks on a multiprocessor: registers enough for half of the threads of any, which hides the
// latency of its memory.
static constexpr int LEAST_BLOCKS = 4;

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
  bf16 *shadow;         // of theta, where a chunk has one
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

// Telemetry of what a thread updated, without the factors that all have in common: `moved` and
// `largest` are of m / (root + epsilon). A thread adds up few terms of one sign, in floats.
struct adam_sums {
  float ratio, moved, weight, largest;
  uint32_t counts; // the dead, those below (the dead among them), underflows: ten bits each
};
static constexpr int COUNT_BITS = 10; // a thread updates a chunk's share of 128 parameters at most
static_assert(VANE_CHUNK_REALS / WARP < 1 << COUNT_BITS, "a thread's counts fit");

static __device__ double block_count(const adam_sums &sums, int which) {
  return block_sum((double)(sums.counts >> which * COUNT_BITS & ((1u << COUNT_BITS) - 1)));
}

static __device__ __forceinline__ void watch(adam_sums &sums, float epsilon, float g, float v,
                                             float second, float root, float move, float before) {
  float size = fabsf(g), length = fabsf(move);
  float share = g / (root > LEAST_ROOT ? root : LEAST_ROOT);
  sums.ratio = fmaf(share, share, sums.ratio);
  sums.moved = fmaf(move, move, sums.moved);
  sums.weight = fmaf(before, before, sums.weight);
  sums.largest = length > sums.largest ? length : sums.largest;
  sums.counts += size + second <= 0.0f ? 1u : 0u;
  sums.counts += root < epsilon ? 1u << COUNT_BITS : 0u;
  sums.counts += size > 0.0f && v < FLT_MIN ? 1u << 2 * COUNT_BITS : 0u;
}

template <int MODE>
static __device__ __forceinline__ void update(const adam_step &step, float grad, float &theta,
                                              float &m, float &v, float &v_max, adam_sums &sums) {
  float before = theta;
  float g = fmaf(step.scale.gradient, grad, step.scale.weight * before);
  m = fmaf(step.rate1, g, fmaf(-step.rate1, m, m));
  float growth = fmaf(g, g, -v);
  v = fmaf(step.rate2, growth, fmaf(step.rest2, growth, v));
  float second = v;
  if (MODE & AMSGRAD) {
    second = v_max > v ? v_max : v;
    v_max = second;
  }
  float root = sqrtf(second);
  float move = m / (root + step.epsilon);
  theta = fmaf(-step.length, move, fmaf(-step.scale.shrink, before, before));
  if (MODE & TELEMETRY)
    watch(sums, step.epsilon, g, v, second, root, move, before);
}

// V neighbours from i on.
template <int MODE, int V>
static __device__ __forceinline__ void update_at(const adam_step &step, adam_reals at, int i,
                                                 adam_sums &sums) {
  float theta[V], gradient[V], m[V], v[V], v_max[V];
  load(theta, at.theta + i);
  load(gradient, at.gradient + i);
  load(m, at.m + i);
  load(v, at.v + i);
  if (MODE & AMSGRAD)
    load(v_max, at.v_max + i);
#pragma unroll
  for (int j = 0; j < V; ++j)
    update<MODE>(step, gradient[j], theta[j], m[j], v[j], v_max[j], sums);
  store(at.theta + i, theta);
  if (MODE & SHADOW)
    store(at.shadow + i, theta);
  store(at.m + i, m);
  store(at.v + i, v);
  if (MODE & AMSGRAD)
    store(at.v_max + i, v_max);
}

template <int MODE>
static __device__ __forceinline__ adam_sums update_loop(const adam_step &step, adam_reals at,
                                                        int count) {
  adam_sums sums = {};
  for (int i = 4 * (int)threadIdx.x; i + 4 <= count; i += 4 * (int)blockDim.x)
    update_at<MODE, 4>(step, at, i, sums);
  int last = count / 4 * 4 + (int)threadIdx.x; // of one to three
  if (last < count)
    update_at<MODE, 1>(step, at, last, sums);
  return sums;
}

// A thread's part of a chunk.
template <int MODE>
static __device__ __forceinline__ adam_sums update_chunk(const adam_step &step, adam_reals at,
                                                         int count) {
  return at.shadow ? update_loop<MODE | SHADOW>(step, at, count)
                   : update_loop<MODE>(step, at, count);
}

// By the whole block: what its threads saw joins the chunk's telemetry.
static __device__ void keep(vane_adam_telemetry *to, const adam_sums &sums, int count,
                            const vane_step_record *record) {
  double dead = block_count(sums, 0), below = block_count(sums, 1);
  double underflows = block_count(sums, 2);
  double ratio = block_sum((double)sums.ratio), moved = block_sum((double)sums.moved);
  double weight = block_sum((double)sums.weight), largest = block_max((double)sums.largest);
  if (threadIdx.x != 0)
    return;
  double unit = sqrt(record->in.bias2) / record->in.bias1; // of a move, in lr
  double length = vane_record_lr(record) * unit;
  to->live += (double)count - dead;
  to->below += below - dead;
  to->underflows += underflows;
  to->ratio += record->in.bias2 * ratio;
  to->update += length * length * moved;
  to->weight += weight;
  to->largest = fmax(to->largest, unit * largest);
}

// A block of threads for each chunk: which multiprocessor takes the next is the hardware's choice.
// `telemetry` has an entry per chunk; it is looked at with TELEMETRY alone, in steps that are
// watched.
template <int MODE>
static __global__ void __launch_bounds__(BLOCK, LEAST_BLOCKS)
    k_adam(vane_adam_desc desc, const vane_chunk *chunks, adam_reals at, int64_t n_shadowed,
           vane_adam_telemetry *telemetry, const vane_step_record *record) {
  __shared__ vane_chunk shared_chunk;
  __shared__ bool shared_watch;
  __shared__ adam_step shared_step;
  if (threadIdx.x == 0) { // alone, so that these bytes do not count beside the parameters'
    vane_chunk chunk = chunks[blockIdx.x];
    const adam_step step = step_of(desc, chunk, record);
    if (record->skip)
      chunk.count = 0;
    if (MODE & TELEMETRY)
      shared_watch = chunk.count > 0 && record->in.watch;
    shared_chunk = chunk;
    shared_step = step;
  }
  __syncthreads();
  const vane_chunk chunk = shared_chunk;
  const adam_step step = shared_step;
  at.theta += chunk.offset, at.gradient += chunk.offset, at.m += chunk.offset, at.v += chunk.offset;
  if (MODE & AMSGRAD)
    at.v_max += chunk.offset;
  at.shadow = chunk.offset < n_shadowed ? at.shadow + chunk.offset : nullptr;
  if (!(MODE & TELEMETRY) || !shared_watch) {
    update_chunk<MODE & ~TELEMETRY>(step, at, chunk.count);
    return;
  }
  adam_sums sums = update_chunk<MODE>(step, at, chunk.count);
  keep(telemetry + blockIdx.x, sums, chunk.count, record);
}

// Threads of a block: one for each four reals of the average chunk, so that few stand idle where
// most segments are small.
static unsigned adam_block(vane_chunks chunks) {
  int64_t warps = (chunks.n_reals / chunks.n / 4 + WARP - 1) / WARP;
  int64_t most = BLOCK / WARP;
  return (unsigned)((warps < 1 ? 1 : warps > most ? most : warps) * WARP);
}

template <int MODE>
static cudaError_t launch(const vane_adam_desc &desc, vane_chunks chunks, adam_reals at,
                          int64_t n_shadowed, vane_adam_telemetry *telemetry,
                          const vane_step_record *record, cudaStream_t stream) {
  return VANE_LAUNCH_MEETING(k_adam<MODE>, (unsigned)chunks.n, adam_block(chunks), stream, desc,
                             chunks.chunk, at, n_shadowed, telemetry, record);
}

cudaError_t vane_launch_adam(vane_adam_desc desc, vane_chunks chunks, vane_adam_memory memory,
                             vane_shadow shadow, const vane_step_record *record,
                             cudaStream_t stream) {
  if (chunks.n == 0)
    return cudaSuccess;
  if (chunks.n > INT32_MAX || desc.amsgrad != (memory.v_max != nullptr))
    return cudaErrorInvalidValue;
  if (!is_aligned(memory.parameters) || !is_aligned(memory.gradients) || !is_aligned(memory.m) ||
      !is_aligned(memory.v) || !is_aligned(memory.v_max) || !is_aligned(shadow.numbers))
    return cudaErrorInvalidValue;
  adam_reals at = {(float *)memory.parameters, (const float *)memory.gradients,
                   (float *)memory.m,          (float *)memory.v,
                   (float *)memory.v_max,      (bf16 *)shadow.numbers};
  int64_t n_shadowed = shadow.numbers ? shadow.n_reals : 0;
  vane_adam_telemetry *telemetry = memory.telemetry;
  if (desc.amsgrad)
    return telemetry ? launch<AMSGRAD | TELEMETRY>(desc, chunks, at, n_shadowed, telemetry, record,
                                                   stream)
                     : launch<AMSGRAD>(desc, chunks, at, n_shadowed, telemetry, record, stream);
  return telemetry ? launch<TELEMETRY>(desc, chunks, at, n_shadowed, telemetry, record, stream)
                   : launch<0>(desc, chunks, at, n_shadowed, telemetry, record, stream);
}
