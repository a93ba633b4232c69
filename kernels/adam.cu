// Adam in one launch over all segments of the block of parameters (N30..N35, N40, N60..N66): 28
// bytes per parameter are moved (p, g, m, v read; p, m, v written), 36 with AMSGrad, in 128-bit
// loads and stores, and little else, so memory sets the speed. Parameters that convolutions read in
// bf16 take 2 more: they are in a register here, and a pass of its own would move 6.
#include <float.h>

#include "adam.cuh"

struct adam_reals {
  float *theta;
  const float *gradient;
  float *m, *v, *v_max; // v_max NULL without AMSGrad
  bf16 *shadow;         // of the first n_shadowed of theta
  int64_t n_shadowed;
};

// Telemetry of what a thread updated, without the factors that all have in common. A thread adds up
// few terms of one sign, in floats.
struct adam_sums {
  float ratio, moved, weight, largest;
  uint32_t counts; // the dead, those below (the dead among them), underflows: ten bits each
};
static constexpr int COUNT_BITS = 10; // a thread updates a chunk's share of 128 parameters at most
static_assert(VANE_CHUNK_REALS / WARP < 1 << COUNT_BITS, "a thread's counts fit");

static __device__ double block_count(const adam_sums &sums, int which) {
  return block_sum((double)(sums.counts >> which * COUNT_BITS & ((1u << COUNT_BITS) - 1)));
}

template <int MODE>
static __device__ __forceinline__ void watch(const adam_step &step, const adam_result &to,
                                             float before, adam_sums &sums) {
  float size = fabsf(to.g), length = fabsf(to.move);
  float share = to.g / (to.root > LEAST_ROOT ? to.root : LEAST_ROOT);
  if (MODE & GENERAL && step.rule == VANE_RULE_ADOPT && !(to.root > 0.0f))
    share = 0.0f; // nothing has been divided
  sums.ratio = fmaf(share, share, sums.ratio);
  sums.moved = fmaf(to.move, to.move, sums.moved);
  sums.weight = fmaf(before, before, sums.weight);
  sums.largest = length > sums.largest ? length : sums.largest;
  sums.counts += size + to.second <= 0.0f ? 1u : 0u;
  sums.counts += to.root < step.epsilon ? 1u << COUNT_BITS : 0u;
  sums.counts += size > 0.0f && to.v < FLT_MIN ? 1u << 2 * COUNT_BITS : 0u;
}

template <int MODE>
static __device__ __forceinline__ void update(const adam_step &step, float gradient, float &theta,
                                              float &m, float &v, float &v_max, adam_sums &sums) {
  const adam_result to = result_of<MODE>(step, theta, gradient, m, v, v_max);
  if (MODE & TELEMETRY)
    watch<MODE>(step, to, theta, sums);
  theta = to.theta;
  m = to.m;
  v = to.v;
  v_max = to.second;
}

// V neighbours from i on.
template <int MODE, int V>
static __device__ __forceinline__ void update_at(const adam_step &step, const adam_reals &at,
                                                 int64_t i, adam_sums &sums) {
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

// Addresses are counted from the beginning of the block, so that one
// index in registers serves all arrays.
template <int MODE>
static __device__ __forceinline__ adam_sums update_loop(const adam_step &step, const adam_reals &at,
                                                        vane_chunk chunk) {
  adam_sums sums = {};
  for (int i = 4 * (int)threadIdx.x; i + 4 <= chunk.count; i += 4 * (int)blockDim.x)
    update_at<MODE, 4>(step, at, chunk.offset + i, sums);
  int last = chunk.count / 4 * 4 + (int)threadIdx.x; // of one to three
  if (last < chunk.count)
    update_at<MODE, 1>(step, at, chunk.offset + last, sums);
  return sums;
}

// A thread's part of a chunk, which has a shadow as a whole or not at all.
template <int MODE>
static __device__ __forceinline__ adam_sums update_chunk(const adam_step &step,
                                                         const adam_reals &at, vane_chunk chunk) {
  return chunk.offset < at.n_shadowed ? update_loop<MODE | SHADOW>(step, at, chunk)
                                      : update_loop<MODE>(step, at, chunk);
}

// By the whole block: what its threads saw joins the chunk's telemetry.
static __device__ void keep(vane_adam_telemetry *to, const adam_sums &sums, int count,
                            const adam_step &step) {
  double dead = block_count(sums, 0), below = block_count(sums, 1);
  double underflows = block_count(sums, 2);
  double ratio = block_sum((double)sums.ratio), moved = block_sum((double)sums.moved);
  double weight = block_sum((double)sums.weight), largest = block_max((double)sums.largest);
  if (threadIdx.x != 0)
    return;
  double unit = step.times / step.over, length = step.lr * unit;
  to->live += (double)count - dead;
  to->below += fmax(below - dead, 0.0); // nothing is below no epsilon
  to->underflows += underflows;
  to->ratio += step.correction * ratio;
  to->update += length * length * moved;
  to->weight += weight;
  to->largest = fmax(to->largest, unit * largest);
}

// A block of threads for each chunk: which multiprocessor takes the next is the hardware's choice.
// `telemetry` and `limits` have an entry per chunk. The first is looked at with TELEMETRY alone, in
// steps that are watched; the second may be NULL.
template <int MODE>
static __global__ void __launch_bounds__(BLOCK, LEAST_BLOCKS)
    k_adam(vane_adam_desc desc, const vane_chunk *chunks, adam_reals at,
           vane_adam_telemetry *telemetry, const vane_adam_limit *limits,
           const vane_step_record *record) {
  __shared__ vane_chunk shared_chunk;
  __shared__ bool shared_watch;
  __shared__ adam_step shared_step;
  if (threadIdx.x == 0) { // alone, so that these bytes do not count beside the parameters'
    vane_chunk chunk = chunks[blockIdx.x];
    const adam_step step =
        step_of<MODE>(desc, chunk, limits ? limits + blockIdx.x : nullptr, record);
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
  if (!(MODE & TELEMETRY) || !shared_watch) {
    update_chunk<MODE & ~TELEMETRY>(step, at, chunk);
    return;
  }
  adam_sums sums = update_chunk<MODE>(step, at, chunk);
  keep(telemetry + blockIdx.x, sums, chunk.count, shared_step);
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
                          const vane_adam_memory &memory, const vane_step_record *record,
                          cudaStream_t stream) {
  return VANE_LAUNCH_MEETING(k_adam<MODE>, (unsigned)chunks.n, adam_block(chunks), stream, desc,
                             chunks.chunk, at, memory.telemetry, memory.limits, record);
}

cudaError_t vane_launch_adam(vane_adam_desc desc, vane_chunks chunks, vane_adam_memory memory,
                             vane_shadow shadow, const vane_step_record *record,
                             cudaStream_t stream) {
  if (chunks.n == 0)
    return cudaSuccess;
  if (chunks.n > INT32_MAX || desc.amsgrad != (memory.v_max != nullptr) ||
      (desc.amsgrad && desc.rule == VANE_RULE_ADOPT))
    return cudaErrorInvalidValue;
  if (!is_aligned(memory.parameters) || !is_aligned(memory.gradients) || !is_aligned(memory.m) ||
      !is_aligned(memory.v) || !is_aligned(memory.v_max) || !is_aligned(shadow.numbers))
    return cudaErrorInvalidValue;
  adam_reals at = {(float *)memory.parameters,
                   (const float *)memory.gradients,
                   (float *)memory.m,
                   (float *)memory.v,
                   (float *)memory.v_max,
                   (bf16 *)shadow.numbers,
                   shadow.numbers ? shadow.n_reals : 0};
  static cudaError_t (*const launches[])(const vane_adam_desc &, vane_chunks, adam_reals,
                                         const vane_adam_memory &, const vane_step_record *,
                                         cudaStream_t) = {launch<0>,
                                                          launch<AMSGRAD>,
                                                          launch<TELEMETRY>,
                                                          launch<AMSGRAD | TELEMETRY>,
                                                          launch<GENERAL>,
                                                          launch<GENERAL | AMSGRAD>,
                                                          launch<GENERAL | TELEMETRY>,
                                                          launch<GENERAL | AMSGRAD | TELEMETRY>};
  const bool general = desc.rule != VANE_RULE_ADAM || desc.spike_clip > 0.0 || desc.resets;
  const int mode =
      (desc.amsgrad ? AMSGRAD : 0) | (memory.telemetry ? TELEMETRY : 0) | (general ? GENERAL : 0);
  return launches[mode](desc, chunks, at, memory, record, stream);
}
