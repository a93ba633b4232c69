/* Every kernel's launcher: the contract between the host code in C (src/device/cuda/) and the device
 * code in CUDA (the .cu files beside this page; README.md lists them).
 *
 * Conventions
 * - A launcher enqueues on `stream` and returns what the launch said; it neither allocates, nor
 *   synchronises, nor reads back. cudaErrorInvalidValue: an argument breaks what its comment asks.
 * - Pointers are device memory, aligned to 256 bytes unless a comment says otherwise; zero lengths
 *   are allowed and launch nothing.
 * - Activations are dense [N, H, W, C] of `vane_number`; everything else is float.
 * - Outputs are overwritten ("=") and never alias inputs, unless a comment says otherwise.
 * - The same call on the same values gives the same bits: sums run in a fixed order, in two stages
 *   over `scratch`, and no float is ever added atomically.
 * - (N12) and the like point to the formula in docs/numerics.md.
 */
#ifndef VANE_KERNELS_KERNELS_H
#define VANE_KERNELS_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What activations are made of. */
typedef enum vane_number { VANE_NUMBER_FP32, VANE_NUMBER_BF16 } vane_number;

/* Where the blocks of a reduction leave their parts, and how many have arrived; the last one to
 * arrive adds the parts in their order and sets `arrived` back to zero. One scratch serves all
 * launches of a stream. */
enum { VANE_SCRATCH_PARTS = 1 << 16 };
typedef struct vane_scratch {
  double *parts;     /* [VANE_SCRATCH_PARTS] */
  uint32_t *arrived; /* [1], zero between launches */
} vane_scratch;

/* ---- elementwise.cu ---- */

/* ---- pool.cu ---- */

/* ---- norm.cu ---- */

/* ---- bias.cu ---- */

/* ---- loss.cu, angle.cu ---- */

/* ---- reduce.cu, decide.cu ---- */

/* ---- adam.cu ---- */

/* ---- dense.cu ---- */

#ifdef __cplusplus
}
#endif
#endif
