// What the losses of all heads share: a thread or a few for each sample, in double (a batch is a
// few hundred samples), then their sum.
#ifndef VANE_KERNELS_LOSS_CUH
#define VANE_KERNELS_LOSS_CUH

#include <math.h>

#include "common.cuh"

enum { MOST_LOSS_BLOCKS = 64 };

// Threads of a block that shares `threads` among them.
static inline unsigned loss_block(int64_t threads) {
  if (threads >= BLOCK)
    return BLOCK;
  return threads <= WARP ? (unsigned)WARP : (unsigned)((threads + WARP - 1) / WARP * WARP);
}

// record->loss[k] = the sum over all threads of the grid, which all take part, once per launch.
static inline __device__ void put_loss(double sum, int k, vane_scratch scratch,
                                       vane_step_record *record) {
  const double value[1] = {sum};
  double total[1];
  if (grid_sum(value, scratch, total))
    record->loss[k] = total[0] * record->in.inv_count[k];
}

#endif
