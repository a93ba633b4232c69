/* Fully-connected layers (N9). */
#include <stdlib.h>

#include "base/error.h"
#include "device/ref/real.h"
#include "device/ref/ref.h"

static vane_status ref_dense_plan(vane_device *device, const vane_dense_desc *desc,
                                  vane_dense_plan **plan) {
  (void)device;
  *plan = NULL;
  if (desc->n < 1 || desc->f_in < 1 || desc->f_out < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "dense layer: sizes must be positive");
  vane_dense_plan *p = calloc(1, sizeof *p);
  if (!p)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a dense layer's plan");
  p->desc = *desc;
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
        sum += (double)in[n * d->f_in + i] * (double)w[o * d->f_in + i];
      out[n * d->f_out + o] = (real)(d->relu ? relu_of(sum) : sum);
    }
  return VANE_OK;
}

/* dx = dz w. */
static void data_gradient(const vane_dense_desc *d, const real *w, const real *dz, real *dx) {
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t i = 0; i < d->f_in; ++i) {
      double sum = 0.0;
      for (int64_t o = 0; o < d->f_out; ++o)
        sum += (double)dz[n * d->f_out + o] * (double)w[o * d->f_in + i];
      dx[n * d->f_in + i] = (real)sum;
    }
}

/* dw = dz^T x; db = sum over n of dz. */
static void weight_gradient(const vane_dense_desc *d, const real *x, const real *dz, real *dw,
                            real *db) {
  for (int64_t o = 0; o < d->f_out; ++o) {
    for (int64_t i = 0; i < d->f_in; ++i) {
      double sum = 0.0;
      for (int64_t n = 0; n < d->n; ++n)
        sum += (double)dz[n * d->f_out + o] * (double)x[n * d->f_in + i];
      dw[o * d->f_in + i] = (real)sum;
    }
    double sum = 0.0;
    for (int64_t n = 0; n < d->n; ++n)
      sum += (double)dz[n * d->f_out + o];
    db[o] = (real)sum;
  }
}

static vane_status ref_dense_backward(vane_device *device, const vane_dense_plan *plan,
                                      const void *x, const void *weights, const void *y, void *dy,
                                      void *dx, void *dweights, void *dbias) {
  (void)device;
  const vane_dense_desc *d = &plan->desc;
  const real *out = y;
  real *dz = dy;
  if (d->relu)
    for (int64_t i = 0; i < d->n * d->f_out; ++i)
      if (!(out[i] > 0))
        dz[i] = 0;
  if (dx)
    data_gradient(d, weights, dz, dx);
  weight_gradient(d, x, dz, dweights, dbias);
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_dense)(vane_dense_ops *ops) {
  *ops = (vane_dense_ops){
      .plan = ref_dense_plan,
      .destroy = ref_dense_destroy,
      .forward = ref_dense_forward,
      .backward = ref_dense_backward,
  };
}
