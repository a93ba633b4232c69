/* Adam in one pass over one block of memory (N30..N35): 28 bytes per parameter are moved (p, g, m,
 * v read; p, m, v written), 36 with AMSGrad, and nothing else, so memory sets the speed.
 *
 * Both epsilon modes are one formula. With r = sqrt(1 - b2^t), the corrected root is sqrt(v)/r, so
 * (N32) times r/r becomes (N33) with epsilon r in the place of epsilon; neither costs the loop a
 * multiplication.
 *
 * The arithmetic is in floats, ordered so that few roundings reach the result: m and v come within
 * 2 ULP of their largest term. Doubles would make it half an ULP, and a step that fits into the
 * cache two (moments) to three times (all) as long (Zen 4, one thread: 0.20, 0.41, 0.64 ms for
 * 729,158 parameters).
 */
#include <math.h>
#include <omp.h>

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_share.h"

/* The same for all segments; computed in double, rounded once. */
typedef struct adam_step {
  float rate1, rate2; /* 1 - b1, 1 - b2 */
  float rest2;        /* what rounding took from 1 - b2: 0.001 as a float is 5e-8 of it off */
  float length;       /* lr r/(1 - b1^t) */
  float epsilon;      /* beside the uncorrected root */
} adam_step;

/* What differs between segments: g = gradient * grad + weight * theta. */
typedef struct adam_scale {
  float gradient, weight;
  float shrink; /* decoupled decay takes off so much of theta */
} adam_scale;

typedef struct adam_block {
  float *theta;
  const float *gradient;
  float *m, *v, *v_max;
} adam_block;

static adam_step step_of(const vane_adam_desc *desc, const vane_step_record *record) {
  const vane_step_input *in = &record->in;
  double root = sqrt(in->bias2);
  double rate2 = 1 - desc->beta2;
  bool hat = desc->epsilon_mode == VANE_EPSILON_HAT;
  return (adam_step){.rate1 = (float)(1 - desc->beta1),
                     .rate2 = (float)rate2,
                     .rest2 = (float)(rate2 - (double)(float)rate2),
                     .length = (float)(vane_record_lr(record) * root / in->bias1),
                     .epsilon = (float)(hat ? desc->epsilon : desc->epsilon * root)};
}

static adam_scale scale_of(const vane_adam_desc *desc, const vane_segment *segment,
                           const vane_step_record *record) {
  adam_scale scale = {.gradient = (float)(record->clip * record->coefficient[segment->task])};
  if (!segment->decay)
    return scale;
  bool l2 = desc->decay_mode == VANE_DECAY_L2;
  scale.weight = (float)(record->clip * record->coefficient[VANE_LOSS_REGULARIZATION] +
                         (l2 ? desc->weight_decay : 0));
  scale.shrink = l2 ? 0 : (float)(vane_record_lr(record) * desc->weight_decay);
  return scale;
}

/* a b + c, rounded once where the processor can; in words, so that accuracy does not depend on
 * what an optimiser makes of the loop. */
static inline float multiply_add(float a, float b, float c) {
#if defined(FP_FAST_FMAF) || defined(__FMA__)
  return fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/* `amsgrad` is a literal in both calls below, so each becomes a loop of its own without a branch.
 */
static inline void update(adam_step step, adam_scale scale, adam_block block, int64_t begin,
                          int64_t end, const bool amsgrad) {
  float *restrict theta = block.theta;
  const float *restrict gradient = block.gradient;
  float *restrict m = block.m, *restrict v = block.v, *restrict v_max = block.v_max;
#pragma omp simd
  for (int64_t i = begin; i < end; i++) {
    float g = multiply_add(scale.gradient, gradient[i], scale.weight * theta[i]);
    float m_new = multiply_add(step.rate1, g, multiply_add(-step.rate1, m[i], m[i]));
    float growth = multiply_add(g, g, -v[i]);
    float v_new = multiply_add(step.rate2, growth, multiply_add(step.rest2, growth, v[i]));
    m[i] = m_new;
    v[i] = v_new;
    float second = v_new;
    if (amsgrad) {
      second = v_max[i] > v_new ? v_max[i] : v_new;
      v_max[i] = second;
    }
    float shrunk = multiply_add(-scale.shrink, theta[i], theta[i]);
    theta[i] = multiply_add(-step.length, m_new / (sqrtf(second) + step.epsilon), shrunk);
  }
}

static vane_status cpu_adam(vane_device *device, const vane_adam_desc *desc,
                            const vane_block *block, const vane_adam_memory *memory,
                            const vane_step_record *record) {
  if (record->skip)
    return VANE_OK;
  const adam_block reals = {memory->parameters, memory->gradients, memory->m, memory->v,
                            memory->v_max};
  const adam_step step = step_of(desc, record);
  const int64_t count = cpu_block_end(block);
#pragma omp parallel num_threads(((cpu_device *)device)->n_threads)
  {
    cpu_share share = cpu_share_of(count, omp_get_thread_num(), omp_get_num_threads());
    for (int64_t i = 0; i < block->n_segments; i++) {
      cpu_share part = cpu_share_meet(share, &block->segments[i]);
      adam_scale scale = scale_of(desc, &block->segments[i], record);
      if (desc->amsgrad)
        update(step, scale, reals, part.begin, part.end, true);
      else
        update(step, scale, reals, part.begin, part.end, false);
    }
  }
  return VANE_OK;
}

void vane_cpu_fill_optim(vane_optim_ops *ops) {
  ops->adam = cpu_adam;
}
