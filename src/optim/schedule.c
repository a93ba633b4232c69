#include "optim/schedule.h"

#include <math.h>

/* How much of the course after the warm-up is over: 0 at its beginning, 1 from train.steps on. */
static double progress(const vane_config *config, int64_t after_warmup) {
  int64_t length = config->train_steps - config->optim_warmup;
  return after_warmup < length ? (double)after_warmup / (double)length : 1;
}

double vane_schedule_lr(const vane_config *config, int64_t step) {
  const double lr = config->optim_lr, final = config->optim_lr_final;
  if (step < config->optim_warmup)
    return lr * (double)step / (double)config->optim_warmup;
  int64_t after = step - config->optim_warmup;
  const double pi = 3.141592653589793238462643383280;
  switch (config->optim_schedule) {
  case VANE_SCHEDULE_COSINE:
    return final + (lr - final) * 0.5 * (1 + cos(pi * progress(config, after)));
  case VANE_SCHEDULE_LINEAR:
    return lr + (final - lr) * progress(config, after);
  case VANE_SCHEDULE_STEP: {
    /* The first drop comes after step_every whole steps at optim.lr, the warm-up's last not
     * counted. */
    int64_t drops = after > 0 ? (after - 1) / config->optim_step_every : 0;
    return lr * pow(config->optim_step_factor, (double)drops);
  }
  default:
    return lr;
  }
}
