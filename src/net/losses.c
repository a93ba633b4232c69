#include "net/losses.h"

#include "base/error.h"

#define RADIANS_PER_DEGREE 0.017453292519943295769

void vane_losses_init(vane_losses *losses, vane_device *device, const vane_config *config,
                      int64_t n) {
  bool bins = config->model_heads_angle_kind == VANE_ANGLE_BINS;
  *losses = (vane_losses){
      .device = device,
      .n = n,
      .angle = {.kind = config->model_heads_angle_kind,
                .n_outputs = bins ? config->model_heads_angle_bins : 2,
                .bin_width = config->model_heads_angle_bin_width * RADIANS_PER_DEGREE},
      .magnitude = {.kind = config->loss_magnitude, .delta = config->loss_huber_delta},
      .position = {.kind = config->loss_position, .delta = config->loss_huber_delta},
      .clip_average = config->grad_clip_average_norm};
}

vane_status vane_losses_reserve(vane_losses *losses, vane_arena *staging, vane_arena *activations) {
  size_t row_bytes = (size_t)losses->n * losses->device->real_bytes;
  VANE_TRY(vane_arena_reserve(staging, VANE_N_TARGET_ROWS * row_bytes, &losses->targets_item,
                              "targets"));
  return vane_arena_reserve(activations, VANE_N_HEADS * row_bytes, &losses->samples_item,
                            "losses per sample");
}

void vane_losses_bind(vane_losses *losses, const vane_arena *staging,
                      const vane_arena *activations) {
  losses->targets = vane_arena_at(staging, losses->targets_item);
  losses->samples = vane_arena_at(activations, losses->samples_item);
}

static void *row(const vane_losses *losses, void *block, int i) {
  return (unsigned char *)block + (size_t)(i * losses->n) * losses->device->real_bytes;
}

vane_status vane_losses_run(vane_losses *losses, const vane_heads *heads, const vane_block *block,
                            const void *weights, bool clip, vane_step_record *record) {
  const vane_loss_ops *loss = &losses->device->loss;
  vane_device *device = losses->device;
  int64_t n = losses->n, n_angle = n * losses->angle.n_outputs;
  void *angle = vane_heads_output(heads, VANE_LOSS_ANGLE);
  void *angle_seed = vane_heads_seed(heads, VANE_LOSS_ANGLE);
  void *targets = losses->targets, *samples = losses->samples;
  bool clip_angle = clip && losses->clip_average > 0;

  VANE_TRY(loss->presence(device, vane_heads_output(heads, VANE_LOSS_PRESENCE),
                          row(losses, targets, VANE_TARGET_PRESENCE),
                          row(losses, targets, VANE_TARGET_PRESENCE_MASK), n,
                          row(losses, samples, VANE_LOSS_PRESENCE),
                          vane_heads_seed(heads, VANE_LOSS_PRESENCE), record));
  if (clip_angle)
    VANE_TRY(loss->clip_average(device, losses->clip_average, angle, n_angle, record));
  VANE_TRY(loss->angle(device, &losses->angle, angle, row(losses, targets, VANE_TARGET_PHASE),
                       row(losses, targets, VANE_TARGET_ANGLE_MASK), n,
                       row(losses, samples, VANE_LOSS_ANGLE), angle_seed, record));
  if (clip_angle)
    VANE_TRY(loss->clip_average_backward(device, losses->clip_average, angle, angle_seed, n_angle,
                                         record));
  VANE_TRY(loss->regression(device, &losses->magnitude, VANE_LOSS_MAGNITUDE,
                            vane_heads_output(heads, VANE_LOSS_MAGNITUDE),
                            row(losses, targets, VANE_TARGET_MAGNITUDE),
                            row(losses, targets, VANE_TARGET_MAGNITUDE_MASK), n, 1,
                            row(losses, samples, VANE_LOSS_MAGNITUDE),
                            vane_heads_seed(heads, VANE_LOSS_MAGNITUDE), record));
  VANE_TRY(loss->regression(
      device, &losses->position, VANE_LOSS_POSITION, vane_heads_output(heads, VANE_LOSS_POSITION),
      row(losses, targets, VANE_TARGET_POSITION), row(losses, targets, VANE_TARGET_POSITION_MASK),
      n, 2, row(losses, samples, VANE_LOSS_POSITION), vane_heads_seed(heads, VANE_LOSS_POSITION),
      record));
  return loss->regularization(device, block, weights, record);
}
