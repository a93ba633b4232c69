/* Batch norm (N4..N7): kernels/norm.cu, two launches forward and two backward. */
#include <stdlib.h>

#include "device/cuda/cuda.h"
#include "device/shape.h"

static vane_status cuda_norm_plan(vane_device *base, const vane_norm_desc *desc,
                                  vane_norm_plan **plan) {
  (void)base;
  *plan = NULL;
  VANE_TRY(vane_norm_shape(desc));
  vane_norm_plan *p = calloc(1, sizeof *p);
  if (!p)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a batch norm's plan");
  p->desc = *desc;
  *plan = p;
  return VANE_OK;
}

static void cuda_norm_destroy(vane_device *base, vane_norm_plan *plan) {
  (void)base;
  free(plan);
}

static int64_t rows_of(const vane_norm_desc *d) {
  return d->n * d->h * d->w;
}

static vane_status cuda_norm_forward(vane_device *base, const vane_norm_plan *plan,
                                     const vane_tensor *x, const void *gamma, const void *beta,
                                     const vane_tensor *residual, void *saved,
                                     const vane_tensor *y) {
  const cuda_device *device = vane_cuda_of(base);
  const vane_norm_desc *d = &plan->desc;
  vane_number number = vane_cuda_number(device);
  CUDA_TRY(vane_launch_norm_statistics(saved, x->data, number, rows_of(d), d->c, d->epsilon,
                                       device->scratch, device->compute));
  CUDA_TRY(vane_launch_norm_apply(y->data, x->data, number, gamma, beta,
                                  d->residual ? residual->data : NULL, saved, d->relu, rows_of(d),
                                  d->c, device->compute));
  return VANE_OK;
}

static vane_status cuda_norm_infer(vane_device *base, const vane_norm_plan *plan,
                                   const vane_tensor *x, const void *gamma, const void *beta,
                                   const vane_tensor *residual, const void *running,
                                   const vane_tensor *y) {
  const cuda_device *device = vane_cuda_of(base);
  const vane_norm_desc *d = &plan->desc;
  CUDA_TRY(vane_launch_norm_infer(y->data, x->data, vane_cuda_number(device), gamma, beta,
                                  d->residual ? residual->data : NULL, running, d->epsilon, d->relu,
                                  rows_of(d), d->c, device->compute));
  return VANE_OK;
}

static vane_status cuda_norm_backward(vane_device *base, const vane_norm_plan *plan,
                                      const vane_tensor *x, const void *gamma, const void *saved,
                                      const vane_tensor *dz, const vane_tensor *dx, void *dgamma,
                                      void *dbeta) {
  const cuda_device *device = vane_cuda_of(base);
  const vane_norm_desc *d = &plan->desc;
  vane_number number = vane_cuda_number(device);
  CUDA_TRY(vane_launch_norm_sums(dgamma, dbeta, x->data, dz->data, number, saved, rows_of(d), d->c,
                                 device->scratch, device->compute));
  CUDA_TRY(vane_launch_norm_backward(dx->data, x->data, dz->data, number, gamma, saved, dgamma,
                                     dbeta, rows_of(d), d->c, device->compute));
  return VANE_OK;
}

static vane_status cuda_norm_track(vane_device *base, const vane_norm_plan *plan, const void *saved,
                                   double keep, double share, void *pending) {
  const vane_norm_desc *d = &plan->desc;
  CUDA_TRY(vane_launch_norm_track(pending, saved, keep, share, d->epsilon, rows_of(d), d->c,
                                  vane_cuda_of(base)->compute));
  return VANE_OK;
}

void vane_cuda_fill_norm(vane_norm_ops *ops) {
  *ops = (vane_norm_ops){
      .plan = cuda_norm_plan,
      .destroy = cuda_norm_destroy,
      .forward = cuda_norm_forward,
      .infer = cuda_norm_infer,
      .backward = cuda_norm_backward,
      .track = cuda_norm_track,
  };
}
