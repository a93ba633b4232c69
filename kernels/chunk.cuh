// What walks over the block of parameters shares: four reals at a time, the last of a segment
// filled up with zeros, and sums of their products that leave memory the slowest part.
//
// Sums run in double, but many cards have one double unit for 64 float units. So four products are
// summed in float, with an error of at most 4 u of their absolute sum, and the sum of the four goes
// on in double; unless it left the range where that bound holds, as numbers beyond 1e18 or below
// 1e-15 do. Then all is done in double: overflow and NaN are then as if it had always been.
#ifndef VANE_KERNELS_CHUNK_CUH
#define VANE_KERNELS_CHUNK_CUH

#include <math.h>

#include "common.cuh"

// Whether 128 bits at a time can be loaded and stored.
static inline bool is_aligned(const void *memory) {
  return (uintptr_t)memory % 16 == 0;
}

// Blocks of a reduction: enough to fill a GPU twice over, few parts to add up at the end.
static inline unsigned chunk_blocks(int64_t n_reals) {
  return blocks_for(n_reals, VANE_CHUNK_REALS, 512);
}

// x[0..3] = from[i..i+3], zero from `count` on. i is a multiple of 4, `from` aligned to 16 bytes.
static inline __device__ void load_of_chunk(float (&x)[4], const float *from, int i, int count) {
  if (i + 4 <= count) {
    load(x, from + i);
    return;
  }
  for (int j = 0; j < 4; ++j)
    x[j] = i + j < count ? from[i + j] : 0.0f;
}

static inline __device__ void set_zero(float (&x)[4]) {
  x[0] = x[1] = x[2] = x[3] = 0.0f;
}

static inline __device__ bool is_zero(const float (&x)[4]) {
  return x[0] == 0.0f && x[1] == 0.0f && x[2] == 0.0f && x[3] == 0.0f;
}

static inline __device__ float dot_in_float(const float (&x)[4], const float (&y)[4]) {
  return fmaf(x[3], y[3], fmaf(x[2], y[2], fmaf(x[1], y[1], x[0] * y[0])));
}

static inline __device__ double dot_in_double(const float (&x)[4], const float (&y)[4]) {
  double sum = 0.0;
  for (int j = 0; j < 4; ++j)
    sum += (double)x[j] * (double)y[j];
  return sum;
}

// Whether a sum of squares in float is as good as its rounding: neither overflown nor a NaN, nor so
// small that squares fell below the smallest normal float, 1.2e-38.
static inline __device__ bool is_in_range(float squares) {
  return squares >= 1e-30f && squares <= 1e37f;
}

// Whether dots of x with others that are tame may be summed in float.
static inline __device__ bool is_tame(const float (&x)[4]) {
  return is_in_range(dot_in_float(x, x)) || is_zero(x);
}

#endif
