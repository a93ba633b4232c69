#include "optim/guard.h"

void vane_guard_desc_fill(const vane_config *config, vane_guard_desc *desc) {
  *desc = (vane_guard_desc){.acts = config->optim_guard_mode == VANE_GUARD_ON,
                            .margin = config->optim_guard_margin,
                            .decay = config->optim_guard_decay};
}

double vane_guard_limit(const vane_config *config) {
  return 2 * (1 + config->optim_beta1) / (1 - config->optim_beta1);
}
