/* What concerns several keys at once. */
#include <inttypes.h>

#include "base/error.h"
#include "config/config.h"
#include "config/layers.h"

typedef struct image_size {
  int64_t h, w, c;
} image_size;

/* floor((h + 2p - k)/s) + 1 as in (N1); not above 0 where the window does not fit. */
static int64_t window_count(int64_t size, const vane_layer_config *layer) {
  int64_t room = size + 2 * layer->padding - layer->kernel;
  return room < 0 ? 0 : room / layer->stride + 1;
}

static vane_status slide_window(const vane_layer_config *layer, image_size *size) {
  image_size next = {window_count(size->h, layer), window_count(size->w, layer),
                     layer->channels > 0 ? layer->channels : size->c};
  if (next.h < 1 || next.w < 1)
    return vane_fail(VANE_ERR_CONFIG,
                     "a window of %" PRId64 " does not fit into %" PRId64 "x%" PRId64
                     " pixels; take a smaller kernel or fewer strides before",
                     layer->kernel, size->h, size->w);
  *size = next;
  return VANE_OK;
}

static vane_status check_block(const vane_layer_config *layer, image_size *size) {
  if (layer->kernel % 2 == 0)
    return vane_fail(VANE_ERR_CONFIG, "a block's kernel must be odd, found %" PRId64,
                     layer->kernel);
  vane_layer_config first = *layer;
  first.padding = layer->kernel / 2;
  return slide_window(&first, size);
}

static vane_status check_pool(const vane_layer_config *layer, image_size *size) {
  if (layer->padding > layer->kernel / 2)
    return vane_fail(VANE_ERR_CONFIG,
                     "padding %" PRId64 " is more than half the kernel of %" PRId64, layer->padding,
                     layer->kernel);
  return slide_window(layer, size);
}

/* Moves `size` from the layer's input to its output. */
static vane_status check_layer(const vane_layer_config *layer, bool last, image_size *size) {
  bool makes_features = layer->kind == VANE_LAYER_GLOBAL_POOL || layer->kind == VANE_LAYER_FLATTEN;
  if (makes_features != last)
    return vane_fail(VANE_ERR_CONFIG, last ? "the last layer must be global_pool or flatten"
                                           : "only the last layer may be global_pool or flatten");
  switch (layer->kind) {
  case VANE_LAYER_CONV:
    return slide_window(layer, size);
  case VANE_LAYER_BLOCK:
    return check_block(layer, size);
  case VANE_LAYER_MAX_POOL:
  case VANE_LAYER_AVERAGE_POOL:
    return check_pool(layer, size);
  case VANE_LAYER_GLOBAL_POOL:
  case VANE_LAYER_FLATTEN:
  case VANE_LAYER_RELU:
  case VANE_N_LAYER_KINDS:
    break;
  }
  return VANE_OK;
}

static vane_status check_trunk(const vane_config *config) {
  if (config->n_model_trunk == 0)
    return vane_fail(VANE_ERR_CONFIG,
                     "model.trunk: no layers given; write a list that ends in global_pool or "
                     "flatten");
  image_size size = {config->model_input[0], config->model_input[1], config->model_input[2]};
  for (int64_t i = 0; i < config->n_model_trunk; i++) {
    const vane_layer_config *layer = &config->model_trunk[i];
    if (check_layer(layer, i == config->n_model_trunk - 1, &size) != VANE_OK)
      return vane_error_add_context("model.trunk[%" PRId64 "].%s", i, vane_layer_name(layer->kind));
  }
  return VANE_OK;
}

static vane_status check_model(const vane_config *config) {
  if (config->n_model_input != 3)
    return vane_fail(VANE_ERR_CONFIG,
                     "model.input: wants [height, width, channels], found %" PRId64 " numbers",
                     config->n_model_input);
  if (config->n_model_heads_position_offset % 2 != 0)
    return vane_fail(VANE_ERR_CONFIG, "model.heads.position.offset: wants [x, y], found 1 number");
  return check_trunk(config);
}

static vane_status check_per_channel(const vane_config *config, const char *key, int64_t n) {
  int64_t channels = config->model_input[2];
  if (n != 0 && n != channels)
    return vane_fail(VANE_ERR_CONFIG,
                     "%s: %" PRId64 " numbers for %" PRId64 " channels of model.input; give one "
                     "each or none",
                     key, n, channels);
  return VANE_OK;
}

/* `half` is "train" or "test". */
static vane_status check_source(const char *half, int source, const char *path, int64_t count) {
  bool needs_path =
      source == VANE_SOURCE_TFRECORD || source == VANE_SOURCE_IMAGES || source == VANE_SOURCE_IDX;
  if (needs_path && *path == '\0')
    return vane_fail(VANE_ERR_CONFIG,
                     "data.%s.path: is empty, but data.%s.source reads files; name them", half,
                     half);
  if (source == VANE_SOURCE_SCENES && count == 0)
    return vane_fail(VANE_ERR_CONFIG, "data.%s.count: drawn scenes need a number of examples",
                     half);
  return VANE_OK;
}

static vane_status check_passed_over(const vane_config *config) {
  const int64_t *entry = config->data_train_passed_over;
  int64_t n = config->n_data_train_passed_over, end = -1;
  if (n % 2 != 0)
    return vane_fail(VANE_ERR_CONFIG,
                     "data.train.passed_over: wants [first, count, ...], found %" PRId64 " numbers",
                     n);
  for (int64_t i = 0; i < n; i += 2) {
    if (entry[i] <= end || entry[i + 1] < 1)
      return vane_fail(VANE_ERR_CONFIG,
                       "data.train.passed_over: %" PRId64 " records from place %" PRId64
                       " on do not come behind the entry before with one at least between",
                       entry[i + 1], entry[i]);
    end = entry[i] + entry[i + 1];
  }
  return VANE_OK;
}

static vane_status check_data(const vane_config *config) {
  VANE_TRY(check_per_channel(config, "data.mean", config->n_data_mean));
  VANE_TRY(check_per_channel(config, "data.std", config->n_data_std));
  VANE_TRY(check_passed_over(config));
  VANE_TRY(check_source("train", config->data_train_source, config->data_train_path,
                        config->data_train_count));
  return check_source("test", config->data_test_source, config->data_test_path,
                      config->data_test_count);
}

static vane_status check_train(const vane_config *config) {
  if (config->train_batch % config->train_accumulate != 0)
    return vane_fail(VANE_ERR_CONFIG,
                     "train.accumulate: %" PRId64 " does not divide train.batch %" PRId64,
                     config->train_accumulate, config->train_batch);
  if (config->loss_weights_presence <= 0 && config->loss_weights_angle <= 0 &&
      config->loss_weights_magnitude <= 0 && config->loss_weights_position <= 0)
    return vane_fail(VANE_ERR_CONFIG,
                     "loss.weights: presence, angle, magnitude and position are all 0; nothing "
                     "would be learned");
  return VANE_OK;
}

static vane_status check_schedule(const vane_config *config) {
  bool has_end = config->optim_schedule == VANE_SCHEDULE_COSINE ||
                 config->optim_schedule == VANE_SCHEDULE_LINEAR;
  if (config->optim_warmup > config->train_steps)
    return vane_fail(VANE_ERR_CONFIG,
                     "optim.warmup: %" PRId64 " steps do not fit into train.steps %" PRId64,
                     config->optim_warmup, config->train_steps);
  if (has_end && config->optim_lr_final > config->optim_lr)
    return vane_fail(VANE_ERR_CONFIG, "optim.lr_final: %g is above optim.lr %g",
                     config->optim_lr_final, config->optim_lr);
  return VANE_OK;
}

static vane_status check_rule(const vane_config *config) {
  int rule = config->optim_rule;
  if (config->optim_amsgrad && rule == VANE_RULE_ADOPT)
    return vane_fail(VANE_ERR_CONFIG, "optim.amsgrad: optim.rule adopt has no such variant");
  if (config->optim_amsgrad_decay < 1 && !config->optim_amsgrad)
    return vane_fail(VANE_ERR_CONFIG,
                     "optim.amsgrad_decay: nothing is kept that could shrink; set optim.amsgrad");
  if (config->optim_update_clip > 0 && (rule == VANE_RULE_ADOPT || rule == VANE_RULE_ADABELIEF))
    return vane_fail(VANE_ERR_CONFIG,
                     "optim.update_clip: optim.rule %s does not divide by the mean of g^2, which "
                     "this clip judges g by",
                     rule == VANE_RULE_ADOPT ? "adopt" : "adabelief");
  if (config->optim_guard_mode != VANE_GUARD_OFF &&
      (rule != VANE_RULE_ADAM || config->optim_update_clip > 0 || config->grad_clip_adaptive > 0))
    return vane_fail(
        VANE_ERR_CONFIG,
        "optim.guard.mode: the guard knows the metric of optim.rule adam alone, without "
        "optim.update_clip and grad.clip.adaptive");
  if (config->optim_update_clip > 0 && config->grad_clip_adaptive > 0)
    return vane_fail(VANE_ERR_CONFIG,
                     "optim.update_clip and grad.clip.adaptive: one at a time; each judges the "
                     "gradient that the other one changes");
  return VANE_OK;
}

vane_status vane_config_check(const vane_config *config) {
  VANE_TRY(check_model(config));
  VANE_TRY(check_data(config));
  VANE_TRY(check_train(config));
  VANE_TRY(check_rule(config));
  return check_schedule(config);
}
