#include "train/bench_arrays.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

/* In reals, so that a parameter has the same place, and is drawn the same, whatever a real is:
 * offsets of segments are multiples of 64 bytes (device.h), sets are aligned to 256 as created
 * memory is. */
enum { SEGMENT_UNIT = 16, SET_UNIT = 64 };

/* So many steps are behind it: both bias corrections are part of the next one. */
#define STEP 1000

static int64_t up(int64_t count, int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

/* Parameters of the tensors but the last one, and of that. */
static int64_t of_each(const vane_bench_size *size) {
  return size->n_parameters / size->n_tensors;
}

static int64_t of_last(const vane_bench_size *size) {
  return of_each(size) + size->n_parameters % size->n_tensors;
}

static int64_t stride_of(const vane_bench_size *size) {
  return up(up(of_each(size), SEGMENT_UNIT) * (size->n_tensors - 1) + of_last(size), SET_UNIT);
}

static int n_arrays(bool amsgrad) {
  return amsgrad ? VANE_BENCH_N_ARRAYS : VANE_BENCH_V_MAX;
}

int64_t vane_bench_set_bytes(const vane_device *device, const vane_bench_size *size, bool amsgrad) {
  int64_t stride = size->n_tensors > 0 ? stride_of(size) : 0;
  return n_arrays(amsgrad) * stride * (int64_t)device->real_bytes;
}

static vane_status lay_out(vane_bench_arrays *arrays, const vane_bench_size *size) {
  vane_device *device = arrays->device;
  vane_segment *segments = calloc((size_t)size->n_tensors, sizeof *segments);
  if (!segments)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %lld segments", (long long)size->n_tensors);
  int64_t offset = 0;
  for (int64_t i = 0; i < size->n_tensors; i++) {
    int64_t count = i + 1 < size->n_tensors ? of_each(size) : of_last(size);
    segments[i] = (vane_segment){.offset = offset, .count = count, .task = VANE_SHARED, .decay = 1};
    offset += up(count, SEGMENT_UNIT);
  }
  vane_status status = device->block.plan(device, segments, size->n_tensors, &arrays->block);
  free(segments);
  return status;
}

/* None is subnormal; v of the size that g^2 has. */
static const vane_draw_desc draws[VANE_BENCH_N_ARRAYS] = {
    [VANE_BENCH_THETA] = {.low = -1, .high = 1},    [VANE_BENCH_GRADIENT] = {.low = -1, .high = 1},
    [VANE_BENCH_M] = {.low = -0.1F, .high = 0.1F},  [VANE_BENCH_V] = {.low = 0.01F, .high = 1},
    [VANE_BENCH_V_MAX] = {.low = 0.01F, .high = 1},
};

static void *at(const vane_bench_arrays *arrays, int array, int64_t real) {
  if (!arrays->reals[array])
    return NULL;
  return (unsigned char *)arrays->reals[array] + (size_t)real * arrays->device->real_bytes;
}

/* The gaps between segments stay zero (device.h). Nothing crosses to the device. */
static vane_status fill(const vane_bench_arrays *arrays, int array) {
  vane_device *device = arrays->device;
  for (int64_t i = 0; i < arrays->block->n_segments; i++) {
    const vane_segment *segment = &arrays->block->segments[i];
    vane_draw_desc draw = draws[array];
    draw.stream = VANE_RANDOM_BENCH;
    draw.step = (uint64_t)array;
    draw.index = (uint64_t)segment->offset / 4;
    VANE_TRY(device->elementwise.draw(device, at(arrays, array, segment->offset), segment->count,
                                      &draw));
  }
  size_t bytes = (size_t)arrays->stride * device->real_bytes;
  for (int64_t set = 1; set < arrays->n_sets; set++)
    VANE_TRY(device->memory.copy(device, at(arrays, array, set * arrays->stride),
                                 arrays->reals[array], bytes));
  return VANE_OK;
}

static vane_status create_telemetry(vane_bench_arrays *arrays) {
  const size_t bytes = (size_t)arrays->block->n_parts * sizeof(vane_adam_telemetry);
  return arrays->device->memory.create(arrays->device, bytes, &arrays->telemetry);
}

static vane_status put_record(vane_bench_arrays *arrays) {
  vane_memory_ops *memory = &arrays->device->memory;
  vane_step_record record = {.in = {.step = STEP,
                                    .lr = 1e-3,
                                    .bias1 = 1 - pow(arrays->adam->beta1, STEP),
                                    .bias2 = 1 - pow(arrays->adam->beta2, STEP),
                                    .watch = arrays->telemetry != NULL},
                             .clip = 1};
  record.coefficient[VANE_SHARED] = 1;
  void *on_device;
  VANE_TRY(memory->create(arrays->device, sizeof record, &on_device));
  arrays->record = on_device;
  return memory->upload(arrays->device, on_device, &record, sizeof record);
}

vane_status vane_bench_arrays_init(vane_bench_arrays *arrays, vane_device *device,
                                   const vane_bench_size *size, const vane_adam_desc *adam,
                                   bool watch, int64_t n_sets) {
  *arrays = (vane_bench_arrays){.device = device, .adam = adam, .n_sets = n_sets};
  if (size->n_tensors < 1 || size->n_parameters < size->n_tensors)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "bench adam: %lld parameters in %lld tensors: give at least one per tensor",
                     (long long)size->n_parameters, (long long)size->n_tensors);
  arrays->stride = stride_of(size);
  VANE_TRY(lay_out(arrays, size));
  size_t bytes = (size_t)(n_sets * arrays->stride) * device->real_bytes;
  for (int i = 0; i < n_arrays(adam->amsgrad); i++) {
    VANE_TRY(device->memory.create(device, bytes, &arrays->reals[i]));
    VANE_TRY(fill(arrays, i));
  }
  if (watch)
    VANE_TRY(create_telemetry(arrays));
  VANE_TRY(put_record(arrays));
  return device->memory.synchronize(device);
}

void vane_bench_arrays_finish(vane_bench_arrays *arrays) {
  for (int i = 0; i < VANE_BENCH_N_ARRAYS; i++)
    arrays->device->memory.destroy(arrays->device, arrays->reals[i]);
  arrays->device->memory.destroy(arrays->device, arrays->record);
  arrays->device->memory.destroy(arrays->device, arrays->telemetry);
  arrays->device->block.destroy(arrays->device, arrays->block);
}

vane_adam_memory vane_bench_arrays_take(vane_bench_arrays *arrays) {
  int64_t real = arrays->next_set * arrays->stride;
  arrays->next_set = arrays->next_set + 1 < arrays->n_sets ? arrays->next_set + 1 : 0;
  return (vane_adam_memory){.parameters = at(arrays, VANE_BENCH_THETA, real),
                            .gradients = at(arrays, VANE_BENCH_GRADIENT, real),
                            .m = at(arrays, VANE_BENCH_M, real),
                            .v = at(arrays, VANE_BENCH_V, real),
                            .v_max = at(arrays, VANE_BENCH_V_MAX, real),
                            .telemetry = arrays->telemetry};
}

vane_status vane_bench_arrays_step(vane_bench_arrays *arrays) {
  const vane_adam_memory memory = vane_bench_arrays_take(arrays);
  return arrays->device->optim.adam(arrays->device, arrays->adam, arrays->block, &memory,
                                    arrays->record);
}
