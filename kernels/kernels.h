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

/* The block of parameters as kernels walk over it: chunks of one segment each, so that a block of
 * threads knows its segment by one load. 4096 reals are 4 float4 for each of 256 threads; their
 * entry is 1/7000 of the bytes that Adam moves for them. */
enum { VANE_CHUNK_REALS = 4096 };
typedef struct vane_chunk {
  int64_t offset;      /* in reals, a multiple of 16 */
  int32_t count;       /* 1 to VANE_CHUNK_REALS */
  int16_t task, decay; /* of its segment */
} vane_chunk;
typedef struct vane_chunks {
  const vane_chunk *chunk; /* [n], device memory, in the order of the block */
  int64_t n;               /* below 2^31 */
  int64_t n_reals;         /* in all chunks */
  const int64_t *first;    /* [n_segments + 1], device memory: a segment's first chunk */
  int64_t n_segments;      /* below 2^31 */
} vane_chunks;

/* The block's first parameters in bf16, as convolutions read them: number i is real i of the block,
 * rounded to nearest, ties to even. It ends where a segment does. */
typedef struct vane_shadow {
  void *numbers;   /* [n_reals] of bf16; NULL: there is none */
  int64_t n_reals; /* gaps between segments included */
} vane_shadow;

/* ---- elementwise.cu ---- */

/* x [n_pixels, c] = (bytes / 255 - mean[c]) * inv_std[c]; bytes need no alignment. */
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
/* a, b, c [count] += scale * from; all aligned to 16 bytes. With `past_caches` what is stored is
 * the first that the caches give up. */
cudaError_t vane_launch_stream(float *a, float *b, float *c, const float *from, float scale,
                               int64_t count, bool past_caches, cudaStream_t stream);
/* (N7). to [count] = (1 - share) to + share from, unless record->skip. */
cudaError_t vane_launch_follow(float *to, const float *from, double share, int64_t count,
                               const vane_step_record *record, cudaStream_t stream);
/* Activations [count] to plain float, and back (rounded to nearest, ties to even). The plain side
 * is aligned as floats. */
cudaError_t vane_launch_to_float(float *to, const void *from, vane_number number, int64_t count,
                                 cudaStream_t stream);
cudaError_t vane_launch_from_float(void *to, const float *from, vane_number number, int64_t count,
                                   cudaStream_t stream);

/* ---- draw.cu ---- */

/* (N50). to [count], aligned to 16 bytes, = floats uniform in [desc->low, desc->high), from the
 * counters that device.h's elementwise.draw states. */
cudaError_t vane_launch_draw(float *to, int64_t count, const vane_draw_desc *desc,
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
/* features [n, c], aligned as floats, = mean of x [n, positions, c] over the positions, and back.
 */
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
/* (N5): the same, `running` [2, c] are mean and variance, aligned as floats. */
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
 * values; keep 0 ignores what pending, aligned as floats, held. */
cudaError_t vane_launch_norm_track(float *pending, const float *saved, double keep, double share,
                                   double epsilon, int64_t n_rows, int64_t c, cudaStream_t stream);

/* ---- epilogue.cu ---- */

/* What follows a convolution (N1), where no engine does it at once: y [n_rows, c] = act(y + bias +
 * residual) in place, a ReLU where `relu`; bias [c], aligned to 4 bytes, and residual like y, each
 * NULL where there is none. */
cudaError_t vane_launch_conv_epilogue(void *y, const float *bias, const void *residual, bool relu,
                                      vane_number number, int64_t n_rows, int64_t c,
                                      cudaStream_t stream);

/* ---- bias.cu ---- */

/* (N3). dbias [c] = sum over the rows of dz [n_rows, c]. */
cudaError_t vane_launch_bias_gradient(float *dbias, const void *dz, vane_number number,
                                      int64_t n_rows, int64_t c, vane_scratch scratch,
                                      cudaStream_t stream);

/* ---- loss.cu, angle.cu ---- */

/* The losses of device.h's vane_loss_ops; float arrays. Each is one launch, also where n is 0: it
 * writes record->loss[k]. */
cudaError_t vane_launch_presence(const float *logits, const float *target, const float *mask,
                                 int64_t n, float *sample, float *seed, vane_step_record *record,
                                 vane_scratch scratch, cudaStream_t stream);
cudaError_t vane_launch_regression(vane_regression_desc desc, int k, const float *out,
                                   const float *target, const float *mask, int64_t n, int64_t d,
                                   float *sample, float *seed, vane_step_record *record,
                                   vane_scratch scratch, cudaStream_t stream);
cudaError_t vane_launch_angle(vane_angle_desc desc, const float *out, const float *target,
                              const float *mask, int64_t n, float *sample, float *seed,
                              vane_step_record *record, vane_scratch scratch, cudaStream_t stream);
/* (N16) and its gradient: `out` and `seed` [count] are scaled in place. */
cudaError_t vane_launch_clip_average(double limit, float *out, int64_t count,
                                     vane_step_record *record, vane_scratch scratch,
                                     cudaStream_t stream);
cudaError_t vane_launch_clip_average_backward(double limit, const float *out, float *seed,
                                              int64_t count, const vane_step_record *record,
                                              vane_scratch scratch, cudaStream_t stream);
/* (N17). Writes record->loss[VANE_LOSS_REGULARIZATION]. */
cudaError_t vane_launch_regularization(vane_chunks chunks, const float *parameters,
                                       vane_step_record *record, vane_scratch scratch,
                                       cudaStream_t stream);

/* ---- reduce.cu, decide.cu ---- */

/* The four steps from the losses' gradients to one, a launch each; see vane_reduce_ops. */

/* (N20). In space trunk_output `parameters` and `gradients` are NULL and `chunks` is not looked at.
 * Slots are NULL (zero) or [count]. */
cudaError_t vane_launch_gram(const void *const slots[VANE_N_HEADS], int64_t count,
                             vane_chunks chunks, const float *parameters, const float *gradients,
                             vane_step_record *record, vane_scratch scratch, cudaStream_t stream);
/* (N21..N24). `log_variances` and `dlog_variances` [4] for uncertainty, else not looked at. */
cudaError_t vane_launch_coefficients(vane_combine_desc desc, const float *log_variances,
                                     float *dlog_variances, vane_step_record *record,
                                     cudaStream_t stream);
/* out = sum over k of record->mix[k] * slots[k], [count] each; out may be a slot. */
cudaError_t vane_launch_combine(float *out, const void *const slots[VANE_N_HEADS], int64_t count,
                                const vane_step_record *record, cudaStream_t stream);
/* (N25..N28, N38, N42). samples [VANE_N_HEADS][n]. */
cudaError_t vane_launch_decide(vane_decide_desc desc, vane_chunks chunks, const float *parameters,
                               const float *gradients, const float *samples, int64_t n,
                               vane_step_record *record, vane_scratch scratch, cudaStream_t stream);

/* ---- adam.cu ---- */

/* (N30..N35, N40, N60..N66). One launch over all chunks, `shadow` included; writes nothing where
 * record->skip is set. Telemetry and limits have an entry per chunk. ADOPT has no AMSGrad. */
cudaError_t vane_launch_adam(vane_adam_desc desc, vane_chunks chunks, vane_adam_memory memory,
                             vane_shadow shadow, const vane_step_record *record,
                             cudaStream_t stream);

/* ---- limits.cu ---- */

/* (N67, N68). memory.limits, an entry per chunk; two launches. */
cudaError_t vane_launch_limits(vane_adam_desc desc, vane_chunks chunks, vane_adam_memory memory,
                               const vane_step_record *record, cudaStream_t stream);

/* ---- curvature.cu ---- */

/* (N36, N37). One launch over all chunks, after that of Adam and with the same memory: what
 * vane_optim_ops says of curvature. `gradients_after` like memory.gradients. */
cudaError_t vane_launch_curvature(vane_adam_desc desc, vane_guard_desc guard, vane_chunks chunks,
                                  vane_adam_memory memory, const float *gradients_after,
                                  vane_step_record *record, vane_scratch scratch,
                                  cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
