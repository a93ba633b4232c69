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
#include "train/box.h"
#include "train/evaluate.h"
#include "train/report.h"
#include "train/rollback.h"
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
  bool undone;          /* the report has rolled the run back */
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

static vane_status open_examples(training *loop) {
  const vane_config *config = &loop->trainer->config;
  return vane_loader_open(config, false, config->train_batch, loop->trainer->step, loop->log,
                          &loop->examples);
}

static vane_status read_record(training *loop, vane_step_record *record) {
  vane_trainer *trainer = loop->trainer;
  vane_device *device = trainer->device;
  size_t first = offsetof(vane_step_record, n_bad_steps);
  size_t telemetry = vane_trainer_telemetry_bytes(trainer);
  VANE_TRY(device->memory.download(device, record, trainer->record, sizeof *record));
  if (telemetry)
    VANE_TRY(device->memory.download(device, loop->seen, trainer->telemetry, telemetry));
  VANE_TRY(device->memory.synchronize(device));
  /* What the host has seen starts anew: the bad steps, the sums, the telemetry. */
  if (telemetry)
    VANE_TRY(device->memory.clear(device, trainer->telemetry, telemetry));
  return device->memory.clear(device, (unsigned char *)trainer->record + first,
                              sizeof *record - first);
}

/* What was read, as metrics. */
static void collect(training *loop, const vane_step_record *record) {
  loop->metrics.n = 0;
  vane_report_add_record(&loop->metrics, loop->trainer, record);
  if (loop->seen)
    vane_report_add_telemetry(&loop->metrics, loop->trainer, loop->seen);
}

/* --- bad steps --- */

/* The examples of a step since the last report. */
static const vane_origin *origins_of(const training *loop, int64_t step) {
  return loop->origins + (step - loop->reported_step - 1) * loop->trainer->network->batch;
}

static size_t describe_judgement(const vane_bad_step *bad, char *text, size_t n_bytes) {
  long long step = (long long)bad->note.step;
  const char *what =
      bad->loss == VANE_SHARED ? "the combined gradient" : vane_loss_names[bad->loss];
  if (bad->kind == VANE_BAD_NONFINITE)
    return (size_t)snprintf(text, n_bytes, "step %lld: %s is not finite", step, what);
  return (size_t)snprintf(text, n_bytes,
                          "step %lld: the loss leaps to %.4g from a median of %.4g, most of it %s",
                          step, bad->note.total, bad->median, what);
}

/* A bad step and its examples, in words. */
static void describe_bad(const training *loop, const vane_bad_step *bad, char *text,
                         size_t n_bytes) {
  const vane_origin *origins = origins_of(loop, (int64_t)bad->note.step);
  size_t used = describe_judgement(bad, text, n_bytes);
  int listed = bad->n_samples < VANE_N_BAD_SAMPLES ? bad->n_samples : VANE_N_BAD_SAMPLES;
  for (int i = 0; i < listed && used < n_bytes; i++) {
    char example[256];
    vane_loader_describe(loop->examples, origins[bad->samples[i]], example, sizeof example);
    used +=
        (size_t)snprintf(text + used, n_bytes - used, "%s %s", i ? ";" : "; examples:", example);
  }
  if (bad->n_samples > listed && used < n_bytes)
    snprintf(text + used, n_bytes - used, "; and %d more", bad->n_samples - listed);
}

static bool rolls_back(const vane_config *config, const vane_bad_step *bad) {
  return bad->kind == VANE_BAD_SPIKE ? config->train_spike_mode == VANE_SPIKE_ROLLBACK
                                     : config->train_on_nonfinite == VANE_NONFINITE_ROLLBACK;
}

/* One box for bad steps in a row, that of the first. */
static vane_status write_box(training *loop, const vane_step_record *record,
                             const vane_bad_step *bad, vane_box_gap gap) {
  const vane_config *config = &loop->trainer->config;
  if (config->train_spike_boxes == 0 || (bad->running > 1 && gap.count == 0))
    return VANE_OK;
  collect(loop, record);
  const vane_box box = {.trainer = loop->trainer,
                        .examples = loop->examples,
                        .record = record,
                        .bad = bad,
                        .origins = origins_of(loop, (int64_t)bad->note.step),
                        .interval = &loop->metrics,
                        .gap = gap};
  return vane_box_write(loop->run, &box);
}

/* Everything after the run's folder and the trainer went back. */
static vane_status start_again(training *loop) {
  vane_trainer *trainer = loop->trainer;
  vane_loader_close(loop->examples);
  loop->examples = NULL;
  loop->reported_step = loop->first_step = loop->saved_step = trainer->step;
  loop->started_s = loop->interval_s = loop->waited_s = 0;
  loop->undone = true;
  start_clock(loop);
  return open_examples(loop);
}

static vane_status roll_back(training *loop, const vane_step_record *record,
                             const vane_bad_step *bad) {
  vane_rollback plan;
  char text[900];
  describe_bad(loop, bad, text, sizeof text);
  if (vane_rollback_plan(loop->trainer, loop->run, (int64_t)bad->note.step, &plan) != VANE_OK) {
    VANE_TRY(write_box(loop, record, bad, (vane_box_gap){0, 0}));
    return vane_error_add_context("%s; this step wrote nothing", text);
  }
  VANE_TRY(write_box(loop, record, bad, (vane_box_gap){plan.first, plan.count}));
  VANE_TRY(vane_rollback_run(loop->trainer, loop->run, &plan, &loop->best));
  vane_log_warning(loop->log,
                   "%s; rolled back to step %lld (%lld of at most %lld), past %lld records from "
                   "place %lld of the stream on",
                   text, (long long)plan.to, (long long)loop->trainer->n_rollbacks,
                   (long long)loop->trainer->config.train_spike_max_rollbacks,
                   (long long)plan.count, (long long)plan.first);
  return start_again(loop);
}

static vane_status stop_for(training *loop, const vane_step_record *record,
                            const vane_bad_step *bad) {
  char text[900];
  describe_bad(loop, bad, text, sizeof text);
  VANE_TRY(write_box(loop, record, bad, (vane_box_gap){0, 0}));
  return vane_fail(VANE_ERR_NUMERIC,
                   "%s; weights and moments are those before that step (lower optim.lr, set "
                   "grad.clip.global, or pass over such steps with train.on_nonfinite: skip)",
                   text);
}

/* Warns of the bad steps since the last report, and ends the run or rolls it back where the last of
 * them asks for it. */
static vane_status judge_bad(training *loop, const vane_step_record *record) {
  int64_t n = record->n_bad_steps < VANE_N_BAD_STEPS ? record->n_bad_steps : VANE_N_BAD_STEPS;
  const vane_bad_step *last = &record->bad_steps[n - 1];
  for (const vane_bad_step *bad = record->bad_steps; bad < last + !record->halted; bad++) {
    char text[900];
    describe_bad(loop, bad, text, sizeof text);
    VANE_TRY(write_box(loop, record, bad, (vane_box_gap){0, 0}));
    vane_log_warning(loop->log, "%s", text);
  }
  if (record->n_bad_steps > n)
    vane_log_warning(loop->log, "and %lld more bad steps since step %lld",
                     (long long)(record->n_bad_steps - n), (long long)loop->reported_step);
  if (record->sum.skipped > 0 && !record->halted)
    vane_log_warning(loop->log, "%.0f steps since step %lld wrote nothing", record->sum.skipped,
                     (long long)loop->reported_step);
  if (!record->halted)
    return VANE_OK;
  return rolls_back(&loop->trainer->config, last) ? roll_back(loop, record, last)
                                                  : stop_for(loop, record, last);
}

/* --- reports --- */

/* Only damaged moments, or some that another program wrote, lead beyond Adam's bound. Other rules
 * have none, or not this one. */
static void judge_updates(const training *loop) {
  const vane_config *config = &loop->trainer->config;
  const vane_adam_telemetry all = vane_telemetry_of_all(loop->trainer->network->block, loop->seen);
  double bound = vane_adam_bound_of_floats(config->optim_beta1, config->optim_beta2);
  if (config->optim_rule == VANE_RULE_ADAM && all.largest > bound)
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
  if (record.n_bad_steps)
    VANE_TRY(judge_bad(loop, &record));
  if (loop->undone) /* there is nothing to report of these steps */
    return VANE_OK;

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
  collect(loop, &record);
  if (loop->seen)
    judge_updates(loop);
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
  loop->undone = false;
  if (last || evaluation || checkpoint || due(step, config->train_log_every))
    VANE_TRY(report(loop));
  if (loop->undone || (!evaluation && !checkpoint))
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
  loop->undone = false;
  if (trainer->step > loop->reported_step)
    VANE_TRY(report(loop));
  return save(loop, false);
}

static vane_status open_loaders(training *loop) {
  const vane_config *config = &loop->trainer->config;
  VANE_TRY(open_examples(loop));
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
