#include "optim/record.h"

#include <math.h>

#include "base/random.h"
#include "optim/schedule.h"

/* 1 - beta^step without cancellation: beta^step is near 1 for the first steps and for any beta near
 * 1, where 1 - pow(beta, step) would keep few digits. beta = 0: log gives -inf, the result 1. */
double vane_bias_correction(double beta, int64_t step) {
  return -expm1((double)step * log(beta));
}

static void shuffle_projection(uint64_t seed, int64_t step,
                               uint32_t order[VANE_N_HEADS][VANE_N_HEADS]) {
  enum { N_OTHERS = VANE_N_HEADS - 1, N_SWAPS = N_OTHERS - 1 };
  for (uint32_t i = 0; i < VANE_N_HEADS; i++) {
    for (uint32_t other = 0; other < N_OTHERS; other++)
      order[i][other] = other < i ? other : other + 1;
    order[i][N_OTHERS] = i;
    for (uint32_t swap = 0; swap < N_SWAPS; swap++) {
      uint64_t left = N_OTHERS - swap;
      uint64_t drawn =
          vane_random_below(seed, VANE_RANDOM_PROJECTION, (uint64_t)step, i * N_SWAPS + swap, left);
      uint32_t held = order[i][drawn];
      order[i][drawn] = order[i][left - 1];
      order[i][left - 1] = held;
    }
  }
}

int64_t vane_moment_age(const vane_config *config, int64_t step) {
  int64_t every = config->optim_reset_every;
  return every > 0 ? (step - 1) % every + 1 : step;
}

/* (N66) What a reset leaves of the learning rate, in SPAM's course: half a cosine from 0.01 on. */
static double reset_scale(const vane_config *config, int64_t step, int64_t age) {
  const double pi = 3.141592653589793238462643383280;
  if (step == age || age > config->optim_reset_warmup)
    return 1;
  return 1 - 0.99 * 0.5 * (1 + cos(pi * (double)(age - 1) / (double)config->optim_reset_warmup));
}

/* (N63) */
static double rectification(double beta2, int64_t age) {
  double t = (double)age, most = 2 / (1 - beta2) - 1;
  double length = most - 2 * t * pow(beta2, t) / vane_bias_correction(beta2, age);
  if (!(length > 5))
    return 0;
  return sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length));
}

void vane_step_input_fill(const vane_config *config, int64_t step,
                          const int64_t n_counted[VANE_N_HEADS], vane_step_input *input) {
  input->step = step;
  const int64_t age = vane_moment_age(config, step);
  input->lr = vane_schedule_lr(config, step) * reset_scale(config, step, age);
  input->bias1 = vane_bias_correction(config->optim_beta1, age);
  input->bias2 = vane_bias_correction(config->optim_beta2, age);
  input->rectification = rectification(config->optim_beta2, age);
  input->adopt_limit = config->optim_adopt_clip ? pow((double)(age - 1), 0.25) : 0;
  input->reset = age < step && age == 1;
  for (int k = 0; k < VANE_N_HEADS; k++)
    input->inv_count[k] = n_counted[k] > 0 ? 1 / (double)n_counted[k] : 0;
  shuffle_projection((uint64_t)config->seed, step, input->projection_order);
  input->watch = config->optim_telemetry_every > 0 && step % config->optim_telemetry_every == 0;
}

void vane_adam_desc_fill(const vane_config *config, vane_adam_desc *desc) {
  *desc = (vane_adam_desc){.rule = config->optim_rule,
                           .beta1 = config->optim_beta1,
                           .beta2 = config->optim_beta2,
                           .epsilon = config->optim_epsilon,
                           .epsilon_mode = config->optim_epsilon_mode,
                           .amsgrad = config->optim_amsgrad,
                           .amsgrad_decay = config->optim_amsgrad_decay,
                           .weight_decay = config->optim_weight_decay,
                           .decay_mode = config->optim_decay_mode,
                           .spike_clip = config->optim_spike_clip,
                           .resets = config->optim_reset_every > 0,
                           .update_clip = config->optim_update_clip,
                           .adaptive_clip = config->grad_clip_adaptive};
}
