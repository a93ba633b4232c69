/* What Adam needs from the host: the scalars of one step, and the constants of a run. */
#ifndef VANE_OPTIM_RECORD_H
#define VANE_OPTIM_RECORD_H

#include "device/device.h"

/* Fills the whole input of `step` (1 for the first). n_counted: samples that count for each loss in
 * the batch. Row i of projection_order lists the other three losses in an order drawn from
 * (seed, step); its fourth entry is i itself and stands for nothing. */
void vane_step_input_fill(const vane_config *config, int64_t step,
                          const int64_t n_counted[VANE_N_HEADS], vane_step_input *input);

/* 1 - beta^step: what a moment that began at zero is divided by. */
double vane_bias_correction(double beta, int64_t step);

/* Steps since the moments began, `step` itself included: 1 for the first, and for one that sets
 * them back (optim.reset_every). */
int64_t vane_moment_age(const vane_config *config, int64_t step);

void vane_adam_desc_fill(const vane_config *config, vane_adam_desc *desc);

#endif
