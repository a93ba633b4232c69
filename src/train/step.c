#include "train/step.h"

#include "base/error.h"
#include "optim/record.h"
#include "train/probe.h"
#include "train/targets.h"

/* Pixels, targets and the step's scalars go to the device. */
vane_status vane_step_upload(vane_trainer *trainer, const vane_batch *batch,
                             vane_step_record *record) {
  vane_device *device = trainer->device;
  const vane_config *config = &trainer->config;
  vane_network *network = trainer->network;
  int64_t n = network->batch, counted[VANE_N_HEADS];
  const int64_t *input = config->model_input;
  size_t pixel_bytes = (size_t)(n * input[0] * input[1] * input[2]);

  vane_targets_fill(config, batch->labels, batch->n, n, false, trainer->targets, counted);
  vane_step_input scalars;
  vane_step_input_fill(config, trainer->step + 1, counted, &scalars);
  VANE_TRY(device->memory.upload(device, network->pixels, batch->pixels, pixel_bytes));
  VANE_TRY(device->memory.upload(device, network->losses.targets, trainer->targets,
                                 (size_t)(VANE_N_TARGET_ROWS * n) * sizeof(float)));
  return device->memory.upload(device, &record->in, &scalars, sizeof scalars);
}

/* Images to loss values, and to each loss's gradient at the trunk's output. */
vane_status vane_step_forward(vane_network *network, vane_slots *slots, vane_step_record *record) {
  for (int64_t m = 0; m < network->n_micro; m++)
    VANE_TRY(vane_network_trunk_forward(network, m, NULL));
  VANE_TRY(vane_heads_forward(&network->heads, &network->parameters, network->weights,
                              network->features));
  VANE_TRY(vane_losses_run(&network->losses, &network->heads, network->block, network->weights,
                           true, record));
  return vane_slots_heads_backward(slots);
}

/* Back through the trunk, micro-batch by micro-batch, last one first: its activations are still
 * there, the others' are computed again. */
vane_status vane_step_backward(vane_network *network, vane_slots *slots, void *pending) {
  int64_t last = network->n_micro - 1;
  for (int64_t m = last; m >= 0; m--) {
    if (m < last)
      VANE_TRY(vane_network_trunk_forward(network, m, NULL));
    if (pending)
      VANE_TRY(vane_trunk_track(network->trunk, m == last ? 0 : 1, 1.0 / (double)network->n_micro,
                                pending));
    VANE_TRY(vane_slots_trunk_backward(slots, m, m == last));
  }
  return VANE_OK;
}

/* Where the losses' gradients become one depends on the space: before the way back, or after it. */
vane_status vane_step_gradient(vane_network *network, vane_slots *slots, vane_step_record *record,
                               void *pending) {
  VANE_TRY(vane_step_forward(network, slots, record));
  if (slots->space == VANE_SPACE_TRUNK_OUTPUT)
    VANE_TRY(vane_slots_join_features(slots, record));
  VANE_TRY(vane_step_backward(network, slots, pending));
  if (slots->space == VANE_SPACE_PARAMETERS)
    VANE_TRY(vane_slots_join_parameters(slots, record));
  return vane_slots_decide(slots, record);
}

/* Weights, moments and running statistics move, unless the record says skip. */
static vane_status update(vane_trainer *trainer) {
  vane_device *device = trainer->device;
  vane_network *network = trainer->network;
  const vane_adam_memory memory = vane_trainer_adam_memory(trainer);
  if (memory.limits)
    VANE_TRY(
        device->optim.limits(device, &trainer->adam, network->block, &memory, trainer->record));
  VANE_TRY(device->optim.adam(device, &trainer->adam, network->block, &memory, trainer->record));
  if (!trainer->pending)
    return VANE_OK;
  return device->elementwise.follow(device, network->running, trainer->pending,
                                    trainer->config.model_norm_momentum,
                                    vane_trunk_running_count(network->trunk), trainer->record);
}

/* From the uploaded batch to moved weights: the same operations on the same memory in every step,
 * so that the device may record them once. */
static vane_status compute(void *user) {
  vane_trainer *trainer = user;
  VANE_TRY(
      vane_step_gradient(trainer->network, &trainer->slots, trainer->record, trainer->pending));
  return update(trainer);
}

vane_status vane_step_run(vane_trainer *trainer, const vane_batch *batch) {
  vane_device *device = trainer->device;
  VANE_TRY(vane_step_upload(trainer, batch, trainer->record));
  VANE_TRY(device->graph.run(device, &trainer->graph, compute, trainer));
  trainer->step++;
  return vane_probe_due(trainer) ? vane_probe_run(trainer) : VANE_OK;
}
