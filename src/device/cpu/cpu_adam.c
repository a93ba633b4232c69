/* Adam in one pass over one block of memory (N30..N35, N40, N60..N66): 28 bytes per parameter are
 * moved (p, g, m, v read; p, m, v written), 36 with AMSGrad, and nothing else, so memory sets the
 * speed. */
#include <float.h>
#include <omp.h>
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_adam.h"
#include "device/cpu/cpu_share.h"

adam_step vane_cpu_adam_step(const vane_adam_desc *desc, const vane_step_record *record) {
  const vane_step_input *in = &record->in;
  const double root = sqrt(in->bias2), rate2 = 1 - desc->beta2;
  const bool hat = desc->epsilon_mode == VANE_EPSILON_HAT;
  const bool rectified = in->rectification > 0;
  adam_step step = {.rate1 = (float)(1 - desc->beta1),
                    .rate2 = (float)rate2,
                    .rest2 = (float)(rate2 - (double)(float)rate2),
                    .epsilon = (float)(hat ? desc->epsilon : desc->epsilon * root),
                    .grown = desc->amsgrad_decay > 0 ? (float)desc->amsgrad_decay : 1,
                    .keep = desc->resets && in->reset ? 0 : 1,
                    .spike = desc->spike_clip > 0 ? (float)desc->spike_clip : INFINITY,
                    .belief = (float)desc->epsilon,
                    .unit = (float)(root / in->bias1),
                    .most = in->adopt_limit > 0 ? (float)in->adopt_limit : INFINITY,
                    .slope = rectified ? 1 : 0,
                    .times = root,
                    .over = in->bias1,
                    .correction = in->bias2};
  step.least = rectified ? step.epsilon : 1;
  if (desc->rule == VANE_RULE_RADAM)
    step.times = rectified ? in->rectification * root : 1;
  if (desc->rule == VANE_RULE_ATAN2)
    step.epsilon = 0;
  if (desc->rule == VANE_RULE_ADOPT) {
    step.epsilon = (float)desc->epsilon;
    step.correction = 1;
  }
  if (desc->rule == VANE_RULE_ATAN2 || desc->rule == VANE_RULE_ADOPT)
    step.times = step.over = 1;
  return step;
}

adam_scale vane_cpu_adam_scale(const vane_adam_desc *desc, const adam_step *step,
                               const vane_segment *segment, const vane_adam_limit *limit,
                               const vane_step_record *record) {
  const double clip = record->clip * (limit ? limit->gradient : 1);
  const double lr = vane_record_lr(record) * (limit ? limit->lr : 1);
  adam_scale scale = {.gradient = (float)(clip * record->coefficient[segment->task]),
                      .length = (float)(lr * step->times / step->over)};
  if (!segment->decay)
    return scale;
  bool l2 = desc->decay_mode == VANE_DECAY_L2;
  scale.weight =
      (float)(clip * record->coefficient[VANE_LOSS_REGULARIZATION] + (l2 ? desc->weight_decay : 0));
  scale.shrink = l2 ? 0 : (float)(lr * desc->weight_decay);
  return scale;
}

/* ---- Telemetry (N40) ---------------------------------------------------------------------- */

/* Sums over some parameters, without the factors that all have in common. */
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
                          const adam_step *step, double lr) {
  double unit = step->times / step->over, length = lr * unit;
  to->live += (double)(count - from->dead);
  to->below += fmax((double)(from->below - from->dead), 0); /* nothing is below no epsilon */
  to->underflows += (double)from->underflows;
  to->ratio += step->correction * from->ratio;
  to->update += length * length * from->moved;
  to->weight += from->weight;
  to->largest = fmax(to->largest, unit * (double)from->largest);
}

/* Floats that are not negative are in the order of their bits, which compilers that keep to the
 * rules for NaN find easier to take the maximum of; a NaN is the largest of all. */
ADAM_INLINE int32_t bits_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static float float_of(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* ---- The pass ----------------------------------------------------------------------------- */

ADAM_INLINE adam_sums update(adam_step step, adam_scale scale, adam_block block, cpu_share part,
                             const adam_variant as) {
  float *restrict theta = block.theta;
  const float *restrict gradient = block.gradient;
  float *restrict m = block.m, *restrict v = block.v, *restrict v_max = block.v_max;
  float ratio = 0, moved = 0, weight = 0;
  int32_t dead = 0, below = 0, underflows = 0, largest = 0;
#pragma omp simd reduction(+ : ratio, moved, weight, dead, below, underflows) \
    reduction(max : largest)
  for (int64_t i = part.begin; i < part.end; i++) {
    float before = theta[i];
    adam_result to =
        adam_result_of(step, scale, as, before, gradient[i], m[i], v[i], as.amsgrad ? v_max[i] : 0);
    theta[i] = to.theta;
    m[i] = to.m;
    v[i] = to.v;
    if (as.amsgrad)
      v_max[i] = to.second;
    if (as.watch) {
      float size = fabsf(to.g), length = fabsf(to.move);
      float share = to.g / (to.root > ADAM_LEAST_ROOT ? to.root : ADAM_LEAST_ROOT);
      if (as.rule == VANE_RULE_ADOPT)
        share = to.root > 0 ? share : 0; /* nothing has been divided */
      ratio += share * share;
      moved += to.move * to.move;
      weight += before * before;
      largest = bits_of(length) > largest ? bits_of(length) : largest;
      dead += size + to.second <= 0;
      below += to.root < step.epsilon;
      underflows += size > 0 && to.v < FLT_MIN;
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

ADAM_INLINE adam_sums update_in_tiles(adam_step step, adam_scale scale, adam_block block,
                                      cpu_share part, const adam_variant as) {
  adam_sums sums = {0};
  if (!as.watch)
    return update(step, scale, block, part, as);
  for (cpu_share tile = part; tile.begin < part.end; tile.begin = tile.end) {
    tile.end = part.end - tile.begin < TILE ? part.end : tile.begin + TILE;
    adam_sums more = update(step, scale, block, tile, as);
    sums_add(&sums, &more);
  }
  return sums;
}

/* The loops of a rule; `rule` and `spam` are literals. SPAM has loops of its own beside Adam's; in
 * those of the other rules it takes part always, and leaves alone what it is not to change. */
#define VARIANT(rule, amsgrad, spam, watch)                                                        \
  update_in_tiles(step, scale, block, part, (adam_variant){rule, amsgrad, spam, watch})
#define VARIANTS(rule, spam)                                                                       \
  (as.amsgrad ? (as.watch ? VARIANT(rule, true, spam, true) : VARIANT(rule, true, spam, false))    \
              : (as.watch ? VARIANT(rule, false, spam, true) : VARIANT(rule, false, spam, false)))

static adam_sums update_as(adam_step step, adam_scale scale, adam_block block, cpu_share part,
                           adam_variant as) {
  switch (as.rule) {
  case VANE_RULE_ADOPT:
    return as.watch ? VARIANT(VANE_RULE_ADOPT, false, true, true)
                    : VARIANT(VANE_RULE_ADOPT, false, true, false);
  case VANE_RULE_ATAN2:
    return VARIANTS(VANE_RULE_ATAN2, true);
  case VANE_RULE_ADABELIEF:
    return VARIANTS(VANE_RULE_ADABELIEF, true);
  case VANE_RULE_RADAM:
    return VARIANTS(VANE_RULE_RADAM, true);
  default:
    return as.spam ? VARIANTS(VANE_RULE_ADAM, true) : VARIANTS(VANE_RULE_ADAM, false);
  }
}

/* ---- A block ------------------------------------------------------------------------------- */

static double lr_of(const vane_adam_memory *memory, int64_t segment,
                    const vane_step_record *record) {
  return vane_record_lr(record) * (memory->limits ? memory->limits[segment].lr : 1);
}

static void keep(const vane_adam_memory *memory, const adam_sums *sums, cpu_share part,
                 const vane_block *block, int64_t segment, const adam_step *step,
                 const vane_step_record *record, adam_rest *rest) {
  int64_t count = part.end - part.begin;
  if (part.begin > block->segments[segment].offset)
    *rest = (adam_rest){*sums, segment, count};
  else
    telemetry_add(&memory->telemetry[segment], sums, count, step, lr_of(memory, segment, record));
}

static void keep_rests(const cpu_device *cpu, const vane_adam_memory *memory, const adam_step *step,
                       const vane_step_record *record) {
  for (int thread = 0; thread < cpu->n_threads; thread++) {
    const adam_rest *rest = rest_of(cpu, thread);
    if (rest->count > 0)
      telemetry_add(&memory->telemetry[rest->segment], &rest->sums, rest->count, step,
                    lr_of(memory, rest->segment, record));
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
  const adam_step step = vane_cpu_adam_step(desc, record);
  const adam_variant as = {.rule = desc->rule,
                           .amsgrad = desc->amsgrad,
                           .spam = desc->spike_clip > 0 || (desc->resets && record->in.reset),
                           .watch = memory->telemetry && record->in.watch};
  const int64_t count = cpu_block_end(block);
  for (int thread = 0; thread < cpu->n_threads; thread++)
    rest_of(cpu, thread)->count = 0;
#pragma omp parallel num_threads(cpu->n_threads)
  {
    cpu_share share = cpu_share_of(count, omp_get_thread_num(), omp_get_num_threads());
    for (int64_t i = 0; i < block->n_segments; i++) {
      cpu_share part = cpu_share_meet(share, &block->segments[i]);
      if (part.begin >= part.end)
        continue;
      adam_scale scale = vane_cpu_adam_scale(desc, &step, &block->segments[i],
                                             memory->limits ? &memory->limits[i] : NULL, record);
      adam_sums sums = update_as(step, scale, reals, part, as);
      if (as.watch)
        keep(memory, &sums, part, block, i, &step, record, rest_of(cpu, omp_get_thread_num()));
    }
  }
  if (as.watch)
    keep_rests(cpu, memory, &step, record);
  return VANE_OK;
}

void vane_cpu_fill_optim(vane_optim_ops *ops) {
  *ops = (vane_optim_ops){
      .limits = vane_cpu_limits, .adam = cpu_adam, .curvature = vane_cpu_curvature};
}
