/* The CPU backend's plans: choices are kept, checked and right; runs repeat their bits and allocate
 * nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/device.h"

/* ---- Counting allocations: this program's malloc stands before glibc's. The sanitizers bring
 * their own, so there the count is left out. ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/* oneDNN 2.6.3 makes small tables of its arguments (8 to 152 bytes) at every execution, which
 * nobody can keep it from; a buffer would be larger than this. */
enum { SMALL_BYTES = 1024 };

static volatile int counting;
static volatile int n_large;

#if !defined(SANITIZED)
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static void count(size_t bytes) {
  if (counting && bytes >= SMALL_BYTES)
    __atomic_fetch_add(&n_large, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes) {
  count(bytes);
  return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes) {
  count(n * bytes);
  return __libc_calloc(n, bytes);
}

void *realloc(void *memory, size_t bytes) {
  count(bytes);
  return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  count(bytes);
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  count(bytes);
  *memory = __libc_memalign(alignment, bytes);
  return *memory != NULL ? 0 : 12; /* ENOMEM */
}
#endif

/* ---- Fixture ---- */

enum { MAX_BLOCKS = 64 };

typedef struct bench {
  vane_device *device;
  void *blocks[MAX_BLOCKS];
  int n_blocks;
} bench;

static bench open_bench(int convolution, int64_t threads) {
  bench b = {0};
  const vane_device_options options = {
      .kind = VANE_DEVICE_CPU, .convolution = convolution, .threads = threads};
  assert_int_equal(vane_cpu_open(&options, &b.device), VANE_OK);
  return b;
}

static void close_bench(bench *b) {
  for (int i = 0; i < b->n_blocks; i++)
    b->device->memory.destroy(b->device, b->blocks[i]);
  vane_device_close(b->device);
}

static void *zeros(bench *b, size_t bytes) {
  void *memory = NULL;
  assert_true(b->n_blocks < MAX_BLOCKS);
  assert_int_equal(b->device->memory.create(b->device, bytes, &memory), VANE_OK);
  b->blocks[b->n_blocks++] = memory;
  return memory;
}

/* Numbers in -1 .. 1 that look random and repeat. */
static float *numbers(bench *b, int64_t n) {
  float *values = zeros(b, (size_t)n * sizeof(float));
  uint32_t state = 1;
  for (int64_t i = 0; i < n; i++) {
    state = state * 1664525U + 1013904223U;
    values[i] = (float)(int32_t)state / 2147483648.0F;
  }
  return values;
}

static vane_tensor tensor(bench *b, int64_t n, int64_t h, int64_t w, int64_t c) {
  vane_tensor made;
  size_t bytes = 0;
  assert_int_equal(b->device->memory.describe(b->device, n, h, w, c, &made, &bytes), VANE_OK);
  made.data = zeros(b, bytes);
  assert_int_equal(b->device->memory.put_tensor(b->device, &made, numbers(b, n * h * w * c)),
                   VANE_OK);
  return made;
}

static vane_conv_desc conv_of(int64_t c_in, int64_t c_out, int64_t kernel, int64_t stride) {
  return (vane_conv_desc){.n = 4,
                          .h = 12,
                          .w = 12,
                          .c_in = c_in,
                          .c_out = c_out,
                          .kernel = kernel,
                          .stride = stride,
                          .padding = kernel / 2,
                          .bias = true,
                          .residual = true,
                          .relu = true,
                          .data_gradient = true,
                          .training = true};
}

static const char winograd_everywhere[] = "forward=winograd data=winograd weights=winograd";

/* oneDNN has Winograd for AVX-512 only. */
static bool has_winograd(bench *b) {
  const vane_conv_desc desc = conv_of(32, 32, 3, 1);
  vane_conv_plan *plan = NULL;
  vane_status status = b->device->conv.plan(b->device, &desc, winograd_everywhere, &plan);
  b->device->conv.destroy(b->device, plan);
  return status == VANE_OK;
}

/* ---- Choices ---- */

static void expect_choice(bench *b, const vane_conv_desc *desc, const char *given,
                          const char *expected) {
  vane_conv_plan *plan = NULL;
  assert_int_equal(b->device->conv.plan(b->device, desc, given, &plan), VANE_OK);
  assert_string_equal(plan->choice, expected);
  b->device->conv.destroy(b->device, plan);
}

static void test_choice_repeats(void **state) {
  (void)state;
  bench b = open_bench(VANE_CONVOLUTION_AUTO, 1);
  const vane_conv_desc desc = conv_of(64, 64, 3, 1);
  vane_conv_plan *measured = NULL;
  assert_int_equal(b.device->conv.plan(b.device, &desc, NULL, &measured), VANE_OK);
  expect_choice(&b, &desc, measured->choice, measured->choice);
  expect_choice(&b, &desc, NULL, measured->choice); /* the measurement is kept */
  b.device->conv.destroy(b.device, measured);
  if (has_winograd(&b)) { /* what is asked for is done, whatever was measured */
    const char mixed[] = "forward=winograd data=direct weights=winograd";
    expect_choice(&b, &desc, mixed, mixed);
    expect_choice(&b, &desc, winograd_everywhere, winograd_everywhere);
  }
  close_bench(&b);
}

static void test_choice_names_what_runs(void **state) {
  (void)state;
  bench b = open_bench(VANE_CONVOLUTION_DIRECT, 1);
  vane_conv_desc desc = conv_of(32, 32, 3, 1);
  expect_choice(&b, &desc, NULL, "forward=direct data=direct weights=direct");
  desc.data_gradient = false;
  expect_choice(&b, &desc, NULL, "forward=direct weights=direct");
  desc.training = false;
  expect_choice(&b, &desc, NULL, "forward=direct");
  /* Evaluation follows the choice that training made. */
  expect_choice(&b, &desc, "forward=direct data=direct weights=direct", "forward=direct");
  close_bench(&b);
}

static void expect_refused(bench *b, const vane_conv_desc *desc, const char *choice) {
  vane_conv_plan *plan = NULL;
  assert_int_equal(b->device->conv.plan(b->device, desc, choice, &plan), VANE_ERR_UNSUPPORTED);
  assert_null(plan);
  assert_non_null(strstr(vane_error_get()->message, choice));
}

static void test_unknown_choice_is_refused(void **state) {
  (void)state;
  bench b = open_bench(VANE_CONVOLUTION_AUTO, 1);
  const vane_conv_desc desc = conv_of(32, 32, 3, 1), large = conv_of(32, 32, 5, 1);
  expect_refused(&b, &desc, "forward=magic data=direct weights=direct");
  expect_refused(&b, &desc, "forward=direct data=direct weights=directly");
  expect_refused(&b, &desc, "xforward=direct data=direct weights=direct");
  expect_refused(&b, &desc, "forward=direct data=direct");
  expect_refused(&b, &desc, "");
  expect_refused(&b, &large, winograd_everywhere); /* Winograd is for 3x3 */
  close_bench(&b);
}

/* ---- Runs ---- */

/* A convolution with everything it runs on; all buffers live as long as the bench. */
typedef struct conv_set {
  vane_conv_plan *plan;
  vane_tensor x, y, residual, dz, dx;
  float *weights, *bias, *dweights, *dbias;
} conv_set;

static conv_set make_conv(bench *b, const vane_conv_desc *desc, const char *choice) {
  vane_device *device = b->device;
  conv_set s = {0};
  assert_int_equal(device->conv.plan(device, desc, choice, &s.plan), VANE_OK);
  device->memory.bind_workspace(device, zeros(b, s.plan->workspace_bytes), s.plan->workspace_bytes);
  s.x = tensor(b, desc->n, desc->h, desc->w, desc->c_in);
  s.dx = tensor(b, desc->n, desc->h, desc->w, desc->c_in);
  s.y = tensor(b, desc->n, s.plan->h_out, s.plan->w_out, desc->c_out);
  s.residual = tensor(b, desc->n, s.plan->h_out, s.plan->w_out, desc->c_out);
  s.dz = tensor(b, desc->n, s.plan->h_out, s.plan->w_out, desc->c_out);
  s.weights = numbers(b, s.plan->weight_count);
  s.dweights = numbers(b, s.plan->weight_count);
  s.bias = numbers(b, desc->c_out);
  s.dbias = numbers(b, desc->c_out);
  return s;
}

static void run_conv(bench *b, const conv_set *s) {
  vane_device *device = b->device;
  assert_int_equal(
      device->conv.forward(device, s->plan, &s->x, s->weights, s->bias, &s->residual, &s->y),
      VANE_OK);
  assert_int_equal(device->conv.backward_data(device, s->plan, s->weights, &s->dz, &s->dx),
                   VANE_OK);
  assert_int_equal(
      device->conv.backward_weights(device, s->plan, &s->x, &s->dz, s->dweights, s->dbias),
      VANE_OK);
}

static void expect_no_allocation(bench *b, const char *choice, int64_t c_in, int64_t c_out) {
  const vane_conv_desc desc = conv_of(c_in, c_out, 3, 1);
  conv_set s = make_conv(b, &desc, choice);
  run_conv(b, &s); /* binds addresses, starts threads */
  n_large = 0;
  counting = 1;
  run_conv(b, &s);
  counting = 0;
  assert_int_equal(n_large, 0);
  b->device->conv.destroy(b->device, s.plan);
}

static void test_convolution_allocates_nothing(void **state) {
  (void)state;
#if defined(SANITIZED)
  skip();
#endif
  bench b = open_bench(VANE_CONVOLUTION_DIRECT, 2);
  const char direct[] = "forward=direct data=direct weights=direct";
  expect_no_allocation(&b, direct, 32, 64);
  expect_no_allocation(&b, direct, 3, 20); /* reads an image; bias through the workspace */
  if (has_winograd(&b))
    expect_no_allocation(&b, winograd_everywhere, 32, 32);
  close_bench(&b);
}

static void run_norm_and_dense(vane_device *device, const vane_norm_plan *norm,
                               const vane_dense_plan *dense, const vane_tensor *x,
                               const vane_tensor *y, float *f) {
  enum { LAST = 4096 };
  assert_int_equal(device->norm.forward(device, norm, x, f, f, NULL, f + LAST, y), VANE_OK);
  assert_int_equal(device->norm.backward(device, norm, x, f, f + LAST, x, y, f, f), VANE_OK);
  assert_int_equal(device->dense.forward(device, dense, x->data, f, f, y->data), VANE_OK);
  assert_int_equal(device->dense.mask(device, dense, y->data, x->data), VANE_OK);
  assert_int_equal(device->dense.backward_weights(device, dense, x->data, y->data, f + LAST, f),
                   VANE_OK);
  assert_int_equal(device->dense.backward_data(device, dense, f, y->data, x->data, x->data),
                   VANE_OK);
  assert_int_equal(device->elementwise.merge(device, y, x, x, y), VANE_OK);
}

static void test_the_rest_allocates_nothing(void **state) {
  (void)state;
#if defined(SANITIZED)
  skip();
#endif
  bench b = open_bench(VANE_CONVOLUTION_DIRECT, 2);
  vane_device *device = b.device;
  const vane_norm_desc norm_desc = {.n = 8, .h = 8, .w = 8, .c = 32, .epsilon = 1e-5};
  const vane_dense_desc dense_desc = {.n = 128,
                                      .f_in = 64,
                                      .f_out = 64,
                                      .forward = true,
                                      .backward_data = true,
                                      .backward_weights = true,
                                      .relu = true,
                                      .x_relu = true};
  vane_norm_plan *norm = NULL;
  vane_dense_plan *dense = NULL;
  assert_int_equal(device->norm.plan(device, &norm_desc, &norm), VANE_OK);
  assert_int_equal(device->dense.plan(device, &dense_desc, &dense), VANE_OK);
  size_t bytes = norm->workspace_bytes + dense->workspace_bytes;
  device->memory.bind_workspace(device, zeros(&b, bytes), bytes);
  vane_tensor x = tensor(&b, 8, 8, 8, 32), y = tensor(&b, 8, 8, 8, 32);
  float *parameters = numbers(&b, 8192 + 64);
  run_norm_and_dense(device, norm, dense, &x, &y, parameters);
  n_large = 0;
  counting = 1;
  run_norm_and_dense(device, norm, dense, &x, &y, parameters);
  counting = 0;
  assert_int_equal(n_large, 0);
  device->dense.destroy(device, dense);
  device->norm.destroy(device, norm);
  close_bench(&b);
}

/* The same work on fresh memory of a fresh device gives the same bits. */
static void expect_same_bits(const char *choice) {
  bench one = open_bench(VANE_CONVOLUTION_DIRECT, 2), two = open_bench(VANE_CONVOLUTION_DIRECT, 2);
  const vane_conv_desc desc = conv_of(32, 32, 3, 1);
  if (choice == NULL || has_winograd(&one)) {
    conv_set a = make_conv(&one, &desc, choice), b = make_conv(&two, &desc, choice);
    size_t image_bytes = (size_t)(desc.n * desc.h * desc.w * desc.c_in) * sizeof(float);
    for (int i = 0; i < 5; i++) {
      run_conv(&one, &a);
      run_conv(&two, &b);
      assert_memory_equal(a.y.data, b.y.data, image_bytes);
      assert_memory_equal(a.dx.data, b.dx.data, image_bytes);
      assert_memory_equal(a.dweights, b.dweights, (size_t)a.plan->weight_count * sizeof(float));
      assert_memory_equal(a.dbias, b.dbias, (size_t)desc.c_out * sizeof(float));
    }
    one.device->conv.destroy(one.device, a.plan);
    two.device->conv.destroy(two.device, b.plan);
  }
  close_bench(&two);
  close_bench(&one);
}

static void test_bits_repeat(void **state) {
  (void)state;
  expect_same_bits(NULL);
  expect_same_bits(winograd_everywhere);
}

/* ---- Winograd, whatever the measurement says, with bias, residual, ReLU and padding channels ----
 */

static void expect_close(const float *actual, const float *expected, int64_t n) {
  double largest = 0.0, error = 0.0;
  for (int64_t i = 0; i < n; i++) {
    double away = fabs((double)actual[i] - (double)expected[i]);
    assert_false(isnan(actual[i]));
    error = away > error ? away : error;
    largest = fmax(largest, fabs((double)expected[i]));
  }
  /* Seen: 2.3e-6 of the largest value against double sums, 32 to 128 channels. */
  assert_true(error <= 1e-5 * largest);
}

static void test_winograd_agrees_with_direct(void **state) {
  (void)state;
  bench b = open_bench(VANE_CONVOLUTION_DIRECT, 2);
  const vane_conv_desc desc = conv_of(20, 37, 3, 1); /* stored as 32 and 48: AVX-512 has 16 lanes */
  if (has_winograd(&b)) {
    conv_set direct = make_conv(&b, &desc, NULL),
             winograd = make_conv(&b, &desc, winograd_everywhere);
    int64_t n_x = desc.n * desc.h * desc.w * 32, n_y = desc.n * desc.h * desc.w * 48;
    b.device->memory.bind_workspace(b.device, zeros(&b, winograd.plan->workspace_bytes),
                                    winograd.plan->workspace_bytes);
    /* Numbers in the padding would be no weights: take them from plain ones. */
    const float *plain = numbers(&b, desc.c_in * desc.c_out * 9);
    assert_int_equal(b.device->conv.put_weights(b.device, direct.plan, direct.weights, plain),
                     VANE_OK);
    memcpy(winograd.weights, direct.weights,
           (size_t)direct.plan->weight_count * sizeof(float)); /* one order for all plans */
    run_conv(&b, &direct);
    run_conv(&b, &winograd);
    expect_close(winograd.y.data, direct.y.data, n_y);
    expect_close(winograd.dx.data, direct.dx.data, n_x);
    expect_close(winograd.dweights, direct.dweights, direct.plan->weight_count);
    expect_close(winograd.dbias, direct.dbias, desc.c_out);
    b.device->conv.destroy(b.device, winograd.plan);
    b.device->conv.destroy(b.device, direct.plan);
  }
  close_bench(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_choice_repeats),
      cmocka_unit_test(test_choice_names_what_runs),
      cmocka_unit_test(test_unknown_choice_is_refused),
      cmocka_unit_test(test_convolution_allocates_nothing),
      cmocka_unit_test(test_the_rest_allocates_nothing),
      cmocka_unit_test(test_bits_repeat),
      cmocka_unit_test(test_winograd_agrees_with_direct),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
