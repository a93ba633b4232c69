#include "net/heads.h"

#include <string.h>

#include "base/error.h"

/* ---- Shapes and parameters ------------------------------------------------------------------- */

static void shape_head(vane_heads *heads, int k, const int64_t *hidden, int64_t n_hidden,
                       int64_t n_outputs) {
  vane_head *head = &heads->head[k];
  head->name = vane_loss_names[k];
  head->n_outputs = n_outputs;
  head->n_layers = (int)n_hidden + 1;
  int64_t f_in = heads->features;
  for (int j = 0; j < head->n_layers; j++) {
    head->layers[j].f_in = f_in;
    head->layers[j].f_out = j < n_hidden ? hidden[j] : n_outputs;
    f_in = head->layers[j].f_out;
  }
}

static void shape_heads(vane_heads *heads, const vane_config *config) {
  int64_t angle_outputs =
      config->model_heads_angle_kind == VANE_ANGLE_BINS ? config->model_heads_angle_bins : 2;
  shape_head(heads, VANE_LOSS_PRESENCE, config->model_heads_presence_hidden,
             config->n_model_heads_presence_hidden, 1);
  shape_head(heads, VANE_LOSS_ANGLE, config->model_heads_angle_hidden,
             config->n_model_heads_angle_hidden, angle_outputs);
  shape_head(heads, VANE_LOSS_MAGNITUDE, config->model_heads_magnitude_hidden,
             config->n_model_heads_magnitude_hidden, 1);
  shape_head(heads, VANE_LOSS_POSITION, config->model_heads_position_hidden,
             config->n_model_heads_position_hidden, 2);
}

/* First layers are joined where they have a ReLU, where their loss takes part (the joint layer's
 * weight gradient wants all of its columns), and where the next one's parameters can follow without
 * a gap: segments are aligned. One alone is no joint layer. */
static void join_heads(vane_heads *heads, const vane_config *config) {
  int n_joined = 0;
  int64_t width = 0;
  for (int k = 0; k < VANE_N_HEADS; k++) {
    vane_head *head = &heads->head[k];
    int64_t f_out = head->layers[0].f_out;
    head->joined =
        head->n_layers > 1 && f_out % VANE_SEGMENT_ALIGNMENT == 0 && vane_loss_active(config, k);
    head->column = width;
    width += head->joined ? f_out : 0;
    n_joined += head->joined;
  }
  for (int k = 0; k < VANE_N_HEADS && n_joined < 2; k++)
    heads->head[k].joined = false;
  if (n_joined > 1)
    heads->joint = (vane_head_layer){.f_in = heads->features, .f_out = width};
}

/* Adds a layer's weights or its bias. `draw`: see add_parameters. */
static vane_status add_parameter(vane_heads *heads, int k, int j, bool bias, int64_t draw,
                                 vane_parameters *parameters) {
  const vane_head *head = &heads->head[k];
  vane_head_layer *layer = &heads->head[k].layers[j];
  int64_t *index = bias ? &layer->biases : &layer->weights;
  bool relu = j < head->n_layers - 1;
  vane_parameter item = {.dims = {layer->f_out, layer->f_in},
                         .n_dims = 2,
                         .init = VANE_INIT_WEIGHTS,
                         .fan_in = layer->f_in,
                         .fan_out = layer->f_out,
                         .gain = relu ? 2 : 1};
  if (bias)
    item = (vane_parameter){.dims = {layer->f_out}, .n_dims = 1, .init = VANE_INIT_ZEROS};
  VANE_TRY(vane_parameters_add(parameters, item, k, !bias, index, "heads.%s.%d.%s", head->name, j,
                               bias ? "bias" : "weight"));
  parameters->items[*index].draw = draw;
  return VANE_OK;
}

/* The joint layer's weights, then its biases, then the rest head by head. Initial values do not
 * depend on what is joined: they are drawn as if all lay head by head. */
static vane_status add_parameters(vane_heads *heads, vane_parameters *parameters) {
  int64_t first = parameters->n, draw[VANE_N_HEADS + 1] = {first};
  for (int k = 0; k < VANE_N_HEADS; k++)
    draw[k + 1] = draw[k] + 2 * heads->head[k].n_layers;
  for (int bias = 0; bias <= 1; bias++)
    for (int k = 0; k < VANE_N_HEADS; k++)
      if (heads->head[k].joined)
        VANE_TRY(add_parameter(heads, k, 0, bias, draw[k] + bias, parameters));
  for (int k = 0; k < VANE_N_HEADS; k++)
    for (int j = heads->head[k].joined ? 1 : 0; j < heads->head[k].n_layers; j++) {
      VANE_TRY(add_parameter(heads, k, j, false, draw[k] + 2 * j, parameters));
      VANE_TRY(add_parameter(heads, k, j, true, draw[k] + 2 * j + 1, parameters));
    }
  for (int k = VANE_N_HEADS - 1; k >= 0; k--)
    if (heads->head[k].joined) {
      heads->joint.weights = heads->head[k].layers[0].weights;
      heads->joint.biases = heads->head[k].layers[0].biases;
    }
  return VANE_OK;
}

/* ---- Plans ----------------------------------------------------------------------------------- */

static vane_status plan_layer(vane_heads *heads, vane_head_layer *layer, vane_dense_desc desc) {
  desc.n = heads->n;
  desc.f_in = layer->f_in;
  desc.f_out = layer->f_out;
  VANE_TRY(heads->device->dense.plan(heads->device, &desc, &layer->plan));
  if (layer->plan->workspace_bytes > heads->workspace_bytes)
    heads->workspace_bytes = layer->plan->workspace_bytes;
  return VANE_OK;
}

/* The joint layer: as it is run forwards, and its part of each head as it is run backwards. */
static vane_status plan_joint(vane_heads *heads) {
  const vane_dense_desc desc = {.forward = true, .backward_weights = heads->training, .relu = true};
  const vane_dense_desc part = {.backward_data = true, .y_stride = heads->joint.f_out};
  VANE_TRY(plan_layer(heads, &heads->joint, desc));
  for (int k = 0; k < VANE_N_HEADS && heads->training; k++)
    if (heads->head[k].joined)
      VANE_TRY(plan_layer(heads, &heads->head[k].layers[0], part));
  return VANE_OK;
}

/* All layers but a first one that is joined. */
static vane_status plan_head(vane_heads *heads, vane_head *head) {
  for (int j = head->joined ? 1 : 0; j < head->n_layers; j++) {
    bool relu = j < head->n_layers - 1, part = head->joined && j == 1;
    const vane_dense_desc desc = {.forward = true,
                                  .backward_data = heads->training,
                                  .backward_weights = heads->training,
                                  .relu = relu,
                                  .x_relu = j > 0 && !part,
                                  .x_stride = part ? heads->joint.f_out : 0};
    VANE_TRY(plan_layer(heads, &head->layers[j], desc));
  }
  return VANE_OK;
}

vane_status vane_heads_init(vane_heads *heads, vane_device *device, const vane_config *config,
                            int64_t n, int64_t features, bool training,
                            vane_parameters *parameters) {
  heads->device = device;
  heads->n = n;
  heads->features = features;
  heads->training = training;
  shape_heads(heads, config);
  join_heads(heads, config);
  VANE_TRY(add_parameters(heads, parameters));
  if (heads->joint.f_out)
    VANE_TRY(plan_joint(heads));
  for (int k = 0; k < VANE_N_HEADS; k++)
    VANE_TRY(plan_head(heads, &heads->head[k]));
  return VANE_OK;
}

void vane_heads_finish(vane_heads *heads) {
  vane_device *device = heads->device;
  for (int k = 0; k < VANE_N_HEADS; k++)
    for (int j = 0; j < heads->head[k].n_layers; j++)
      device->dense.destroy(device, heads->head[k].layers[j].plan);
  if (device)
    device->dense.destroy(device, heads->joint.plan);
  memset(heads, 0, sizeof *heads);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static vane_status reserve_layer(const vane_heads *heads, vane_head_layer *layer, const char *name,
                                 int j, vane_arena *activations) {
  size_t bytes = (size_t)(heads->n * layer->f_out) * heads->device->real_bytes;
  VANE_TRY(vane_arena_reserve(activations, bytes, &layer->output_item, "heads.%s.%d", name, j));
  return vane_arena_reserve(activations, heads->training ? bytes : 0, &layer->gradient_item,
                            "heads.%s.%d gradient", name, j);
}

vane_status vane_heads_reserve(vane_heads *heads, vane_arena *activations) {
  if (heads->joint.f_out)
    VANE_TRY(reserve_layer(heads, &heads->joint, "joint", 0, activations));
  for (int k = 0; k < VANE_N_HEADS; k++) {
    vane_head *head = &heads->head[k];
    for (int j = head->joined ? 1 : 0; j < head->n_layers; j++)
      VANE_TRY(reserve_layer(heads, &head->layers[j], head->name, j, activations));
  }
  return VANE_OK;
}

static void bind_layer(vane_head_layer *layer, const vane_arena *activations) {
  layer->output = vane_arena_at(activations, layer->output_item);
  layer->gradient = vane_arena_at(activations, layer->gradient_item);
}

static void *column_of(const vane_heads *heads, void *matrix, int64_t column) {
  return (unsigned char *)matrix + (size_t)column * heads->device->real_bytes;
}

void vane_heads_bind(vane_heads *heads, const vane_arena *activations) {
  if (heads->joint.f_out)
    bind_layer(&heads->joint, activations);
  for (int k = 0; k < VANE_N_HEADS; k++) {
    vane_head *head = &heads->head[k];
    for (int j = head->joined ? 1 : 0; j < head->n_layers; j++)
      bind_layer(&head->layers[j], activations);
    if (head->joined) {
      head->layers[0].output = column_of(heads, heads->joint.output, head->column);
      head->layers[0].gradient = column_of(heads, heads->joint.gradient, head->column);
    }
  }
}

void *vane_heads_output(const vane_heads *heads, int k) {
  return heads->head[k].layers[heads->head[k].n_layers - 1].output;
}

void *vane_heads_seed(const vane_heads *heads, int k) {
  return heads->head[k].layers[heads->head[k].n_layers - 1].gradient;
}

/* ---- Passes ---------------------------------------------------------------------------------- */

/* The block of weights or gradients that a pass works on. */
typedef struct parameter_block {
  const vane_parameters *parameters;
  const vane_device *device;
  void *block;
} parameter_block;

static void *at(const parameter_block *block, int64_t i) {
  return vane_parameters_at(block->parameters, block->device, block->block, i);
}

static vane_status forward_layer(vane_heads *heads, const vane_head_layer *layer, const void *x,
                                 const parameter_block *weights) {
  return heads->device->dense.forward(heads->device, layer->plan, x, at(weights, layer->weights),
                                      at(weights, layer->biases), layer->output);
}

vane_status vane_heads_forward(vane_heads *heads, const vane_parameters *parameters, void *weights,
                               const void *features) {
  const parameter_block block = {parameters, heads->device, weights};
  if (heads->joint.f_out)
    VANE_TRY(forward_layer(heads, &heads->joint, features, &block));
  for (int k = 0; k < VANE_N_HEADS; k++) {
    const vane_head *head = &heads->head[k];
    for (int j = head->joined ? 1 : 0; j < head->n_layers; j++)
      VANE_TRY(forward_layer(heads, &head->layers[j], j ? head->layers[j - 1].output : features,
                             &block));
  }
  return VANE_OK;
}

static vane_status backward_weights(vane_heads *heads, const vane_head_layer *layer, const void *x,
                                    const parameter_block *gradients) {
  return heads->device->dense.backward_weights(heads->device, layer->plan, x, layer->gradient,
                                               at(gradients, layer->weights),
                                               at(gradients, layer->biases));
}

/* `below`: the layer that made x, NULL for the features. */
static vane_status backward_data(vane_heads *heads, const vane_head_layer *layer,
                                 const vane_head_layer *below, const parameter_block *weights,
                                 void *dx) {
  return heads->device->dense.backward_data(heads->device, layer->plan, at(weights, layer->weights),
                                            layer->gradient, below ? below->output : NULL, dx);
}

/* All layers of a head, but for a first one that is joined. */
static vane_status backward_head(vane_heads *heads, const vane_head *head, const void *features,
                                 const parameter_block *weights, const parameter_block *gradients,
                                 void *dfeatures) {
  for (int j = head->n_layers - 1; j >= (head->joined ? 1 : 0); j--) {
    const vane_head_layer *layer = &head->layers[j];
    const vane_head_layer *below = j ? &head->layers[j - 1] : NULL;
    VANE_TRY(backward_weights(heads, layer, below ? below->output : features, gradients));
    VANE_TRY(backward_data(heads, layer, below, weights, below ? below->gradient : dfeatures));
  }
  return VANE_OK;
}

/* Once every head has put its columns of the gradient there. The ReLU is seen to for all of them at
 * once. */
static vane_status backward_joint(vane_heads *heads, const void *features,
                                  const parameter_block *weights, const parameter_block *gradients,
                                  void *const dfeatures[VANE_N_HEADS]) {
  const vane_head_layer *joint = &heads->joint;
  VANE_TRY(heads->device->dense.mask(heads->device, joint->plan, joint->output, joint->gradient));
  VANE_TRY(backward_weights(heads, joint, features, gradients));
  for (int k = 0; k < VANE_N_HEADS; k++)
    if (heads->head[k].joined)
      VANE_TRY(backward_data(heads, &heads->head[k].layers[0], NULL, weights, dfeatures[k]));
  return VANE_OK;
}

vane_status vane_heads_backward(vane_heads *heads, const vane_parameters *parameters, void *weights,
                                const void *features, void *const dfeatures[VANE_N_HEADS],
                                void *gradients) {
  const parameter_block weights_block = {parameters, heads->device, weights};
  const parameter_block gradients_block = {parameters, heads->device, gradients};
  for (int k = 0; k < VANE_N_HEADS; k++)
    if (dfeatures[k])
      VANE_TRY(backward_head(heads, &heads->head[k], features, &weights_block, &gradients_block,
                             dfeatures[k]));
  if (!heads->joint.f_out)
    return VANE_OK;
  return backward_joint(heads, features, &weights_block, &gradients_block, dfeatures);
}
