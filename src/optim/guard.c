#include "optim/guard.h"

#include <math.h>

void vane_guard_desc_fill(const vane_config *config, vane_guard_desc *desc) {
  double limit = vane_guard_limit(config), margin = config->optim_guard_margin;
  bool density = config->model_heads_angle_kind == VANE_ANGLE_VON_MISES;
  *desc = (vane_guard_desc){.acts = config->optim_guard_mode == VANE_GUARD_ON,
                            .decay = config->optim_guard_decay,
                            .limit = limit,
                            .margin = margin,
                            .floor = fmin(2 / limit, margin), /* gradient descent's own limit */
                            .signed_loss = density ? VANE_LOSS_ANGLE : -1};
}

double vane_guard_limit(const vane_config *config) {
  return 2 * (1 + config->optim_beta1) / (1 - config->optim_beta1);
}
