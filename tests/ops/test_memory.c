/* Conformance of the memory table, and of opening a device. */
#include <stdlib.h>
#include <string.h>

#include "ops/side.h"

static void check_create(check *c) {
  vane_device *device = c->subject;
  for (size_t bytes = 0; bytes <= 1000; bytes += 333) {
    unsigned char host[1000], pattern[1000];
    void *memory = NULL;
    check_ok(device->memory.create(device, bytes, &memory));
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 256, 0);
    memset(host, 1, sizeof host);
    check_ok(device->memory.download(device, host, memory, bytes));
    check_ok(device->memory.synchronize(device));
    for (size_t i = 0; i < bytes; ++i)
      assert_int_equal(host[i], 0);
    memset(pattern, 7, sizeof pattern);
    check_ok(device->memory.upload(device, memory, pattern, bytes));
    check_ok(device->memory.clear(device, memory, bytes / 2));
    check_ok(device->memory.download(device, host, memory, bytes));
    check_ok(device->memory.synchronize(device));
    for (size_t i = 0; i < bytes; ++i)
      assert_int_equal(host[i], i < bytes / 2 ? 0 : 7);
    device->memory.destroy(device, memory);
  }
  device->memory.destroy(device, NULL);
}

static void check_copy(check *c) {
  vane_device *device = c->subject;
  static const size_t counts[] = {0, 1, 255, 1000};
  for (int i = 0; i < 4; ++i) {
    unsigned char host[1000], pattern[1000];
    side s = side_begin(device);
    void *from = side_bytes(&s, counts[i]), *to = side_bytes(&s, counts[i]);
    for (size_t j = 0; j < sizeof pattern; ++j)
      pattern[j] = (unsigned char)(j * 7 + 1);
    check_ok(device->memory.upload(device, from, pattern, counts[i]));
    check_ok(device->memory.copy(device, to, from, counts[i]));
    check_ok(device->memory.clear(device, from, counts[i])); /* after the copy, as called */
    check_ok(device->memory.download(device, host, to, counts[i]));
    check_ok(device->memory.synchronize(device));
    assert_memory_equal(host, pattern, counts[i]);
    side_end(&s);
  }
}

/* What byte i of the n-th upload is. */
static unsigned char byte_of(int n, size_t i) {
  return (unsigned char)(i * 31 + (i >> 8) + (i >> 16) * 7 + (size_t)n);
}

static void assert_pattern(const unsigned char *host, int n, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i)
    if (host[i] != byte_of(n, i))
      fail_msg("byte %zu of upload %d, %zu bytes, is %d, not %d", i, n, bytes, host[i],
               byte_of(n, i));
}

/* More than a device stages at once, in calls that nothing waits for; the host's memory changes at
 * once. */
static void check_uploads_in_a_row(check *c) {
  enum { N = 7 };
  static const size_t bytes[N] = {5 << 20, 5 << 20, 1, 5 << 20, (19 << 20) + 3, 300, 6 << 20};
  vane_device *device = c->subject;
  unsigned char *host = malloc(20 << 20);
  void *memory[N];
  assert_non_null(host);
  for (int n = 0; n < N; ++n)
    check_ok(device->memory.create(device, bytes[n], &memory[n]));
  for (int n = 0; n < N; ++n) {
    for (size_t i = 0; i < bytes[n]; ++i)
      host[i] = byte_of(n, i);
    check_ok(device->memory.upload(device, memory[n], host, bytes[n]));
  }
  for (int n = 0; n < N; ++n) {
    memset(host, 0, bytes[n]);
    check_ok(device->memory.download(device, host, memory[n], bytes[n]));
    check_ok(device->memory.synchronize(device));
    assert_pattern(host, n, bytes[n]);
    device->memory.destroy(device, memory[n]);
  }
  free(host);
}

/* Downloads that one call waits for, small and large, each from a place of its own. */
static void check_downloads_in_a_row(check *c) {
  enum { N = 12, STEP = 256, SMALL = 100, LARGE = 70000, ALL = N * STEP + LARGE };
  vane_device *device = c->subject;
  unsigned char *from = malloc(ALL), *to = malloc(N * LARGE);
  void *memory;
  assert_non_null(from);
  assert_non_null(to);
  for (size_t i = 0; i < ALL; ++i)
    from[i] = byte_of(0, i);
  check_ok(device->memory.create(device, ALL, &memory));
  check_ok(device->memory.upload(device, memory, from, ALL));
  for (int turn = 0; turn < 2; ++turn) {
    memset(to, 0, N * LARGE);
    for (size_t n = 0; n < N; ++n)
      check_ok(device->memory.download(device, to + n * LARGE, (unsigned char *)memory + n * STEP,
                                       n == 5 ? LARGE : n * SMALL));
    check_ok(device->memory.synchronize(device));
    for (size_t n = 0; n < N; ++n)
      assert_memory_equal(to + n * LARGE, from + n * STEP, n == 5 ? LARGE : n * SMALL);
  }
  device->memory.destroy(device, memory);
  free(from);
  free(to);
}

static void check_too_much(check *c) {
  void *memory = NULL;
  assert_int_equal(c->subject->memory.create(c->subject, SIZE_MAX - 10, &memory), VANE_ERR_MEMORY);
  assert_null(memory);
}

static void check_reals(check *c) {
  static const int64_t counts[] = {0, 1, 3, 16, 17, 1000};
  for (int i = 0; i < 6; ++i) {
    side s = side_begin(c->subject);
    const double *values = check_normal(c, counts[i]);
    double *back = check_array(c, counts[i]);
    side_read(&s, side_put(&s, values, counts[i]), back, counts[i]);
    check_equal(c, "put", "reals", back, values, counts[i]);
    side_end(&s);
  }
}

static void check_tensors(check *c) {
  static const int64_t shapes[][4] = {{1, 1, 1, 1},  {2, 3, 5, 3},  {1, 7, 2, 5}, {2, 4, 4, 16},
                                      {3, 5, 3, 17}, {2, 2, 3, 20}, {1, 9, 9, 33}};
  for (int i = 0; i < 7; ++i) {
    const int64_t *d = shapes[i], count = d[0] * d[1] * d[2] * d[3];
    side s = side_begin(c->subject);
    double *values = check_normal(c, count);
    double *back = check_array(c, count);
    vane_tensor tensor = side_put_tensor(&s, values, d[0], d[1], d[2], d[3]);
    assert_int_equal(tensor.n * tensor.h * tensor.w * tensor.c, count);
    side_read_tensor(&s, &tensor, back);
    check_equal(c, "put_tensor", "activations", back, check_narrow(c, values, count), count);
    side_end(&s);
  }
}

/* A sub-table is made of pointers to functions; no device leaves one out. */
static void check_part(const char *name, const void *part, size_t bytes) {
  void (*slot)(void);
  assert_int_equal(bytes % sizeof slot, 0);
  for (size_t i = 0; i < bytes / sizeof slot; ++i) {
    memcpy(&slot, (const unsigned char *)part + i * sizeof slot, sizeof slot);
    if (!slot)
      fail_msg("slot %zu of %s is empty", i, name);
  }
}

static void check_table(check *c) {
  const vane_device *d = c->subject;
  check_part("memory", &d->memory, sizeof d->memory);
  check_part("block", &d->block, sizeof d->block);
  check_part("graph", &d->graph, sizeof d->graph);
  check_part("conv", &d->conv, sizeof d->conv);
  check_part("norm", &d->norm, sizeof d->norm);
  check_part("pool", &d->pool, sizeof d->pool);
  check_part("dense", &d->dense, sizeof d->dense);
  check_part("elementwise", &d->elementwise, sizeof d->elementwise);
  check_part("loss", &d->loss, sizeof d->loss);
  check_part("reduce", &d->reduce, sizeof d->reduce);
  check_part("optim", &d->optim, sizeof d->optim);
}

static void check_open(check *c) {
  assert_true(strlen(c->subject->name) > 0 && strlen(c->subject->description) > 0);
  assert_int_equal(c->subject->real_bytes, sizeof(float));
  vane_device *device = c->subject;
  const vane_device_options unknown = {.kind = -1};
  assert_int_equal(vane_device_open(&unknown, &device), VANE_ERR_ARGUMENT);
  vane_device_close(NULL);
}

/* Narrow numbers belong to the GPU. */
static void check_precisions(check *c) {
  (void)c;
  static const int kinds[] = {VANE_DEVICE_CPU, VANE_DEVICE_REF};
  static const int precisions[] = {VANE_PRECISION_TF32, VANE_PRECISION_BF16};
  for (int i = 0; i < 4; ++i) {
    vane_device *device;
    const vane_device_options narrow = {.kind = kinds[i / 2], .precision = precisions[i % 2]};
    assert_int_equal(vane_device_open(&narrow, &device), VANE_ERR_UNSUPPORTED);
    assert_null(device);
    assert_string_equal(
        vane_error_get()->message,
        i / 2 ? "device.precision: the ref device computes in fp32 only; tf32 and bf16 need a GPU"
              : "device.precision: the cpu device computes in fp32 only; tf32 and bf16 need a GPU");
  }
}

/* Without the module, its libraries or a GPU the message says what to do, and auto takes the cpu.
 */
static void check_open_cuda(check *c) {
  (void)c;
  vane_device *device;
  const vane_device_options cuda = {.kind = VANE_DEVICE_CUDA}, any = {.kind = VANE_DEVICE_AUTO};
  for (int turn = 0; turn < 2; ++turn) {
    vane_status status = vane_device_open(&cuda, &device);
    if (status != VANE_OK) {
      assert_int_equal(status, VANE_ERR_UNSUPPORTED);
      assert_null(device);
      assert_non_null(strstr(vane_error_get()->message, "choose --device cpu or auto"));
    }
    vane_device_close(device);
    check_ok(vane_device_open(&any, &device));
    assert_string_equal(device->name, status == VANE_OK ? "cuda" : "cpu");
    vane_device_close(device);
  }
}

int main(void) {
  const check_entry entries[] = {CHECK(check_create),
                                 CHECK(check_uploads_in_a_row),
                                 CHECK(check_downloads_in_a_row),
                                 CHECK(check_copy),
                                 CHECK(check_too_much),
                                 CHECK(check_reals),
                                 CHECK(check_tensors),
                                 CHECK(check_table),
                                 CHECK(check_open),
                                 CHECK(check_precisions),
                                 CHECK(check_open_cuda)};
  return check_run("memory", entries, sizeof entries / sizeof entries[0]);
}
