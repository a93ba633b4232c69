/* A block of parameters on the GPU: its segments, cut into chunks, and its shadow. */
#ifndef VANE_DEVICE_CUDA_CUDA_BLOCK_H
#define VANE_DEVICE_CUDA_CUDA_BLOCK_H

#include "device/cuda/cuda.h"

typedef struct cuda_block {
  vane_block base;
  vane_chunks chunks; /* their memory is owned */
  /* Where it is bound: borrowed, NULL where it is not or has no shadow. */
  const float *parameters;
  void *shadow;
  struct cuda_block *next_bound; /* of the device's list */
} cuda_block;

/* No chunks where there is no block. */
static inline vane_chunks vane_cuda_chunks(const vane_block *block) {
  return block ? ((const cuda_block *)block)->chunks : (vane_chunks){0};
}

#endif
