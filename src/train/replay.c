#include "train/replay.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/loader.h"
#include "store/boxes.h"
#include "train/box.h"
#include "train/checkpoint.h"
#include "train/step.h"

/* --- the box --- */

typedef struct box {
  json_t *facts;
  int64_t step;
  const char *config, *device; /* borrowed from the facts */
  json_t *bits;                /* borrowed: loss_bits */
  char checkpoint[1200];
} box;

static vane_status open_box(const char *folder, box *opened) {
  char path[1200];
  json_error_t error;
  snprintf(path, sizeof path, "%s/" VANE_BOX_FACTS, folder);
  snprintf(opened->checkpoint, sizeof opened->checkpoint, "%s/" VANE_BOX_CHECKPOINT, folder);
  opened->facts = json_load_file(path, 0, &error);
  if (!opened->facts)
    return vane_fail(VANE_ERR_FORMAT, "%s:%d: %s; a black box is a folder RUN/boxes/step-...", path,
                     error.line, error.text);
  json_int_t step = 0;
  if (json_unpack_ex(opened->facts, &error, 0, "{s:I, s:s, s:s, s:o}", "step", &step, "config",
                     &opened->config, "device", &opened->device, "loss_bits", &opened->bits) != 0)
    return vane_fail(VANE_ERR_FORMAT, "%s: %s", path, error.text);
  opened->step = step;
  return VANE_OK;
}

/* --- the steps up to it --- */

typedef struct replaying {
  const box *box;
  vane_trainer *trainer;
  vane_loader *loader;
  vane_origin *origins; /* [train.batch], of the last step */
  float *samples;       /* [VANE_N_HEADS, train.batch] */
  double *contributions;
} replaying;

static vane_status restore(replaying *run, const vane_log *log, vane_replay *replay) {
  vane_checkpoint *checkpoint = NULL;
  vane_config config;
  vane_config_init(&config);
  VANE_TRY(vane_config_parse(&config, "config", run->box->config, strlen(run->box->config)));
  VANE_TRY(vane_checkpoint_open(run->box->checkpoint, &checkpoint));
  vane_status status =
      vane_trainer_create(&config, vane_checkpoint_choices(checkpoint), &run->trainer);
  if (status == VANE_OK)
    status = vane_checkpoint_restore(checkpoint, run->trainer);
  vane_checkpoint_close(checkpoint);
  VANE_TRY(status);
  replay->from = run->trainer->step;
  if (replay->from >= run->box->step)
    return vane_fail(VANE_ERR_FORMAT, "%s: is of step %" PRId64 ", not before step %" PRId64,
                     run->box->checkpoint, replay->from, run->box->step);
  return vane_loader_open(&config, false, config.train_batch, replay->from, log, &run->loader);
}

static vane_status take_memory(replaying *run) {
  size_t n = (size_t)run->trainer->config.train_batch;
  run->origins = calloc(n, sizeof *run->origins);
  run->samples = calloc(VANE_N_HEADS * n, sizeof *run->samples);
  run->contributions = calloc(n, sizeof *run->contributions);
  if (!run->origins || !run->samples || !run->contributions)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the examples of a batch");
  return VANE_OK;
}

static vane_status run_steps(replaying *run) {
  vane_trainer *trainer = run->trainer;
  while (trainer->step < run->box->step) {
    const vane_batch *batch;
    VANE_TRY(vane_loader_take(run->loader, &batch));
    memcpy(run->origins, batch->origins, (size_t)batch->n * sizeof *run->origins);
    vane_status status = vane_step_run(trainer, batch);
    vane_loader_give_back(run->loader, batch);
    VANE_TRY(status);
  }
  return VANE_OK;
}

/* --- what it said --- */

static void compare(const box *opened, const vane_step_record *record, vane_replay *replay) {
  replay->all_same = true;
  for (int k = 0; k < VANE_N_LOSSES; k++) {
    char text[19];
    const char *boxed = json_string_value(json_object_get(opened->bits, vane_loss_names[k]));
    vane_box_print_bits(record->loss[k], text);
    replay->loss[k] = record->loss[k];
    replay->same[k] = boxed && strcmp(boxed, text) == 0;
    replay->all_same &= replay->same[k];
  }
}

/* Each example's part of the weighted total. */
static void sum_contributions(replaying *run, const vane_step_record *record, vane_replay *replay) {
  int64_t n = run->trainer->config.train_batch;
  for (int k = 0; k < VANE_N_HEADS; k++) {
    if (record->weight[k] == 0) /* what is switched off may be infinite */
      continue;
    replay->total += record->weight[k] * record->loss[k];
    for (int64_t i = 0; i < n; i++)
      run->contributions[i] +=
          record->weight[k] * record->in.inv_count[k] * (double)run->samples[k * n + i];
  }
}

/* What is not finite comes before all numbers. */
static double weight_of(double contribution) {
  return isfinite(contribution) ? contribution : (double)INFINITY;
}

static void name_largest(const replaying *run, vane_replay *replay) {
  int64_t n = run->trainer->config.train_batch;
  int64_t largest[VANE_REPLAY_EXAMPLES];
  for (int64_t i = 0; i < n; i++) {
    int64_t at = replay->n_examples;
    while (at > 0 &&
           weight_of(run->contributions[largest[at - 1]]) < weight_of(run->contributions[i]))
      at--;
    if (at == VANE_REPLAY_EXAMPLES)
      continue;
    replay->n_examples += replay->n_examples < VANE_REPLAY_EXAMPLES;
    for (int64_t j = replay->n_examples - 1; j > at; j--)
      largest[j] = largest[j - 1];
    largest[at] = i;
  }
  for (int64_t j = 0; j < replay->n_examples; j++) {
    vane_replayed_example *example = &replay->examples[j];
    example->place = largest[j];
    example->contribution = run->contributions[largest[j]];
    vane_loader_describe(run->loader, run->origins[largest[j]], example->text,
                         sizeof example->text);
  }
}

static vane_status read_step(replaying *run, vane_replay *replay) {
  vane_trainer *trainer = run->trainer;
  vane_device *device = trainer->device;
  vane_step_record record;
  VANE_TRY(vane_trainer_read_record(trainer, &record));
  VANE_TRY(device->memory.get(device, run->samples, trainer->network->losses.samples,
                              VANE_N_HEADS * trainer->config.train_batch));
  replay->step = trainer->step;
  snprintf(replay->device, sizeof replay->device, "%s", device->name);
  snprintf(replay->boxed_device, sizeof replay->boxed_device, "%s", run->box->device);
  compare(run->box, &record, replay);
  sum_contributions(run, &record, replay);
  name_largest(run, replay);
  return VANE_OK;
}

vane_status vane_replay_box(const char *folder, const vane_log *log, vane_replay *replay) {
  box opened = {.facts = NULL};
  replaying run = {.box = &opened};
  memset(replay, 0, sizeof *replay);
  vane_status status = open_box(folder, &opened);
  if (status == VANE_OK)
    status = restore(&run, log, replay);
  if (status == VANE_OK)
    status = take_memory(&run);
  if (status == VANE_OK)
    status = run_steps(&run);
  if (status == VANE_OK)
    status = read_step(&run, replay);
  vane_loader_close(run.loader);
  vane_trainer_destroy(run.trainer);
  free(run.origins);
  free(run.samples);
  free(run.contributions);
  json_decref(opened.facts);
  return status;
}
