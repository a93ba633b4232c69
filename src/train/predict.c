#include "train/predict.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

struct vane_predictor {
  vane_config config;
  vane_device *device;          /* owned */
  vane_network *network;        /* owned */
  vane_graph *graph;            /* inference as the device recorded it; owned */
  float *outputs[VANE_N_HEADS]; /* [batch, n_outputs] of each head */
};

/* Choices belong to the machine that made them, and a machine that lacks one still answers. Without
 * choices convolutions are direct: measuring takes longer than most calls of a predictor. */
static vane_status create_network(vane_predictor *predictor, const vane_checkpoint *checkpoint,
                                  int64_t batch) {
  const vane_config *config = &predictor->config;
  vane_device_options options = vane_device_options_from_config(config);
  options.convolution = VANE_CONVOLUTION_DIRECT;
  VANE_TRY(vane_device_open(&options, &predictor->device));
  const vane_choices *choices = vane_checkpoint_choices(checkpoint);
  vane_status status =
      vane_network_create(config, predictor->device, batch, 1, false, choices, &predictor->network);
  if (status == VANE_ERR_UNSUPPORTED)
    status =
        vane_network_create(config, predictor->device, batch, 1, false, NULL, &predictor->network);
  VANE_TRY(status);
  return vane_network_allocate(predictor->network);
}

static vane_status prepare(vane_predictor *predictor, const vane_checkpoint *checkpoint,
                           int64_t batch) {
  VANE_TRY(vane_config_check(&predictor->config));
  VANE_TRY(create_network(predictor, checkpoint, batch));
  for (int k = 0; k < VANE_N_HEADS; k++) {
    int64_t count = batch * predictor->network->heads.head[k].n_outputs;
    predictor->outputs[k] = malloc((size_t)count * sizeof(float));
    if (!predictor->outputs[k])
      return vane_fail(VANE_ERR_MEMORY, "no memory for the answers of a batch");
  }
  return vane_checkpoint_restore_network(checkpoint, predictor->network);
}

vane_status vane_predictor_create(const vane_checkpoint *checkpoint, const vane_config *config,
                                  int64_t batch, vane_predictor **predictor) {
  *predictor = NULL;
  vane_predictor *made = calloc(1, sizeof *made);
  if (!made)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a predictor");
  made->config = *config;
  vane_status status = prepare(made, checkpoint, batch);
  if (status != VANE_OK) {
    vane_predictor_destroy(made);
    return status;
  }
  *predictor = made;
  return VANE_OK;
}

void vane_predictor_destroy(vane_predictor *predictor) {
  if (!predictor)
    return;
  for (int k = 0; k < VANE_N_HEADS; k++)
    free(predictor->outputs[k]);
  if (predictor->device)
    predictor->device->graph.destroy(predictor->device, predictor->graph);
  vane_network_destroy(predictor->network);
  vane_device_close(predictor->device);
  free(predictor);
}

/* A head whose loss is switched off never learned: what it says is no answer. */
static void forget_untrained(const vane_config *config, vane_answer *answer) {
  if (config->loss_weights_presence == 0)
    answer->present = (double)NAN;
  if (config->loss_weights_angle == 0)
    answer->angle = answer->angle_std = (double)NAN;
  if (config->loss_weights_magnitude == 0)
    answer->magnitude = (double)NAN;
  if (config->loss_weights_position == 0)
    answer->x = answer->y = (double)NAN;
}

static vane_status infer(void *network) {
  return vane_network_infer(network);
}

vane_status vane_predictor_run(vane_predictor *predictor, const uint8_t *pixels, int64_t n,
                               vane_answer *answers) {
  vane_network *network = predictor->network;
  vane_device *device = predictor->device;
  const vane_head *heads = network->heads.head;
  const int64_t *input = predictor->config.model_input;
  if (n < 1 || n > network->batch)
    return vane_fail(VANE_ERR_ARGUMENT, "%lld images at once; this predictor takes 1 to %lld",
                     (long long)n, (long long)network->batch);
  /* Rows beyond n keep what an earlier batch left there; no image looks at another. */
  VANE_TRY(device->memory.upload(device, network->pixels, pixels,
                                 (size_t)(n * input[0] * input[1] * input[2])));
  VANE_TRY(device->graph.run(device, &predictor->graph, infer, network));
  for (int k = 0; k < VANE_N_HEADS; k++)
    VANE_TRY(device->memory.get(device, predictor->outputs[k],
                                vane_heads_output(&network->heads, k), n * heads[k].n_outputs));
  float *const *outputs = predictor->outputs;
  for (int64_t i = 0; i < n; i++) {
    vane_answer_decode(&predictor->config, outputs[VANE_LOSS_PRESENCE] + i,
                       outputs[VANE_LOSS_ANGLE] + i * heads[VANE_LOSS_ANGLE].n_outputs,
                       outputs[VANE_LOSS_MAGNITUDE] + i, outputs[VANE_LOSS_POSITION] + 2 * i,
                       &answers[i]);
    forget_untrained(&predictor->config, &answers[i]);
  }
  return VANE_OK;
}
