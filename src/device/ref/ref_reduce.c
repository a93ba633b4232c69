/* The losses' gradients become one: their Gram matrix (N20), weights and clips (N21, N22), conflict
 * projection (N23) and the mix (N24). The decision (N25, N26) is in ref_decide.c. */
#include <math.h>
#include <string.h>

#include "device/ref/real.h"
#include "device/ref/ref.h"

static double dot(const real *a, const real *b, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i)
    sum += (double)a[i] * (double)b[i];
  return sum;
}

/* What the block of parameters adds in space `parameters`: the heads' own gradients, and the
 * fifth loss's dots with all of them, its gradient being the decaying weights. */
static void add_segment(const vane_segment *segment, const void *const slots[VANE_N_HEADS],
                        const real *parameters, const real *gradients,
                        double gram[VANE_N_LOSSES][VANE_N_LOSSES]) {
  const int fifth = VANE_LOSS_REGULARIZATION;
  const real *w = parameters + segment->offset, *g = gradients + segment->offset;
  int task = segment->task;
  if (task != VANE_SHARED) {
    gram[task][task] += dot(g, g, segment->count);
    if (segment->decay)
      gram[task][fifth] += dot(g, w, segment->count);
  } else if (segment->decay) {
    for (int k = 0; k < VANE_N_HEADS; ++k)
      if (slots[k])
        gram[k][fifth] += dot((const real *)slots[k] + segment->offset, w, segment->count);
  }
}

static vane_status ref_gram(vane_device *device, const void *const slots[VANE_N_HEADS],
                            int64_t count, const vane_block *block, const void *parameters,
                            const void *gradients, vane_step_record *record) {
  (void)device;
  const int fifth = VANE_LOSS_REGULARIZATION;
  memset(record->gram, 0, sizeof record->gram);
  for (int i = 0; i < VANE_N_HEADS; ++i)
    for (int j = i; j < VANE_N_HEADS; ++j)
      if (slots[i] && slots[j])
        record->gram[i][j] = record->gram[j][i] = dot(slots[i], slots[j], count);
  record->gram[fifth][fifth] = 2.0 * record->loss[fifth];
  if (!parameters)
    return VANE_OK;
  for (int64_t s = 0; s < block->n_segments; ++s)
    add_segment(&block->segments[s], slots, parameters, gradients, record->gram);
  for (int k = 0; k < VANE_N_HEADS; ++k)
    record->gram[fifth][k] = record->gram[k][fifth];
  return VANE_OK;
}

/* (N21) A loss that no sample counted for leaves its log variance alone. */
static void weigh_by_uncertainty(const double fixed[VANE_N_LOSSES], const real *log_variances,
                                 real *dlog_variances, vane_step_record *record) {
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    double precision = exp(-(double)log_variances[k]);
    bool counted = record->in.inv_count[k] > 0.0;
    record->weight[k] = fixed[k] * precision;
    dlog_variances[k] = (real)(counted ? fixed[k] * (1.0 - precision * record->loss[k]) : 0.0);
  }
}

/* (N22) */
static void clip_each(double limit, vane_step_record *record) {
  for (int k = 0; k < VANE_N_LOSSES; ++k) {
    double length = record->weight[k] * sqrt(record->gram[k][k]);
    double clip = limit > 0.0 && length > limit ? limit / length : 1.0;
    record->coefficient[k] = record->weight[k] * clip;
  }
  record->coefficient[VANE_SHARED] = 1.0;
}

/* (N23) Row i of `part` holds p_i as its coefficients over the a_j. */
static void project_conflicts(const vane_step_record *record,
                              double part[VANE_N_HEADS][VANE_N_HEADS]) {
  const double *c = record->coefficient;
  for (int i = 0; i < VANE_N_HEADS; ++i) {
    for (int l = 0; l < VANE_N_HEADS; ++l)
      part[i][l] = i == l ? 1.0 : 0.0;
    for (int step = 0; step < VANE_N_HEADS - 1; ++step) {
      uint32_t j = record->in.projection_order[i][step];
      double square = c[j] * c[j] * record->gram[j][j], product = 0.0;
      for (int l = 0; l < VANE_N_HEADS; ++l)
        product += part[i][l] * c[l] * c[j] * record->gram[l][j];
      if (product < 0.0 && square > 0.0)
        part[i][j] -= product / square;
    }
  }
}

static vane_status ref_coefficients(vane_device *device, const vane_combine_desc *desc,
                                    const void *log_variances, void *dlog_variances,
                                    vane_step_record *record) {
  (void)device;
  memcpy(record->weight, desc->weight, sizeof record->weight);
  if (desc->weighting == VANE_WEIGHTING_UNCERTAINTY)
    weigh_by_uncertainty(desc->weight, log_variances, dlog_variances, record);
  clip_each(desc->clip_per_loss, record);
  memcpy(record->mix, record->coefficient, sizeof record->mix);
  if (desc->weighting == VANE_WEIGHTING_PCGRAD) {
    double part[VANE_N_HEADS][VANE_N_HEADS];
    project_conflicts(record, part);
    for (int k = 0; k < VANE_N_HEADS; ++k) {
      double times = 0.0;
      for (int i = 0; i < VANE_N_HEADS; ++i)
        times += part[i][k];
      record->mix[k] = record->coefficient[k] * times;
    }
  }
  return VANE_OK;
}

static vane_status ref_combine(vane_device *device, void *out,
                               const void *const slots[VANE_N_HEADS], int64_t count,
                               const vane_step_record *record) {
  (void)device;
  real *to = out;
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0.0;
    for (int k = 0; k < VANE_N_HEADS; ++k)
      if (slots[k])
        sum += record->mix[k] * (double)((const real *)slots[k])[i];
    to[i] = (real)sum;
  }
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_reduce)(vane_reduce_ops *ops) {
  *ops = (vane_reduce_ops){
      .gram = ref_gram,
      .coefficients = ref_coefficients,
      .combine = ref_combine,
      .decide = REF_NAME(vane_ref_decide),
  };
}
