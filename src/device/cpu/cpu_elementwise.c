/* One value at a time. Padding channels need no care: zeros go in and zeros come out. */
#include "base/philox.h"
#include "device/cpu/cpu.h"
#include "device/ref/ref.h"

/* One channel of one image; with constant strides this becomes vector code. */
CPU_INLINE void input_channel(int64_t lanes, int64_t n_channels, float *to, const uint8_t *from,
                              int64_t n_pixels, float scale, float shift) {
  for (int64_t pixel = 0; pixel < n_pixels; pixel++)
    to[pixel * lanes] = (float)from[pixel * n_channels] * scale + shift;
}

static vane_status cpu_input(vane_device *base, const uint8_t *bytes, const void *mean,
                             const void *inv_std, const vane_tensor *x) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, x);
  const float *means = mean, *scales = inv_std;
  int64_t n_channels = planes.n_channels, n_pixels = planes.n_pixels, lanes = planes.lanes;
  int64_t stored = planes.n_blocks * lanes;
  float *out = x->data;
#pragma omp parallel for num_threads(device->n_threads) schedule(static) collapse(2)
  for (int64_t image = 0; image < planes.n_images; image++)
    for (int64_t channel = 0; channel < stored; channel++) {
      bool real = channel < n_channels;
      const uint8_t *from = bytes + image * n_pixels * n_channels + (real ? channel : 0);
      float scale = real ? scales[channel] / 255.0F : 0.0F;
      float shift = real ? -means[channel] * scales[channel] : 0.0F;
      float *to = out + vane_cpu_index(&planes, image, 0, channel);
      if (lanes == 1 && n_channels == 1)
        input_channel(1, 1, to, from, n_pixels, scale, shift);
      else if (lanes == 1 && n_channels == 3)
        input_channel(1, 3, to, from, n_pixels, scale, shift);
      else
        input_channel(lanes, n_channels, to, from, n_pixels, scale, shift);
    }
  return VANE_OK;
}

static vane_status cpu_relu(vane_device *base, const vane_tensor *x, const vane_tensor *y) {
  const cpu_device *device = (const cpu_device *)base;
  int64_t count = vane_cpu_planes(device, x).count;
  const float *in = x->data;
  float *out = y->data;
#pragma omp parallel for simd num_threads(device->n_threads) schedule(static)
  for (int64_t i = 0; i < count; i++)
    out[i] = in[i] < 0.0F ? 0.0F : in[i]; /* a NaN stays one */
  return VANE_OK;
}

/* `second` and `kept` are looked at once per call: the four loops are made by inlining. */
CPU_INLINE void merge_loop(bool two, bool masked, const cpu_device *device, float *out,
                           const float *kept, const float *first, const float *second,
                           int64_t count) {
#pragma omp parallel for simd num_threads(device->n_threads) schedule(static)
  for (int64_t i = 0; i < count; i++) {
    float sum = two ? first[i] + second[i] : first[i];
    out[i] = !masked || kept[i] > 0.0F ? sum : 0.0F;
  }
}

static vane_status cpu_merge(vane_device *base, const vane_tensor *dz, const vane_tensor *y,
                             const vane_tensor *a, const vane_tensor *b) {
  const cpu_device *device = (const cpu_device *)base;
  int64_t count = vane_cpu_planes(device, dz).count;
  float *out = dz->data;
  if (b != NULL && y != NULL)
    merge_loop(true, true, device, out, y->data, a->data, b->data, count);
  else if (b != NULL)
    merge_loop(true, false, device, out, NULL, a->data, b->data, count);
  else if (y != NULL)
    merge_loop(false, true, device, out, y->data, a->data, NULL, count);
  else
    merge_loop(false, false, device, out, NULL, a->data, NULL, count);
  return VANE_OK;
}

static vane_status cpu_accumulate(vane_device *base, void *to, const void *from, int64_t count) {
  const cpu_device *device = (const cpu_device *)base;
  float *sum = to;
  const float *more = from;
#pragma omp parallel for simd num_threads(device->n_threads) schedule(static)
  for (int64_t i = 0; i < count; i++)
    sum[i] += more[i];
  return VANE_OK;
}

static void draw_four(float four[4], const vane_draw_desc *desc, vane_range range, int64_t index) {
  philox4x32_ctr_t words =
      vane_philox(desc->seed, desc->stream, desc->step, desc->index + (uint64_t)index);
  for (int i = 0; i < 4; i++)
    four[i] = vane_uniform_of(range, words.v[i]);
}

static vane_status cpu_draw(vane_device *base, void *to, int64_t count,
                            const vane_draw_desc *desc) {
  const cpu_device *device = (const cpu_device *)base;
  const vane_range range = vane_range_of(desc->low, desc->high);
  float *out = to;
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t i = 0; i < count / 4; i++)
    draw_four(out + 4 * i, desc, range, i);
  float last[4];
  draw_four(last, desc, range, count / 4);
  for (int64_t i = count / 4 * 4; i < count; i++)
    out[i] = last[i % 4];
  return VANE_OK;
}

void vane_cpu_fill_elementwise(vane_elementwise_ops *ops) {
  vane_ref_fill_elementwise_float(ops); /* follow stays: a few numbers in plain order */
  ops->input = cpu_input;
  ops->relu = cpu_relu;
  ops->merge = cpu_merge;
  ops->accumulate = cpu_accumulate;
  ops->draw = cpu_draw;
  ops->stream = vane_cpu_stream;
}
