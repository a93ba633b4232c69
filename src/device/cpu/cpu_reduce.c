/* The losses' gradients become one (N20..N26): what reads whole gradients is here, on all threads
 * and in doubles; what is arithmetic on a handful of numbers is ref's.
 *
 * Each thread adds up its share of the memory, then the shares are added in the order of the
 * threads: the same number of threads gives the same bits. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_share.h"
#include "device/ref/ref.h"

static double *partials_of(const cpu_device *cpu, int thread) {
  return cpu->partials + (int64_t)thread * CPU_PARTIALS_PER_THREAD;
}

static void partials_clear(const cpu_device *cpu) {
  memset(cpu->partials, 0, (size_t)cpu->n_threads * CPU_PARTIALS_PER_THREAD * sizeof(double));
}

static double partials_sum(const cpu_device *cpu, int i) {
  double sum = 0;
  for (int thread = 0; thread < cpu->n_threads; thread++)
    sum += partials_of(cpu, thread)[i];
  return sum;
}

/* ---- Dots (N20) --------------------------------------------------------------------------- */

/* Dots of five rows with each other: the heads' gradients and the weights. */
enum { N_PAIRS = VANE_N_LOSSES * (VANE_N_LOSSES + 1) / 2 };
_Static_assert((int)N_PAIRS <= (int)CPU_PARTIALS_PER_THREAD, "all dots of a thread fit");

/* 15 sums and 5 rows of eight doubles fill 20 of AVX-512's 32 registers: one pass over memory, and
 * nothing is spilled. */
enum { LANES = 8 };
typedef float lane_floats __attribute__((vector_size(LANES * sizeof(float))));
typedef double lane_doubles __attribute__((vector_size(LANES * sizeof(double))));

typedef struct dot_rows {
  const float *row[VANE_N_LOSSES]; /* NULL: zero */
} dot_rows;

static inline void add_products(const dot_rows *rows, int64_t i, int64_t n,
                                lane_doubles sums[N_PAIRS]) {
  lane_doubles x[VANE_N_LOSSES];
  for (int k = 0; k < VANE_N_LOSSES; k++) {
    lane_floats narrow = {0};
    if (rows->row[k])
      memcpy(&narrow, rows->row[k] + i, (size_t)n * sizeof(float));
    x[k] = __builtin_convertvector(narrow, lane_doubles);
  }
  int pair = 0;
  for (int a = 0; a < VANE_N_LOSSES; a++)
    for (int b = 0; b <= a; b++)
      sums[pair++] += x[a] * x[b];
}

static void add_dots(dot_rows rows, cpu_share share, double dots[N_PAIRS]) {
  lane_doubles sums[N_PAIRS] = {{0}};
  int64_t i = share.begin;
  for (; i + LANES <= share.end; i += LANES)
    add_products(&rows, i, LANES, sums);
  if (i < share.end)
    add_products(&rows, i, share.end - i, sums);
  for (int pair = 0; pair < N_PAIRS; pair++)
    for (int lane = 0; lane < LANES; lane++)
      dots[pair] += sums[pair][lane];
}

/* A shared segment has a gradient per head, unless it lies behind the slots (log variances); a
 * head's own segment has one; the fifth loss's gradient is the weights, where they decay. */
static dot_rows rows_of(const vane_segment *segment, const void *const slots[VANE_N_HEADS],
                        int64_t count, const float *parameters, const float *gradients) {
  dot_rows rows = {{NULL}};
  for (int k = 0; k < VANE_N_HEADS; k++) {
    if (segment->task == VANE_SHARED)
      rows.row[k] = segment->offset < count ? slots[k] : NULL;
    else if (segment->task == k)
      rows.row[k] = gradients;
  }
  if (segment->decay)
    rows.row[VANE_LOSS_REGULARIZATION] = parameters;
  return rows;
}

static vane_status cpu_gram(vane_device *device, const void *const slots[VANE_N_HEADS],
                            int64_t count, const vane_block *block, const void *parameters,
                            const void *gradients, vane_step_record *record) {
  /* In space trunk_output the slots are all there is: one segment, no weights. */
  vane_segment features = {.count = count, .task = VANE_SHARED};
  const vane_block whole = {.segments = &features, .n_segments = 1, .count = count};
  if (!parameters)
    block = &whole;
  const cpu_device *cpu = (const cpu_device *)device;
  const int64_t total = cpu_block_end(block);
  partials_clear(cpu);
#pragma omp parallel num_threads(cpu->n_threads)
  {
    cpu_share share = cpu_share_of(total, omp_get_thread_num(), omp_get_num_threads());
    for (int64_t i = 0; i < block->n_segments; i++)
      add_dots(rows_of(&block->segments[i], slots, count, parameters, gradients),
               cpu_share_meet(share, &block->segments[i]), partials_of(cpu, omp_get_thread_num()));
  }
  int pair = 0;
  for (int a = 0; a < VANE_N_LOSSES; a++)
    for (int b = 0; b <= a; b++)
      record->gram[a][b] = record->gram[b][a] = partials_sum(cpu, pair++);
  record->gram[VANE_LOSS_REGULARIZATION][VANE_LOSS_REGULARIZATION] =
      2 * record->loss[VANE_LOSS_REGULARIZATION];
  return VANE_OK;
}

/* ---- Sum (N24) ---------------------------------------------------------------------------- */

/* Reals that are summed in the first-level cache before they are written: `out` may be a slot. */
enum { TILE = 1024 };

static void combine_tile(float *out, const void *const slots[VANE_N_HEADS], cpu_share tile,
                         const double mix[VANE_N_HEADS]) {
  float sum[TILE] = {0};
  const int64_t n = tile.end - tile.begin;
  for (int k = 0; k < VANE_N_HEADS; k++) {
    if (!slots[k])
      continue;
    const float *slot = (const float *)slots[k] + tile.begin;
    const float factor = (float)mix[k];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      sum[i] += factor * slot[i];
  }
  memcpy(out + tile.begin, sum, (size_t)n * sizeof *sum);
}

static vane_status cpu_combine(vane_device *device, void *out,
                               const void *const slots[VANE_N_HEADS], int64_t count,
                               const vane_step_record *record) {
#pragma omp parallel for schedule(static) num_threads(((cpu_device *)device)->n_threads)
  for (int64_t begin = 0; begin < count; begin += TILE) {
    cpu_share tile = {begin, count - begin < TILE ? count : begin + TILE};
    combine_tile(out, slots, tile, record->mix);
  }
  return VANE_OK;
}

/* ---- Norm of the whole gradient (N25) ------------------------------------------------------ */

static double squares(const float *gradients, double own, cpu_share part) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = part.begin; i < part.end; i++) {
    double g = own * (double)gradients[i];
    sum += g * g;
  }
  return sum;
}

static double squares_with_decay(const float *gradients, const float *parameters, double own,
                                 double decay, cpu_share part) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = part.begin; i < part.end; i++) {
    double g = own * (double)gradients[i] + decay * (double)parameters[i];
    sum += g * g;
  }
  return sum;
}

static vane_status cpu_decide(vane_device *device, const vane_decide_desc *desc,
                              const vane_block *block, const void *parameters,
                              const void *gradients, const void *samples, int64_t n,
                              vane_step_record *record) {
  const cpu_device *cpu = (const cpu_device *)device;
  const double *coefficient = record->coefficient;
  const double decay = coefficient[VANE_LOSS_REGULARIZATION];
  const int64_t total = cpu_block_end(block);
  partials_clear(cpu);
#pragma omp parallel num_threads(cpu->n_threads)
  {
    cpu_share share = cpu_share_of(total, omp_get_thread_num(), omp_get_num_threads());
    double *sum = partials_of(cpu, omp_get_thread_num());
    for (int64_t i = 0; i < block->n_segments; i++) {
      cpu_share part = cpu_share_meet(share, &block->segments[i]);
      double own = coefficient[block->segments[i].task];
      *sum += block->segments[i].decay && decay != 0
                  ? squares_with_decay(gradients, parameters, own, decay, part)
                  : squares(gradients, own, part);
    }
  }
  vane_ref_settle_float(desc, sqrt(partials_sum(cpu, 0)), samples, n, record);
  return VANE_OK;
}

void vane_cpu_fill_reduce(vane_reduce_ops *ops) {
  vane_ref_fill_reduce_float(ops); /* coefficients */
  ops->gram = cpu_gram;
  ops->combine = cpu_combine;
  ops->decide = cpu_decide;
}
