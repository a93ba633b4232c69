#include "lab/experiment.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/loader.h"
#include "lab/files.h"
#include "optim/guard.h"
#include "train/checkpoint.h"
#include "train/median.h"
#include "train/step.h"

#define BLOCK_STEPS 64   /* timed as one: a single step may be shorter than the clock's grain */
#define TELL_EVERY  0.15 /* seconds */

typedef struct experiment {
  vane_trainer *trainer;
  vane_loader *loader;
  const vane_lab_options *options;
  vane_lab_curve *curve;
  double best;
  double *block_us; /* [n / BLOCK_STEPS] */
  int64_t n_blocks;
  double block_began_s, told_s;
} experiment;

/* --- a run's beginning --- */

static vane_status create_trainer(const vane_config *config, const char *checkpoint_path,
                                  vane_trainer **trainer) {
  if (!checkpoint_path) {
    VANE_TRY(vane_trainer_create(config, NULL, trainer));
    return vane_network_draw((*trainer)->network);
  }
  vane_checkpoint *checkpoint;
  VANE_TRY(vane_checkpoint_open(checkpoint_path, &checkpoint));
  vane_status status = vane_trainer_create(config, vane_checkpoint_choices(checkpoint), trainer);
  if (status == VANE_OK)
    status = vane_checkpoint_restore(checkpoint, *trainer);
  vane_checkpoint_close(checkpoint);
  return status;
}

static vane_status reserve(experiment *lab) {
  vane_lab_curve *curve = lab->curve;
  const vane_config *config = &lab->trainer->config;
  curve->first = lab->trainer->step;
  int64_t n = config->train_steps - curve->first;
  if (n < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "no step to take: train.steps is %" PRId64,
                     config->train_steps);
  curve->window =
      (vane_loader_examples(lab->loader) + config->train_batch - 1) / config->train_batch;
  curve->loss = calloc((size_t)n, sizeof *curve->loss);
  curve->mean = calloc((size_t)n, sizeof *curve->mean);
  curve->curvature = calloc((size_t)n, sizeof *curve->curvature);
  curve->limit = calloc((size_t)n, sizeof *curve->limit);
  lab->block_us = calloc((size_t)(n / BLOCK_STEPS) + 1, sizeof *lab->block_us);
  if (!curve->loss || !curve->mean || !curve->curvature || !curve->limit || !lab->block_us)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the losses of %" PRId64 " steps", n);
  curve->n = n;
  return VANE_OK;
}

/* --- steps --- */

/* Where Adam loses its balance (N38). */
static double limit_of(const vane_trainer *trainer, const vane_step_record *record) {
  return vane_guard_limit(&trainer->config) / vane_record_lr(record);
}

static vane_status step(experiment *lab, vane_step_record *record) {
  vane_trainer *trainer = lab->trainer;
  const vane_batch *batch;
  VANE_TRY(vane_loader_take(lab->loader, &batch));
  vane_status status = vane_step_run(trainer, batch);
  vane_loader_give_back(lab->loader, batch);
  VANE_TRY(status);
  return vane_trainer_read_record(trainer, record);
}

static double loss_of(const vane_step_record *record) {
  double sum = 0;
  for (int k = 0; k < VANE_N_HEADS; k++)
    sum += record->weight[k] * record->loss[k];
  return isfinite(sum) ? sum : (double)INFINITY;
}

static void note(experiment *lab, int64_t i, const vane_step_record *record) {
  vane_lab_curve *curve = lab->curve;
  curve->loss[i] = loss_of(record);
  curve->mean[i] = vane_lab_epoch_mean(curve->loss, i, curve->first, curve->window);
  curve->curvature[i] = record->guard.probes > 0 ? record->guard.curvature : (double)NAN;
  curve->limit[i] = limit_of(lab->trainer, record);
  lab->best = fmin(lab->best, curve->mean[i]);
}

static void time_block(experiment *lab, int64_t i) {
  if ((i + 1) % BLOCK_STEPS)
    return;
  double now_s = vane_clock_thread_s();
  lab->block_us[lab->n_blocks++] = 1e6 * (now_s - lab->block_began_s) / BLOCK_STEPS;
  lab->block_began_s = now_s;
}

static vane_status tell(experiment *lab, int64_t i) {
  const vane_lab_options *options = lab->options;
  const vane_lab_curve *curve = lab->curve;
  bool last = i + 1 == curve->n;
  if (!options->tell || (!last && vane_clock_s() - lab->told_s < TELL_EVERY))
    return VANE_OK;
  lab->told_s = vane_clock_s();
  const vane_lab_point point = {.step = curve->first + i + 1,
                                .steps = curve->first + curve->n,
                                .loss = curve->mean[i],
                                .best = lab->best,
                                .curvature = curve->curvature[i],
                                .limit = curve->limit[i]};
  return options->tell(options->user, &point);
}

/* The time that it takes is nobody's step. */
static vane_status save(experiment *lab) {
  const vane_lab_options *options = lab->options;
  if (!options->run || lab->trainer->step % options->save_every)
    return VANE_OK;
  double began_s = vane_clock_thread_s();
  vane_status status = vane_checkpoint_save(lab->trainer, options->run, (vane_best){0}, false);
  lab->block_began_s += vane_clock_thread_s() - began_s;
  return status;
}

/* After a halt no step moves anything: what is left of the run is as bad as it was. */
static void end_halted(vane_lab_curve *curve, int64_t i) {
  for (int64_t j = i; j < curve->n; j++) {
    curve->loss[j] = curve->mean[j] = (double)INFINITY;
    curve->curvature[j] = (double)NAN;
    curve->limit[j] = curve->limit[i];
  }
}

static vane_status run_steps(experiment *lab) {
  vane_step_record record;
  lab->block_began_s = vane_clock_thread_s();
  for (int64_t i = 0; i < lab->curve->n; i++) {
    VANE_TRY(step(lab, &record));
    note(lab, i, &record);
    time_block(lab, i);
    if (record.halted)
      end_halted(lab->curve, i);
    VANE_TRY(tell(lab, record.halted ? lab->curve->n - 1 : i));
    if (record.halted)
      return VANE_OK;
    VANE_TRY(save(lab));
  }
  return VANE_OK;
}

static vane_status run(experiment *lab, const vane_config *config, const vane_log *log) {
  VANE_TRY(create_trainer(config, lab->options->checkpoint, &lab->trainer));
  VANE_TRY(
      vane_loader_open(config, false, config->train_batch, lab->trainer->step, log, &lab->loader));
  VANE_TRY(reserve(lab));
  VANE_TRY(run_steps(lab));
  double fastest_us;
  if (lab->n_blocks > 0)
    vane_median_of(lab->block_us, lab->n_blocks, &lab->curve->us_per_step, &fastest_us);
  return VANE_OK;
}

vane_status vane_lab_experiment(const vane_config *config, const vane_lab_options *options,
                                const vane_log *log, vane_lab_curve *curve) {
  *curve = (vane_lab_curve){0};
  experiment lab = {.options = options, .curve = curve, .best = (double)INFINITY};
  vane_status status = run(&lab, config, log);
  vane_loader_close(lab.loader);
  vane_trainer_destroy(lab.trainer);
  free(lab.block_us);
  if (status != VANE_OK)
    vane_lab_curve_finish(curve);
  return status;
}

/* --- what came out --- */

void vane_lab_curve_finish(vane_lab_curve *curve) {
  free(curve->loss);
  free(curve->mean);
  free(curve->curvature);
  free(curve->limit);
  *curve = (vane_lab_curve){0};
}

void vane_lab_curve_judge(const vane_lab_curve *curve, double scale, vane_lab_outcome *outcome) {
  vane_lab_judge(curve->mean, curve->n, curve->first, scale, outcome);
  outcome->us_per_step = curve->us_per_step;
  for (int64_t i = 0; i < curve->n; i++)
    if (curve->curvature[i] > outcome->strain * curve->limit[i])
      outcome->strain = curve->curvature[i] / curve->limit[i];
}

static void print_field(FILE *stream, double value) {
  if (isfinite(value))
    fprintf(stream, ",%.17g", value);
  else
    fprintf(stream, value > 0 ? ",inf" : ",");
}

vane_status vane_lab_curve_write(const vane_lab_curve *curve, const char *path) {
  vane_lab_text text;
  VANE_TRY(vane_lab_text_open(&text));
  fprintf(text.stream, "step,loss,mean,curvature,limit\n");
  for (int64_t i = 0; i < curve->n; i++) {
    fprintf(text.stream, "%" PRId64, curve->first + i + 1);
    print_field(text.stream, curve->loss[i]);
    print_field(text.stream, curve->mean[i]);
    print_field(text.stream, curve->curvature[i]);
    print_field(text.stream, curve->limit[i]);
    fputc('\n', text.stream);
  }
  return vane_lab_text_close(&text, path);
}
