#include "train/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "optim/guard.h"
#include "optim/telemetry.h"

enum {
  N_OF_A_STEP = 96, /* losses, norms, cosines, clips, weights, scores: room to spare */
  N_OF_ADAM = 5     /* per tensor, and of all */
};

vane_status vane_report_init(vane_report *report, const vane_trainer *trainer) {
  int64_t tensors = trainer->config.optim_telemetry_tensors ? trainer->network->parameters.n : 0;
  *report = (vane_report){.capacity = N_OF_A_STEP + N_OF_ADAM * tensors};
  report->tags = calloc((size_t)report->capacity, sizeof *report->tags);
  report->metrics = calloc((size_t)report->capacity, sizeof *report->metrics);
  if (report->tags && report->metrics)
    return VANE_OK;
  vane_report_finish(report);
  return vane_fail(VANE_ERR_MEMORY, "no memory for the metrics of a report");
}

void vane_report_finish(vane_report *report) {
  free(report->tags);
  free(report->metrics);
  *report = (vane_report){0};
}

void vane_report_add(vane_report *report, double value, const char *format, ...) {
  if (report->n == report->capacity)
    return;
  char *tag = report->tags[report->n];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(tag, sizeof report->tags[0], format, arguments);
  va_end(arguments);
  report->metrics[report->n++] = (vane_metric){.tag = tag, .value = value};
}

static void add_clips(vane_report *report, const vane_trainer *trainer, const vane_step_sum *sum) {
  const vane_config *config = &trainer->config;
  if (config->grad_clip_per_loss > 0)
    for (int k = 0; k < VANE_N_LOSSES; k++)
      if (vane_loss_active(config, k))
        vane_report_add(report, sum->clipped_loss[k] / sum->steps, "clipped/%s",
                        vane_loss_names[k]);
  if (config->grad_clip_global > 0)
    vane_report_add(report, sum->clipped_global / sum->steps, "clipped/global");
  if (config->grad_clip_zscore > 0)
    vane_report_add(report, sum->clipped_zscore / sum->steps, "clipped/zscore");
  if (config->grad_clip_average_norm > 0)
    vane_report_add(report, sum->clipped_average / sum->steps, "clipped/average_norm");
}

/* Cosines between the losses that take part; the regularisation has them in parameter space only.
 */
static void add_cosines(vane_report *report, const vane_trainer *trainer,
                        const vane_step_sum *sum) {
  bool regularization = trainer->config.grad_space == VANE_SPACE_PARAMETERS;
  for (int i = 0; i < VANE_N_LOSSES; i++)
    for (int j = i + 1; j < (regularization ? VANE_N_LOSSES : VANE_N_HEADS); j++)
      if (vane_loss_active(&trainer->config, i) && vane_loss_active(&trainer->config, j))
        vane_report_add(report, sum->cosine[i][j] / sum->steps, "cosine/%s_%s", vane_loss_names[i],
                        vane_loss_names[j]);
}

/* The curvature along the newest step that was probed, beside the limit of stability; how many
 * times over the bound fits under that limit; and what the guard makes of the learning rate. */
static void add_guard(vane_report *report, const vane_trainer *trainer,
                      const vane_step_record *record) {
  const vane_guard_state *guard = &record->guard;
  double lr = vane_record_lr(record);
  if (trainer->config.optim_guard_mode == VANE_GUARD_OFF)
    return;
  vane_report_add(report, guard->probes, "guard/probes");
  vane_report_add(report, guard->ignored, "guard/ignored");
  if (trainer->config.optim_guard_mode == VANE_GUARD_ON) {
    vane_report_add(report, guard->alarms, "guard/alarms");
    vane_report_add(report, trainer->config.optim_guard_margin * exp(-guard->narrowing),
                    "guard/share");
  }
  if (guard->probes == 0)
    return;
  double limit = vane_guard_limit(&trainer->config) / lr;
  vane_report_add(report, guard->curvature, "guard/curvature");
  vane_report_add(report, guard->bound, "guard/bound");
  vane_report_add(report, limit, "guard/limit");
  vane_report_add(report, limit / guard->bound, "guard/margin");
  vane_report_add(report, vane_record_lr_scale(record), "guard/lr_scale");
}

void vane_report_add_record(vane_report *report, const vane_trainer *trainer,
                            const vane_step_record *record) {
  const vane_step_sum *sum = &record->sum;
  vane_report_add(report, record->in.lr, "lr");
  for (int k = 0; k < VANE_N_LOSSES; k++)
    vane_report_add(report, sum->loss[k] / sum->steps, "loss/%s", vane_loss_names[k]);
  for (int k = 0; k < VANE_N_LOSSES; k++)
    vane_report_add(report, sum->norm[k] / sum->steps, "norm/%s", vane_loss_names[k]);
  add_cosines(report, trainer, sum);
  vane_report_add(report, sum->gradient_norm / sum->steps, "gradient_norm");
  add_clips(report, trainer, sum);
  if (trainer->config.grad_weighting == VANE_WEIGHTING_UNCERTAINTY)
    for (int k = 0; k < VANE_N_HEADS; k++)
      vane_report_add(report, record->weight[k], "weight/%s", vane_loss_names[k]);
  add_guard(report, trainer, record);
  vane_report_add(report, sum->skipped, "skipped");
  if (trainer->config.train_spike_mode != VANE_SPIKE_OFF)
    vane_report_add(report, sum->spikes, "spikes");
}

/* `place`: "", or a tensor's name and a slash. */
static void add_seen(vane_report *report, const vane_adam_telemetry *seen, const char *place) {
  if (!(seen->live > 0))
    return;
  vane_report_add(report, vane_telemetry_rms(seen), "adam/%srms", place);
  vane_report_add(report, seen->largest, "adam/%slargest_update", place);
  vane_report_add(report, vane_telemetry_update_to_weight(seen), "adam/%supdate_to_weight", place);
  vane_report_add(report, vane_telemetry_below_epsilon(seen), "adam/%sbelow_epsilon", place);
  vane_report_add(report, seen->underflows, "adam/%sv_underflows", place);
}

void vane_report_add_telemetry(vane_report *report, const vane_trainer *trainer,
                               const vane_adam_telemetry *parts) {
  const vane_parameters *parameters = &trainer->network->parameters;
  const vane_block *block = trainer->network->block;
  const vane_adam_telemetry all = vane_telemetry_of_all(block, parts);
  add_seen(report, &all, "");
  for (int64_t i = 0; trainer->config.optim_telemetry_tensors && i < block->n_segments; i++) {
    char place[sizeof parameters->items[i].name + 1];
    vane_adam_telemetry seen = {0};
    vane_telemetry_add(&seen, block, parts, i);
    snprintf(place, sizeof place, "%s/", parameters->items[i].name);
    add_seen(report, &seen, place);
  }
}

void vane_report_add_scores(vane_report *report, const vane_scores *scores) {
  for (int k = 0; k < VANE_N_LOSSES; k++)
    vane_report_add(report, scores->loss[k], "eval/loss/%s", vane_loss_names[k]);
  vane_report_add(report, scores->total, "eval/loss/total");
  vane_report_add(report, scores->auroc, "eval/presence/auroc");
  vane_report_add(report, scores->average_precision, "eval/presence/average_precision");
  vane_report_add(report, scores->accuracy, "eval/presence/accuracy");
  vane_report_add(report, scores->ece, "eval/presence/ece");
  vane_report_add(report, scores->mae_deg, "eval/angle/mae_deg");
  vane_report_add(report, scores->median_deg, "eval/angle/median_deg");
  vane_report_add(report, scores->rmse_deg, "eval/angle/rmse_deg");
  vane_report_add(report, scores->acc5, "eval/angle/acc5");
  vane_report_add(report, scores->acc10, "eval/angle/acc10");
  vane_report_add(report, scores->acc30, "eval/angle/acc30");
  vane_report_add(report, scores->flip, "eval/angle/flip");
  vane_report_add(report, scores->mape, "eval/magnitude/mape");
  vane_report_add(report, scores->mae_px, "eval/position/mae_px");
}
