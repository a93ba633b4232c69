/* Adam in one pass over one block of memory (N30..N35, N40): 28 bytes per parameter are moved (p,
 * g, m, v read; p, m, v written), 36 with AMSGrad, and nothing else, so memory sets the speed.
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
#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

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

/* ---- Telemetry (N40) ---------------------------------------------------------------------- */

/* The root of the smallest normal float: the divisor of g^2 is no smaller. */
#define LEAST_ROOT 0x1p-63f

/* Sums over some parameters, without the factors that all have in common: `moved` and `largest` are
 * of m / (root + epsilon). */
typedef struct adam_sums {
  int64_t dead, below, underflows; /* the dead are among those below */
  double ratio, moved, weight;
  float largest;
} adam_sums;

/* The sums of a thread over the rest of a segment that begins in another thread's share. They are
 * added to the telemetry when all threads are done, in their order. */
typedef struct adam_rest {
  adam_sums sums;
  int64_t segment, count; /* count 0: there is none */
} adam_rest;
_Static_assert(sizeof(adam_rest) <= CPU_PARTIALS_PER_THREAD * sizeof(double), "one per thread");

static adam_rest *rest_of(const cpu_device *cpu, int thread) {
  return (adam_rest *)(cpu->partials + (int64_t)thread * CPU_PARTIALS_PER_THREAD);
}

static void sums_add(adam_sums *to, const adam_sums *from) {
  to->dead += from->dead;
  to->below += from->below;
  to->underflows += from->underflows;
  to->ratio += from->ratio;
  to->moved += from->moved;
  to->weight += from->weight;
  to->largest = from->largest > to->largest ? from->largest : to->largest;
}

static void telemetry_add(vane_adam_telemetry *to, const adam_sums *from, int64_t count,
                          const vane_step_record *record) {
  const vane_step_input *in = &record->in;
  double unit = sqrt(in->bias2) / in->bias1; /* of a move, in lr */
  double length = vane_record_lr(record) * unit;
  to->live += (double)(count - from->dead);
  to->below += (double)(from->below - from->dead);
  to->underflows += (double)from->underflows;
  to->ratio += in->bias2 * from->ratio;
  to->update += length * length * from->moved;
  to->weight += from->weight;
  to->largest = fmax(to->largest, unit * (double)from->largest);
}

/* Floats that are not negative are in the order of their bits, which compilers that keep to the
 * rules for NaN find easier to take the maximum of; a NaN is the largest of all. */
static inline int32_t bits_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float float_of(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* ---- The pass ----------------------------------------------------------------------------- */

/* `amsgrad` and `watch` are literals in all calls below, so each becomes a loop of its own without
 * a branch. */
static inline adam_sums update(adam_step step, adam_scale scale, adam_block block, cpu_share part,
                               const bool amsgrad, const bool watch) {
  float *restrict theta = block.theta;
  const float *restrict gradient = block.gradient;
  float *restrict m = block.m, *restrict v = block.v, *restrict v_max = block.v_max;
  float ratio = 0, moved = 0, weight = 0;
  int32_t dead = 0, below = 0, underflows = 0, largest = 0;
#pragma omp simd reduction(+ : ratio, moved, weight, dead, below, underflows) \
    reduction(max : largest)
  for (int64_t i = part.begin; i < part.end; i++) {
    float before = theta[i];
    float g = multiply_add(scale.gradient, gradient[i], scale.weight * before);
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
    float root = sqrtf(second);
    float move = m_new / (root + step.epsilon);
    theta[i] = multiply_add(-step.length, move, multiply_add(-scale.shrink, before, before));
    if (watch) {
      float size = fabsf(g), length = fabsf(move);
      float share = g / (root > LEAST_ROOT ? root : LEAST_ROOT);
      ratio += share * share;
      moved += move * move;
      weight += before * before;
      largest = bits_of(length) > largest ? bits_of(length) : largest;
      dead += size + second <= 0;
      below += root < step.epsilon;
      underflows += size > 0 && v_new < FLT_MIN;
    }
  }
  return (adam_sums){.dead = dead,
                     .below = below,
                     .underflows = underflows,
                     .ratio = (double)ratio,
                     .moved = (double)moved,
                     .weight = (double)weight,
                     .largest = float_of(largest)};
}

/* Reals whose terms, all of one sign, are added in floats: in lanes of eight or sixteen that is
 * 2^-17 of a sum at most, and hardly any time beside the update. */
enum { TILE = 1024 };

static adam_sums update_and_watch(adam_step step, adam_scale scale, adam_block block,
                                  cpu_share part, bool amsgrad) {
  adam_sums sums = {0};
  for (cpu_share tile = part; tile.begin < part.end; tile.begin = tile.end) {
    tile.end = part.end - tile.begin < TILE ? part.end : tile.begin + TILE;
    adam_sums more = amsgrad ? update(step, scale, block, tile, true, true)
                             : update(step, scale, block, tile, false, true);
    sums_add(&sums, &more);
  }
  return sums;
}

static void keep(vane_adam_telemetry *telemetry, const adam_sums *sums, cpu_share part,
                 const vane_block *block, int64_t segment, const vane_step_record *record,
                 adam_rest *rest) {
  int64_t count = part.end - part.begin;
  if (part.begin > block->segments[segment].offset)
    *rest = (adam_rest){*sums, segment, count};
  else
    telemetry_add(&telemetry[segment], sums, count, record);
}

static void keep_rests(const cpu_device *cpu, vane_adam_telemetry *telemetry,
                       const vane_step_record *record) {
  for (int thread = 0; thread < cpu->n_threads; thread++) {
    adam_rest *rest = rest_of(cpu, thread);
    if (rest->count > 0)
      telemetry_add(&telemetry[rest->segment], &rest->sums, rest->count, record);
  }
}

static vane_status cpu_adam(vane_device *device, const vane_adam_desc *desc,
                            const vane_block *block, const vane_adam_memory *memory,
                            const vane_step_record *record) {
  if (record->skip)
    return VANE_OK;
  const cpu_device *cpu = (const cpu_device *)device;
  const adam_block reals = {memory->parameters, memory->gradients, memory->m, memory->v,
                            memory->v_max};
  const adam_step step = step_of(desc, record);
  const int64_t count = cpu_block_end(block);
  const bool watch = memory->telemetry && record->in.watch;
  for (int thread = 0; thread < cpu->n_threads; thread++)
    rest_of(cpu, thread)->count = 0;
#pragma omp parallel num_threads(cpu->n_threads)
  {
    cpu_share share = cpu_share_of(count, omp_get_thread_num(), omp_get_num_threads());
    for (int64_t i = 0; i < block->n_segments; i++) {
      cpu_share part = cpu_share_meet(share, &block->segments[i]);
      if (part.begin >= part.end)
        continue;
      adam_scale scale = scale_of(desc, &block->segments[i], record);
      if (watch) {
        adam_sums sums = update_and_watch(step, scale, reals, part, desc->amsgrad);
        keep(memory->telemetry, &sums, part, block, i, record, rest_of(cpu, omp_get_thread_num()));
      } else if (desc->amsgrad) {
        update(step, scale, reals, part, true, false);
      } else {
        update(step, scale, reals, part, false, false);
      }
    }
  }
  if (watch)
    keep_rests(cpu, memory->telemetry, record);
  return VANE_OK;
}

void vane_cpu_fill_optim(vane_optim_ops *ops) {
  ops->adam = cpu_adam;
  ops->curvature = vane_cpu_curvature;
}
