/* Whether a step counts: the gradient's norm (N25), the global clip and what is not finite (N26),
 * and the interval's sums. */
#include <float.h>
#include <math.h>

#include "device/ref/real.h"
#include "device/ref/ref.h"

static double gradient_norm(const vane_block *block, const real *parameters, const real *gradients,
                            const double coefficient[VANE_N_LOSSES + 1]) {
  double squares = 0.0;
  for (int64_t s = 0; s < block->n_segments; ++s) {
    const vane_segment *segment = &block->segments[s];
    double own = coefficient[segment->task];
    double decay = segment->decay ? coefficient[VANE_LOSS_REGULARIZATION] : 0.0;
    for (int64_t i = segment->offset; i < segment->offset + segment->count; ++i) {
      double g = own * (double)gradients[i] + decay * (double)parameters[i];
      squares += g * g;
    }
  }
  return sqrt(squares);
}

/* Finite in fp32: what goes beyond would overflow in the second moment, which is fp32. */
static bool is_sound(double value) {
  return fabs(value) <= (double)FLT_MAX;
}

/* The first loss whose value is not finite, else the first whose gradient is not, else VANE_SHARED:
 * only their combination can be bad. */
static int32_t culprit(const vane_step_record *record) {
  for (int32_t k = 0; k < VANE_N_LOSSES; ++k)
    if (!is_sound(record->loss[k]))
      return k;
  for (int32_t k = 0; k < VANE_N_LOSSES; ++k)
    if (!is_sound(record->gram[k][k]))
      return k;
  return VANE_SHARED;
}

static void name_bad_samples(const real *samples, int64_t n, vane_step_record *record) {
  const int32_t room = (int32_t)(sizeof record->bad_samples / sizeof record->bad_samples[0]);
  record->n_bad_samples = 0;
  if (record->bad_loss >= VANE_N_HEADS)
    return;
  const real *own = samples + record->bad_loss * n;
  for (int64_t i = 0; i < n; ++i) {
    if (is_sound((double)own[i]))
      continue;
    if (record->n_bad_samples < room)
      record->bad_samples[record->n_bad_samples] = (int32_t)i;
    ++record->n_bad_samples;
  }
}

static void add_to_sums(vane_step_record *record) {
  vane_step_sum *sum = &record->sum;
  sum->steps += 1.0;
  sum->gradient_norm += record->gradient_norm;
  sum->clipped_global += record->clip < 1.0;
  /* 0: clip_average never wrote it. */
  sum->clipped_average += record->average_scale > 0.0 && record->average_scale < 1.0;
  for (int i = 0; i < VANE_N_LOSSES; ++i) {
    double norm = sqrt(record->gram[i][i]);
    sum->loss[i] += record->loss[i];
    sum->norm[i] += norm;
    sum->clipped_loss[i] += record->coefficient[i] < record->weight[i];
    for (int j = 0; j < VANE_N_LOSSES; ++j) {
      double both = norm * sqrt(record->gram[j][j]);
      sum->cosine[i][j] += both > 0.0 ? record->gram[i][j] / both : 0.0;
    }
  }
}

void REF_NAME(vane_ref_settle)(const vane_decide_desc *desc, double norm, const void *samples,
                               int64_t n, vane_step_record *record) {
  record->gradient_norm = norm;
  record->clip =
      desc->clip_global > 0.0 && norm > desc->clip_global ? desc->clip_global / norm : 1.0;
  bool bad = !is_sound(norm * norm) || culprit(record) != VANE_SHARED;
  record->skip = bad || record->halted;
  if (!record->skip) {
    add_to_sums(record);
    return;
  }
  record->sum.skipped += 1.0;
  if (bad && record->bad_step == 0) {
    record->bad_step = record->in.step;
    record->bad_loss = culprit(record);
    name_bad_samples(samples, n, record);
  }
  if (desc->on_nonfinite == VANE_NONFINITE_STOP)
    record->halted = 1;
}

vane_status REF_NAME(vane_ref_decide)(vane_device *device, const vane_decide_desc *desc,
                                      const vane_block *block, const void *parameters,
                                      const void *gradients, const void *samples, int64_t n,
                                      vane_step_record *record) {
  (void)device;
  double norm = gradient_norm(block, parameters, gradients, record->coefficient);
  REF_NAME(vane_ref_settle)(desc, norm, samples, n, record);
  return VANE_OK;
}
