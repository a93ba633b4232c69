#include "net/trunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/trunk_program.h"

/* A block adds the most: two convolutions, two norms and a projection, each with its value. */
#define MAX_OPS_PER_LAYER 5

static void read_channel_scaling(vane_trunk *trunk, const vane_config *config) {
  for (int c = 0; c < 4; c++) {
    trunk->mean[c] = c < config->n_data_mean ? (float)config->data_mean[c] : 0.0f;
    trunk->inv_std[c] = c < config->n_data_std ? (float)(1.0 / config->data_std[c]) : 1.0f;
  }
}

vane_status vane_trunk_create(vane_device *device, const vane_config *config, int64_t n,
                              bool training, const vane_choices *choices,
                              vane_parameters *parameters, vane_trunk **trunk) {
  *trunk = NULL;
  vane_trunk *made = calloc(1, sizeof *made);
  size_t most = (size_t)config->n_model_trunk * MAX_OPS_PER_LAYER + 1;
  if (made) {
    made->values = calloc(most, sizeof *made->values);
    made->ops = calloc(most, sizeof *made->ops);
  }
  if (!made || !made->values || !made->ops) {
    vane_trunk_destroy(made);
    return vane_fail(VANE_ERR_MEMORY, "no memory for the trunk's program");
  }
  made->device = device;
  made->parameters = parameters;
  made->n = n;
  made->training = training;
  made->norm_kind = config->model_norm;
  made->norm_epsilon = config->model_norm_epsilon;
  if (choices && strcmp(choices->device, device->name) == 0)
    made->choices = choices;
  read_channel_scaling(made, config);
  vane_status status = vane_trunk_build(made, config);
  made->choices = NULL;
  if (status == VANE_OK && training)
    status = vane_trunk_plan_backward(made);
  if (status != VANE_OK) {
    vane_trunk_destroy(made);
    return status;
  }
  *trunk = made;
  return VANE_OK;
}

void vane_trunk_destroy(vane_trunk *trunk) {
  if (!trunk)
    return;
  for (int i = 0; i < trunk->n_ops; i++) {
    vane_device *device = trunk->device;
    device->conv.destroy(device, trunk->ops[i].conv);
    device->norm.destroy(device, trunk->ops[i].norm);
    device->pool.destroy(device, trunk->ops[i].pool);
  }
  free(trunk->ops);
  free(trunk->values);
  free(trunk);
}

int64_t vane_trunk_features(const vane_trunk *trunk) {
  return trunk->features;
}

size_t vane_trunk_workspace_bytes(const vane_trunk *trunk) {
  return trunk->workspace_bytes;
}

vane_status vane_trunk_reserve(vane_trunk *trunk, vane_arena *activations) {
  size_t real = trunk->device->real_bytes;
  VANE_TRY(vane_arena_reserve(activations, 4 * real, &trunk->mean_item, "image mean"));
  VANE_TRY(vane_arena_reserve(activations, 4 * real, &trunk->inv_std_item, "image 1/std"));
  VANE_TRY(
      vane_arena_reserve(activations, trunk->values[0].bytes, &trunk->values[0].item, "image"));
  for (int i = 0; i < trunk->n_ops; i++) {
    trunk_op *op = &trunk->ops[i];
    if (op->y != NONE)
      VANE_TRY(vane_arena_reserve(activations, trunk->values[op->y].bytes,
                                  &trunk->values[op->y].item, "%s", op->name));
    /* Without training nobody reads it, but pool.forward still writes its index. */
    size_t saved = op->norm   ? (size_t)(2 * op->norm->desc.c) * real
                   : op->pool ? op->pool->index_bytes
                              : 0;
    VANE_TRY(vane_arena_reserve(activations, saved, &op->saved_item, "%s.saved", op->name));
  }
  for (int i = 0; i < trunk->n_slots; i++)
    VANE_TRY(vane_arena_reserve(activations, trunk->slots[i].bytes, &trunk->slots[i].item,
                                "trunk gradient %d", i));
  return VANE_OK;
}

vane_status vane_trunk_bind(vane_trunk *trunk, const vane_arena *activations) {
  vane_device *device = trunk->device;
  for (int i = 0; i < trunk->n_values; i++)
    trunk->values[i].tensor.data = vane_arena_at(activations, trunk->values[i].item);
  for (int i = 0; i < trunk->n_ops; i++)
    trunk->ops[i].saved = vane_arena_at(activations, trunk->ops[i].saved_item);
  for (int i = 0; i < trunk->n_slots; i++)
    trunk->slots[i].data = vane_arena_at(activations, trunk->slots[i].item);
  trunk->mean_reals = vane_arena_at(activations, trunk->mean_item);
  trunk->inv_std_reals = vane_arena_at(activations, trunk->inv_std_item);
  VANE_TRY(device->memory.put(device, trunk->mean_reals, trunk->mean, 4));
  return device->memory.put(device, trunk->inv_std_reals, trunk->inv_std, 4);
}

static const trunk_op *nth_op(const vane_trunk *trunk, trunk_op_kind kind, int64_t j) {
  for (int i = 0; i < trunk->n_ops; i++)
    if (trunk->ops[i].kind == kind && j-- == 0)
      return &trunk->ops[i];
  return NULL;
}

static int64_t count_ops(const vane_trunk *trunk, trunk_op_kind kind) {
  int64_t count = 0;
  for (int i = 0; i < trunk->n_ops; i++)
    count += trunk->ops[i].kind == kind;
  return count;
}

int64_t vane_trunk_running_count(const vane_trunk *trunk) {
  return trunk->running_count;
}

int64_t vane_trunk_n_running(const vane_trunk *trunk) {
  return 2 * count_ops(trunk, OP_NORM);
}

void vane_trunk_running_at(const vane_trunk *trunk, int64_t j, char name[64], int64_t *offset,
                           int64_t *count, float *initial) {
  const trunk_op *op = nth_op(trunk, OP_NORM, j / 2);
  bool variance = j % 2;
  snprintf(name, 64, "%s.%s", op->name, variance ? "running_var" : "running_mean");
  *count = op->norm->desc.c;
  *offset = op->running + (variance ? *count : 0);
  *initial = variance ? 1.0f : 0.0f;
}

int64_t vane_trunk_n_convolutions(const vane_trunk *trunk) {
  return count_ops(trunk, OP_CONV);
}

void vane_trunk_convolution_at(const vane_trunk *trunk, int64_t j, const char **name,
                               const char **choice) {
  const trunk_op *op = nth_op(trunk, OP_CONV, j);
  *name = op->name;
  *choice = op->conv->choice;
}

static void *parameter(const vane_trunk *trunk, void *block, int64_t index) {
  return index == NONE ? NULL : vane_parameters_at(trunk->parameters, trunk->device, block, index);
}

static const vane_tensor *tensor(const vane_trunk *trunk, int value) {
  return value == NONE ? NULL : &trunk->values[value].tensor;
}

static vane_status forward_op(const vane_trunk *trunk, const trunk_op *op, void *weights,
                              const void *running, void *features) {
  vane_device *device = trunk->device;
  const vane_tensor *x = tensor(trunk, op->x), *y = tensor(trunk, op->y);
  const vane_tensor *residual = tensor(trunk, op->residual);
  const void *weight = parameter(trunk, weights, op->weight);
  const void *bias = parameter(trunk, weights, op->bias);
  switch (op->kind) {
  case OP_CONV:
    return device->conv.forward(device, op->conv, x, weight, bias, residual, y);
  case OP_NORM:
    if (!running)
      return device->norm.forward(device, op->norm, x, weight, bias, residual, op->saved, y);
    return device->norm.infer(
        device, op->norm, x, weight, bias, residual,
        (const unsigned char *)running + (size_t)op->running * device->real_bytes, y);
  case OP_POOL:
    return device->pool.forward(device, op->pool, x, y, op->saved);
  case OP_RELU:
    return device->elementwise.relu(device, x, y);
  case OP_GLOBAL_POOL:
    return device->pool.global_forward(device, x, features);
  case OP_FLATTEN:
    return device->pool.flatten_forward(device, x, features);
  }
  return VANE_OK;
}

vane_status vane_trunk_forward(vane_trunk *trunk, const uint8_t *pixels, void *weights,
                               const void *running, void *features) {
  vane_device *device = trunk->device;
  VANE_TRY(device->elementwise.input(device, pixels, trunk->mean_reals, trunk->inv_std_reals,
                                     &trunk->values[0].tensor));
  for (int i = 0; i < trunk->n_ops; i++)
    VANE_TRY(forward_op(trunk, &trunk->ops[i], weights, running, features));
  return VANE_OK;
}

/* A gradient slot seen as the gradient of `value`. */
static vane_tensor gradient_of(const vane_trunk *trunk, int value, int slot) {
  vane_tensor view = trunk->values[value].tensor;
  view.data = slot == NONE ? NULL : trunk->slots[slot].data;
  return view;
}

static vane_status merge_parts(const vane_trunk *trunk, const trunk_op *op, const vane_tensor *dz) {
  vane_device *device = trunk->device;
  const trunk_value *y = &trunk->values[op->y];
  vane_tensor a = gradient_of(trunk, op->y, op->merge_a);
  vane_tensor b = gradient_of(trunk, op->y, op->merge_b);
  return device->elementwise.merge(device, dz, y->relu ? &y->tensor : NULL, &a,
                                   op->merge_b == NONE ? NULL : &b);
}

static vane_status backward_op(const vane_trunk *trunk, const trunk_op *op, void *weights,
                               const void *dfeatures, void *gradients) {
  vane_device *device = trunk->device;
  const vane_tensor *x = tensor(trunk, op->x);
  vane_tensor dx = gradient_of(trunk, op->x, op->dx);
  if (op->kind == OP_GLOBAL_POOL)
    return device->pool.global_backward(device, dfeatures, &dx);
  if (op->kind == OP_FLATTEN)
    return device->pool.flatten_backward(device, dfeatures, &dx);

  vane_tensor dz = gradient_of(trunk, op->y, op->dz);
  if (op->merge_a != NONE)
    VANE_TRY(merge_parts(trunk, op, &dz));
  const void *weight = parameter(trunk, weights, op->weight);
  void *dweight = parameter(trunk, gradients, op->weight);
  void *dbias = parameter(trunk, gradients, op->bias);
  switch (op->kind) {
  case OP_CONV:
    VANE_TRY(device->conv.backward_weights(device, op->conv, x, &dz, dweight, dbias));
    if (op->dx == NONE)
      return VANE_OK;
    return device->conv.backward_data(device, op->conv, weight, &dz, &dx);
  case OP_NORM:
    return device->norm.backward(device, op->norm, x, weight, op->saved, &dz, &dx, dweight, dbias);
  case OP_POOL:
    if (op->dx == NONE)
      return VANE_OK;
    return device->pool.backward(device, op->pool, &dz, op->saved, &dx);
  default: /* OP_RELU: the mask was its gradient */
    return VANE_OK;
  }
}

vane_status vane_trunk_backward(vane_trunk *trunk, void *weights, const void *dfeatures,
                                void *gradients) {
  for (int i = trunk->n_ops - 1; i >= 0; i--)
    VANE_TRY(backward_op(trunk, &trunk->ops[i], weights, dfeatures, gradients));
  return VANE_OK;
}

vane_status vane_trunk_track(vane_trunk *trunk, double keep, double share, void *pending) {
  vane_device *device = trunk->device;
  for (int i = 0; i < trunk->n_ops; i++) {
    const trunk_op *op = &trunk->ops[i];
    if (op->kind != OP_NORM)
      continue;
    void *statistics = (unsigned char *)pending + (size_t)op->running * device->real_bytes;
    VANE_TRY(device->norm.track(device, op->norm, op->saved, keep, share, statistics));
  }
  return VANE_OK;
}

vane_status vane_trunk_describe(const vane_trunk *trunk, char **text) {
  size_t bytes = 0;
  FILE *stream = open_memstream(text, &bytes);
  if (!stream)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the description of the trunk");
  for (int i = 0; i < trunk->n_ops; i++) {
    const trunk_op *op = &trunk->ops[i];
    if (op->y == NONE) {
      fprintf(stream, "%-24s %lld features\n", op->name, (long long)trunk->features);
      continue;
    }
    const vane_tensor *y = tensor(trunk, op->y);
    char shape[64];
    snprintf(shape, sizeof shape, "%lldx%lldx%lld", (long long)y->h, (long long)y->w,
             (long long)y->c);
    fprintf(stream, "%-24s %-14s%s%s\n", op->name, shape, op->conv ? " " : "",
            op->conv ? op->conv->choice : "");
  }
  if (fclose(stream) != 0)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the description of the trunk");
  return VANE_OK;
}
