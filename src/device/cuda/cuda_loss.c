/* The losses (N10..N17). */
#include "device/cuda/cuda_block.h"

static vane_status cuda_presence(vane_device *base, const void *logits, const void *target,
                                 const void *mask, int64_t n, void *sample, void *seed,
                                 vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_presence(logits, target, mask, n, sample, seed, record, device->scratch,
                                device->compute));
  return VANE_OK;
}

static vane_status cuda_angle(vane_device *base, const vane_angle_desc *desc, const void *out,
                              const void *target, const void *mask, int64_t n, void *sample,
                              void *seed, vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_angle(*desc, out, target, mask, n, sample, seed, record, device->scratch,
                             device->compute));
  return VANE_OK;
}

static vane_status cuda_regression(vane_device *base, const vane_regression_desc *desc, int k,
                                   const void *out, const void *target, const void *mask, int64_t n,
                                   int64_t d, void *sample, void *seed, vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_regression(*desc, k, out, target, mask, n, d, sample, seed, record,
                                  device->scratch, device->compute));
  return VANE_OK;
}

static vane_status cuda_clip_average(vane_device *base, double limit, void *out, int64_t count,
                                     vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_clip_average(limit, out, count, record, device->scratch, device->compute));
  return VANE_OK;
}

static vane_status cuda_clip_average_backward(vane_device *base, double limit, const void *out,
                                              void *seed, int64_t count, vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_clip_average_backward(limit, out, seed, count, record, device->scratch,
                                             device->compute));
  return VANE_OK;
}

static vane_status cuda_regularization(vane_device *base, const vane_block *block,
                                       const void *parameters, vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_regularization(vane_cuda_chunks(block), parameters, record, device->scratch,
                                      device->compute));
  return VANE_OK;
}

void vane_cuda_fill_loss(vane_loss_ops *ops) {
  *ops = (vane_loss_ops){
      .presence = cuda_presence,
      .angle = cuda_angle,
      .regression = cuda_regression,
      .clip_average = cuda_clip_average,
      .clip_average_backward = cuda_clip_average_backward,
      .regularization = cuda_regularization,
  };
}
