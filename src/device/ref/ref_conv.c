/* Convolution (N1..N3). Weights are stored as [c_out, c_in, kernel, kernel]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/ref/real.h"
#include "device/ref/ref.h"
#include "device/shape.h"

static const char only_choice[] = "direct";

static vane_status ref_conv_plan(vane_device *device, const vane_conv_desc *desc,
                                 const char *choice, vane_conv_plan **plan) {
  (void)device;
  *plan = NULL;
  vane_conv_plan shaped = {.desc = *desc};
  VANE_TRY(vane_conv_shape(&shaped));
  if (choice && strcmp(choice, only_choice) != 0)
    return vane_fail(VANE_ERR_UNSUPPORTED, "the ref device has no convolution algorithm \"%s\"",
                     choice);
  vane_conv_plan *p = calloc(1, sizeof *p);
  if (!p)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a convolution's plan");
  *p = shaped;
  p->weight_count = desc->c_out * desc->c_in * desc->kernel * desc->kernel;
  snprintf(p->choice, sizeof p->choice, "%s", only_choice);
  *plan = p;
  return VANE_OK;
}

static void ref_conv_destroy(vane_device *device, vane_conv_plan *plan) {
  (void)device;
  free(plan);
}

static vane_status ref_conv_put_weights(vane_device *device, const vane_conv_plan *plan,
                                        void *weights, const float *from_host) {
  (void)device;
  real *to = weights;
  for (int64_t i = 0; i < plan->weight_count; ++i)
    to[i] = (real)from_host[i];
  return VANE_OK;
}

static vane_status ref_conv_get_weights(vane_device *device, const vane_conv_plan *plan,
                                        float *to_host, const void *weights) {
  (void)device;
  const real *from = weights;
  for (int64_t i = 0; i < plan->weight_count; ++i)
    to_host[i] = (float)from[i];
  return VANE_OK;
}

/* Where w[o,c,u,v] lies. */
static int64_t weight_offset(const vane_conv_desc *d, int64_t o, int64_t c, int64_t u, int64_t v) {
  return ((o * d->c_in + c) * d->kernel + u) * d->kernel + v;
}

static bool inside(const vane_conv_desc *d, int64_t a, int64_t b) {
  return a >= 0 && a < d->h && b >= 0 && b < d->w;
}

/* sum over (u,v,c) of w[o,c,u,v] x[n, i s + u - p, j s + v - p, c]. */
static double correlate(const vane_conv_desc *d, const vane_tensor *x, const real *w, int64_t n,
                        int64_t i, int64_t j, int64_t o) {
  const real *image = x->data;
  double sum = 0.0;
  for (int64_t u = 0; u < d->kernel; ++u)
    for (int64_t v = 0; v < d->kernel; ++v) {
      int64_t a = i * d->stride + u - d->padding, b = j * d->stride + v - d->padding;
      if (!inside(d, a, b))
        continue;
      for (int64_t c = 0; c < d->c_in; ++c)
        sum += (double)w[weight_offset(d, o, c, u, v)] * (double)image[offset_of(x, n, a, b, c)];
    }
  return sum;
}

static vane_status ref_conv_forward(vane_device *device, const vane_conv_plan *plan,
                                    const vane_tensor *x, const void *weights, const void *bias,
                                    const vane_tensor *residual, const vane_tensor *y) {
  (void)device;
  const vane_conv_desc *d = &plan->desc;
  const real *b = bias, *r = d->residual ? residual->data : NULL;
  real *out = y->data;
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t i = 0; i < plan->h_out; ++i)
      for (int64_t j = 0; j < plan->w_out; ++j)
        for (int64_t o = 0; o < d->c_out; ++o) {
          double value = correlate(d, x, weights, n, i, j, o);
          if (d->bias)
            value += (double)b[o];
          if (d->residual)
            value += (double)r[offset_of(y, n, i, j, o)];
          out[offset_of(y, n, i, j, o)] = (real)(d->relu ? relu_of(value) : value);
        }
  return VANE_OK;
}

/* dx[n,a,b,c]: every output position (i,j) whose window covers (a,b) through the tap (u,v). */
static double spread(const vane_conv_plan *plan, const vane_tensor *dz, const real *w, int64_t n,
                     int64_t a, int64_t b, int64_t c) {
  const vane_conv_desc *d = &plan->desc;
  const real *gradient = dz->data;
  double sum = 0.0;
  for (int64_t u = 0; u < d->kernel; ++u)
    for (int64_t v = 0; v < d->kernel; ++v) {
      int64_t top = a + d->padding - u, left = b + d->padding - v; /* i s and j s */
      if (top < 0 || left < 0 || top % d->stride != 0 || left % d->stride != 0)
        continue;
      int64_t i = top / d->stride, j = left / d->stride;
      if (i >= plan->h_out || j >= plan->w_out)
        continue;
      for (int64_t o = 0; o < d->c_out; ++o)
        sum +=
            (double)w[weight_offset(d, o, c, u, v)] * (double)gradient[offset_of(dz, n, i, j, o)];
    }
  return sum;
}

static vane_status ref_conv_backward_data(vane_device *device, const vane_conv_plan *plan,
                                          const void *weights, const vane_tensor *dz,
                                          const vane_tensor *dx) {
  (void)device;
  const vane_conv_desc *d = &plan->desc;
  real *out = dx->data;
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t a = 0; a < d->h; ++a)
      for (int64_t b = 0; b < d->w; ++b)
        for (int64_t c = 0; c < d->c_in; ++c)
          out[offset_of(dx, n, a, b, c)] = (real)spread(plan, dz, weights, n, a, b, c);
  return VANE_OK;
}

/* dw[o,c,u,v]: the sum over (n,i,j) of dz x. */
static double weight_gradient(const vane_conv_plan *plan, const vane_tensor *x,
                              const vane_tensor *dz, int64_t o, int64_t c, int64_t u, int64_t v) {
  const vane_conv_desc *d = &plan->desc;
  const real *image = x->data, *gradient = dz->data;
  double sum = 0.0;
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t i = 0; i < plan->h_out; ++i)
      for (int64_t j = 0; j < plan->w_out; ++j) {
        int64_t a = i * d->stride + u - d->padding, b = j * d->stride + v - d->padding;
        if (inside(d, a, b))
          sum +=
              (double)gradient[offset_of(dz, n, i, j, o)] * (double)image[offset_of(x, n, a, b, c)];
      }
  return sum;
}

static double bias_gradient(const vane_tensor *dz, int64_t o) {
  const real *gradient = dz->data;
  double sum = 0.0;
  for (int64_t i = o; i < count_of(dz); i += dz->c)
    sum += (double)gradient[i];
  return sum;
}

static vane_status ref_conv_backward_weights(vane_device *device, const vane_conv_plan *plan,
                                             const vane_tensor *x, const vane_tensor *dz,
                                             void *dweights, void *dbias) {
  (void)device;
  const vane_conv_desc *d = &plan->desc;
  real *dw = dweights, *db = dbias;
  for (int64_t o = 0; o < d->c_out; ++o) {
    for (int64_t c = 0; c < d->c_in; ++c)
      for (int64_t u = 0; u < d->kernel; ++u)
        for (int64_t v = 0; v < d->kernel; ++v)
          dw[weight_offset(d, o, c, u, v)] = (real)weight_gradient(plan, x, dz, o, c, u, v);
    if (d->bias)
      db[o] = (real)bias_gradient(dz, o);
  }
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_conv)(vane_conv_ops *ops) {
  *ops = (vane_conv_ops){
      .plan = ref_conv_plan,
      .destroy = ref_conv_destroy,
      .put_weights = ref_conv_put_weights,
      .get_weights = ref_conv_get_weights,
      .forward = ref_conv_forward,
      .backward_data = ref_conv_backward_data,
      .backward_weights = ref_conv_backward_weights,
  };
}
