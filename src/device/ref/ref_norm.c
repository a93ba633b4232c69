/* Batch norm (N4..N7). */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "device/ref/real.h"
#include "device/ref/ref.h"
#include "device/shape.h"

static vane_status ref_norm_plan(vane_device *device, const vane_norm_desc *desc,
                                 vane_norm_plan **plan) {
  (void)device;
  *plan = NULL;
  VANE_TRY(vane_norm_shape(desc));
  vane_norm_plan *p = calloc(1, sizeof *p);
  if (!p)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a batch norm's plan");
  p->desc = *desc;
  *plan = p;
  return VANE_OK;
}

static void ref_norm_destroy(vane_device *device, vane_norm_plan *plan) {
  (void)device;
  free(plan);
}

/* y = act(gamma (x - mean) inv_std + beta + r) for one channel. */
static void normalize_channel(const vane_norm_desc *d, const vane_tensor *x, int64_t c, double mean,
                              double inv_std, double gamma, double beta,
                              const vane_tensor *residual, const vane_tensor *y) {
  const real *in = x->data, *r = d->residual ? residual->data : NULL;
  real *out = y->data;
  for (int64_t i = c; i < count_of(x); i += d->c) {
    double value = gamma * ((double)in[i] - mean) * inv_std + beta;
    if (d->residual)
      value += (double)r[i];
    out[i] = (real)(d->relu ? relu_of(value) : value);
  }
}

static vane_status ref_norm_forward(vane_device *device, const vane_norm_plan *plan,
                                    const vane_tensor *x, const void *gamma, const void *beta,
                                    const vane_tensor *residual, void *saved,
                                    const vane_tensor *y) {
  (void)device;
  const vane_norm_desc *d = &plan->desc;
  const real *in = x->data, *g = gamma, *b = beta;
  real *keep = saved;
  double per_channel = (double)(d->n * d->h * d->w);
  for (int64_t c = 0; c < d->c; ++c) {
    double sum = 0.0, squares = 0.0;
    for (int64_t i = c; i < count_of(x); i += d->c)
      sum += (double)in[i];
    double mean = sum / per_channel;
    for (int64_t i = c; i < count_of(x); i += d->c)
      squares += ((double)in[i] - mean) * ((double)in[i] - mean);
    double inv_std = 1.0 / sqrt(squares / per_channel + d->epsilon);
    keep[c] = (real)mean;
    keep[d->c + c] = (real)inv_std;
    normalize_channel(d, x, c, mean, inv_std, (double)g[c], (double)b[c], residual, y);
  }
  return VANE_OK;
}

static vane_status ref_norm_infer(vane_device *device, const vane_norm_plan *plan,
                                  const vane_tensor *x, const void *gamma, const void *beta,
                                  const vane_tensor *residual, const void *running,
                                  const vane_tensor *y) {
  (void)device;
  const vane_norm_desc *d = &plan->desc;
  const real *g = gamma, *b = beta, *r = running;
  for (int64_t c = 0; c < d->c; ++c) {
    double inv_std = 1.0 / sqrt((double)r[d->c + c] + d->epsilon);
    normalize_channel(d, x, c, (double)r[c], inv_std, (double)g[c], (double)b[c], residual, y);
  }
  return VANE_OK;
}

static vane_status ref_norm_backward(vane_device *device, const vane_norm_plan *plan,
                                     const vane_tensor *x, const void *gamma, const void *saved,
                                     const vane_tensor *dz, const vane_tensor *dx, void *dgamma,
                                     void *dbeta) {
  (void)device;
  const vane_norm_desc *d = &plan->desc;
  const real *in = x->data, *g = gamma, *kept = saved, *gradient = dz->data;
  real *out = dx->data, *dg = dgamma, *db = dbeta;
  double per_channel = (double)(d->n * d->h * d->w);
  for (int64_t c = 0; c < d->c; ++c) {
    double mean = (double)kept[c], inv_std = (double)kept[d->c + c];
    double sum = 0.0, sum_xhat = 0.0;
    for (int64_t i = c; i < count_of(x); i += d->c) {
      sum += (double)gradient[i];
      sum_xhat += (double)gradient[i] * ((double)in[i] - mean) * inv_std;
    }
    for (int64_t i = c; i < count_of(x); i += d->c) {
      double xhat = ((double)in[i] - mean) * inv_std;
      double centred = (double)gradient[i] - sum / per_channel - xhat * sum_xhat / per_channel;
      out[i] = (real)((double)g[c] * inv_std * centred);
    }
    dg[c] = (real)sum_xhat;
    db[c] = (real)sum;
  }
  return VANE_OK;
}

static vane_status ref_norm_track(vane_device *device, const vane_norm_plan *plan,
                                  const void *saved, double keep, double share, void *pending) {
  (void)device;
  const vane_norm_desc *d = &plan->desc;
  const real *kept = saved;
  real *to = pending;
  double per_channel = (double)(d->n * d->h * d->w);
  double unbiased = per_channel > 1.0 ? per_channel / (per_channel - 1.0) : 1.0;
  for (int64_t c = 0; c < d->c; ++c) {
    double inv_std = (double)kept[d->c + c];
    double statistic[2] = {(double)kept[c], (1.0 / (inv_std * inv_std) - d->epsilon) * unbiased};
    for (int i = 0; i < 2; ++i) {
      real *target = &to[i * d->c + c];
      double held = keep > 0.0 ? keep * (double)*target : 0.0;
      *target = (real)(held + share * statistic[i]);
    }
  }
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_norm)(vane_norm_ops *ops) {
  *ops = (vane_norm_ops){
      .plan = ref_norm_plan,
      .destroy = ref_norm_destroy,
      .forward = ref_norm_forward,
      .infer = ref_norm_infer,
      .backward = ref_norm_backward,
      .track = ref_norm_track,
  };
}
