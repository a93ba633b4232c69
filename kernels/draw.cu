// Random numbers by counter (N50): each thread turns one counter into four neighbours, 128 bits at
// a time, so a value depends on its place alone.
#include "common.cuh"

#include "base/philox.h"

enum { MOST_BLOCKS = 1 << 16 }; // the loop over the grid takes what is beyond

static __global__ void k_draw(float *to, int64_t count, vane_draw_desc desc, vane_range range) {
  for (int64_t at = grid_thread() * 4; at < count; at += grid_threads() * 4) {
    philox4x32_ctr_t words =
        vane_philox(desc.seed, desc.stream, desc.step, desc.index + (uint64_t)at / 4);
    float four[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      four[i] = vane_uniform_of(range, words.v[i]);
    if (at + 4 <= count)
      store(to + at, four);
    else
#pragma unroll
      for (int i = 0; i < 3; ++i)
        if (at + i < count)
          to[at + i] = four[i];
  }
}

cudaError_t vane_launch_draw(float *to, int64_t count, const vane_draw_desc *desc,
                             cudaStream_t stream) {
  if (count < 0 || (uintptr_t)to % 16 != 0 || !(desc->low < desc->high) ||
      !isfinite(desc->high - desc->low))
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  return VANE_LAUNCH(k_draw, blocks_for(count, 4 * BLOCK, MOST_BLOCKS), BLOCK, stream, to, count,
                     *desc, vane_range_of(desc->low, desc->high));
}
