/* The losses of all heads but the angle's (N10, N11), clip_by_average_norm (N16), regularisation
 * (N17). The angle's kinds are in ref_angle.c. */
#include <math.h>

#include "device/ref/real.h"
#include "device/ref/ref.h"

static vane_status ref_presence(vane_device *device, const void *logits, const void *target,
                                const void *mask, int64_t n, void *sample, void *seed,
                                vane_step_record *record) {
  (void)device;
  const real *z = logits, *t = target, *counts = mask;
  real *value = sample, *gradient = seed;
  double inv_count = record->in.inv_count[VANE_LOSS_PRESENCE], sum = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    value[i] = gradient[i] = 0;
    if (!(counts[i] > 0))
      continue;
    double logit = (double)z[i], truth = (double)t[i];
    double small = exp(-fabs(logit)); /* in 0..1: nothing overflows */
    double probability = logit >= 0.0 ? 1.0 / (1.0 + small) : small / (1.0 + small);
    double loss = relu_of(logit) - logit * truth + log1p(small);
    sum += loss;
    value[i] = (real)loss;
    gradient[i] = (real)((probability - truth) * inv_count);
  }
  record->loss[VANE_LOSS_PRESENCE] = sum * inv_count;
  return VANE_OK;
}

/* The loss of one component's error, and its derivative. */
static double regression_loss(const vane_regression_desc *desc, double error, double *derivative) {
  if (desc->kind == VANE_REGRESSION_HUBER && fabs(error) > desc->delta) {
    *derivative = error > 0.0 ? 2.0 * desc->delta : -2.0 * desc->delta;
    return desc->delta * (2.0 * fabs(error) - desc->delta);
  }
  *derivative = 2.0 * error;
  return error * error;
}

static vane_status ref_regression(vane_device *device, const vane_regression_desc *desc, int k,
                                  const void *out, const void *target, const void *mask, int64_t n,
                                  int64_t d, void *sample, void *seed, vane_step_record *record) {
  (void)device;
  const real *o = out, *t = target, *counts = mask;
  real *value = sample, *gradient = seed;
  double inv_count = record->in.inv_count[k], sum = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    bool valid = counts[i] > 0;
    double loss = 0.0;
    for (int64_t j = i * d; j < (i + 1) * d; ++j) {
      double derivative = 0.0;
      if (valid)
        loss += regression_loss(desc, (double)o[j] - (double)t[j], &derivative);
      gradient[j] = (real)(derivative * inv_count);
    }
    sum += loss;
    value[i] = (real)loss;
  }
  record->loss[k] = sum * inv_count;
  return VANE_OK;
}

/* A norm that is not finite leaves the output alone, so that the bad sample keeps its name. */
static vane_status ref_clip_average(vane_device *device, double limit, void *out, int64_t count,
                                    vane_step_record *record) {
  (void)device;
  real *t = out;
  double squares = 0.0;
  for (int64_t i = 0; i < count; ++i)
    squares += (double)t[i] * (double)t[i];
  double average = count > 0 ? sqrt(squares) / (double)count : 0.0;
  record->average_norm = average;
  record->average_scale = isfinite(average) && average > limit ? limit / average : 1.0;
  if (record->average_scale < 1.0)
    for (int64_t i = 0; i < count; ++i)
      t[i] = (real)((double)t[i] * record->average_scale);
  return VANE_OK;
}

static vane_status ref_clip_average_backward(vane_device *device, double limit, const void *out,
                                             void *seed, int64_t count, vane_step_record *record) {
  (void)device;
  const real *t = out;
  real *gradient = seed;
  if (!(record->average_scale < 1.0))
    return VANE_OK;
  double clipped_norm = limit * (double)count;
  double along = 0.0; /* (t'.dt') / |t'|^2 */
  for (int64_t i = 0; i < count; ++i)
    along += (double)t[i] / clipped_norm * (double)gradient[i] / clipped_norm;
  for (int64_t i = 0; i < count; ++i)
    gradient[i] = (real)(record->average_scale * ((double)gradient[i] - (double)t[i] * along));
  return VANE_OK;
}

static vane_status ref_regularization(vane_device *device, const vane_block *block,
                                      const void *parameters, vane_step_record *record) {
  (void)device;
  const real *w = parameters;
  double squares = 0.0;
  for (int64_t s = 0; s < block->n_segments; ++s) {
    const vane_segment *segment = &block->segments[s];
    for (int64_t i = 0; segment->decay && i < segment->count; ++i)
      squares += (double)w[segment->offset + i] * (double)w[segment->offset + i];
  }
  record->loss[VANE_LOSS_REGULARIZATION] = 0.5 * squares;
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_loss)(vane_loss_ops *ops) {
  *ops = (vane_loss_ops){
      .presence = ref_presence,
      .angle = REF_NAME(vane_ref_angle),
      .regression = ref_regression,
      .clip_average = ref_clip_average,
      .clip_average_backward = ref_clip_average_backward,
      .regularization = ref_regularization,
  };
}
