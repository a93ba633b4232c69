/* The curvature along Adam's step (N36): both products in one pass over moments and gradients. The
 * step is formed in floats as Adam forms it (cpu_adam.c), the products in doubles. What follows
 * from them (N37) is ref's. */
#include <math.h>
#include <omp.h>

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_adam.h"
#include "device/cpu/cpu_share.h"
#include "device/ref/ref.h"

/* What differs between segments: the gradient's change is gradient * (after - before) + weight *
 * step. In doubles, unlike what Adam scales its own step with. */
typedef struct change_scale {
  double gradient, weight;
  double shrink; /* decoupled decay took off so much of theta */
} change_scale;

typedef struct moved_block {
  const float *theta, *m, *second, *before, *after;
} moved_block;

typedef struct products {
  double gradient_change, square; /* step.(G' - G), step.D.step */
} products;

static change_scale scale_of(const vane_adam_desc *desc, const vane_segment *segment, double lr,
                             const vane_step_record *record) {
  change_scale scale = {.gradient = record->clip * record->coefficient[segment->task]};
  if (!segment->decay)
    return scale;
  bool l2 = desc->decay_mode == VANE_DECAY_L2;
  scale.weight =
      record->clip * record->coefficient[VANE_LOSS_REGULARIZATION] + (l2 ? desc->weight_decay : 0);
  scale.shrink = l2 ? 0 : lr * desc->weight_decay;
  return scale;
}

/* Adam's step is -length m/(sqrt(v) + epsilon), and with r = sqrt(1 - b2^t) its metric D is
 * (sqrt(v) + epsilon)/r. `shrinks` is a literal in both calls below: without decoupled decay theta
 * is not read. */
static inline products products_of(float length, float epsilon, change_scale scale,
                                   moved_block block, cpu_share part, const bool shrinks) {
  const float *restrict theta = block.theta, *restrict m = block.m;
  const float *restrict second = block.second;
  const float *restrict before = block.before, *restrict after = block.after;
  double gradient_change = 0, square = 0, stretch = 1 / (1 - scale.shrink);
#pragma omp simd reduction(+ : gradient_change, square)
  for (int64_t i = part.begin; i < part.end; i++) {
    float divisor = sqrtf(second[i]) + epsilon;
    double moved = (double)(-length * (m[i] / divisor));
    if (shrinks)
      moved = (moved - scale.shrink * (double)theta[i]) * stretch;
    double change = scale.gradient * ((double)after[i] - (double)before[i]);
    gradient_change += moved * (change + scale.weight * moved);
    square += moved * moved * (double)divisor;
  }
  return (products){gradient_change, square};
}

vane_status vane_cpu_curvature(vane_device *device, const vane_adam_desc *desc,
                               const vane_guard_desc *guard, const vane_block *block,
                               const vane_adam_memory *memory, const void *gradients_after,
                               vane_step_record *record) {
  if (record->skip)
    return VANE_OK;
  const cpu_device *cpu = (const cpu_device *)device;
  const moved_block reals = {memory->parameters, memory->m,
                             desc->amsgrad ? memory->v_max : memory->v, memory->gradients,
                             gradients_after};
  const adam_step step = vane_cpu_adam_step(desc, record);
  const double lr = vane_record_lr(record);
  const int64_t count = cpu_block_end(block);
  double *parts = cpu->partials;
#pragma omp parallel num_threads(cpu->n_threads)
  {
    cpu_share share = cpu_share_of(count, omp_get_thread_num(), omp_get_num_threads());
    products sum = {0, 0};
    for (int64_t i = 0; i < block->n_segments; i++) {
      const vane_segment *segment = &block->segments[i];
      cpu_share part = cpu_share_meet(share, segment);
      const float length = vane_cpu_adam_scale(desc, &step, segment, NULL, record).length;
      change_scale scale = scale_of(desc, segment, lr, record);
      products own = scale.shrink != 0
                         ? products_of(length, step.epsilon, scale, reals, part, true)
                         : products_of(length, step.epsilon, scale, reals, part, false);
      sum.gradient_change += own.gradient_change;
      sum.square += own.square;
    }
    double *mine = parts + (int64_t)omp_get_thread_num() * CPU_PARTIALS_PER_THREAD;
    mine[0] = sum.gradient_change;
    mine[1] = sum.square;
  }
  products total = {0, 0};
  for (int64_t thread = 0; thread < cpu->n_threads; thread++) {
    total.gradient_change += parts[thread * CPU_PARTIALS_PER_THREAD];
    total.square += parts[thread * CPU_PARTIALS_PER_THREAD + 1];
  }
  vane_ref_take_curvature_float(guard, total.gradient_change, total.square / sqrt(record->in.bias2),
                                record);
  return VANE_OK;
}
