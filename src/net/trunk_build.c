/* Layers become operations: every shape, plan and parameter of the trunk is decided here. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "net/trunk_program.h"

static vane_status add_value(vane_trunk *trunk, int64_t h, int64_t w, int64_t c, bool relu,
                             int *value) {
  vane_device *device = trunk->device;
  trunk_value *added = &trunk->values[trunk->n_values];
  VANE_TRY(device->memory.describe(device, trunk->n, h, w, c, &added->tensor, &added->bytes));
  added->relu = relu;
  *value = trunk->n_values++;
  return VANE_OK;
}

static trunk_op *add_op(vane_trunk *trunk, trunk_op_kind kind, int x, const char *name) {
  trunk_op *op = &trunk->ops[trunk->n_ops++];
  *op = (trunk_op){.kind = kind,
                   .x = x,
                   .residual = NONE,
                   .y = NONE,
                   .weight = NONE,
                   .bias = NONE,
                   .dz = NONE,
                   .merge_a = NONE,
                   .merge_b = NONE,
                   .dx = NONE};
  snprintf(op->name, sizeof op->name, "%s", name);
  return op;
}

static vane_status add_vector(vane_trunk *trunk, int64_t count, vane_parameter_init init,
                              const char *prefix, const char *suffix, int64_t *index) {
  vane_parameter item = {.dims = {count}, .n_dims = 1, .init = init};
  return vane_parameters_add(trunk->parameters, item, VANE_SHARED, false, index, "%s.%s", prefix,
                             suffix);
}

typedef struct conv_shape {
  int64_t channels, kernel, stride, padding;
  bool bias, relu;
  double gain; /* of the initial weights */
} conv_shape;

static vane_status add_conv(vane_trunk *trunk, const char *name, int x, int residual,
                            conv_shape shape, int *y) {
  vane_device *device = trunk->device;
  const vane_tensor *in = &trunk->values[x].tensor;
  vane_conv_desc desc = {.n = trunk->n,
                         .h = in->h,
                         .w = in->w,
                         .c_in = in->c,
                         .c_out = shape.channels,
                         .kernel = shape.kernel,
                         .stride = shape.stride,
                         .padding = shape.padding,
                         .bias = shape.bias,
                         .residual = residual != NONE,
                         .relu = shape.relu,
                         .data_gradient = x != 0,
                         .training = trunk->training};
  const char *choice = trunk->choices ? trunk->choices->find(trunk->choices->user, name) : NULL;
  trunk_op *op = add_op(trunk, OP_CONV, x, name);
  if (device->conv.plan(device, &desc, choice, &op->conv) != VANE_OK)
    return vane_error_add_context("%s", name);
  if (op->conv->workspace_bytes > trunk->workspace_bytes)
    trunk->workspace_bytes = op->conv->workspace_bytes;
  op->residual = residual;
  int64_t area = shape.kernel * shape.kernel;
  vane_parameter weights = {.dims = {shape.channels, in->c, shape.kernel, shape.kernel},
                            .n_dims = 4,
                            .init = VANE_INIT_WEIGHTS,
                            .fan_in = in->c * area,
                            .fan_out = shape.channels * area,
                            .gain = shape.gain,
                            .conv = op->conv};
  VANE_TRY(vane_parameters_add(trunk->parameters, weights, VANE_SHARED, true, &op->weight,
                               "%s.weight", name));
  if (shape.bias)
    VANE_TRY(add_vector(trunk, shape.channels, VANE_INIT_ZEROS, name, "bias", &op->bias));
  VANE_TRY(add_value(trunk, op->conv->h_out, op->conv->w_out, shape.channels, shape.relu, y));
  op->y = *y;
  return VANE_OK;
}

static vane_status add_norm(vane_trunk *trunk, const char *name, int x, int residual, bool relu,
                            int *y) {
  vane_device *device = trunk->device;
  const vane_tensor in = trunk->values[x].tensor;
  vane_norm_desc desc = {.n = in.n,
                         .h = in.h,
                         .w = in.w,
                         .c = in.c,
                         .epsilon = trunk->norm_epsilon,
                         .residual = residual != NONE,
                         .relu = relu};
  trunk_op *op = add_op(trunk, OP_NORM, x, name);
  if (device->norm.plan(device, &desc, &op->norm) != VANE_OK)
    return vane_error_add_context("%s", name);
  if (op->norm->workspace_bytes > trunk->workspace_bytes)
    trunk->workspace_bytes = op->norm->workspace_bytes;
  op->residual = residual;
  VANE_TRY(add_vector(trunk, in.c, VANE_INIT_ONES, name, "weight", &op->weight));
  VANE_TRY(add_vector(trunk, in.c, VANE_INIT_ZEROS, name, "bias", &op->bias));
  op->running = trunk->running_count;
  trunk->running_count += 2 * in.c;
  VANE_TRY(add_value(trunk, in.h, in.w, in.c, relu, y));
  op->y = *y;
  return VANE_OK;
}

/* Convolution, then norm where `norm`, then residual and ReLU on whichever comes last. */
static vane_status add_conv_norm(vane_trunk *trunk, const char *conv_name, const char *norm_name,
                                 int x, int residual, conv_shape shape, bool norm, int *y) {
  shape.bias = !norm;
  if (!norm)
    return add_conv(trunk, conv_name, x, residual, shape, y);
  bool relu = shape.relu;
  shape.relu = false;
  VANE_TRY(add_conv(trunk, conv_name, x, NONE, shape, y));
  return add_norm(trunk, norm_name, *y, residual, relu, y);
}

static vane_status add_conv_layer(vane_trunk *trunk, const vane_layer_config *layer, int64_t i,
                                  int x, int *y) {
  char conv[40], norm[40];
  snprintf(conv, sizeof conv, "trunk.%lld.conv", (long long)i);
  snprintf(norm, sizeof norm, "trunk.%lld.norm", (long long)i);
  conv_shape shape = {.channels = layer->channels,
                      .kernel = layer->kernel,
                      .stride = layer->stride,
                      .padding = layer->padding,
                      .relu = layer->relu,
                      .gain = layer->relu ? 2 : 1};
  return add_conv_norm(trunk, conv, norm, x, NONE, shape,
                       layer->norm && trunk->norm_kind == VANE_NORM_BATCH, y);
}

/* y = relu(norm2(conv2(relu(norm1(conv1(x))))) + skip), skip = x or a 1x1 projection of it. */
static vane_status add_block_layer(vane_trunk *trunk, const vane_layer_config *layer, int64_t i,
                                   int x, int *y) {
  char conv1[40], conv2[40], norm1[40], norm2[40], projection[40];
  snprintf(conv1, sizeof conv1, "trunk.%lld.conv1", (long long)i);
  snprintf(norm1, sizeof norm1, "trunk.%lld.norm1", (long long)i);
  snprintf(conv2, sizeof conv2, "trunk.%lld.conv2", (long long)i);
  snprintf(norm2, sizeof norm2, "trunk.%lld.norm2", (long long)i);
  snprintf(projection, sizeof projection, "trunk.%lld.projection", (long long)i);
  bool norm = trunk->norm_kind == VANE_NORM_BATCH;

  int hidden, skip = x;
  conv_shape first = {.channels = layer->channels,
                      .kernel = layer->kernel,
                      .stride = layer->stride,
                      .padding = layer->kernel / 2,
                      .relu = true,
                      .gain = 2};
  VANE_TRY(add_conv_norm(trunk, conv1, norm1, x, NONE, first, norm, &hidden));
  if (layer->stride != 1 || layer->channels != trunk->values[x].tensor.c) {
    conv_shape shape = {.channels = layer->channels,
                        .kernel = 1,
                        .stride = layer->stride,
                        .padding = 0,
                        .bias = true,
                        .relu = false,
                        .gain = 1};
    VANE_TRY(add_conv(trunk, projection, x, NONE, shape, &skip));
  }
  /* Gain 1: the branch joins the skip before the ReLU, which would otherwise double the variance
   * block after block. */
  conv_shape second = {.channels = layer->channels,
                       .kernel = layer->kernel,
                       .stride = 1,
                       .padding = layer->kernel / 2,
                       .relu = true,
                       .gain = 1};
  return add_conv_norm(trunk, conv2, norm2, hidden, skip, second, norm, y);
}

static vane_status add_pool_layer(vane_trunk *trunk, const vane_layer_config *layer, int64_t i,
                                  int x, int *y) {
  vane_device *device = trunk->device;
  const vane_tensor in = trunk->values[x].tensor;
  char name[40];
  snprintf(name, sizeof name, "trunk.%lld.pool", (long long)i);
  vane_pool_desc desc = {.n = in.n,
                         .h = in.h,
                         .w = in.w,
                         .c = in.c,
                         .kernel = layer->kernel,
                         .stride = layer->stride,
                         .padding = layer->padding,
                         .average = layer->kind == VANE_LAYER_AVERAGE_POOL};
  trunk_op *op = add_op(trunk, OP_POOL, x, name);
  if (device->pool.plan(device, &desc, &op->pool) != VANE_OK)
    return vane_error_add_context("%s", name);
  VANE_TRY(add_value(trunk, op->pool->h_out, op->pool->w_out, in.c, false, y));
  op->y = *y;
  return VANE_OK;
}

static vane_status add_relu_layer(vane_trunk *trunk, int64_t i, int x, int *y) {
  const vane_tensor in = trunk->values[x].tensor;
  char name[40];
  snprintf(name, sizeof name, "trunk.%lld.relu", (long long)i);
  trunk_op *op = add_op(trunk, OP_RELU, x, name);
  VANE_TRY(add_value(trunk, in.h, in.w, in.c, true, y));
  op->y = *y;
  return VANE_OK;
}

static void add_end(vane_trunk *trunk, trunk_op_kind kind, int64_t i, int x) {
  const vane_tensor *in = &trunk->values[x].tensor;
  char name[40];
  snprintf(name, sizeof name, "trunk.%lld.%s", (long long)i,
           kind == OP_FLATTEN ? "flatten" : "global_pool");
  add_op(trunk, kind, x, name);
  trunk->features = kind == OP_FLATTEN ? in->h * in->w * in->c : in->c;
}

vane_status vane_trunk_build(vane_trunk *trunk, const vane_config *config) {
  int x;
  VANE_TRY(add_value(trunk, config->model_input[0], config->model_input[1], config->model_input[2],
                     false, &x));
  for (int64_t i = 0; i < config->n_model_trunk; i++) {
    const vane_layer_config *layer = &config->model_trunk[i];
    switch (layer->kind) {
    case VANE_LAYER_CONV:
      VANE_TRY(add_conv_layer(trunk, layer, i, x, &x));
      break;
    case VANE_LAYER_BLOCK:
      VANE_TRY(add_block_layer(trunk, layer, i, x, &x));
      break;
    case VANE_LAYER_MAX_POOL:
    case VANE_LAYER_AVERAGE_POOL:
      VANE_TRY(add_pool_layer(trunk, layer, i, x, &x));
      break;
    case VANE_LAYER_RELU:
      VANE_TRY(add_relu_layer(trunk, i, x, &x));
      break;
    case VANE_LAYER_GLOBAL_POOL:
      add_end(trunk, OP_GLOBAL_POOL, i, x);
      break;
    case VANE_LAYER_FLATTEN:
      add_end(trunk, OP_FLATTEN, i, x);
      break;
    case VANE_N_LAYER_KINDS:
      break;
    }
  }
  return VANE_OK;
}
