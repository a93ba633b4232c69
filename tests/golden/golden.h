/* What the golden tests share: the inputs that make_golden.py draws too, the files it wrote, and
 * the devices that have to agree with them. */
#ifndef VANE_TESTS_GOLDEN_H
#define VANE_TESTS_GOLDEN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device/device.h"
#include "format/safetensors.h"

static inline void golden_ok(vane_status status) {
  if (status != VANE_OK)
    fail_msg("%s: %s", vane_status_name(status), vane_error_get()->message);
}

/* ---- Draws: make_golden.py, class Draws ---------------------------------------------------- */

static inline double golden_draw(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)((int64_t)(*state >> 44) - (1 << 19)) * 0x1p-19;
}

static inline void golden_draw_array(uint64_t *state, double size, int64_t n, float *values) {
  for (int64_t i = 0; i < n; i++)
    values[i] = (float)(size * golden_draw(state));
}

/* ---- Files ----------------------------------------------------------------------------------- */

static inline vane_safetensors_file *golden_open_file(const char *path) {
  vane_safetensors_file *file;
  golden_ok(vane_safetensors_open(path, &file));
  return file;
}

/* Tensor "CASE/KEY" of n numbers, as doubles. */
static inline void golden_read(const vane_safetensors_file *file, const char *name, const char *key,
                               int64_t n, double *values) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", name, key);
  const vane_safetensor *tensor = vane_safetensors_find(file, path);
  if (!tensor)
    fail_msg("the golden file lacks %s", path);
  bool wide = strcmp(tensor->dtype, "F64") == 0;
  assert_int_equal(tensor->bytes, (size_t)n * (wide ? sizeof(double) : sizeof(float)));
  const unsigned char *bytes = tensor->data;
  for (int64_t i = 0; i < n; i++) {
    float narrow;
    if (wide) {
      memcpy(&values[i], bytes + i * (int64_t)sizeof(double), sizeof(double));
    } else {
      memcpy(&narrow, bytes + i * (int64_t)sizeof(float), sizeof(float));
      values[i] = (double)narrow;
    }
  }
}

/* ---- Devices ------------------------------------------------------------------------------- */

enum { GOLDEN_REF, GOLDEN_CPU, GOLDEN_N_DEVICES };

static inline vane_device *golden_open_device(int kind) {
  vane_device *device;
  if (kind == GOLDEN_REF)
    golden_ok(vane_ref_open(false, &device));
  else
    golden_ok(vane_cpu_open(
        &(vane_device_options){.kind = VANE_DEVICE_CPU, .convolution = VANE_CONVOLUTION_DIRECT},
        &device));
  return device;
}

/* Fresh device memory with `n` reals from the host, or zeros where `values` is NULL. */
static inline void *golden_put(vane_device *device, const float *values, int64_t n) {
  void *memory;
  golden_ok(device->memory.create(device, (size_t)n * device->real_bytes, &memory));
  if (values)
    golden_ok(device->memory.put(device, memory, values, n));
  return memory;
}

/* The caller destroys it. */
static inline vane_block *golden_plan_block(vane_device *device, const vane_segment *segments,
                                            int64_t n_segments) {
  vane_block *block;
  golden_ok(device->block.plan(device, segments, n_segments, &block));
  return block;
}

static inline vane_step_record *golden_put_record(vane_device *device,
                                                  const vane_step_record *record) {
  void *memory;
  golden_ok(device->memory.create(device, sizeof *record, &memory));
  golden_ok(device->memory.upload(device, memory, record, sizeof *record));
  golden_ok(device->memory.synchronize(device));
  return memory;
}

static inline vane_step_record golden_get_record(vane_device *device,
                                                 const vane_step_record *from) {
  vane_step_record record;
  golden_ok(device->memory.download(device, &record, from, sizeof record));
  golden_ok(device->memory.synchronize(device));
  return record;
}

/* ---- Distances ----------------------------------------------------------------------------- */

static inline double golden_distance(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sqrt(sum);
}

#define golden_assert_at_most(value, limit, ...)                                                   \
  do {                                                                                             \
    if (!((value) <= (limit))) {                                                                   \
      print_error(__VA_ARGS__);                                                                    \
      fail_msg(": %g is more than %g", (value), (double)(limit));                                  \
    }                                                                                              \
  } while (0)

#endif
