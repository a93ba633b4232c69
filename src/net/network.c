#include "net/network.h"

#include <stdlib.h>

#include "base/error.h"

vane_status vane_network_seal(vane_device *device, vane_arena *arena) {
  void *block = NULL;
  /* A block of at least one byte: an empty arena still has an address. */
  size_t bytes = arena->total_bytes ? arena->total_bytes : 1;
  if (device->memory.create(device, bytes, &block) != VANE_OK)
    return vane_error_add_context("%s: %.1f MiB", arena->name, (double)bytes / (1 << 20));
  vane_arena_seal(arena, block);
  return VANE_OK;
}

void vane_network_unseal(vane_device *device, vane_arena *arena) {
  device->memory.destroy(device, arena->block);
  vane_arena_finish(arena);
}

static vane_status plan_layers(vane_network *network, const vane_choices *choices) {
  const vane_config *config = network->config;
  vane_device *device = network->device;
  VANE_TRY(vane_trunk_create(device, config, network->batch / network->n_micro, network->training,
                             choices, &network->parameters, &network->trunk));
  VANE_TRY(vane_heads_init(&network->heads, device, config, network->batch,
                           vane_trunk_features(network->trunk), network->training,
                           &network->parameters));
  vane_losses_init(&network->losses, device, config, network->batch);
  network->log_variances = -1;
  if (config->grad_weighting != VANE_WEIGHTING_UNCERTAINTY)
    return VANE_OK;
  vane_parameter item = {.dims = {VANE_N_HEADS}, .n_dims = 1, .init = VANE_INIT_ZEROS};
  return vane_parameters_add(&network->parameters, item, VANE_SHARED, false,
                             &network->log_variances, "uncertainty.log_variance");
}

/* Every layer planned, every parameter known, and their block with them. */
static vane_status plan(vane_network *network, const vane_choices *choices) {
  vane_device *device = network->device;
  VANE_TRY(plan_layers(network, choices));
  return device->block.plan(device, network->parameters.segments, network->parameters.n,
                            &network->block);
}

static vane_status reserve(vane_network *network) {
  size_t real = network->device->real_bytes;
  const int64_t *input = network->config->model_input;
  size_t pixels = (size_t)(network->batch * input[0] * input[1] * input[2]);
  size_t features = (size_t)(network->batch * vane_trunk_features(network->trunk)) * real;
  size_t workspace = vane_trunk_workspace_bytes(network->trunk);
  if (network->heads.workspace_bytes > workspace)
    workspace = network->heads.workspace_bytes;

  VANE_TRY(vane_arena_reserve(&network->stored, (size_t)network->parameters.total * real,
                              &network->weights_item, "weights"));
  VANE_TRY(vane_arena_reserve(&network->stored,
                              (size_t)vane_trunk_running_count(network->trunk) * real,
                              &network->running_item, "running statistics"));
  VANE_TRY(vane_arena_reserve(&network->stored, network->block->shadow_bytes, &network->shadow_item,
                              "weights as convolutions read them"));
  VANE_TRY(vane_arena_reserve(&network->staging, pixels, &network->pixels_item, "pixels"));
  VANE_TRY(
      vane_arena_reserve(&network->activations, features, &network->features_item, "features"));
  VANE_TRY(vane_trunk_reserve(network->trunk, &network->activations));
  VANE_TRY(vane_heads_reserve(&network->heads, &network->activations));
  VANE_TRY(vane_losses_reserve(&network->losses, &network->staging, &network->activations));
  return vane_arena_reserve(&network->workspace, workspace, &network->workspace_item,
                            "workspace of all layers");
}

size_t vane_network_bytes(const vane_network *network) {
  return network->stored.total_bytes + network->staging.total_bytes +
         network->activations.total_bytes + network->workspace.total_bytes;
}

vane_status vane_network_allocate(vane_network *network) {
  vane_device *device = network->device;
  VANE_TRY(vane_network_seal(device, &network->stored));
  VANE_TRY(vane_network_seal(device, &network->staging));
  VANE_TRY(vane_network_seal(device, &network->activations));
  VANE_TRY(vane_network_seal(device, &network->workspace));
  network->weights = vane_arena_at(&network->stored, network->weights_item);
  if (vane_trunk_running_count(network->trunk))
    network->running = vane_arena_at(&network->stored, network->running_item);
  if (network->block->shadow_bytes)
    network->shadow = vane_arena_at(&network->stored, network->shadow_item);
  network->pixels = vane_arena_at(&network->staging, network->pixels_item);
  network->features = vane_arena_at(&network->activations, network->features_item);
  vane_heads_bind(&network->heads, &network->activations);
  vane_losses_bind(&network->losses, &network->staging, &network->activations);
  device->memory.bind_workspace(device, vane_arena_at(&network->workspace, network->workspace_item),
                                network->workspace.total_bytes);
  VANE_TRY(device->block.bind(device, network->block, network->weights, network->shadow));
  return vane_trunk_bind(network->trunk, &network->activations);
}

vane_status vane_network_create(const vane_config *config, vane_device *device, int64_t batch,
                                int64_t n_micro, bool training, const vane_choices *choices,
                                vane_network **network) {
  *network = NULL;
  vane_network *made = calloc(1, sizeof *made);
  if (!made)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a network");
  made->config = config;
  made->device = device;
  made->batch = batch;
  made->n_micro = n_micro;
  made->training = training;
  vane_parameters_init(&made->parameters);
  vane_arena_init(&made->stored, "parameters");
  vane_arena_init(&made->activations, "activations");
  vane_arena_init(&made->staging, "staging");
  vane_arena_init(&made->workspace, "workspace");
  vane_status status = plan(made, choices);
  if (status == VANE_OK)
    status = reserve(made);
  if (status != VANE_OK) {
    vane_network_destroy(made);
    return status;
  }
  *network = made;
  return VANE_OK;
}

void vane_network_destroy(vane_network *network) {
  if (!network)
    return;
  network->device->block.destroy(network->device, network->block); /* bound to what is freed now */
  vane_network_unseal(network->device, &network->workspace);
  vane_network_unseal(network->device, &network->staging);
  vane_network_unseal(network->device, &network->activations);
  vane_network_unseal(network->device, &network->stored);
  vane_heads_finish(&network->heads);
  vane_trunk_destroy(network->trunk);
  vane_parameters_finish(&network->parameters);
  free(network);
}

static vane_status reset_running(vane_network *network) {
  vane_device *device = network->device;
  int64_t count = vane_trunk_running_count(network->trunk);
  if (!count)
    return VANE_OK;
  float *values = malloc((size_t)count * sizeof *values);
  if (!values)
    return vane_fail(VANE_ERR_MEMORY, "no memory for running statistics");
  for (int64_t j = 0; j < vane_trunk_n_running(network->trunk); j++) {
    char name[64];
    int64_t offset, length;
    float initial;
    vane_trunk_running_at(network->trunk, j, name, &offset, &length, &initial);
    for (int64_t i = 0; i < length; i++)
      values[offset + i] = initial;
  }
  vane_status status = device->memory.put(device, network->running, values, count);
  free(values);
  return status;
}

vane_status vane_network_draw(vane_network *network) {
  const vane_config *config = network->config;
  VANE_TRY(vane_parameters_draw(&network->parameters, network->device, (uint64_t)config->seed,
                                config->model_init, network->weights));
  return reset_running(network);
}

void *vane_network_rows(const vane_network *network, void *features, int64_t m) {
  int64_t rows = network->batch / network->n_micro;
  size_t row_bytes = (size_t)vane_trunk_features(network->trunk) * network->device->real_bytes;
  return (unsigned char *)features + (size_t)(m * rows) * row_bytes;
}

vane_status vane_network_trunk_forward(vane_network *network, int64_t m, const void *running) {
  const int64_t *input = network->config->model_input;
  int64_t images = network->batch / network->n_micro;
  const uint8_t *pixels = network->pixels + m * images * input[0] * input[1] * input[2];
  return vane_trunk_forward(network->trunk, pixels, network->weights, running,
                            vane_network_rows(network, network->features, m));
}

vane_status vane_network_infer(vane_network *network) {
  for (int64_t m = 0; m < network->n_micro; m++)
    VANE_TRY(vane_network_trunk_forward(network, m, network->running));
  return vane_heads_forward(&network->heads, &network->parameters, network->weights,
                            network->features);
}
