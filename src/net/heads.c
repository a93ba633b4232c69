#include "net/heads.h"

#include <string.h>

#include "base/error.h"

const char *const vane_loss_names[VANE_N_LOSSES] = {"presence", "angle", "magnitude", "position",
                                                    "regularization"};

static vane_status add_layer(vane_heads *heads, vane_head *head, int k, int64_t f_in, int64_t f_out,
                             bool relu, vane_parameters *parameters) {
  vane_device *device = heads->device;
  int j = head->n_layers;
  vane_dense_desc desc = {.n = heads->n, .f_in = f_in, .f_out = f_out, .relu = relu};
  VANE_TRY(device->dense.plan(device, &desc, &head->plans[j]));
  head->n_layers++;
  if (head->plans[j]->workspace_bytes > heads->workspace_bytes)
    heads->workspace_bytes = head->plans[j]->workspace_bytes;
  vane_parameter weights = {.dims = {f_out, f_in},
                            .n_dims = 2,
                            .init = VANE_INIT_WEIGHTS,
                            .fan_in = f_in,
                            .fan_out = f_out,
                            .gain = relu ? 2 : 1};
  vane_parameter bias = {.dims = {f_out}, .n_dims = 1, .init = VANE_INIT_ZEROS};
  VANE_TRY(vane_parameters_add(parameters, weights, k, true, &head->weights[j],
                               "heads.%s.%d.weight", head->name, j));
  return vane_parameters_add(parameters, bias, k, false, &head->biases[j], "heads.%s.%d.bias",
                             head->name, j);
}

static vane_status add_head(vane_heads *heads, int k, const int64_t *hidden, int64_t n_hidden,
                            int64_t n_outputs, vane_parameters *parameters) {
  vane_head *head = &heads->head[k];
  head->name = vane_loss_names[k];
  head->n_outputs = n_outputs;
  int64_t f_in = heads->features;
  for (int64_t j = 0; j < n_hidden; j++) {
    VANE_TRY(add_layer(heads, head, k, f_in, hidden[j], true, parameters));
    f_in = hidden[j];
  }
  return add_layer(heads, head, k, f_in, n_outputs, false, parameters);
}

vane_status vane_heads_init(vane_heads *heads, vane_device *device, const vane_config *config,
                            int64_t n, int64_t features, bool training,
                            vane_parameters *parameters) {
  heads->device = device;
  heads->n = n;
  heads->features = features;
  heads->training = training;
  int64_t angle_outputs =
      config->model_heads_angle_kind == VANE_ANGLE_BINS ? config->model_heads_angle_bins : 2;
  VANE_TRY(add_head(heads, VANE_LOSS_PRESENCE, config->model_heads_presence_hidden,
                    config->n_model_heads_presence_hidden, 1, parameters));
  VANE_TRY(add_head(heads, VANE_LOSS_ANGLE, config->model_heads_angle_hidden,
                    config->n_model_heads_angle_hidden, angle_outputs, parameters));
  VANE_TRY(add_head(heads, VANE_LOSS_MAGNITUDE, config->model_heads_magnitude_hidden,
                    config->n_model_heads_magnitude_hidden, 1, parameters));
  return add_head(heads, VANE_LOSS_POSITION, config->model_heads_position_hidden,
                  config->n_model_heads_position_hidden, 2, parameters);
}

void vane_heads_finish(vane_heads *heads) {
  for (int k = 0; k < VANE_N_HEADS; k++)
    for (int j = 0; j < heads->head[k].n_layers; j++)
      heads->device->dense.destroy(heads->device, heads->head[k].plans[j]);
  memset(heads, 0, sizeof *heads);
}

vane_status vane_heads_reserve(vane_heads *heads, vane_arena *activations) {
  for (int k = 0; k < VANE_N_HEADS; k++) {
    vane_head *head = &heads->head[k];
    for (int j = 0; j < head->n_layers; j++) {
      size_t bytes = (size_t)(heads->n * head->plans[j]->desc.f_out) * heads->device->real_bytes;
      VANE_TRY(
          vane_arena_reserve(activations, bytes, &head->items[j], "heads.%s.%d", head->name, j));
      VANE_TRY(vane_arena_reserve(activations, heads->training ? bytes : 0,
                                  &head->gradient_items[j], "heads.%s.%d gradient", head->name, j));
    }
  }
  return VANE_OK;
}

void vane_heads_bind(vane_heads *heads, const vane_arena *activations) {
  for (int k = 0; k < VANE_N_HEADS; k++) {
    vane_head *head = &heads->head[k];
    for (int j = 0; j < head->n_layers; j++) {
      head->outputs[j] = vane_arena_at(activations, head->items[j]);
      head->gradients[j] = vane_arena_at(activations, head->gradient_items[j]);
    }
  }
}

void *vane_heads_output(const vane_heads *heads, int k) {
  return heads->head[k].outputs[heads->head[k].n_layers - 1];
}

void *vane_heads_seed(const vane_heads *heads, int k) {
  return heads->head[k].gradients[heads->head[k].n_layers - 1];
}

vane_status vane_heads_forward(vane_heads *heads, const vane_parameters *parameters, void *weights,
                               const void *features) {
  vane_device *device = heads->device;
  for (int k = 0; k < VANE_N_HEADS; k++) {
    vane_head *head = &heads->head[k];
    const void *x = features;
    for (int j = 0; j < head->n_layers; j++) {
      VANE_TRY(device->dense.forward(
          device, head->plans[j], x,
          vane_parameters_at(parameters, device, weights, head->weights[j]),
          vane_parameters_at(parameters, device, weights, head->biases[j]), head->outputs[j]));
      x = head->outputs[j];
    }
  }
  return VANE_OK;
}

vane_status vane_heads_backward(vane_heads *heads, const vane_parameters *parameters, void *weights,
                                const void *features, void *const dfeatures[VANE_N_HEADS],
                                void *gradients) {
  vane_device *device = heads->device;
  for (int k = 0; k < VANE_N_HEADS; k++) {
    vane_head *head = &heads->head[k];
    for (int j = head->n_layers - 1; j >= 0 && dfeatures[k]; j--) {
      const void *x = j ? head->outputs[j - 1] : features;
      void *dx = j ? head->gradients[j - 1] : dfeatures[k];
      VANE_TRY(device->dense.backward(
          device, head->plans[j], x,
          vane_parameters_at(parameters, device, weights, head->weights[j]), head->outputs[j],
          head->gradients[j], dx,
          vane_parameters_at(parameters, device, gradients, head->weights[j]),
          vane_parameters_at(parameters, device, gradients, head->biases[j])));
    }
  }
  return VANE_OK;
}
