/* The five losses as a configuration names and weighs them. */
#ifndef VANE_NET_TASKS_H
#define VANE_NET_TASKS_H

#include "device/device.h"

/* Names of the losses, regularisation included; the first four are the heads' too. */
extern const char *const vane_loss_names[VANE_N_LOSSES];

/* loss.weights of loss k. */
double vane_loss_weight(const vane_config *config, int k);

/* True where loss k takes part: its weight is not zero. */
bool vane_loss_active(const vane_config *config, int k);

#endif
