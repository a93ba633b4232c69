#include "train/bench_adam.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "train/median.h"

/* Times before the first that counts: pages are mapped, caches filled, threads awake. */
#define N_WARM_UP 3

/* Of calls that return early: far longer than a synchronisation, which takes some ten microseconds.
 */
#define BATCH_MS    20.0
#define MOST_CALLS  1000000
#define MOST_GROWTH 10.0 /* of a batch while its size is looked for */

/* Offsets of segments are multiples of 64 bytes (device.h). */
#define SEGMENT_BYTES 64

/* ---- Timing ------------------------------------------------------------------------------ */

typedef struct timed {
  vane_status (*call)(void *context);
  void *context;
  vane_device
      *device; /* waited for at the end of a batch; NULL: the call is over when it returns */
} timed;

/* Milliseconds of n_calls calls, until they are done. */
static vane_status time_batch(const timed *t, int64_t n_calls, double *ms) {
  double begin_s = vane_clock_s();
  for (int64_t i = 0; i < n_calls; i++)
    VANE_TRY(t->call(t->context));
  if (t->device)
    VANE_TRY(t->device->memory.synchronize(t->device));
  *ms = 1e3 * (vane_clock_s() - begin_s);
  return VANE_OK;
}

static vane_status find_batch(const timed *t, int64_t *n_calls) {
  *n_calls = 1;
  if (!t->device || !t->device->asynchronous)
    return VANE_OK;
  double ms = 0; /* the first call may be slow: it does not count */
  VANE_TRY(time_batch(t, 1, &ms));
  VANE_TRY(time_batch(t, 1, &ms));
  while (ms < BATCH_MS && *n_calls < MOST_CALLS) {
    double growth = ms > 0 ? 1.1 * BATCH_MS / ms : MOST_GROWTH;
    *n_calls = (int64_t)((double)*n_calls * (growth < MOST_GROWTH ? growth : MOST_GROWTH)) + 1;
    VANE_TRY(time_batch(t, *n_calls, &ms));
  }
  return VANE_OK;
}

static vane_status time_repeats(const timed *t, int64_t repeats, double *ms) {
  int64_t n_calls;
  VANE_TRY(find_batch(t, &n_calls));
  for (int64_t i = -N_WARM_UP; i < repeats; i++) {
    double batch_ms = 0;
    VANE_TRY(time_batch(t, n_calls, &batch_ms));
    if (i >= 0)
      ms[i] = batch_ms / (double)n_calls;
  }
  return VANE_OK;
}

static vane_status measure(const timed *t, int64_t repeats, int64_t model_bytes,
                           vane_bench_result *result) {
  double *ms = malloc((size_t)repeats * sizeof *ms);
  if (!ms)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %lld timings", (long long)repeats);
  vane_status status = time_repeats(t, repeats, ms);
  if (status == VANE_OK) {
    vane_median_of(ms, repeats, &result->ms, &result->fastest_ms);
    result->model_bytes = model_bytes;
    result->gb_per_s = (double)model_bytes / (result->ms * 1e6);
  }
  free(ms);
  return status;
}

/* ---- Adam -------------------------------------------------------------------------------- */

enum { THETA, GRADIENT, M, V, V_MAX, N_ARRAYS };

typedef struct adam_run {
  vane_device *device;
  vane_adam_desc desc;
  vane_block *block;
  int64_t count; /* reals in each array, the last one's padding included */
  void *arrays[N_ARRAYS];
  vane_step_record *record; /* on the device */
} adam_run;

static void finish(adam_run *run) {
  for (int i = 0; i < N_ARRAYS; i++)
    run->device->memory.destroy(run->device, run->arrays[i]);
  run->device->memory.destroy(run->device, run->record);
  run->device->block.destroy(run->device, run->block);
}

static vane_status lay_out(adam_run *run, const vane_bench_adam_size *size) {
  vane_segment *segments = calloc((size_t)size->n_tensors, sizeof *segments);
  if (!segments)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %lld segments", (long long)size->n_tensors);
  int64_t alignment = SEGMENT_BYTES / (int64_t)run->device->real_bytes;
  int64_t each = size->n_parameters / size->n_tensors;
  for (int64_t i = 0; i < size->n_tensors; i++) {
    int64_t rest = i + 1 == size->n_tensors ? size->n_parameters % size->n_tensors : 0;
    segments[i] =
        (vane_segment){.offset = run->count, .count = each + rest, .task = VANE_SHARED, .decay = 1};
    run->count += (each + rest + alignment - 1) / alignment * alignment;
  }
  vane_status status = run->device->block.plan(run->device, segments, size->n_tensors, &run->block);
  free(segments);
  return status;
}

/* Values as in the midst of training, none subnormal, drawn where they are needed: nothing crosses
 * to the device. */
static const vane_draw_desc draws[N_ARRAYS] = {
    [THETA] = {.low = -1, .high = 1},    [GRADIENT] = {.low = -1, .high = 1},
    [M] = {.low = -0.1F, .high = 0.1F},  [V] = {.low = 0.01F, .high = 1},
    [V_MAX] = {.low = 0.01F, .high = 1},
};

/* The gaps between segments stay zero (device.h). */
static vane_status fill(const adam_run *run, int array) {
  for (int64_t i = 0; i < run->block->n_segments; i++) {
    const vane_segment *segment = &run->block->segments[i];
    vane_draw_desc draw = draws[array];
    draw.stream = VANE_RANDOM_BENCH;
    draw.step = (uint64_t)array;
    draw.index = (uint64_t)segment->offset / 4;
    unsigned char *to =
        (unsigned char *)run->arrays[array] + (size_t)segment->offset * run->device->real_bytes;
    VANE_TRY(run->device->elementwise.draw(run->device, to, segment->count, &draw));
  }
  return VANE_OK;
}

static vane_status prepare(adam_run *run, const vane_bench_adam_size *size) {
  vane_memory_ops *memory = &run->device->memory;
  VANE_TRY(lay_out(run, size));
  size_t bytes = (size_t)run->count * run->device->real_bytes;
  for (int i = 0; i < (run->desc.amsgrad ? N_ARRAYS : V_MAX); i++) {
    VANE_TRY(memory->create(run->device, bytes, &run->arrays[i]));
    VANE_TRY(fill(run, i));
  }
  void *record_memory;
  VANE_TRY(memory->create(run->device, sizeof *run->record, &record_memory));
  run->record = record_memory;
  /* Step 1,000, so that both bias corrections are part of it; nothing is clipped. */
  vane_step_record record = {.in = {.step = 1000, .lr = 1e-3, .bias1 = 1, .bias2 = 0.632},
                             .clip = 1};
  record.coefficient[VANE_SHARED] = 1;
  VANE_TRY(memory->upload(run->device, run->record, &record, sizeof record));
  return memory->synchronize(run->device);
}

static vane_status step(void *context) {
  adam_run *run = context;
  const vane_adam_memory memory = {.parameters = run->arrays[THETA],
                                   .gradients = run->arrays[GRADIENT],
                                   .m = run->arrays[M],
                                   .v = run->arrays[V],
                                   .v_max = run->arrays[V_MAX]};
  return run->device->optim.adam(run->device, &run->desc, run->block, &memory, run->record);
}

vane_status vane_bench_adam(vane_device *device, const vane_bench_adam_size *size, bool amsgrad,
                            int64_t repeats, vane_bench_result *result) {
  if (size->n_tensors < 1 || size->n_parameters < size->n_tensors || repeats < 1)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "bench adam: %lld parameters in %lld tensors, %lld times: give at least one "
                     "parameter per tensor and one repeat",
                     (long long)size->n_parameters, (long long)size->n_tensors, (long long)repeats);
  adam_run run = {.device = device,
                  .desc = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .amsgrad = amsgrad}};
  vane_status status = prepare(&run, size);
  int64_t reals_moved = amsgrad ? 9 : 7;
  if (status == VANE_OK)
    status = measure(&(timed){step, &run, device}, repeats,
                     reals_moved * (int64_t)device->real_bytes * size->n_parameters, result);
  finish(&run);
  return status;
}

/* ---- The device's memory ------------------------------------------------------------------ */

typedef struct copy_run {
  vane_device *device;
  void *to, *from;
  size_t bytes;
} copy_run;

static vane_status copy(void *context) {
  const copy_run *run = context;
  return run->device->memory.copy(run->device, run->to, run->from, run->bytes);
}

vane_status vane_bench_copy(vane_device *device, int64_t bytes, int64_t repeats,
                            vane_bench_result *result) {
  if (bytes < 2 || repeats < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "bench copy: give at least two bytes and one repeat");
  copy_run run = {.device = device, .bytes = (size_t)bytes / 2};
  vane_status status = device->memory.create(device, run.bytes, &run.to);
  if (status == VANE_OK)
    status = device->memory.create(device, run.bytes, &run.from);
  if (status == VANE_OK)
    status = measure(&(timed){copy, &run, device}, repeats, 2 * (int64_t)run.bytes, result);
  device->memory.destroy(device, run.to);
  device->memory.destroy(device, run.from);
  return status;
}

/* ---- The host's memory
 * ------------------------------------------------------------------------------ */

typedef struct triad_run {
  float *a, *b, *c;
  int64_t count;
  int n_threads;
} triad_run;

static vane_status triad(void *context) {
  const triad_run *run = context;
  float *restrict a = run->a;
  const float *restrict b = run->b, *restrict c = run->c;
#pragma omp parallel for simd schedule(static) num_threads(run->n_threads)
  for (int64_t i = 0; i < run->count; i++)
    a[i] = b[i] + 2.0f * c[i];
  return VANE_OK;
}

vane_status vane_bench_triad(int64_t count, int64_t n_threads, int64_t repeats,
                             vane_bench_result *result) {
  if (count < 1 || repeats < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "bench triad: give at least one element and one repeat");
  size_t bytes = (size_t)count * sizeof(float);
  triad_run run = {malloc(bytes), malloc(bytes), malloc(bytes), count,
                   n_threads ? (int)n_threads : omp_get_num_procs()};
  vane_status status = VANE_OK;
  if (run.a && run.b && run.c) {
    memset(run.b, 0, bytes);
    memset(run.c, 0, bytes);
    status = measure(&(timed){triad, &run, NULL}, repeats, 3 * (int64_t)bytes, result);
  } else {
    status =
        vane_fail(VANE_ERR_MEMORY, "no memory for three arrays of %lld numbers", (long long)count);
  }
  free(run.a);
  free(run.b);
  free(run.c);
  return status;
}
