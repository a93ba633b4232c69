/* Whether a step counts: the gradient's norm (N25), the global clip and what is not finite (N26),
 * spikes (N27), ZClip (N28), the guard's limit (N38, N42), and the interval's sums. */
#include <float.h>
#include <math.h>

#include "device/ref/real.h"
#include "device/ref/ref.h"
#include "device/robust.h"

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

/* ---- Spikes (N27) ---- */

/* The weighted losses of the heads. What is switched off may be infinite. */
static double total_of(const vane_step_record *record) {
  double total = 0.0;
  for (int k = 0; k < VANE_N_HEADS; ++k)
    if (record->weight[k] != 0.0)
      total += record->weight[k] * record->loss[k];
  return total;
}

/* Losses that a new one is compared with; 0: too few to judge it. */
static int64_t window_length(const vane_decide_desc *desc, const vane_spike_state *spike) {
  int64_t window = desc->spike_window;
  int64_t enough = window < VANE_SPIKE_ENOUGH ? window : VANE_SPIKE_ENOUGH;
  if (desc->spike_mode == VANE_SPIKE_OFF || spike->n_accepted < enough)
    return 0;
  return spike->n_accepted < window ? spike->n_accepted : window;
}

/* Of nothing, where nobody has to look closely at `total`: as nearly always. */
static vane_robust window_of(const vane_decide_desc *desc, const vane_spike_state *spike,
                             double total) {
  float values[VANE_SPIKE_LONGEST_WINDOW];
  int64_t n = window_length(desc, spike);
  for (int64_t i = 0; i < n; ++i)
    values[i] = spike->recent[(spike->n_accepted - 1 - i) % VANE_SPIKE_LONGEST_WINDOW];
  return vane_robust_of(values,
                        vane_robust_is_within(values, n, total, desc->spike_threshold) ? 0 : n);
}

/* ---- Bad steps ---- */

static void name_unsound(const real *own, int64_t n, vane_bad_step *bad) {
  for (int64_t i = 0; i < n; ++i) {
    if (is_sound((double)own[i]))
      continue;
    if (bad->n_samples < VANE_N_BAD_SAMPLES)
      bad->samples[bad->n_samples] = (int32_t)i;
    ++bad->n_samples;
  }
}

/* The largest first; of equals the one that comes first in the batch. */
static void name_largest(const real *own, int64_t n, vane_bad_step *bad) {
  for (int64_t i = 0; i < n; ++i) {
    int at = bad->n_samples;
    while (at > 0 && own[bad->samples[at - 1]] < own[i])
      --at;
    if (at == VANE_N_BAD_SAMPLES)
      continue;
    bad->n_samples += bad->n_samples < VANE_N_BAD_SAMPLES;
    for (int j = bad->n_samples - 1; j > at; --j)
      bad->samples[j] = bad->samples[j - 1];
    bad->samples[at] = (int32_t)i;
  }
}

static int32_t heaviest(const vane_step_record *record) {
  int32_t most = 0;
  for (int32_t k = 1; k < VANE_N_HEADS; ++k)
    if (record->weight[k] * record->loss[k] > record->weight[most] * record->loss[most])
      most = k;
  return most;
}

static vane_step_note note_of(const vane_step_record *record, double total) {
  vane_step_note note = {.step = (double)record->in.step,
                         .lr = vane_record_lr(record),
                         .curvature = record->guard.curvature,
                         .bound = record->guard.bound,
                         .total = total,
                         .gradient_norm = record->gradient_norm,
                         .clip = record->clip};
  for (int k = 0; k < VANE_N_LOSSES; ++k) {
    note.loss[k] = record->loss[k];
    note.norm[k] = sqrt(record->gram[k][k]);
  }
  return note;
}

/* Writes the step down, where there is room; the one that halts the run in any case. */
static void note_bad(vane_bad_step bad, const real *samples, int64_t n, vane_step_record *record) {
  int64_t at = record->n_bad_steps++;
  if (at >= VANE_N_BAD_STEPS && !record->halted)
    return;
  at = at < VANE_N_BAD_STEPS ? at : VANE_N_BAD_STEPS - 1;
  bool spike = bad.kind == VANE_BAD_SPIKE;
  bad.running = (int32_t)record->spike.n_bad_running;
  bad.loss = spike ? heaviest(record) : culprit(record);
  if (spike)
    name_largest(samples + bad.loss * n, n, &bad);
  else if (bad.loss < VANE_N_HEADS)
    name_unsound(samples + bad.loss * n, n, &bad);
  record->bad_steps[at] = bad;
}

/* The last steps, but not so many after a bad one that those before it are lost. */
static void keep_note(const vane_step_note *note, vane_step_record *record) {
  if (record->n_bad_steps == 0 ||
      note->step <= record->bad_steps[0].note.step + (double)VANE_NOTES_AFTER)
    record->notes[record->in.step % VANE_N_NOTES] = *note;
}

/* ---- ZClip (N28) ---- */

/* The limit of this step's norm; infinite where ZClip does not act. */
static double zscore_limit(double threshold, double norm, const vane_norm_trend *trend) {
  double deviation = sqrt(trend->variance);
  if (threshold <= 0.0 || trend->n < VANE_NORM_TREND_WARMUP || deviation <= 0.0)
    return (double)INFINITY;
  double z = (norm - trend->mean) / deviation;
  return z > threshold ? trend->mean + threshold * threshold / z * deviation : (double)INFINITY;
}

static void follow_norm(double norm, vane_norm_trend *trend) {
  double keep = VANE_NORM_TREND_KEEP, before = norm - trend->mean;
  if (trend->n < VANE_NORM_TREND_WARMUP) { /* the plain mean and variance (Welford) */
    double n = (double)++trend->n;
    trend->mean += before / n;
    trend->variance += (before * (norm - trend->mean) - trend->variance) / n;
    return;
  }
  trend->mean = keep * trend->mean + (1.0 - keep) * norm;
  double after = norm - trend->mean;
  trend->variance = keep * trend->variance + (1.0 - keep) * after * after;
}

/* ---- The step ---- */

static void add_to_sums(vane_step_record *record) {
  vane_step_sum *sum = &record->sum;
  sum->steps += 1.0;
  sum->gradient_norm += record->gradient_norm;
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

/* The whole gradient's clips: the stricter one counts. */
static void clip_whole(const vane_decide_desc *desc, vane_step_record *record) {
  double norm = record->gradient_norm;
  double limit = zscore_limit(desc->clip_zscore, norm, &record->norm_trend);
  bool zscore = norm > limit, global = desc->clip_global > 0.0 && norm > desc->clip_global;
  record->clip = global ? desc->clip_global / norm : 1.0;
  if (zscore && limit / norm < record->clip)
    record->clip = limit / norm;
  if (record->skip)
    return;
  record->sum.clipped_global += global;
  record->sum.clipped_zscore += zscore;
  if (desc->clip_zscore > 0.0)
    follow_norm(zscore ? limit : norm, &record->norm_trend);
}

enum { GOOD = -1 }; /* or VANE_BAD_* */

/* What kind of step this is. A good one's loss enters the window. */
static int kind_of(const vane_decide_desc *desc, const vane_robust *window, double total,
                   vane_step_record *record) {
  vane_spike_state *spike = &record->spike;
  double norm = record->gradient_norm;
  if (!is_sound(norm * norm) || culprit(record) != VANE_SHARED) {
    ++spike->n_bad_running;
    return VANE_BAD_NONFINITE;
  }
  if (vane_robust_distance(window, total) > desc->spike_threshold) {
    if (++spike->n_bad_running >= VANE_SPIKE_PATIENCE)
      spike->n_accepted = 0; /* no spike, but a new level */
    return VANE_BAD_SPIKE;
  }
  spike->n_bad_running = 0;
  if (is_sound(total))
    spike->recent[spike->n_accepted++ % VANE_SPIKE_LONGEST_WINDOW] = (float)total;
  return GOOD;
}

static bool ends_the_run(const vane_decide_desc *desc, int kind) {
  return kind == VANE_BAD_SPIKE ? desc->spike_mode == VANE_SPIKE_ROLLBACK
                                : desc->on_nonfinite != VANE_NONFINITE_SKIP;
}

void REF_NAME(vane_ref_settle)(const vane_decide_desc *desc, double norm, const void *samples,
                               int64_t n, vane_step_record *record) {
  record->gradient_norm = norm;
  if (record->halted) {
    record->skip = 1;
    record->sum.skipped += 1.0;
    return;
  }
  double total = total_of(record);
  vane_robust window = window_of(desc, &record->spike, total);
  int kind = kind_of(desc, &window, total, record);
  bool spike = kind == VANE_BAD_SPIKE;
  record->skip = kind != GOOD && !(spike && desc->spike_mode == VANE_SPIKE_WATCH);
  record->halted = record->skip && ends_the_run(desc, kind);
  clip_whole(desc, record);
  if (kind != VANE_BAD_NONFINITE)
    REF_NAME(vane_ref_follow_loss)(&desc->guard, record);
  vane_step_note note = note_of(record, total);
  if (spike)
    note_bad((vane_bad_step){note, window.median, window.deviation, .kind = kind}, samples, n,
             record);
  else if (kind == VANE_BAD_NONFINITE)
    note_bad((vane_bad_step){.note = note, .kind = kind}, samples, n, record);
  keep_note(&note, record);
  record->sum.spikes += spike;
  if (record->skip)
    record->sum.skipped += 1.0;
  else
    add_to_sums(record);
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
