/* Batch norm (N4..N6) over planes. Sums are taken plane by plane and then over the images in
 * order, so they do not even depend on the number of threads. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "device/cpu/cpu.h"
#include "device/ref/ref.h"
#include "device/shape.h"

/* The workspace: two sums per plane and channel, then what the second pass needs per channel. */
typedef struct norm_scratch {
  double *sums;                          /* [n_images, n_blocks, 2, lanes] */
  float *centre, *scale, *shift, *slope; /* [n_blocks * lanes] */
} norm_scratch;

static norm_scratch scratch_of(const cpu_device *device, const cpu_planes *planes) {
  norm_scratch s;
  int64_t stored = planes->n_blocks * planes->lanes;
  s.sums = device->workspace;
  s.centre = (float *)(s.sums + planes->n_images * stored * 2);
  s.scale = s.centre + stored;
  s.shift = s.scale + stored;
  s.slope = s.shift + stored;
  return s;
}

/* ---- Plans ---- */

static vane_status cpu_norm_plan(vane_device *base, const vane_norm_desc *desc,
                                 vane_norm_plan **made) {
  const cpu_device *device = (const cpu_device *)base;
  *made = NULL;
  VANE_TRY(vane_norm_shape(desc));
  vane_norm_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a batch norm's plan");
  size_t stored = (size_t)vane_cpu_stored_channels(device, desc->c);
  plan->desc = *desc;
  plan->workspace_bytes = stored * ((size_t)desc->n * 2 * sizeof(double) + 4 * sizeof(float));
  *made = plan;
  return VANE_OK;
}

static void cpu_norm_destroy(vane_device *base, vane_norm_plan *plan) {
  (void)base;
  free(plan);
}

/* ---- Forward ---- */

/* Mean of a plane and the sum of squares about it, per lane. The first sweep sums distances from
 * the first pixel, so that a large mean costs no digits; the second finds the plane in the cache.
 */
CPU_INLINE void plane_moments(int64_t lanes, const float *x, int64_t n_pixels, double *mean,
                              double *squares) {
  float centre[CPU_MAX_LANES];
  double sum[CPU_MAX_LANES] = {0};
  for (int64_t lane = 0; lane < lanes; lane++)
    centre[lane] = x[lane];
  for (int64_t begin = 0; begin < n_pixels; begin += CPU_FLOAT_RUN) {
    int64_t end = begin + CPU_FLOAT_RUN < n_pixels ? begin + CPU_FLOAT_RUN : n_pixels;
    float run[CPU_MAX_LANES] = {0};
    for (int64_t pixel = begin; pixel < end; pixel++)
      for (int64_t lane = 0; lane < lanes; lane++)
        run[lane] += x[pixel * lanes + lane] - centre[lane];
    for (int64_t lane = 0; lane < lanes; lane++)
      sum[lane] += (double)run[lane];
  }
  for (int64_t lane = 0; lane < lanes; lane++) {
    mean[lane] = (double)centre[lane] + sum[lane] / (double)n_pixels;
    centre[lane] = (float)mean[lane];
    squares[lane] = 0;
  }
  for (int64_t begin = 0; begin < n_pixels; begin += CPU_FLOAT_RUN) {
    int64_t end = begin + CPU_FLOAT_RUN < n_pixels ? begin + CPU_FLOAT_RUN : n_pixels;
    float run[CPU_MAX_LANES] = {0};
    for (int64_t pixel = begin; pixel < end; pixel++)
      for (int64_t lane = 0; lane < lanes; lane++) {
        float away = x[pixel * lanes + lane] - centre[lane];
        run[lane] += away * away;
      }
    for (int64_t lane = 0; lane < lanes; lane++)
      squares[lane] += (double)run[lane];
  }
}

/* Mean and inverse standard deviation of one channel from its planes. All planes are of one size,
 * so the mean is the mean of the means. */
static void channel_moments(const cpu_planes *planes, const double *sums, int64_t channel,
                            double epsilon, double *mean, double *inv_std) {
  int64_t lanes = planes->lanes, stride = planes->n_blocks * 2 * lanes;
  const double *first = sums + channel / lanes * 2 * lanes + channel % lanes;
  double total = 0, squares = 0, between = 0;
  for (int64_t image = 0; image < planes->n_images; image++)
    total += first[image * stride];
  *mean = total / (double)planes->n_images;
  for (int64_t image = 0; image < planes->n_images; image++) {
    double away = first[image * stride] - *mean;
    squares += first[image * stride + lanes];
    between += away * away;
  }
  double variance = (squares / (double)planes->n_pixels + between) / (double)planes->n_images;
  *inv_std = 1.0 / sqrt(variance + epsilon);
}

/* y = scale (x - centre) + shift + residual, each where it is there. */
CPU_INLINE void plane_apply(int64_t lanes, float *y, const float *x, const float *residual,
                            int64_t n_pixels, const norm_scratch *s, int64_t channel, bool relu) {
  float centre[CPU_MAX_LANES], scale[CPU_MAX_LANES], shift[CPU_MAX_LANES];
  for (int64_t lane = 0; lane < lanes; lane++) {
    centre[lane] = s->centre[channel + lane];
    scale[lane] = s->scale[channel + lane];
    shift[lane] = s->shift[channel + lane];
  }
  const float lowest = relu ? 0.0F : -INFINITY;
  for (int64_t pixel = 0; pixel < n_pixels; pixel++)
    for (int64_t lane = 0; lane < lanes; lane++) {
      int64_t i = pixel * lanes + lane;
      float value = (x[i] - centre[lane]) * scale[lane] + shift[lane];
      if (residual != NULL)
        value += residual[i];
      y[i] = value < lowest ? lowest : value; /* a NaN stays one */
    }
}

static void apply(const cpu_device *device, const cpu_planes *planes, const vane_norm_desc *desc,
                  const vane_tensor *x, const vane_tensor *residual, const vane_tensor *y,
                  const norm_scratch *s) {
  const float *in = x->data, *more = desc->residual ? residual->data : NULL;
  float *out = y->data;
  int64_t size = planes->n_pixels * planes->lanes;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes->n_images * planes->n_blocks; plane++) {
    int64_t channel = plane % planes->n_blocks * planes->lanes;
    const float *added = more != NULL ? more + plane * size : NULL;
    CPU_WITH_LANES(planes->lanes, plane_apply, out + plane * size, in + plane * size, added,
                   planes->n_pixels, s, channel, desc->relu);
  }
}

/* What apply needs for one channel; padding gets zeros and so yields zeros. The part of the mean
 * that a float does not hold goes into the shift: it matters where the mean is far larger than the
 * deviation. */
static void set_channel(const cpu_planes *planes, norm_scratch *s, int64_t channel, double mean,
                        double inv_std, const float *gamma, const float *beta) {
  s->centre[channel] = s->scale[channel] = s->shift[channel] = 0.0F;
  if (channel >= planes->n_channels)
    return;
  double scale = (double)gamma[channel] * inv_std;
  s->centre[channel] = (float)mean;
  s->scale[channel] = (float)scale;
  s->shift[channel] = (float)((double)beta[channel] + ((double)s->centre[channel] - mean) * scale);
}

static vane_status cpu_norm_forward(vane_device *base, const vane_norm_plan *plan,
                                    const vane_tensor *x, const void *gamma, const void *beta,
                                    const vane_tensor *residual, void *saved,
                                    const vane_tensor *y) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, x);
  norm_scratch s = scratch_of(device, &planes);
  const float *in = x->data;
  float *keep = saved;
  int64_t lanes = planes.lanes, size = planes.n_pixels * lanes;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes.n_images * planes.n_blocks; plane++) {
    double *sums = s.sums + plane * 2 * lanes;
    CPU_WITH_LANES(lanes, plane_moments, in + plane * size, planes.n_pixels, sums, sums + lanes);
  }
  for (int64_t channel = 0; channel < planes.n_blocks * lanes; channel++) {
    double mean, inv_std;
    channel_moments(&planes, s.sums, channel, plan->desc.epsilon, &mean, &inv_std);
    set_channel(&planes, &s, channel, mean, inv_std, gamma, beta);
    if (channel < planes.n_channels) {
      keep[channel] = (float)mean;
      keep[planes.n_channels + channel] = (float)inv_std;
    }
  }
  apply(device, &planes, &plan->desc, x, residual, y, &s);
  return VANE_OK;
}

static vane_status cpu_norm_infer(vane_device *base, const vane_norm_plan *plan,
                                  const vane_tensor *x, const void *gamma, const void *beta,
                                  const vane_tensor *residual, const void *running,
                                  const vane_tensor *y) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, x);
  norm_scratch s = scratch_of(device, &planes);
  const float *mean = running, *variance = mean + planes.n_channels;
  for (int64_t channel = 0; channel < planes.n_blocks * planes.lanes; channel++) {
    bool real = channel < planes.n_channels;
    double inv_std = real ? 1.0 / sqrt((double)variance[channel] + plan->desc.epsilon) : 0.0;
    set_channel(&planes, &s, channel, real ? (double)mean[channel] : 0.0, inv_std, gamma, beta);
  }
  apply(device, &planes, &plan->desc, x, residual, y, &s);
  return VANE_OK;
}

/* ---- Backward ---- */

/* Sums of dz and of dz (x - centre), per lane. */
CPU_INLINE void plane_gradient_sums(int64_t lanes, const float *x, const float *dz,
                                    int64_t n_pixels, const float *centres, double *sum,
                                    double *sum_away) {
  float centre[CPU_MAX_LANES];
  for (int64_t lane = 0; lane < lanes; lane++) {
    centre[lane] = centres[lane];
    sum[lane] = sum_away[lane] = 0;
  }
  for (int64_t begin = 0; begin < n_pixels; begin += CPU_FLOAT_RUN) {
    int64_t end = begin + CPU_FLOAT_RUN < n_pixels ? begin + CPU_FLOAT_RUN : n_pixels;
    float run[CPU_MAX_LANES] = {0}, run_away[CPU_MAX_LANES] = {0};
    for (int64_t pixel = begin; pixel < end; pixel++)
      for (int64_t lane = 0; lane < lanes; lane++) {
        int64_t i = pixel * lanes + lane;
        run[lane] += dz[i];
        run_away[lane] += dz[i] * (x[i] - centre[lane]);
      }
    for (int64_t lane = 0; lane < lanes; lane++) {
      sum[lane] += (double)run[lane];
      sum_away[lane] += (double)run_away[lane];
    }
  }
}

/* dx = scale (dz - shift - slope (x - centre)). dx may be dz. */
CPU_INLINE void plane_gradient(int64_t lanes, float *dx, const float *x, const float *dz,
                               int64_t n_pixels, const norm_scratch *s, int64_t channel) {
  float centre[CPU_MAX_LANES], scale[CPU_MAX_LANES], shift[CPU_MAX_LANES], slope[CPU_MAX_LANES];
  for (int64_t lane = 0; lane < lanes; lane++) {
    centre[lane] = s->centre[channel + lane];
    scale[lane] = s->scale[channel + lane];
    shift[lane] = s->shift[channel + lane];
    slope[lane] = s->slope[channel + lane];
  }
  for (int64_t pixel = 0; pixel < n_pixels; pixel++)
    for (int64_t lane = 0; lane < lanes; lane++) {
      int64_t i = pixel * lanes + lane;
      dx[i] = scale[lane] * (dz[i] - shift[lane] - slope[lane] * (x[i] - centre[lane]));
    }
}

/* dgamma and dbeta of one channel, and what plane_gradient needs for it. */
static void finish_channel(const cpu_planes *planes, norm_scratch *s, int64_t channel,
                           double inv_std, const float *gamma, float *dgamma, float *dbeta) {
  int64_t lanes = planes->lanes, stride = planes->n_blocks * 2 * lanes;
  const double *first = s->sums + channel / lanes * 2 * lanes + channel % lanes;
  double sum = 0, sum_away = 0;
  for (int64_t image = 0; image < planes->n_images; image++) {
    sum += first[image * stride];
    sum_away += first[image * stride + lanes];
  }
  double per_channel = (double)(planes->n_images * planes->n_pixels);
  dbeta[channel] = (float)sum;
  dgamma[channel] = (float)(sum_away * inv_std);
  s->scale[channel] = (float)((double)gamma[channel] * inv_std);
  s->shift[channel] = (float)(sum / per_channel);
  s->slope[channel] = (float)(sum_away * inv_std * inv_std / per_channel);
}

static vane_status cpu_norm_backward(vane_device *base, const vane_norm_plan *plan,
                                     const vane_tensor *x, const void *gamma, const void *saved,
                                     const vane_tensor *dz, const vane_tensor *dx, void *dgamma,
                                     void *dbeta) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, x);
  norm_scratch s = scratch_of(device, &planes);
  const float *in = x->data, *gradient = dz->data, *kept = saved;
  float *out = dx->data;
  int64_t lanes = planes.lanes, size = planes.n_pixels * lanes, stored = planes.n_blocks * lanes;
  (void)plan;
  for (int64_t channel = 0; channel < stored; channel++) {
    s.centre[channel] = channel < planes.n_channels ? kept[channel] : 0.0F;
    s.scale[channel] = s.shift[channel] = s.slope[channel] = 0.0F;
  }
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes.n_images * planes.n_blocks; plane++) {
    double *sums = s.sums + plane * 2 * lanes;
    CPU_WITH_LANES(lanes, plane_gradient_sums, in + plane * size, gradient + plane * size,
                   planes.n_pixels, s.centre + plane % planes.n_blocks * lanes, sums, sums + lanes);
  }
  for (int64_t channel = 0; channel < planes.n_channels; channel++)
    finish_channel(&planes, &s, channel, (double)kept[planes.n_channels + channel], gamma, dgamma,
                   dbeta);
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes.n_images * planes.n_blocks; plane++)
    CPU_WITH_LANES(lanes, plane_gradient, out + plane * size, in + plane * size,
                   gradient + plane * size, planes.n_pixels, &s, plane % planes.n_blocks * lanes);
  return VANE_OK;
}

void vane_cpu_fill_norm(vane_norm_ops *ops) {
  vane_ref_fill_norm_float(ops); /* track stays: a few numbers in plain order */
  ops->plan = cpu_norm_plan;
  ops->destroy = cpu_norm_destroy;
  ops->forward = cpu_norm_forward;
  ops->infer = cpu_norm_infer;
  ops->backward = cpu_norm_backward;
}
