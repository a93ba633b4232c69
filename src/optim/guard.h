/* The stability guard: Adam is stable while the learning rate times the largest curvature in its
 * own metric stays below a limit (N38). A probe measures that curvature (train/probe.h), and the
 * guard keeps the learning rate below its share of the limit. */
#ifndef VANE_OPTIM_GUARD_H
#define VANE_OPTIM_GUARD_H

#include "device/device.h"

void vane_guard_desc_fill(const vane_config *config, vane_guard_desc *desc);

/* What learning rate times curvature must not reach: 2 (1 + beta1)/(1 - beta1). */
double vane_guard_limit(const vane_config *config);

#endif
