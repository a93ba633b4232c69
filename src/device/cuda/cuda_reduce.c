/* From the losses' gradients to one (N20..N26): a launch for each of the four. */
#include "device/cuda/cuda_block.h"

static vane_status cuda_gram(vane_device *base, const void *const slots[VANE_N_HEADS],
                             int64_t count, const vane_block *block, const void *parameters,
                             const void *gradients, vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_gram(slots, count, vane_cuda_chunks(block), parameters, gradients, record,
                            device->scratch, device->compute));
  return VANE_OK;
}

static vane_status cuda_coefficients(vane_device *base, const vane_combine_desc *desc,
                                     const void *log_variances, void *dlog_variances,
                                     vane_step_record *record) {
  CUDA_TRY(vane_launch_coefficients(*desc, log_variances, dlog_variances, record,
                                    vane_cuda_of(base)->compute));
  return VANE_OK;
}

static vane_status cuda_combine(vane_device *base, void *out, const void *const slots[VANE_N_HEADS],
                                int64_t count, const vane_step_record *record) {
  CUDA_TRY(vane_launch_combine(out, slots, count, record, vane_cuda_of(base)->compute));
  return VANE_OK;
}

static vane_status cuda_decide(vane_device *base, const vane_decide_desc *desc,
                               const vane_block *block, const void *parameters,
                               const void *gradients, const void *samples, int64_t n,
                               vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_decide(*desc, vane_cuda_chunks(block), parameters, gradients, samples, n,
                              record, device->scratch, device->compute));
  return VANE_OK;
}

void vane_cuda_fill_reduce(vane_reduce_ops *ops) {
  *ops = (vane_reduce_ops){.gram = cuda_gram,
                           .coefficients = cuda_coefficients,
                           .combine = cuda_combine,
                           .decide = cuda_decide};
}
