/* The learning rate's course over a run. */
#ifndef VANE_OPTIM_SCHEDULE_H
#define VANE_OPTIM_SCHEDULE_H

#include <stdint.h>

#include "config/config.h"

/* The learning rate of `step` (1 for the first). It rises linearly from 0 and reaches optim.lr at
 * step = optim.warmup; over the remaining steps cosine and linear fall to optim.lr_final, which
 * they reach at train.steps and keep from there on; `step` drops by optim.step_factor after every
 * optim.step_every steps. */
double vane_schedule_lr(const vane_config *config, int64_t step);

#endif
