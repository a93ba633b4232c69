#include "net/tasks.h"

const char *const vane_loss_names[VANE_N_LOSSES] = {"presence", "angle", "magnitude", "position",
                                                    "regularization"};

double vane_loss_weight(const vane_config *config, int k) {
  const double weights[VANE_N_LOSSES] = {[VANE_LOSS_PRESENCE] = config->loss_weights_presence,
                                         [VANE_LOSS_ANGLE] = config->loss_weights_angle,
                                         [VANE_LOSS_MAGNITUDE] = config->loss_weights_magnitude,
                                         [VANE_LOSS_POSITION] = config->loss_weights_position,
                                         [VANE_LOSS_REGULARIZATION] =
                                             config->loss_weights_regularization};
  return weights[k];
}

bool vane_loss_active(const vane_config *config, int k) {
  return vane_loss_weight(config, k) != 0;
}
