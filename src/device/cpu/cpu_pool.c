/* Pooling (N8) plane by plane, and the two ways from an image to features. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cpu/cpu.h"
#include "device/shape.h"

/* ---- Plans ---- */

static vane_status cpu_pool_plan(vane_device *base, const vane_pool_desc *desc,
                                 vane_pool_plan **made) {
  const cpu_device *device = (const cpu_device *)base;
  *made = NULL;
  vane_pool_plan shaped = {.desc = *desc};
  VANE_TRY(vane_pool_shape(&shaped));
  if (desc->kernel * desc->kernel > INT16_MAX)
    return vane_fail(VANE_ERR_UNSUPPORTED, "pooling: a kernel of %" PRId64 " is too large",
                     desc->kernel);
  vane_pool_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a pooling plan");
  *plan = shaped;
  if (!desc->average)
    plan->index_bytes =
        (size_t)(desc->n * vane_cpu_stored_channels(device, desc->c) * plan->h_out * plan->w_out) *
        sizeof(int16_t);
  *made = plan;
  return VANE_OK;
}

static void cpu_pool_destroy(vane_device *base, vane_pool_plan *plan) {
  (void)base;
  free(plan);
}

/* ---- Windows ---- */

/* The part of a window that lies inside the image, half open. */
typedef struct window {
  int64_t top, bottom, left, right;
} window;

static window window_at(const vane_pool_desc *d, int64_t i, int64_t j) {
  int64_t top = i * d->stride - d->padding, left = j * d->stride - d->padding;
  return (window){.top = top > 0 ? top : 0,
                  .bottom = top + d->kernel < d->h ? top + d->kernel : d->h,
                  .left = left > 0 ? left : 0,
                  .right = left + d->kernel < d->w ? left + d->kernel : d->w};
}

static float share_of(window in) {
  return 1.0F / (float)((in.bottom - in.top) * (in.right - in.left));
}

/* Who won is remembered as its place in the part inside the image, counted row by row. */
CPU_INLINE void plane_maximum(int64_t lanes, float *y, int16_t *winner, const float *x,
                              const vane_pool_plan *plan) {
  const vane_pool_desc *d = &plan->desc;
  for (int64_t i = 0; i < plan->h_out; i++)
    for (int64_t j = 0; j < plan->w_out; j++) {
      window in = window_at(d, i, j);
      int64_t to = (i * plan->w_out + j) * lanes;
      float best[CPU_MAX_LANES];
      int32_t won[CPU_MAX_LANES] = {0}, place = 0; /* as wide as a float, for the vectors */
      for (int64_t lane = 0; lane < lanes; lane++)
        best[lane] = x[(in.top * d->w + in.left) * lanes + lane];
      for (int64_t a = in.top; a < in.bottom; a++)
        for (int64_t b = in.left; b < in.right; b++, place++)
          for (int64_t lane = 0; lane < lanes; lane++) {
            float value = x[(a * d->w + b) * lanes + lane];
            bool larger = value > best[lane];
            best[lane] = larger ? value : best[lane];
            won[lane] = larger ? place : won[lane];
          }
      for (int64_t lane = 0; lane < lanes; lane++) {
        y[to + lane] = best[lane];
        winner[to + lane] = (int16_t)won[lane];
      }
    }
}

CPU_INLINE void plane_average(int64_t lanes, float *y, const float *x, const vane_pool_plan *plan) {
  const vane_pool_desc *d = &plan->desc;
  for (int64_t i = 0; i < plan->h_out; i++)
    for (int64_t j = 0; j < plan->w_out; j++) {
      window in = window_at(d, i, j);
      float share = share_of(in), sum[CPU_MAX_LANES] = {0};
      for (int64_t a = in.top; a < in.bottom; a++)
        for (int64_t b = in.left; b < in.right; b++)
          for (int64_t lane = 0; lane < lanes; lane++)
            sum[lane] += x[(a * d->w + b) * lanes + lane];
      for (int64_t lane = 0; lane < lanes; lane++)
        y[(i * plan->w_out + j) * lanes + lane] = sum[lane] * share;
    }
}

/* `winner` NULL: average. dx was cleared. */
CPU_INLINE void plane_spread(int64_t lanes, float *dx, const float *dz, const int16_t *winner,
                             const vane_pool_plan *plan) {
  const vane_pool_desc *d = &plan->desc;
  for (int64_t i = 0; i < plan->h_out; i++)
    for (int64_t j = 0; j < plan->w_out; j++) {
      window in = window_at(d, i, j);
      int64_t from = (i * plan->w_out + j) * lanes;
      float share = share_of(in);
      int16_t place = 0;
      for (int64_t a = in.top; a < in.bottom; a++)
        for (int64_t b = in.left; b < in.right; b++, place++)
          for (int64_t lane = 0; lane < lanes; lane++) {
            float gradient = dz[from + lane];
            if (winner == NULL)
              gradient *= share;
            else
              gradient = winner[from + lane] == place ? gradient : 0.0F;
            dx[(a * d->w + b) * lanes + lane] += gradient;
          }
    }
}

/* ---- The slots ---- */

static vane_status cpu_pool_forward(vane_device *base, const vane_pool_plan *plan,
                                    const vane_tensor *x, const vane_tensor *y, void *index) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes in = vane_cpu_planes(device, x), out = vane_cpu_planes(device, y);
  int64_t in_size = in.n_pixels * in.lanes, out_size = out.n_pixels * out.lanes;
  const float *from = x->data;
  float *to = y->data;
  int16_t *winner = index;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < in.n_images * in.n_blocks; plane++) {
    if (plan->desc.average)
      CPU_WITH_LANES(in.lanes, plane_average, to + plane * out_size, from + plane * in_size, plan);
    else
      CPU_WITH_LANES(in.lanes, plane_maximum, to + plane * out_size, winner + plane * out_size,
                     from + plane * in_size, plan);
  }
  return VANE_OK;
}

static vane_status cpu_pool_backward(vane_device *base, const vane_pool_plan *plan,
                                     const vane_tensor *dz, const void *index,
                                     const vane_tensor *dx) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes in = vane_cpu_planes(device, dx), out = vane_cpu_planes(device, dz);
  int64_t in_size = in.n_pixels * in.lanes, out_size = out.n_pixels * out.lanes;
  const float *from = dz->data;
  float *to = dx->data;
  const int16_t *winner = plan->desc.average ? NULL : index;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < in.n_images * in.n_blocks; plane++) {
    const int16_t *won = winner != NULL ? winner + plane * out_size : NULL;
    memset(to + plane * in_size, 0, (size_t)in_size * sizeof(float));
    CPU_WITH_LANES(in.lanes, plane_spread, to + plane * in_size, from + plane * out_size, won,
                   plan);
  }
  return VANE_OK;
}

CPU_INLINE void plane_mean(int64_t lanes, float *mean, const float *x, int64_t n_pixels,
                           int64_t n_real) {
  double sum[CPU_MAX_LANES] = {0};
  for (int64_t begin = 0; begin < n_pixels; begin += CPU_FLOAT_RUN) {
    int64_t end = begin + CPU_FLOAT_RUN < n_pixels ? begin + CPU_FLOAT_RUN : n_pixels;
    float run[CPU_MAX_LANES] = {0};
    for (int64_t pixel = begin; pixel < end; pixel++)
      for (int64_t lane = 0; lane < lanes; lane++)
        run[lane] += x[pixel * lanes + lane];
    for (int64_t lane = 0; lane < lanes; lane++)
      sum[lane] += (double)run[lane];
  }
  for (int64_t lane = 0; lane < n_real; lane++)
    mean[lane] = (float)(sum[lane] / (double)n_pixels);
}

/* Channels of a block that are not padding. */
static int64_t real_lanes(const cpu_planes *planes, int64_t block) {
  int64_t left = planes->n_channels - block * planes->lanes;
  return left < planes->lanes ? left : planes->lanes;
}

static vane_status cpu_pool_global_forward(vane_device *base, const vane_tensor *x,
                                           void *features) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, x);
  const float *in = x->data;
  float *out = features;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes.n_images * planes.n_blocks; plane++) {
    int64_t image = plane / planes.n_blocks, block = plane % planes.n_blocks;
    CPU_WITH_LANES(planes.lanes, plane_mean, out + image * planes.n_channels + block * planes.lanes,
                   in + plane * planes.n_pixels * planes.lanes, planes.n_pixels,
                   real_lanes(&planes, block));
  }
  return VANE_OK;
}

static vane_status cpu_pool_global_backward(vane_device *base, const void *dfeatures,
                                            const vane_tensor *dx) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, dx);
  const float *gradients = dfeatures;
  float *out = dx->data;
  int64_t lanes = planes.lanes;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes.n_images * planes.n_blocks; plane++) {
    int64_t image = plane / planes.n_blocks, block = plane % planes.n_blocks;
    const float *from = gradients + image * planes.n_channels + block * lanes;
    float *to = out + plane * planes.n_pixels * lanes, share[CPU_MAX_LANES] = {0};
    for (int64_t lane = 0; lane < real_lanes(&planes, block); lane++)
      share[lane] = from[lane] / (float)planes.n_pixels;
    for (int64_t pixel = 0; pixel < planes.n_pixels; pixel++)
      memcpy(to + pixel * lanes, share, (size_t)lanes * sizeof(float));
  }
  return VANE_OK;
}

/* Features of one plane: `n_real` side by side, the next pixel's `stride` further on. */
CPU_INLINE void plane_to_features(int64_t lanes, float *features, const float *x, int64_t n_pixels,
                                  int64_t n_real, int64_t stride) {
  for (int64_t pixel = 0; pixel < n_pixels; pixel++)
    for (int64_t lane = 0; lane < n_real; lane++)
      features[pixel * stride + lane] = x[pixel * lanes + lane];
}

CPU_INLINE void plane_from_features(int64_t lanes, float *x, const float *features,
                                    int64_t n_pixels, int64_t n_real, int64_t stride) {
  for (int64_t pixel = 0; pixel < n_pixels; pixel++)
    for (int64_t lane = 0; lane < lanes; lane++)
      x[pixel * lanes + lane] = lane < n_real ? features[pixel * stride + lane] : 0.0F;
}

static vane_status cpu_pool_flatten_forward(vane_device *base, const vane_tensor *x,
                                            void *features) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, x);
  const float *in = x->data;
  float *out = features;
  int64_t stride = planes.n_channels, lanes = planes.lanes;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes.n_images * planes.n_blocks; plane++) {
    int64_t image = plane / planes.n_blocks, block = plane % planes.n_blocks;
    float *to = out + image * planes.n_pixels * stride + block * lanes;
    CPU_WITH_LANES(lanes, plane_to_features, to, in + plane * planes.n_pixels * lanes,
                   planes.n_pixels, real_lanes(&planes, block), stride);
  }
  return VANE_OK;
}

static vane_status cpu_pool_flatten_backward(vane_device *base, const void *dfeatures,
                                             const vane_tensor *dx) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, dx);
  const float *in = dfeatures;
  float *out = dx->data;
  int64_t stride = planes.n_channels, lanes = planes.lanes;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t plane = 0; plane < planes.n_images * planes.n_blocks; plane++) {
    int64_t image = plane / planes.n_blocks, block = plane % planes.n_blocks;
    const float *from = in + image * planes.n_pixels * stride + block * lanes;
    CPU_WITH_LANES(lanes, plane_from_features, out + plane * planes.n_pixels * lanes, from,
                   planes.n_pixels, real_lanes(&planes, block), stride);
  }
  return VANE_OK;
}

void vane_cpu_fill_pool(vane_pool_ops *ops) {
  *ops = (vane_pool_ops){
      .plan = cpu_pool_plan,
      .destroy = cpu_pool_destroy,
      .forward = cpu_pool_forward,
      .backward = cpu_pool_backward,
      .global_forward = cpu_pool_global_forward,
      .global_backward = cpu_pool_global_backward,
      .flatten_forward = cpu_pool_flatten_forward,
      .flatten_backward = cpu_pool_flatten_backward,
  };
}
