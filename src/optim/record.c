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

void vane_step_input_fill(const vane_config *config, int64_t step,
                          const int64_t n_counted[VANE_N_HEADS], vane_step_input *input) {
  input->step = step;
  input->lr = vane_schedule_lr(config, step);
  input->bias1 = vane_bias_correction(config->optim_beta1, step);
  input->bias2 = vane_bias_correction(config->optim_beta2, step);
  for (int k = 0; k < VANE_N_HEADS; k++)
    input->inv_count[k] = n_counted[k] > 0 ? 1 / (double)n_counted[k] : 0;
  shuffle_projection((uint64_t)config->seed, step, input->projection_order);
  input->watch = config->optim_telemetry_every > 0 && step % config->optim_telemetry_every == 0;
}

void vane_adam_desc_fill(const vane_config *config, vane_adam_desc *desc) {
  *desc = (vane_adam_desc){.beta1 = config->optim_beta1,
                           .beta2 = config->optim_beta2,
                           .epsilon = config->optim_epsilon,
                           .epsilon_mode = config->optim_epsilon_mode,
                           .amsgrad = config->optim_amsgrad,
                           .weight_decay = config->optim_weight_decay,
                           .decay_mode = config->optim_decay_mode};
}
