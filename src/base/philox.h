/* What one counter gives: four words of Philox4x32-10, and the floats they stand for. One page for
 * the host and for the GPU, on top of Random123's, so that both draw the same; who draws a value at
 * a time calls random.h. */
#ifndef VANE_BASE_PHILOX_H
#define VANE_BASE_PHILOX_H

/* Random123 1.14 marks its functions for the GPU only while device code is compiled, and nvcc wants
 * to know it in both of its passes. */
#if defined(__CUDACC__) && !defined(R123_CUDA_DEVICE)
#define R123_CUDA_DEVICE __host__ __device__
#endif
#include <Random123/philox.h>
#include <math.h>
#include <stdint.h>

/* Key: the seed. Counter: 64 bits of index, 56 of step, 8 of stream. */
R123_CUDA_DEVICE R123_STATIC_INLINE philox4x32_ctr_t vane_philox(uint64_t seed, uint32_t stream,
                                                                 uint64_t step, uint64_t index) {
  philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
  philox4x32_ctr_t counter = {{(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)step,
                               (uint32_t)((step >> 32) & 0xffffff) | stream << 24}};
  return philox4x32(counter, key);
}

/* Floats in [low, high). */
typedef struct vane_range {
  float low, width;
  float last; /* the largest float below high: low + width u may be rounded up to high */
} vane_range;

/* low < high, both and their difference finite. */
static inline vane_range vane_range_of(float low, float high) {
  vane_range range = {low, high - low, nextafterf(high, low)};
  return range;
}

/* (N50). A word's upper 24 bits, rounded once: the same float everywhere. */
R123_CUDA_DEVICE R123_STATIC_INLINE float vane_uniform_of(vane_range range, uint32_t word) {
  float value = fmaf(range.width, (float)(int32_t)(word >> 8) * 0x1p-24f, range.low);
  return value < range.last ? value : range.last;
}

#endif
