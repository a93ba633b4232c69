#include "train/loop.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/loader.h"
#include "optim/telemetry.h"
#include "train/evaluate.h"
#include "train/report.h"
#include "train/step.h"

typedef struct training {
  vane_trainer *trainer;
  vane_run *run;
  vane_best best;
  const vane_log *log;
  const vane_observer *observer;
  vane_loader *examples, *test; /* test NULL without data.test */
  vane_origin *origins;         /* of the batches since the last report, to name bad examples */
  vane_adam_telemetry *seen;    /* [n_parts], by Adam since the last report; NULL: none is kept */
  vane_report metrics;          /* of the report under way */
  int64_t reported_step;        /* the last report's */
  int64_t evaluated_step, saved_step;
  double started_s, interval_s; /* training time alone: since the start, since the last report */
  double resumed_at_s;          /* when training time was last taken up */
  double waited_s;              /* the loader's count at the last report */
  int64_t first_step;
  double average_clips; /* steps in which clip_by_average_norm acted */
} training;

/* Evaluations and checkpoints do not count as training time: the clock stops for them. */
static void stop_clock(training *loop) {
  double passed = vane_clock_s() - loop->resumed_at_s;
  loop->started_s += passed;
  loop->interval_s += passed;
}

static void start_clock(training *loop) {
  loop->resumed_at_s = vane_clock_s();
}

/* --- reports --- */

static vane_status read_record(training *loop, vane_step_record *record) {
  vane_trainer *trainer = loop->trainer;
  vane_device *device = trainer->device;
  size_t first = offsetof(vane_step_record, bad_step);
  size_t telemetry = vane_trainer_telemetry_bytes(trainer);
  VANE_TRY(device->memory.download(device, record, trainer->record, sizeof *record));
  if (telemetry)
    VANE_TRY(device->memory.download(device, loop->seen, trainer->telemetry, telemetry));
  VANE_TRY(device->memory.synchronize(device));
  /* What the host has seen starts anew: the sums, the note of a bad step, the telemetry. */
  if (telemetry)
    VANE_TRY(device->memory.clear(device, trainer->telemetry, telemetry));
  return device->memory.clear(device, (unsigned char *)trainer->record + first,
                              sizeof *record - first);
}

/* The bad examples of a step since the last report, in words. */
static void describe_bad(const training *loop, const vane_step_record *record, char *text,
                         size_t n_bytes) {
  int64_t batch = loop->trainer->network->batch;
  const vane_origin *origins = loop->origins + (record->bad_step - loop->reported_step - 1) * batch;
  const char *what =
      record->bad_loss == VANE_SHARED ? "the combined gradient" : vane_loss_names[record->bad_loss];
  size_t used = (size_t)snprintf(text, n_bytes, "step %lld: %s is not finite",
                                 (long long)record->bad_step, what);
  int listed = record->n_bad_samples < 8 ? record->n_bad_samples : 8;
  for (int i = 0; i < listed && used < n_bytes; i++) {
    char example[256];
    vane_loader_describe(loop->examples, origins[record->bad_samples[i]], example, sizeof example);
    used +=
        (size_t)snprintf(text + used, n_bytes - used, "%s %s", i ? ";" : "; examples:", example);
  }
  if (record->n_bad_samples > listed && used < n_bytes)
    snprintf(text + used, n_bytes - used, "; and %d more", record->n_bad_samples - listed);
}

static vane_status judge_bad(const training *loop, const vane_step_record *record) {
  char text[900];
  describe_bad(loop, record, text, sizeof text);
  if (loop->trainer->config.train_on_nonfinite == VANE_NONFINITE_STOP)
    return vane_fail(VANE_ERR_NUMERIC,
                     "%s; weights and moments are those before that step (lower optim.lr, set "
                     "grad.clip.global, or pass over such steps with train.on_nonfinite: skip)",
                     text);
  vane_log_warning(loop->log, "%s; %.0f steps since step %lld wrote nothing", text,
                   record->sum.skipped, (long long)loop->reported_step);
  return VANE_OK;
}

/* Only damaged moments, or some that another program wrote, lead beyond Adam's bound. */
static void judge_updates(const training *loop) {
  const vane_config *config = &loop->trainer->config;
  const vane_block *block = loop->trainer->network->block;
  vane_adam_telemetry all = {0};
  for (int64_t i = 0; i < block->n_segments; i++)
    vane_telemetry_add(&all, block, loop->seen, i);
  double bound = vane_adam_bound_of_floats(config->optim_beta1, config->optim_beta2);
  if (all.largest > bound)
    vane_log_warning(loop->log,
                     "step %lld: an update of %.4g learning rates, which Adam cannot make at these "
                     "betas (%.4g at most): its moments are damaged",
                     (long long)loop->trainer->step, all.largest, bound);
}

static vane_status report(training *loop) {
  vane_trainer *trainer = loop->trainer;
  stop_clock(loop);
  vane_step_record record;
  VANE_TRY(read_record(loop, &record));
  if (record.bad_step)
    VANE_TRY(judge_bad(loop, &record));

  const vane_step_sum *sum = &record.sum;
  double waited = vane_loader_waited_s(loop->examples);
  int64_t done = trainer->step - loop->reported_step,
          left = trainer->config.train_steps - trainer->step;
  vane_progress progress = {
      .step = trainer->step,
      .steps = trainer->config.train_steps,
      .images_per_s = (double)(done * trainer->config.train_batch) / loop->interval_s,
      .data_wait = (waited - loop->waited_s) / loop->interval_s,
      .seconds_left = loop->started_s / (double)(trainer->step - loop->first_step) * (double)left,
      .lr = vane_record_lr(&record),
      .lr_scale = vane_record_lr_scale(&record),
      .gradient_norm = sum->gradient_norm / sum->steps,
      .skipped = sum->skipped};
  for (int k = 0; k < VANE_N_LOSSES; k++)
    progress.loss[k] = sum->loss[k] / sum->steps;

  vane_report *metrics = &loop->metrics;
  metrics->n = 0;
  vane_report_add_record(metrics, trainer, &record);
  if (loop->seen) {
    vane_report_add_telemetry(metrics, trainer, loop->seen);
    judge_updates(loop);
  }
  vane_report_add(metrics, progress.images_per_s, "speed/images_per_s");
  vane_report_add(metrics, progress.data_wait, "speed/data_wait");
  VANE_TRY(vane_run_log(loop->run, trainer->step, metrics->metrics, metrics->n));
  if (loop->observer && loop->observer->progress)
    loop->observer->progress(loop->observer->user, &progress);

  loop->average_clips += sum->clipped_average;
  loop->reported_step = trainer->step;
  loop->waited_s = waited;
  loop->interval_s = 0;
  start_clock(loop);
  return VANE_OK;
}

/* --- evaluations and checkpoints --- */

static vane_status save(training *loop, bool is_best) {
  if (loop->saved_step == loop->trainer->step && !is_best)
    return VANE_OK;
  loop->saved_step = loop->trainer->step;
  return vane_checkpoint_save(loop->trainer, loop->run, loop->best, is_best);
}

static vane_status evaluate(training *loop) {
  vane_trainer *trainer = loop->trainer;
  vane_scores scores;
  VANE_TRY(vane_evaluate(trainer, loop->test, &scores));
  loop->evaluated_step = trainer->step;
  bool is_best = !loop->best.step || scores.total < loop->best.total;
  if (is_best)
    loop->best = (vane_best){.total = scores.total, .step = trainer->step};
  loop->metrics.n = 0;
  vane_report_add_scores(&loop->metrics, &scores);
  VANE_TRY(vane_run_log(loop->run, trainer->step, loop->metrics.metrics, loop->metrics.n));
  if (loop->observer && loop->observer->evaluated)
    loop->observer->evaluated(loop->observer->user, trainer->step, &scores, is_best);
  return is_best ? save(loop, true) : VANE_OK;
}

static bool due(int64_t step, int64_t every) {
  return every && step % every == 0;
}

static vane_status after_step(training *loop, bool last) {
  const vane_config *config = &loop->trainer->config;
  int64_t step = loop->trainer->step;
  bool evaluation = loop->test && (last || due(step, config->train_eval_every));
  bool checkpoint = last || due(step, config->train_save_every);
  /* Weights are judged and kept only after the report has said that they are sound. */
  if (last || evaluation || checkpoint || due(step, config->train_log_every))
    VANE_TRY(report(loop));
  if (!evaluation && !checkpoint)
    return VANE_OK;
  stop_clock(loop);
  if (evaluation)
    VANE_TRY(evaluate(loop));
  if (checkpoint)
    VANE_TRY(save(loop, false));
  start_clock(loop);
  return VANE_OK;
}

/* --- the loop --- */

static bool stop_requested(const training *loop) {
  return loop->observer && loop->observer->stop && *loop->observer->stop;
}

static vane_status train_batch(training *loop) {
  vane_trainer *trainer = loop->trainer;
  const vane_batch *batch;
  VANE_TRY(vane_loader_take(loop->examples, &batch));
  int64_t n = trainer->network->batch;
  memcpy(loop->origins + (trainer->step - loop->reported_step) * n, batch->origins,
         (size_t)n * sizeof *batch->origins);
  vane_status status = vane_step_run(trainer, batch);
  vane_loader_give_back(loop->examples, batch);
  return status;
}

static vane_status run_steps(training *loop) {
  vane_trainer *trainer = loop->trainer;
  if (trainer->step == 0)
    VANE_TRY(save(loop, false));
  start_clock(loop);
  while (trainer->step < trainer->config.train_steps && !stop_requested(loop)) {
    VANE_TRY(train_batch(loop));
    VANE_TRY(after_step(loop, trainer->step == trainer->config.train_steps));
  }
  if (trainer->step > loop->reported_step)
    VANE_TRY(report(loop));
  return save(loop, false);
}

static vane_status open_loaders(training *loop) {
  const vane_config *config = &loop->trainer->config;
  VANE_TRY(vane_loader_open(config, false, config->train_batch, loop->trainer->step, loop->log,
                            &loop->examples));
  if (config->data_test_source == VANE_SOURCE_NONE)
    return VANE_OK;
  return vane_loader_open(config, true, config->train_batch, 0, loop->log, &loop->test);
}

static vane_status allocate(training *loop) {
  const vane_config *config = &loop->trainer->config;
  size_t telemetry = vane_trainer_telemetry_bytes(loop->trainer);
  loop->origins =
      malloc((size_t)(config->train_log_every * config->train_batch) * sizeof *loop->origins);
  if (!loop->origins)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the names of examples; lower train.log_every");
  if (telemetry) {
    loop->seen = malloc(telemetry);
    if (!loop->seen)
      return vane_fail(VANE_ERR_MEMORY, "no memory for the telemetry of Adam");
  }
  return vane_report_init(&loop->metrics, loop->trainer);
}

vane_status vane_train(vane_trainer *trainer, vane_run *run, vane_best best, const vane_log *log,
                       const vane_observer *observer) {
  const vane_config *config = &trainer->config;
  training loop = {.trainer = trainer,
                   .run = run,
                   .best = best,
                   .log = log,
                   .observer = observer,
                   .reported_step = trainer->step,
                   .first_step = trainer->step,
                   .saved_step = -1};
  vane_status status = allocate(&loop);
  if (status == VANE_OK)
    status = open_loaders(&loop);
  if (status == VANE_OK)
    status = run_steps(&loop);
  if (status == VANE_OK && config->grad_clip_average_norm > 0 && loop.average_clips == 0 &&
      trainer->step > loop.first_step)
    vane_log_warning(
        log,
        "grad.clip.average_norm: %g never acted in these %lld steps: it acts only "
        "where the root mean square of the angle head's output passes %g",
        config->grad_clip_average_norm, (long long)(trainer->step - loop.first_step),
        config->grad_clip_average_norm *
            sqrt((double)(trainer->network->batch * trainer->network->losses.angle.n_outputs)));
  vane_loader_close(loop.examples);
  vane_loader_close(loop.test);
  vane_report_finish(&loop.metrics);
  free(loop.seen);
  free(loop.origins);
  return status;
}
