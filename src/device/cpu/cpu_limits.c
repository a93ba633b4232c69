/* Limits of whole tensors (N67, N68): a pass over them before Adam's own. */
#include <omp.h>

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_adam.h"
#include "device/cpu/cpu_share.h"

/* Two sums of a segment: of g^2 / vhat and of parameters alive, or of g^2 and of theta^2. */
typedef struct limit_sums {
  double first, second;
} limit_sums;

/* As in cpu_adam.c: the sums of a thread over the rest of a segment that begins in another's. */
typedef struct limit_rest {
  limit_sums sums;
  int64_t segment; /* -1: there is none */
} limit_rest;
_Static_assert(sizeof(limit_rest) <= CPU_PARTIALS_PER_THREAD * sizeof(double), "one per thread");

static limit_rest *rest_of(const cpu_device *cpu, int thread) {
  return (limit_rest *)(cpu->partials + (int64_t)thread * CPU_PARTIALS_PER_THREAD);
}

/* (N67) What Adam's step would divide by; nothing is written. */
ADAM_INLINE limit_sums sum_ratios(adam_step step, adam_scale scale, adam_block block,
                                  cpu_share part, const bool amsgrad) {
  const adam_variant as = {VANE_RULE_ADAM, amsgrad, true, false};
  const float least = step.epsilon > ADAM_LEAST_ROOT ? step.epsilon : ADAM_LEAST_ROOT;
  double ratio = 0, live = 0;
#pragma omp simd reduction(+ : ratio, live)
  for (int64_t i = part.begin; i < part.end; i++) {
    adam_result to = adam_result_of(step, scale, as, block.theta[i], block.gradient[i], block.m[i],
                                    block.v[i], amsgrad ? block.v_max[i] : 0);
    float share = to.g / (to.root > least ? to.root : least);
    ratio += (double)share * (double)share;
    live += fabsf(to.g) + to.second > 0 ? 1 : 0;
  }
  return (limit_sums){ratio, live};
}

/* (N68) */
static limit_sums sum_squares(double own, double decay, adam_block block, cpu_share part) {
  double gradients = 0, weights = 0;
#pragma omp simd reduction(+ : gradients, weights)
  for (int64_t i = part.begin; i < part.end; i++) {
    double theta = (double)block.theta[i], g = own * (double)block.gradient[i] + decay * theta;
    gradients += g * g;
    weights += theta * theta;
  }
  return (limit_sums){gradients, weights};
}

typedef struct limit_pass {
  const vane_adam_desc *desc;
  const vane_step_record *record;
  adam_step step;
  adam_block reals;
} limit_pass;

static limit_sums sums_of(const limit_pass *pass, const vane_segment *segment, cpu_share part) {
  const vane_step_record *record = pass->record;
  if (pass->desc->update_clip > 0) {
    adam_scale scale = vane_cpu_adam_scale(pass->desc, &pass->step, segment, NULL, record);
    return pass->desc->amsgrad ? sum_ratios(pass->step, scale, pass->reals, part, true)
                               : sum_ratios(pass->step, scale, pass->reals, part, false);
  }
  double decay = segment->decay ? record->coefficient[VANE_LOSS_REGULARIZATION] : 0;
  return sum_squares(record->clip * record->coefficient[segment->task], record->clip * decay,
                     pass->reals, part);
}

static vane_adam_limit limit_of(const limit_pass *pass, limit_sums sums) {
  const vane_adam_desc *desc = pass->desc;
  if (desc->update_clip > 0) {
    double rms = sums.second > 0 ? sqrt(pass->step.correction * sums.first / sums.second) : 0;
    return (vane_adam_limit){1, rms > desc->update_clip ? desc->update_clip / rms : 1};
  }
  double most = desc->adaptive_clip * fmax(sqrt(sums.second), VANE_LEAST_WEIGHT);
  double length = sqrt(sums.first);
  return (vane_adam_limit){length > most ? most / length : 1, 1};
}

/* The limits' own memory holds the sums until all threads are done. */
static void add(vane_adam_limit *to, limit_sums sums) {
  to->gradient += sums.first;
  to->lr += sums.second;
}

vane_status vane_cpu_limits(vane_device *device, const vane_adam_desc *desc,
                            const vane_block *block, const vane_adam_memory *memory,
                            const vane_step_record *record) {
  const cpu_device *cpu = (const cpu_device *)device;
  const limit_pass pass = {
      desc,
      record,
      vane_cpu_adam_step(desc, record),
      {memory->parameters, memory->gradients, memory->m, memory->v, memory->v_max}};
  const int64_t count = cpu_block_end(block);
  for (int64_t i = 0; i < block->n_segments; i++)
    memory->limits[i] = (vane_adam_limit){0, 0};
  for (int thread = 0; thread < cpu->n_threads; thread++)
    rest_of(cpu, thread)->segment = -1;
#pragma omp parallel num_threads(cpu->n_threads)
  {
    cpu_share share = cpu_share_of(count, omp_get_thread_num(), omp_get_num_threads());
    for (int64_t i = 0; i < block->n_segments; i++) {
      const vane_segment *segment = &block->segments[i];
      cpu_share part = cpu_share_meet(share, segment);
      if (part.begin >= part.end)
        continue;
      limit_sums sums = sums_of(&pass, segment, part);
      if (part.begin > segment->offset)
        *rest_of(cpu, omp_get_thread_num()) = (limit_rest){sums, i};
      else
        add(&memory->limits[i], sums);
    }
  }
  for (int thread = 0; thread < cpu->n_threads; thread++)
    if (rest_of(cpu, thread)->segment >= 0)
      add(&memory->limits[rest_of(cpu, thread)->segment], rest_of(cpu, thread)->sums);
  for (int64_t i = 0; i < block->n_segments; i++)
    memory->limits[i] =
        limit_of(&pass, (limit_sums){memory->limits[i].gradient, memory->limits[i].lr});
  return VANE_OK;
}
