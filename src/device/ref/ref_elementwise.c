/* One value at a time: pixels, ReLU and its gradient, micro-batches, running statistics (N7), draws
 * (N50). */
#include "device/ref/real.h"
#include "device/ref/ref.h"

static vane_status ref_input(vane_device *device, const uint8_t *bytes, const void *mean,
                             const void *inv_std, const vane_tensor *x) {
  (void)device;
  const real *m = mean, *s = inv_std;
  real *out = x->data;
  for (int64_t i = 0; i < count_of(x); ++i) {
    int64_t c = i % x->c;
    out[i] = (real)((bytes[i] / 255.0 - (double)m[c]) * (double)s[c]);
  }
  return VANE_OK;
}

static vane_status ref_relu(vane_device *device, const vane_tensor *x, const vane_tensor *y) {
  (void)device;
  const real *in = x->data;
  real *out = y->data;
  for (int64_t i = 0; i < count_of(x); ++i)
    out[i] = (real)relu_of((double)in[i]);
  return VANE_OK;
}

static vane_status ref_merge(vane_device *device, const vane_tensor *dz, const vane_tensor *y,
                             const vane_tensor *a, const vane_tensor *b) {
  (void)device;
  const real *kept = y ? y->data : NULL, *first = a->data, *second = b ? b->data : NULL;
  real *out = dz->data;
  for (int64_t i = 0; i < count_of(dz); ++i) {
    double sum = (double)first[i] + (second ? (double)second[i] : 0.0);
    out[i] = kept && !(kept[i] > 0) ? (real)0 : (real)sum;
  }
  return VANE_OK;
}

static vane_status ref_accumulate(vane_device *device, void *to, const void *from, int64_t count) {
  (void)device;
  real *sum = to;
  const real *more = from;
  for (int64_t i = 0; i < count; ++i)
    sum[i] += more[i];
  return VANE_OK;
}

static vane_status ref_follow(vane_device *device, void *to, const void *from, double share,
                              int64_t count, const vane_step_record *record) {
  (void)device;
  real *running = to;
  const real *newest = from;
  if (record->skip)
    return VANE_OK;
  for (int64_t i = 0; i < count; ++i)
    running[i] = (real)((1.0 - share) * (double)running[i] + share * (double)newest[i]);
  return VANE_OK;
}

static vane_status ref_draw(vane_device *device, void *to, int64_t count,
                            const vane_draw_desc *desc) {
  (void)device;
  real *out = to;
  for (int64_t i = 0; i < count; ++i) {
    float four[4];
    vane_random_floats(desc->seed, desc->stream, desc->step, desc->index + (uint64_t)i / 4,
                       desc->low, desc->high, four);
    out[i] = (real)four[i % 4];
  }
  return VANE_OK;
}

static vane_status ref_stream(vane_device *device, void *const to[3], const void *from,
                              double scale, int64_t count, bool past_caches) {
  (void)device, (void)past_caches;
  const real *more = from;
  for (int k = 0; k < 3; ++k) {
    real *sum = to[k];
    for (int64_t i = 0; i < count; ++i)
      sum[i] = (real)((double)sum[i] + scale * (double)more[i]);
  }
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_elementwise)(vane_elementwise_ops *ops) {
  *ops = (vane_elementwise_ops){
      .input = ref_input,
      .relu = ref_relu,
      .merge = ref_merge,
      .accumulate = ref_accumulate,
      .follow = ref_follow,
      .draw = ref_draw,
      .stream = ref_stream,
  };
}
