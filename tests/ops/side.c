#include "ops/side.h"

#include <stdlib.h>
#include <string.h>
#ifdef VANE_SIMULATED
#include "simgpu/simgpu.h"
#endif

#define GUARD_BYTES  256 /* the alignment of a block, so that its middle keeps it */
#define FILL         0xff
#define ORACLE_BYTES sizeof(double) /* of a real of ref in double: the host reads it as it lies */

static int held; /* the precision of the device under test */

void side_hold(int precision) {
  held = precision;
}

side side_begin(vane_device *device) {
  return (side){.device = device};
}

/* Every other guard is a NaN: whoever reads it spoils a result. The rest are numbers of their own,
 * since a NaN that is copied, or added to a NaN, leaves no trace. */
static int guard_byte(int block) {
  return block % 2 ? FILL : 0x20 + block;
}

static void fill(side *s, unsigned char *to, int byte, size_t bytes) {
  unsigned char *host = malloc(bytes + 1);
  assert_non_null(host);
  memset(host, byte, bytes);
  check_ok(s->device->memory.upload(s->device, to, host, bytes));
  check_ok(s->device->memory.synchronize(s->device));
  free(host);
}

/* The simulated GPU knows which bytes were written; these count as not. */
static void forget(const side *s, const void *memory, size_t bytes) {
#ifdef VANE_SIMULATED
  if (simgpu_is_device(memory)) {
    check_ok(s->device->memory.synchronize(s->device));
    simgpu_forget(memory, bytes);
  }
#else
  (void)s, (void)memory, (void)bytes;
#endif
}

static void check_guard(side *s, const unsigned char *guard, int block, const char *where) {
  unsigned char host[GUARD_BYTES];
  check_ok(s->device->memory.download(s->device, host, guard, GUARD_BYTES));
  check_ok(s->device->memory.synchronize(s->device));
  for (int i = 0; i < GUARD_BYTES; ++i)
    if (host[i] != guard_byte(block))
      fail_msg("block %d was written %s, at byte %d of its guard", block, where, i);
}

void side_end(side *s) {
  for (int i = 0; i < s->n_blocks; ++i) {
    check_guard(s, s->blocks[i].base, i, "before its begin");
    check_guard(s, s->blocks[i].base + GUARD_BYTES + s->blocks[i].bytes, i, "beyond its end");
    s->device->memory.destroy(s->device, s->blocks[i].base);
  }
  s->n_blocks = 0;
  while (s->n_planned > 0)
    s->device->block.destroy(s->device, s->planned[--s->n_planned]);
}

void *side_bytes(side *s, size_t bytes) {
  assert_true(s->n_blocks < (int)(sizeof s->blocks / sizeof s->blocks[0]));
  void *base = NULL;
  check_ok(s->device->memory.create(s->device, bytes + 2 * GUARD_BYTES, &base));
  assert_int_equal((uintptr_t)base % 256, 0);
  unsigned char *begin = (unsigned char *)base + GUARD_BYTES;
  fill(s, base, guard_byte(s->n_blocks), GUARD_BYTES);
  fill(s, begin, FILL, bytes);
  forget(s, begin, bytes);
  fill(s, begin + bytes, guard_byte(s->n_blocks), GUARD_BYTES);
  s->blocks[s->n_blocks++] = (side_block){base, bytes};
  return begin;
}

void *side_reals(side *s, int64_t count) {
  return side_bytes(s, (size_t)count * s->device->real_bytes);
}

static float *to_floats(const double *values, int64_t count) {
  float *floats = malloc(((size_t)count + 1) * sizeof *floats);
  assert_non_null(floats);
  for (int64_t i = 0; values && i < count; ++i)
    floats[i] = (float)values[i];
  return floats;
}

static void from_floats(float *floats, double *values, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = (double)floats[i];
  free(floats);
}

void *side_put(side *s, const double *values, int64_t count) {
  void *reals = side_reals(s, count);
  float *floats = to_floats(values, count);
  check_ok(s->device->memory.put(s->device, reals, floats, count));
  free(floats);
  return reals;
}

void side_read(side *s, const void *reals, double *values, int64_t count) {
  if (s->device->real_bytes == ORACLE_BYTES) {
    memcpy(values, reals, (size_t)count * sizeof(double));
    return;
  }
  float *floats = to_floats(NULL, count);
  check_ok(s->device->memory.get(s->device, floats, reals, count));
  from_floats(floats, values, count);
}

vane_tensor side_tensor(side *s, int64_t n, int64_t h, int64_t w, int64_t c) {
  vane_tensor tensor;
  size_t bytes;
  check_ok(s->device->memory.describe(s->device, n, h, w, c, &tensor, &bytes));
  const bool narrow = held == VANE_PRECISION_BF16 && s->device->real_bytes != ORACLE_BYTES;
  assert_true(bytes >= (size_t)(n * h * w * c) * (narrow ? 2 : s->device->real_bytes));
  tensor.data = side_bytes(s, bytes);
  return tensor;
}

vane_tensor side_put_tensor(side *s, const double *values, int64_t n, int64_t h, int64_t w,
                            int64_t c) {
  vane_tensor tensor = side_tensor(s, n, h, w, c);
  float *floats = to_floats(values, n * h * w * c);
  for (int64_t i = 0; s->device->real_bytes == ORACLE_BYTES && i < n * h * w * c; ++i)
    floats[i] = (float)check_narrowed(held, (double)floats[i]); /* others round by themselves */
  check_ok(s->device->memory.put_tensor(s->device, &tensor, floats));
  free(floats);
  return tensor;
}

void side_read_tensor(side *s, const vane_tensor *tensor, double *values) {
  int64_t count = tensor->n * tensor->h * tensor->w * tensor->c;
  if (s->device->real_bytes == ORACLE_BYTES) {
    side_read(s, tensor->data, values, count);
    for (int64_t i = 0; i < count; ++i)
      values[i] = check_narrowed(held, values[i]);
    return;
  }
  float *floats = to_floats(NULL, count);
  check_ok(s->device->memory.get_tensor(s->device, floats, tensor));
  from_floats(floats, values, count);
}

static int64_t plain_count(const vane_conv_plan *plan) {
  return plan->desc.c_out * plan->desc.c_in * plan->desc.kernel * plan->desc.kernel;
}

void *side_put_weights(side *s, const vane_conv_plan *plan, const double *values) {
  void *weights = side_reals(s, plan->weight_count);
  float *floats = to_floats(values, plain_count(plan));
  check_ok(s->device->conv.put_weights(s->device, plan, weights, floats));
  free(floats);
  return weights;
}

void side_read_weights(side *s, const vane_conv_plan *plan, const void *weights, double *values) {
  if (s->device->real_bytes == ORACLE_BYTES) {
    side_read(s, weights, values, plain_count(plan));
    return;
  }
  float *floats = to_floats(NULL, plain_count(plan));
  check_ok(s->device->conv.get_weights(s->device, plan, floats, weights));
  from_floats(floats, values, plain_count(plan));
}

vane_step_record *side_put_record(side *s, const vane_step_record *record) {
  vane_step_record *on_device = side_bytes(s, sizeof *record);
  check_ok(s->device->memory.upload(s->device, on_device, record, sizeof *record));
  check_ok(s->device->memory.synchronize(s->device));
  return on_device;
}

vane_step_record side_read_record(side *s, const vane_step_record *record) {
  vane_step_record host;
  check_ok(s->device->memory.download(s->device, &host, record, sizeof host));
  check_ok(s->device->memory.synchronize(s->device));
  return host;
}

const vane_block *side_plan_block(side *s, const vane_segment *segments, int64_t n_segments) {
  assert_true(s->n_planned < (int)(sizeof s->planned / sizeof s->planned[0]));
  vane_block **block = &s->planned[s->n_planned];
  check_ok(s->device->block.plan(s->device, segments, n_segments, block));
  s->n_planned++;
  return *block;
}

void side_bind_workspace(side *s, size_t bytes) {
  s->device->memory.bind_workspace(s->device, side_bytes(s, bytes), bytes);
}
