#include "train/bench_step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/loader.h"
#include "train/median.h"
#include "train/probe.h"
#include "train/step.h"

#define N_BATCHES 4 /* several, so that caches do not know the pixels already */
#define N_WARM_UP 3 /* pages are mapped, threads awake */
#define N_PROBES  5

typedef struct step_run {
  vane_trainer *trainer;
  vane_batch batches[N_BATCHES]; /* pixels and labels owned, no origins */
  double *ms, *enqueue_ms;       /* [steps] */
  double pipelined_ms, probe_ms;
} step_run;

static vane_status copy_batch(const vane_config *config, const vane_batch *from, vane_batch *to) {
  const int64_t *input = config->model_input;
  size_t pixel_bytes = (size_t)(from->n * input[0] * input[1] * input[2]);
  size_t label_bytes = (size_t)from->n * sizeof *from->labels;
  *to = (vane_batch){.number = from->number,
                     .n = from->n,
                     .pixels = malloc(pixel_bytes),
                     .labels = malloc(label_bytes)};
  if (!to->pixels || !to->labels)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a few batches; lower train.batch");
  memcpy(to->pixels, from->pixels, pixel_bytes);
  memcpy(to->labels, from->labels, label_bytes);
  return VANE_OK;
}

/* The loader is closed afterwards: its threads do not compete with the steps. */
static vane_status read_batches(const vane_config *config, const vane_log *log, step_run *run) {
  vane_loader *loader;
  VANE_TRY(vane_loader_open(config, false, config->train_batch, 0, log, &loader));
  vane_status status = VANE_OK;
  for (int b = 0; status == VANE_OK && b < N_BATCHES; b++) {
    const vane_batch *lent;
    status = vane_loader_take(loader, &lent);
    if (status != VANE_OK)
      break;
    status = copy_batch(config, lent, &run->batches[b]);
    vane_loader_give_back(loader, lent);
  }
  vane_loader_close(loader);
  return status;
}

static vane_status prepare(const vane_config *config, int64_t steps, const vane_log *log,
                           step_run *run) {
  run->ms = malloc((size_t)steps * sizeof *run->ms);
  run->enqueue_ms = malloc((size_t)steps * sizeof *run->enqueue_ms);
  if (!run->ms || !run->enqueue_ms)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %lld timings", (long long)steps);
  VANE_TRY(read_batches(config, log, run));
  VANE_TRY(vane_trainer_create(config, NULL, &run->trainer));
  return vane_network_draw(run->trainer->network);
}

static vane_status step(step_run *run) {
  return vane_step_run(run->trainer, &run->batches[run->trainer->step % N_BATCHES]);
}

static vane_status wait(const step_run *run) {
  vane_device *device = run->trainer->device;
  return device->memory.synchronize(device);
}

static double ms_since(double begin_s) {
  return 1e3 * (vane_clock_s() - begin_s);
}

static vane_status time_step(step_run *run, int64_t i) {
  double begin_s = vane_clock_s();
  VANE_TRY(step(run));
  run->enqueue_ms[i] = ms_since(begin_s);
  VANE_TRY(wait(run));
  run->ms[i] = ms_since(begin_s);
  return VANE_OK;
}

static vane_status time_pipeline(step_run *run, int64_t steps) {
  double begin_s = vane_clock_s();
  for (int64_t i = 0; i < steps; i++)
    VANE_TRY(step(run));
  VANE_TRY(wait(run));
  run->pipelined_ms = ms_since(begin_s) / (double)steps;
  return VANE_OK;
}

static vane_status time_steps(step_run *run, int64_t steps, const vane_bench_step_watch *watch) {
  vane_status status = VANE_OK;
  for (int64_t i = 0; i < N_WARM_UP; i++)
    VANE_TRY(time_step(run, 0));
  if (watch->begin)
    watch->begin(watch->user);
  for (int64_t i = 0; status == VANE_OK && i < steps; i++)
    status = time_step(run, i);
  if (status == VANE_OK && run->trainer->device->asynchronous)
    status = time_pipeline(run, steps);
  if (watch->end)
    watch->end(watch->user);
  return status;
}

/* Each repeats the first after the last step, which changes nothing but the bound. */
static vane_status time_probes(step_run *run) {
  double ms[N_PROBES], fastest_ms;
  if (run->trainer->config.optim_guard_mode == VANE_GUARD_OFF)
    return VANE_OK;
  VANE_TRY(vane_probe_run(run->trainer)); /* an asynchronous device may plan and record it now */
  VANE_TRY(vane_probe_run(run->trainer));
  VANE_TRY(wait(run));
  for (int i = 0; i < N_PROBES; i++) {
    double begin_s = vane_clock_s();
    VANE_TRY(vane_probe_run(run->trainer));
    VANE_TRY(wait(run));
    ms[i] = ms_since(begin_s);
  }
  vane_median_of(ms, N_PROBES, &run->probe_ms, &fastest_ms);
  return VANE_OK;
}

static vane_status check_steps(const vane_trainer *trainer) {
  vane_step_record record;
  VANE_TRY(vane_trainer_read_record(trainer, &record));
  if (record.sum.skipped > 0)
    return vane_fail(VANE_ERR_NUMERIC,
                     "%.0f of %.0f steps met a value that is not finite and wrote nothing; lower "
                     "optim.lr",
                     record.sum.skipped, record.sum.steps);
  return VANE_OK;
}

static void sum_up(const step_run *run, int64_t steps, vane_bench_step_result *result) {
  const vane_trainer *trainer = run->trainer;
  *result =
      (vane_bench_step_result){.steps = steps,
                               .n_parameters = vane_parameters_count(&trainer->network->parameters),
                               .probe_ms = run->probe_ms};
  snprintf(result->device, sizeof result->device, "%s", trainer->device->description);
  vane_median_of(run->ms, steps, &result->ms, &result->fastest_ms);
  result->images_per_s = 1e3 * (double)trainer->config.train_batch / result->ms;
  if (trainer->device->asynchronous) {
    double fastest_ms;
    vane_median_of(run->enqueue_ms, steps, &result->enqueue_ms, &fastest_ms);
    result->pipelined_ms = run->pipelined_ms;
  }
}

vane_status vane_bench_step(const vane_config *config, int64_t steps,
                            const vane_bench_step_watch *watch, const vane_log *log,
                            vane_bench_step_result *result) {
  if (steps < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "bench step: at least one step is needed");
  step_run run = {0};
  vane_status status = prepare(config, steps, log, &run);
  if (status == VANE_OK)
    status = time_steps(&run, steps, watch);
  if (status == VANE_OK)
    status = time_probes(&run);
  if (status == VANE_OK)
    status = check_steps(run.trainer);
  if (status == VANE_OK)
    sum_up(&run, steps, result);
  for (int b = 0; b < N_BATCHES; b++) {
    free(run.batches[b].pixels);
    free(run.batches[b].labels);
  }
  vane_trainer_destroy(run.trainer);
  free(run.ms);
  free(run.enqueue_ms);
  return status;
}
