// What the kernels share: elements read and written as float, sums over blocks and grids in a fixed
// order, sizes of grids.
//
// All blocks have a multiple of 32 threads, in one dimension.
#ifndef VANE_KERNELS_COMMON_CUH
#define VANE_KERNELS_COMMON_CUH

#include <string.h>

#include "launch.cuh"

inline constexpr int WARP = 32;
inline constexpr int BLOCK =
    256; // threads: divides what an SM of any generation holds (1024 and up)
inline constexpr int MOST_WARPS = 32; // of a block

// ---- Elements: float, or the upper half of one ----

struct bf16 {
  uint16_t bits;
};

static inline __device__ float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline __device__ uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Two floats as bf16, rounded to the nearest, ties to even; a NaN stays one. `low` comes first in
// memory.
static inline __device__ uint32_t pack_bf16(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
#else
  uint32_t l = bits_of_float(low), h = bits_of_float(high);
  l = low != low ? 0x7fffu : (l + 0x7fffu + (l >> 16 & 1u)) >> 16;
  h = high != high ? 0x7fffu : (h + 0x7fffu + (h >> 16 & 1u)) >> 16;
  return h << 16 | l;
#endif
}

static inline __device__ float to_float(float element) {
  return element;
}

static inline __device__ float to_float(bf16 element) {
  return float_of_bits((uint32_t)element.bits << 16);
}

// V neighbours as floats, and back. V > 1: in accesses of at most 128 bits, the address a multiple
// of their size.
static inline __device__ void load(float (&to)[1], const float *from) {
  to[0] = *from;
}

static inline __device__ void load(float (&to)[1], const bf16 *from) {
  to[0] = to_float(*from);
}

static inline __device__ void load(float (&to)[4], const float *from) {
  float4 four = *reinterpret_cast<const float4 *>(from);
  to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
}

static inline __device__ void unpack_bf16(float *to, uint32_t packed) {
  to[0] = float_of_bits(packed << 16);
  to[1] = float_of_bits(packed & 0xffff0000u);
}

static inline __device__ void load(float (&to)[4], const bf16 *from) {
  uint2 four = *reinterpret_cast<const uint2 *>(from);
  unpack_bf16(to, four.x), unpack_bf16(to + 2, four.y);
}

static inline __device__ void load(float (&to)[8], const bf16 *from) {
  uint4 eight = *reinterpret_cast<const uint4 *>(from);
  unpack_bf16(to, eight.x), unpack_bf16(to + 2, eight.y);
  unpack_bf16(to + 4, eight.z), unpack_bf16(to + 6, eight.w);
}

static inline __device__ void load(float (&to)[8], const float *from) {
  float4 low = reinterpret_cast<const float4 *>(from)[0];
  float4 high = reinterpret_cast<const float4 *>(from)[1];
  to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
  to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
}

static inline __device__ void store(float *to, const float (&from)[1]) {
  *to = from[0];
}

static inline __device__ void store(bf16 *to, const float (&from)[1]) {
  to->bits = (uint16_t)pack_bf16(from[0], 0.0f);
}

static inline __device__ void store(float *to, const float (&from)[4]) {
  *reinterpret_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
}

static inline __device__ void store(bf16 *to, const float (&from)[4]) {
  *reinterpret_cast<uint2 *>(to) =
      make_uint2(pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]));
}

static inline __device__ void store(bf16 *to, const float (&from)[8]) {
  *reinterpret_cast<uint4 *>(to) =
      make_uint4(pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]),
                 pack_bf16(from[4], from[5]), pack_bf16(from[6], from[7]));
}

static inline __device__ void store(float *to, const float (&from)[8]) {
  reinterpret_cast<float4 *>(to)[0] = make_float4(from[0], from[1], from[2], from[3]);
  reinterpret_cast<float4 *>(to)[1] = make_float4(from[4], from[5], from[6], from[7]);
}

// How many elements make 128 bits.
template <typename Element> static constexpr int vector_of = 16 / (int)sizeof(Element);

// The template `launch` for the elements that a vane_number names.
#define VANE_WITH_NUMBER(number, launch, ...)                                                      \
  ((number) == VANE_NUMBER_BF16 ? launch<bf16>(__VA_ARGS__) : launch<float>(__VA_ARGS__))

// A NaN stays one, so that the loss it reaches can be named.
static inline __device__ float relu_of(float x) {
  return x < 0.0f ? 0.0f : x;
}

// ---- Indices ----

// The place of this thread among all threads of the grid, and their number.
static inline __device__ int64_t grid_thread() {
  return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static inline __device__ int64_t grid_threads() {
  return (int64_t)gridDim.x * blockDim.x;
}

// Takes the last coordinate off a flat index: returns index % size and leaves index / size. A
// division in 64 bits costs about ten times one in 32, which most indices allow.
static inline __device__ int64_t take(int64_t *index, int64_t size) {
  uint64_t whole = (uint64_t)*index, by = (uint64_t)size;
  uint64_t quotient = (whole | by) >> 32 ? whole / by : (uint32_t)whole / (uint32_t)by;
  *index = (int64_t)quotient;
  return (int64_t)(whole - quotient * by);
}

// Blocks for `items`, `per_block` each: at least one, at most `most` (the kernel's loop takes the
// rest).
static inline unsigned blocks_for(int64_t items, int64_t per_block, int64_t most) {
  int64_t blocks = (items + per_block - 1) / per_block;
  return (unsigned)(blocks < 1 ? 1 : blocks > most ? most : blocks);
}

// ---- Sums ----

// In lane 0: the sum over the warp, all of whose lanes take part.
static inline __device__ double warp_sum(double value) {
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    value += __shfl_down_sync(0xffffffffu, value, (unsigned)distance);
  return value;
}

// In thread 0: the sum over the block, all of whose threads take part.
static inline __device__ double block_sum(double value) {
  __shared__ double of_warp[MOST_WARPS];
  value = warp_sum(value);
  __syncthreads(); // who called before has read
  if (threadIdx.x % WARP == 0)
    of_warp[threadIdx.x / WARP] = value;
  __syncthreads();
  double total = 0.0;
  if (threadIdx.x == 0)
    for (unsigned warp = 0; warp < blockDim.x / WARP; ++warp)
      total += of_warp[warp];
  return total;
}

// In thread 0: the largest over the block, all of whose threads take part.
static inline __device__ double block_max(double value) {
  __shared__ double of_warp[MOST_WARPS];
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    value = fmax(value, __shfl_down_sync(0xffffffffu, value, (unsigned)distance));
  __syncthreads(); // who called before has read
  if (threadIdx.x % WARP == 0)
    of_warp[threadIdx.x / WARP] = value;
  __syncthreads();
  if (threadIdx.x == 0)
    for (unsigned warp = 1; warp < blockDim.x / WARP; ++warp)
      value = fmax(value, of_warp[warp]);
  return value;
}

// True for all threads of the block that arrives last: it may read what all blocks wrote to
// scratch.parts before they arrived. All threads of the grid take part, once per launch.
static inline __device__ bool arrive_last(vane_scratch scratch) {
  __shared__ bool last;
  __syncthreads(); // the block's parts are written
  if (threadIdx.x == 0) {
    __threadfence(); // and seen by others before its arrival is
    last = atomicAdd(scratch.arrived, 1u) == gridDim.x - 1;
    if (last)
      *scratch.arrived = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

// In thread 0: the sum of n parts in a fixed order, by the whole block.
static inline __device__ double sum_of_parts(const double *parts, int64_t n) {
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
    sum += parts[i];
  return block_sum(sum);
}

// True in one thread of the grid, which then has in `total` the K sums over all threads. All
// threads of the grid take part, once per launch; K times the number of blocks is at most
// VANE_SCRATCH_PARTS.
template <int K>
static inline __device__ bool grid_sum(const double (&value)[K], vane_scratch scratch,
                                       double (&total)[K]) {
  for (int k = 0; k < K; ++k)
    total[k] = block_sum(value[k]);
  if (gridDim.x == 1)
    return threadIdx.x == 0;
  if (threadIdx.x == 0)
    for (int k = 0; k < K; ++k)
      scratch.parts[(int64_t)k * gridDim.x + blockIdx.x] = total[k];
  if (!arrive_last(scratch))
    return false;
  for (int k = 0; k < K; ++k)
    total[k] = sum_of_parts(scratch.parts + (int64_t)k * gridDim.x, gridDim.x);
  return threadIdx.x == 0;
}

#endif
