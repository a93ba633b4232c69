/* Pooling (N8), and the two ways from an image to features. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/ref/real.h"
#include "device/ref/ref.h"
#include "device/shape.h"

static vane_status ref_pool_plan(vane_device *device, const vane_pool_desc *desc,
                                 vane_pool_plan **plan) {
  (void)device;
  *plan = NULL;
  vane_pool_plan shaped = {.desc = *desc};
  VANE_TRY(vane_pool_shape(&shaped));
  vane_pool_plan *p = calloc(1, sizeof *p);
  if (!p)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a pooling plan");
  *p = shaped;
  if (!desc->average)
    p->index_bytes = (size_t)(desc->n * p->h_out * p->w_out * desc->c) * sizeof(int64_t);
  *plan = p;
  return VANE_OK;
}

static void ref_pool_destroy(vane_device *device, vane_pool_plan *plan) {
  (void)device;
  free(plan);
}

typedef struct window {             /* the part of a pooling window that lies inside the image */
  int64_t top, bottom, left, right; /* half open */
} window;

static window window_at(const vane_pool_desc *d, int64_t i, int64_t j) {
  window w = {.top = i * d->stride - d->padding, .left = j * d->stride - d->padding};
  w.bottom = w.top + d->kernel < d->h ? w.top + d->kernel : d->h;
  w.right = w.left + d->kernel < d->w ? w.left + d->kernel : d->w;
  w.top = w.top > 0 ? w.top : 0;
  w.left = w.left > 0 ? w.left : 0;
  return w;
}

/* Where in x the first largest value of the window lies. */
static int64_t winner(const vane_tensor *x, window in, int64_t n, int64_t c) {
  const real *image = x->data;
  int64_t best = offset_of(x, n, in.top, in.left, c);
  for (int64_t a = in.top; a < in.bottom; ++a)
    for (int64_t b = in.left; b < in.right; ++b)
      if (image[offset_of(x, n, a, b, c)] > image[best])
        best = offset_of(x, n, a, b, c);
  return best;
}

static double mean_of(const vane_tensor *x, window in, int64_t n, int64_t c) {
  const real *image = x->data;
  double sum = 0.0;
  for (int64_t a = in.top; a < in.bottom; ++a)
    for (int64_t b = in.left; b < in.right; ++b)
      sum += (double)image[offset_of(x, n, a, b, c)];
  return sum / (double)((in.bottom - in.top) * (in.right - in.left));
}

static vane_status ref_pool_forward(vane_device *device, const vane_pool_plan *plan,
                                    const vane_tensor *x, const vane_tensor *y, void *index) {
  (void)device;
  const vane_pool_desc *d = &plan->desc;
  const real *image = x->data;
  real *out = y->data;
  int64_t *won = index;
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t i = 0; i < plan->h_out; ++i)
      for (int64_t j = 0; j < plan->w_out; ++j)
        for (int64_t c = 0; c < d->c; ++c) {
          int64_t to = offset_of(y, n, i, j, c);
          window in = window_at(d, i, j);
          if (d->average) {
            out[to] = (real)mean_of(x, in, n, c);
          } else {
            won[to] = winner(x, in, n, c);
            out[to] = image[won[to]];
          }
        }
  return VANE_OK;
}

static void spread_mean(const vane_tensor *dx, window in, int64_t n, int64_t c, double gradient) {
  real *out = dx->data;
  double share = gradient / (double)((in.bottom - in.top) * (in.right - in.left));
  for (int64_t a = in.top; a < in.bottom; ++a)
    for (int64_t b = in.left; b < in.right; ++b)
      out[offset_of(dx, n, a, b, c)] += (real)share;
}

static vane_status ref_pool_backward(vane_device *device, const vane_pool_plan *plan,
                                     const vane_tensor *dz, const void *index,
                                     const vane_tensor *dx) {
  (void)device;
  const vane_pool_desc *d = &plan->desc;
  const real *gradient = dz->data;
  const int64_t *won = index;
  real *out = dx->data;
  memset(out, 0, (size_t)count_of(dx) * sizeof(real));
  for (int64_t n = 0; n < d->n; ++n)
    for (int64_t i = 0; i < plan->h_out; ++i)
      for (int64_t j = 0; j < plan->w_out; ++j)
        for (int64_t c = 0; c < d->c; ++c) {
          int64_t from = offset_of(dz, n, i, j, c);
          if (d->average)
            spread_mean(dx, window_at(d, i, j), n, c, (double)gradient[from]);
          else
            out[won[from]] += gradient[from];
        }
  return VANE_OK;
}

static vane_status ref_pool_global_forward(vane_device *device, const vane_tensor *x,
                                           void *features) {
  (void)device;
  real *out = features;
  window all = {.bottom = x->h, .right = x->w};
  for (int64_t n = 0; n < x->n; ++n)
    for (int64_t c = 0; c < x->c; ++c)
      out[n * x->c + c] = (real)mean_of(x, all, n, c);
  return VANE_OK;
}

static vane_status ref_pool_global_backward(vane_device *device, const void *dfeatures,
                                            const vane_tensor *dx) {
  (void)device;
  const real *gradient = dfeatures;
  real *out = dx->data;
  int64_t positions = dx->h * dx->w;
  for (int64_t n = 0; n < dx->n; ++n)
    for (int64_t i = 0; i < positions; ++i)
      for (int64_t c = 0; c < dx->c; ++c)
        out[(n * positions + i) * dx->c + c] =
            (real)((double)gradient[n * dx->c + c] / (double)positions);
  return VANE_OK;
}

/* Activations already lie in the order h, w, c. */
static vane_status ref_pool_flatten_forward(vane_device *device, const vane_tensor *x,
                                            void *features) {
  (void)device;
  memcpy(features, x->data, (size_t)count_of(x) * sizeof(real));
  return VANE_OK;
}

static vane_status ref_pool_flatten_backward(vane_device *device, const void *dfeatures,
                                             const vane_tensor *dx) {
  (void)device;
  memcpy(dx->data, dfeatures, (size_t)count_of(dx) * sizeof(real));
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_pool)(vane_pool_ops *ops) {
  *ops = (vane_pool_ops){
      .plan = ref_pool_plan,
      .destroy = ref_pool_destroy,
      .forward = ref_pool_forward,
      .backward = ref_pool_backward,
      .global_forward = ref_pool_global_forward,
      .global_backward = ref_pool_global_backward,
      .flatten_forward = ref_pool_flatten_forward,
      .flatten_backward = ref_pool_flatten_backward,
  };
}
