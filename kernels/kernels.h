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
} vane_chunks;

/* ---- elementwise.cu ---- */

/* ---- pool.cu ---- */

/* ---- norm.cu ---- */

/* ---- bias.cu ---- */

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
cudaError_t vane_launch_gram(const float *const slots[VANE_N_HEADS], int64_t count,
                             vane_chunks chunks, const float *parameters, const float *gradients,
                             vane_step_record *record, vane_scratch scratch, cudaStream_t stream);
/* (N21..N24). `log_variances` and `dlog_variances` [4] for uncertainty, else not looked at. */
cudaError_t vane_launch_coefficients(vane_combine_desc desc, const float *log_variances,
                                     float *dlog_variances, vane_step_record *record,
                                     cudaStream_t stream);
/* out = sum over k of record->mix[k] * slots[k], [count] each; out may be a slot. */
cudaError_t vane_launch_combine(float *out, const float *const slots[VANE_N_HEADS], int64_t count,
                                const vane_step_record *record, cudaStream_t stream);
/* (N25, N26). samples [VANE_N_HEADS][n]. */
cudaError_t vane_launch_decide(vane_decide_desc desc, vane_chunks chunks, const float *parameters,
                               const float *gradients, const float *samples, int64_t n,
                               vane_step_record *record, vane_scratch scratch, cudaStream_t stream);

/* ---- adam.cu ---- */

/* (N30..N35). One launch over all chunks; writes nothing where record->skip is set. v_max NULL
 * without AMSGrad. */
cudaError_t vane_launch_adam(vane_adam_desc desc, vane_chunks chunks, float *parameters,
                             const float *gradients, float *m, float *v, float *v_max,
                             const vane_step_record *record, cudaStream_t stream);

/* ---- dense.cu ---- */

#ifdef __cplusplus
}
#endif
#endif
