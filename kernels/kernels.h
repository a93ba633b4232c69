/* Every kernel's launcher: the contract between the host code in C (src/device/cuda/) and the
 * device code in CUDA (the .cu files beside this page; README.md lists them).
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

/* x [n_pixels, c] = (bytes / 255 - mean[c]) * inv_std[c]. */
cudaError_t vane_launch_input(void *x, vane_number number, const uint8_t *bytes, const float *mean,
                              const float *inv_std, int64_t n_pixels, int64_t c,
                              cudaStream_t stream);
/* y [count] = max(x, 0), a NaN stays one. y may be x. */
cudaError_t vane_launch_relu(void *y, const void *x, vane_number number, int64_t count,
                             cudaStream_t stream);
/* dz [count] = (a + b) where y > 0, else 0. b NULL: no second part. y NULL: no ReLU. dz may be a or
 * b. */
cudaError_t vane_launch_merge(void *dz, const void *y, const void *a, const void *b,
                              vane_number number, int64_t count, cudaStream_t stream);
/* to [count] += from; both aligned to 16 bytes. */
cudaError_t vane_launch_accumulate(float *to, const float *from, int64_t count,
                                   cudaStream_t stream);
/* (N7). to [count] = (1 - share) to + share from, unless record->skip. */
cudaError_t vane_launch_follow(float *to, const float *from, double share, int64_t count,
                               const vane_step_record *record, cudaStream_t stream);
/* Activations [count] to plain float, and back (rounded to nearest, ties to even). */
cudaError_t vane_launch_to_float(float *to, const void *from, vane_number number, int64_t count,
                                 cudaStream_t stream);
cudaError_t vane_launch_from_float(void *to, const float *from, vane_number number, int64_t count,
                                   cudaStream_t stream);

/* ---- pool.cu ---- */

/* (N8). y [n, h_out, w_out, c] from x [n, h, w, c]. The maximum also writes `index` [n, h_out,
 * w_out, c]: where the first largest value lies, row * kernel + column from the window's corner,
 * which padding may put outside the image. `index` is NULL for the average. */
cudaError_t vane_launch_pool(void *y, int32_t *index, const void *x, vane_number number,
                             const vane_pool_plan *plan, cudaStream_t stream);
/* dx [n, h, w, c] from dz [n, h_out, w_out, c]: each dx gathers from the windows that cover it, in
 * their order. */
cudaError_t vane_launch_pool_backward(void *dx, const void *dz, const int32_t *index,
                                      vane_number number, const vane_pool_plan *plan,
                                      cudaStream_t stream);
/* features [n, c] = mean of x [n, positions, c] over the positions, and back. */
cudaError_t vane_launch_pool_global(float *features, const void *x, vane_number number, int64_t n,
                                    int64_t positions, int64_t c, cudaStream_t stream);
cudaError_t vane_launch_pool_global_backward(void *dx, const float *dfeatures, vane_number number,
                                             int64_t n, int64_t positions, int64_t c,
                                             cudaStream_t stream);

/* ---- norm.cu ---- */

/* (N4), first half: saved [2, c] = mean and 1/sqrt(variance + epsilon) of x [n_rows, c]. */
cudaError_t vane_launch_norm_statistics(float *saved, const void *x, vane_number number,
                                        int64_t n_rows, int64_t c, double epsilon,
                                        vane_scratch scratch, cudaStream_t stream);
/* y [n_rows, c] = act(gamma (x - mean) inv_std + beta + residual), a ReLU where `relu`; residual
 * like x, or NULL. (N4), second half: `statistics` [2, c] are mean and inv_std. */
cudaError_t vane_launch_norm_apply(void *y, const void *x, vane_number number, const float *gamma,
                                   const float *beta, const void *residual, const float *statistics,
                                   bool relu, int64_t n_rows, int64_t c, cudaStream_t stream);
/* (N5): the same, `running` [2, c] are mean and variance. */
cudaError_t vane_launch_norm_infer(void *y, const void *x, vane_number number, const float *gamma,
                                   const float *beta, const void *residual, const float *running,
                                   double epsilon, bool relu, int64_t n_rows, int64_t c,
                                   cudaStream_t stream);
/* (N6), first half: dgamma, dbeta [c]. */
cudaError_t vane_launch_norm_sums(float *dgamma, float *dbeta, const void *x, const void *dz,
                                  vane_number number, const float *saved, int64_t n_rows, int64_t c,
                                  vane_scratch scratch, cudaStream_t stream);
/* (N6), second half. dx may be dz. */
cudaError_t vane_launch_norm_backward(void *dx, const void *x, const void *dz, vane_number number,
                                      const float *gamma, const float *saved, const float *dgamma,
                                      const float *dbeta, int64_t n_rows, int64_t c,
                                      cudaStream_t stream);
/* (N7). pending [2, c] = keep pending + share (mean, unbiased variance) from `saved` of n_rows
 * values; keep 0 ignores what pending held. */
cudaError_t vane_launch_norm_track(float *pending, const float *saved, double keep, double share,
                                   double epsilon, int64_t n_rows, int64_t c, cudaStream_t stream);

/* ---- bias.cu ---- */

/* (N3). dbias [c] = sum over the rows of dz [n_rows, c]. */
cudaError_t vane_launch_bias_gradient(float *dbias, const void *dz, vane_number number,
                                      int64_t n_rows, int64_t c, vane_scratch scratch,
                                      cudaStream_t stream);

/* ---- loss.cu, angle.cu ---- */

/* ---- reduce.cu, decide.cu ---- */

/* ---- adam.cu ---- */

/* ---- dense.cu ---- */

#ifdef __cplusplus
}
#endif
#endif
