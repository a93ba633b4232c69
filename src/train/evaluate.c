#include "train/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/targets.h"

/* Host copies of the heads' outputs of one batch. */
typedef struct outputs {
  float *head[VANE_N_HEADS];
} outputs;

typedef struct evaluation {
  vane_trainer *trainer;
  outputs outputs;
  vane_score_sheet *sheet;
  double loss_sum[VANE_N_LOSSES];
  int64_t counted[VANE_N_HEADS];
} evaluation;

static int64_t width(const evaluation *run, int k) {
  return run->trainer->network->heads.head[k].n_outputs;
}

static vane_status upload(evaluation *run, const vane_batch *batch, int64_t counted[VANE_N_HEADS]) {
  vane_trainer *trainer = run->trainer;
  vane_network *network = trainer->network;
  vane_device *device = trainer->device;
  const int64_t *input = trainer->config.model_input;
  int64_t n = network->batch;
  vane_targets_fill(&trainer->config, batch->labels, batch->n, n, true, trainer->targets, counted);
  vane_step_input scalars = {0};
  for (int k = 0; k < VANE_N_HEADS; k++)
    scalars.inv_count[k] = counted[k] ? 1.0 / (double)counted[k] : 0;
  size_t pixel_bytes = (size_t)(batch->n * input[0] * input[1] * input[2]);
  VANE_TRY(device->memory.upload(device, network->pixels, batch->pixels, pixel_bytes));
  VANE_TRY(device->memory.upload(device, network->losses.targets, trainer->targets,
                                 (size_t)(VANE_N_TARGET_ROWS * n) * sizeof(float)));
  return device->memory.upload(device, &trainer->eval_record->in, &scalars, sizeof scalars);
}

static vane_status download(evaluation *run, vane_step_record *record) {
  vane_trainer *trainer = run->trainer;
  vane_device *device = trainer->device;
  int64_t n = trainer->network->batch;
  for (int k = 0; k < VANE_N_HEADS; k++)
    VANE_TRY(device->memory.get(device, run->outputs.head[k],
                                vane_heads_output(&trainer->network->heads, k), n * width(run, k)));
  VANE_TRY(device->memory.download(device, record, trainer->eval_record, sizeof *record));
  return device->memory.synchronize(device);
}

static void judge(evaluation *run, const vane_batch *batch) {
  const vane_config *config = &run->trainer->config;
  float *const *head = run->outputs.head;
  for (int64_t i = 0; i < batch->n; i++) {
    vane_answer answer;
    vane_answer_decode(config, head[VANE_LOSS_PRESENCE] + i,
                       head[VANE_LOSS_ANGLE] + i * width(run, VANE_LOSS_ANGLE),
                       head[VANE_LOSS_MAGNITUDE] + i, head[VANE_LOSS_POSITION] + 2 * i, &answer);
    vane_score_sheet_add(run->sheet, &answer, &batch->labels[i]);
  }
}

/* The part of a batch that the device may record once. */
static vane_status compute(void *user) {
  vane_trainer *trainer = user;
  vane_network *network = trainer->network;
  VANE_TRY(vane_network_infer(network));
  return vane_losses_run(&network->losses, &network->heads, network->block, network->weights, false,
                         trainer->eval_record);
}

static vane_status evaluate_batch(evaluation *run, const vane_batch *batch) {
  vane_trainer *trainer = run->trainer;
  vane_device *device = trainer->device;
  int64_t counted[VANE_N_HEADS];
  vane_step_record record;
  VANE_TRY(upload(run, batch, counted));
  VANE_TRY(device->graph.run(device, &trainer->eval_graph, compute, trainer));
  VANE_TRY(download(run, &record));
  for (int k = 0; k < VANE_N_HEADS; k++) {
    run->loss_sum[k] += record.loss[k] * (double)counted[k];
    run->counted[k] += counted[k];
  }
  run->loss_sum[VANE_LOSS_REGULARIZATION] = record.loss[VANE_LOSS_REGULARIZATION];
  judge(run, batch);
  return VANE_OK;
}

static vane_status go_over(evaluation *run, vane_loader *loader) {
  VANE_TRY(vane_loader_rewind(loader));
  for (;;) {
    const vane_batch *batch;
    VANE_TRY(vane_loader_take(loader, &batch));
    if (!batch)
      return VANE_OK;
    vane_status status = evaluate_batch(run, batch);
    vane_loader_give_back(loader, batch);
    VANE_TRY(status);
  }
}

static void sum_up(evaluation *run, vane_scores *scores) {
  const double *weight = run->trainer->slots.combine.weight;
  memset(scores, 0, sizeof *scores);
  vane_score_sheet_sum_up(run->sheet, scores);
  for (int k = 0; k < VANE_N_LOSSES; k++) {
    bool counted = k == VANE_LOSS_REGULARIZATION || run->counted[k];
    double samples = k == VANE_LOSS_REGULARIZATION ? 1 : (double)run->counted[k];
    scores->loss[k] = counted ? run->loss_sum[k] / samples : 0;
    if (weight[k] != 0) /* what is switched off may be infinite */
      scores->total += weight[k] * scores->loss[k];
  }
}

vane_status vane_evaluate(vane_trainer *trainer, vane_loader *loader, vane_scores *scores) {
  evaluation run = {.trainer = trainer};
  vane_status status =
      vane_score_sheet_create(&trainer->config, vane_loader_examples(loader), &run.sheet);
  for (int k = 0; k < VANE_N_HEADS && status == VANE_OK; k++) {
    run.outputs.head[k] =
        malloc((size_t)(trainer->network->batch * width(&run, k)) * sizeof(float));
    if (!run.outputs.head[k])
      status = vane_fail(VANE_ERR_MEMORY, "no memory for the answers of a batch");
  }
  if (status == VANE_OK)
    status = go_over(&run, loader);
  if (status == VANE_OK)
    sum_up(&run, scores);
  for (int k = 0; k < VANE_N_HEADS; k++)
    free(run.outputs.head[k]);
  vane_score_sheet_destroy(run.sheet);
  return status;
}
