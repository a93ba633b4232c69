/* Adam in every mode, and a record in the middle of a run, for what is checked in all of them. */
#ifndef VANE_TESTS_OPS_ADAM_MODES_H
#define VANE_TESTS_OPS_ADAM_MODES_H

#include <math.h>

#include "device/device.h"

enum { N_ADAM_MODES = 16 };

static inline vane_adam_desc adam_mode(int bits) {
  return (vane_adam_desc){.beta1 = 0.9,
                          .beta2 = 0.999,
                          .epsilon = bits & 8 ? 1e-4 : 1e-8,
                          .epsilon_mode = bits & 1 ? VANE_EPSILON_HAT : VANE_EPSILON_OUTSIDE,
                          .amsgrad = bits & 2,
                          .weight_decay = bits & 8 ? 0.1 : 0.0,
                          .decay_mode = bits & 4 ? VANE_DECAY_L2 : VANE_DECAY_DECOUPLED};
}

static inline vane_step_record adam_record(const vane_adam_desc *desc, int64_t step, double lr) {
  return (vane_step_record){.in = {.step = step,
                                   .lr = lr,
                                   .bias1 = 1.0 - pow(desc->beta1, (double)step),
                                   .bias2 = 1.0 - pow(desc->beta2, (double)step)},
                            .coefficient = {1.0, 0.7, 1.0, 0.3, 0.01, 1.0},
                            .clip = 0.6};
}

#endif
