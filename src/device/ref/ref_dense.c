/* Fully-connected layers (N9). */
#include <stdlib.h>

#include "base/error.h"
#include "device/ref/real.h"
#include "device/ref/ref.h"
#include "device/shape.h"

static vane_status ref_dense_plan(vane_device *device, const vane_dense_desc *desc,
                                  vane_dense_plan **plan) {
  (void)device;
  *plan = NULL;
  vane_dense_plan *p = calloc(1, sizeof *p);
  if (!p)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a dense layer's plan");
  p->desc = *desc;
  vane_status status = vane_dense_shape(p);
  if (status != VANE_OK) {
    free(p);
    return status;
  }
  *plan = p;
  return VANE_OK;
}

static void ref_dense_destroy(vane_device *device, vane_dense_plan *plan) {
  (void)device;
  free(plan);
}

static vane_status ref_dense_forward(vane_device *device, const vane_dense_plan *plan,
                                     const void *x, const void *weights, const void *bias,
                                     void *y) {
  (void)device;
  const vane_dense_desc *d = &plan->desc;
  const real *in = x, *w = weights, *b = bias;
  real *out = y;
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t o = 0; o < d->f_out; ++o) {
      double sum = (double)b[o];
      for (int64_t i = 0; i < d->f_in; ++i)
        sum += (double)in[n * d->x_stride + i] * (double)w[o * d->f_in + i];
      out[n * d->f_out + o] = (real)(d->relu ? relu_of(sum) : sum);
    }
  return VANE_OK;
}

static vane_status ref_dense_backward_data(vane_device *device, const vane_dense_plan *plan,
                                           const void *weights, const void *dz, const void *x,
                                           void *dx) {
  (void)device;
  const vane_dense_desc *d = &plan->desc;
  const real *w = weights, *gradient = dz, *in = x;
  real *to = dx;
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t i = 0; i < d->f_in; ++i) {
      double sum = 0.0;
      for (int64_t o = 0; o < d->f_out; ++o)
        sum += (double)gradient[n * d->y_stride + o] * (double)w[o * d->f_in + i];
      bool passes = !d->x_relu || in[n * d->f_in + i] > 0;
      to[n * d->x_stride + i] = passes ? (real)sum : 0;
    }
  return VANE_OK;
}

static vane_status ref_dense_backward_weights(vane_device *device, const vane_dense_plan *plan,
                                              const void *x, const void *dz, void *dweights,
                                              void *dbias) {
  (void)device;
  const vane_dense_desc *d = &plan->desc;
  const real *in = x, *gradient = dz;
  real *dw = dweights, *db = dbias;
  for (int64_t o = 0; o < d->f_out; ++o) {
    for (int64_t i = 0; i < d->f_in; ++i) {
      double sum = 0.0;
      for (int64_t n = 0; n < d->n; ++n)
        sum += (double)gradient[n * d->f_out + o] * (double)in[n * d->x_stride + i];
      dw[o * d->f_in + i] = (real)sum;
    }
    double sum = 0.0;
    for (int64_t n = 0; n < d->n; ++n)
      sum += (double)gradient[n * d->f_out + o];
    db[o] = (real)sum;
  }
  return VANE_OK;
}

static vane_status ref_dense_mask(vane_device *device, const vane_dense_plan *plan, const void *y,
                                  void *dz) {
  (void)device;
  const vane_dense_desc *d = &plan->desc;
  const real *out = y;
  real *gradient = dz;
  for (int64_t i = 0; i < d->n * d->f_out; ++i)
    if (!(out[i] > 0))
      gradient[i] = 0;
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_dense)(vane_dense_ops *ops) {
  *ops = (vane_dense_ops){
      .plan = ref_dense_plan,
      .destroy = ref_dense_destroy,
      .forward = ref_dense_forward,
      .backward_data = ref_dense_backward_data,
      .backward_weights = ref_dense_backward_weights,
      .mask = ref_dense_mask,
  };
}
