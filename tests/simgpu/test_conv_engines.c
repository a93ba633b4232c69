/* What the conformance checks of ops/ do not reach in the convolutions of the CUDA backend: bf16
 * and tf32, engines taken by measurement or against determinism, what a choice may say, and what a
 * steady run costs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/random.h"
#include "device/device.h"
#include "simgpu/simgpu.h"

static const vane_conv_desc everything = {.n = 3,
                                          .h = 9,
                                          .w = 8,
                                          .c_in = 5,
                                          .c_out = 12,
                                          .kernel = 3,
                                          .stride = 2,
                                          .padding = 1,
                                          .bias = true,
                                          .residual = true,
                                          .relu = true,
                                          .data_gradient = true,
                                          .training = true};

static const vane_device_options plain = {
    .kind = VANE_DEVICE_CUDA, .precision = VANE_PRECISION_FP32, .deterministic = true};

static void ok(vane_status status) {
  if (status != VANE_OK)
    fail_msg("%s: %s", vane_status_name(status), vane_error_get()->message);
}

static vane_device *open_cuda(vane_device_options options) {
  vane_device *device;
  ok(vane_device_open(&options, &device));
  return device;
}

static vane_device *open_ref(void) {
  vane_device *device;
  ok(vane_ref_open(false, &device));
  return device;
}

/* ---- A convolution and its memory on one device ---- */

enum { X, W, BIAS, RESIDUAL, DZ, Y, DX, DW, DBIAS, N_ARRAYS };

typedef struct layer {
  vane_device *device;
  vane_conv_plan *plan;
  vane_tensor tensors[N_ARRAYS]; /* of X, RESIDUAL, DZ, Y, DX */
  void *memory[N_ARRAYS], *workspace;
  int64_t counts[N_ARRAYS];
} layer;

/* Zero, or a power of two of either sign between 1/4 and 2: bf16 and tf32 hold it exactly. */
static void draw(float *values, int64_t count, int array) {
  for (int64_t i = 0; i < count; i++) {
    uint64_t word = vane_random_below(7, VANE_RANDOM_INIT, (uint64_t)array, (uint64_t)i, 9);
    values[i] = word == 0 ? 0.0f : ldexpf(word % 2 ? 1.0f : -1.0f, (int)(word - 1) / 2 - 2);
  }
}

static bool is_tensor(int array) {
  return array == X || array == RESIDUAL || array == DZ || array == Y || array == DX;
}

static void describe(layer *l, int array) {
  const vane_conv_desc *d = &l->plan->desc;
  vane_tensor *t = &l->tensors[array];
  size_t bytes = 0;
  if (array == X || array == DX)
    ok(l->device->memory.describe(l->device, d->n, d->h, d->w, d->c_in, t, &bytes));
  else if (is_tensor(array))
    ok(l->device->memory.describe(l->device, d->n, l->plan->h_out, l->plan->w_out, d->c_out, t,
                                  &bytes));
  l->counts[array] = is_tensor(array)            ? t->n * t->h * t->w * t->c
                     : array == W || array == DW ? l->plan->weight_count
                                                 : d->c_out;
  if (!is_tensor(array))
    bytes = (size_t)l->counts[array] * sizeof(float);
  ok(l->device->memory.create(l->device, bytes, &l->memory[array]));
  t->data = l->memory[array];
}

static void put(layer *l, int array, const float *values) {
  if (is_tensor(array))
    ok(l->device->memory.put_tensor(l->device, &l->tensors[array], values));
  else if (array == W)
    ok(l->device->conv.put_weights(l->device, l->plan, l->memory[array], values));
  else
    ok(l->device->memory.put(l->device, l->memory[array], values, l->counts[array]));
}

static float *get(const layer *l, int array) {
  float *values = test_malloc((size_t)l->counts[array] * sizeof *values);
  if (is_tensor(array))
    ok(l->device->memory.get_tensor(l->device, values, &l->tensors[array]));
  else if (array == DW)
    ok(l->device->conv.get_weights(l->device, l->plan, values, l->memory[array]));
  else
    ok(l->device->memory.get(l->device, values, l->memory[array], l->counts[array]));
  return values;
}

static layer make_layer(vane_device *device, const vane_conv_desc *desc, const char *choice) {
  layer l = {.device = device};
  ok(device->conv.plan(device, desc, choice, &l.plan));
  for (int array = 0; array < N_ARRAYS; array++) {
    describe(&l, array);
    float *values = test_malloc((size_t)l.counts[array] * sizeof *values);
    draw(values, l.counts[array], array);
    if (array < Y)
      put(&l, array, values);
    test_free(values);
  }
  ok(device->memory.create(device, l.plan->workspace_bytes, &l.workspace));
  device->memory.bind_workspace(device, l.workspace, l.plan->workspace_bytes);
  return l;
}

static void drop_layer(layer *l) {
  for (int array = 0; array < N_ARRAYS; array++)
    l->device->memory.destroy(l->device, l->memory[array]);
  l->device->memory.destroy(l->device, l->workspace);
  l->device->conv.destroy(l->device, l->plan);
}

static void run_layer(layer *l) {
  vane_device *d = l->device;
  const vane_conv_desc *desc = &l->plan->desc;
  ok(d->conv.forward(d, l->plan, &l->tensors[X], l->memory[W], desc->bias ? l->memory[BIAS] : NULL,
                     desc->residual ? &l->tensors[RESIDUAL] : NULL, &l->tensors[Y]));
  ok(d->conv.backward_weights(d, l->plan, &l->tensors[X], &l->tensors[DZ], l->memory[DW],
                              desc->bias ? l->memory[DBIAS] : NULL));
  ok(d->conv.backward_data(d, l->plan, l->memory[W], &l->tensors[DZ], &l->tensors[DX]));
  ok(d->memory.synchronize(d));
}

/* Largest difference over the largest value. */
static double error_of(const layer *got, const layer *want, int array) {
  float *a = get(got, array), *b = get(want, array);
  double difference = 0.0, largest = 0.0;
  for (int64_t i = 0; i < got->counts[array]; i++) {
    difference = fmax(difference, fabs((double)a[i] - (double)b[i]));
    largest = fmax(largest, fabs((double)b[i]));
    if (isnan(a[i]))
      difference = (double)INFINITY;
  }
  test_free(a);
  test_free(b);
  return difference / largest;
}

static void compare_with_ref(layer *got, double tolerance) {
  vane_device *ref = open_ref();
  layer want = make_layer(ref, &got->plan->desc, NULL);
  run_layer(got);
  run_layer(&want);
  for (int array = Y; array < N_ARRAYS; array++) {
    double error = array == DBIAS && !got->plan->desc.bias ? 0.0 : error_of(got, &want, array);
    if (!(error <= tolerance))
      fail_msg("array %d with %s: error %g, allowed %g", array, got->plan->choice, error,
               tolerance);
  }
  drop_layer(&want);
  vane_device_close(ref);
}

/* ---- Precisions ---- */

/* One rounding to bf16 each, of y, dx and dw; the bias and its gradient are float. */
static void bf16_rounds_once(void **state) {
  vane_device_options options = plain;
  (void)state;
  options.precision = VANE_PRECISION_BF16;
  vane_device *device = open_cuda(options);
  for (int bits = 0; bits < 8; bits++) {
    vane_conv_desc desc = everything;
    desc.bias = bits & 1, desc.residual = bits & 2, desc.relu = bits & 4;
    layer l = make_layer(device, &desc, NULL);
    compare_with_ref(&l, ldexp(1.0, -8));
    drop_layer(&l);
  }
  vane_device_close(device);
}

/* tf32 keeps 10 bits of each factor, fp32 all of them. */
static void precision_is_as_asked(void **state) {
  vane_conv_desc desc = everything;
  (void)state;
  desc.c_in = desc.c_out = 64; /* tensor cores are worth it */
  for (int narrow = 0; narrow < 2; narrow++) {
    vane_device_options options = plain;
    options.precision = narrow ? VANE_PRECISION_TF32 : VANE_PRECISION_FP32;
    vane_device *device = open_cuda(options);
    layer l = make_layer(device, &desc, NULL);
    float *x = test_malloc((size_t)l.counts[X] * sizeof *x);
    for (int64_t i = 0; i < l.counts[X]; i++)
      x[i] = 1.0f + ldexpf(1.0f, -12);
    put(&l, X, x);
    run_layer(&l);
    float *y = get(&l, Y), sum = 0.0f;
    for (int64_t i = 0; i < l.counts[Y]; i++)
      sum += fabsf(y[i] * 256.0f - rintf(y[i] * 256.0f)); /* of ones: multiples of 1/4 */
    assert_true(narrow ? sum == 0.0f : sum > 0.0f);
    test_free(x);
    test_free(y);
    drop_layer(&l);
    vane_device_close(device);
  }
}

/* ---- Choices ---- */

static void measured_engines_agree(void **state) {
  vane_device_options options = plain;
  (void)state;
  options.benchmark = true;
  vane_device *device = open_cuda(options);
  layer first = make_layer(device, &everything, NULL);
  uint64_t works = simgpu_count().works;
  assert_true(works > 30); /* ten candidates, five runs, three directions at most */
  layer second = make_layer(device, &everything, NULL);
  assert_int_equal(simgpu_count().works, works); /* the same work is timed once */
  assert_string_equal(first.plan->choice, second.plan->choice);
  compare_with_ref(&first, 1e-6);
  drop_layer(&first);
  drop_layer(&second);
  vane_device_close(device);
}

/* A layer whose best gradient engine does not repeat its bits: asked for, it is taken; not asked
 * for, the choice says what was passed over. */
static void determinism_is_kept_or_given_up(void **state) {
  vane_conv_desc desc = everything;
  vane_device_options options = plain;
  (void)state;
  desc.n = 64, desc.h = desc.w = 32, desc.c_in = desc.c_out = 8;
  for (int deterministic = 0; deterministic < 2; deterministic++) {
    options.deterministic = deterministic;
    vane_device *device = open_cuda(options);
    layer l = make_layer(device, &desc, NULL);
    print_message("%s\n", l.plan->choice);
    run_layer(&l);
    float *dw = get(&l, DW);
    run_layer(&l);
    float *again = get(&l, DW);
    bool same = memcmp(dw, again, (size_t)l.counts[DW] * sizeof *dw) == 0;
    assert_int_equal(same, deterministic);
    assert_int_equal(strstr(l.plan->choice, "for determinism not") != NULL, deterministic);
    test_free(dw);
    test_free(again);
    drop_layer(&l);
    vane_device_close(device);
  }
}

static void bad_choices_are_refused(void **state) {
  static const char *const bad[] = {
      "",
      "forward=11/2=4,3=0 weights=1",              /* no word for data */
      "forward=999 data=2 weights=1",              /* no such engine */
      "forward=11/2=99 data=2 weights=1",          /* no such value of a knob */
      "forward=11/2=4,999=1 data=2 weights=1",     /* no such knob */
      "forward=11/2 data=2 weights=1",             /* a knob without a value */
      "forward=direct data=direct weights=direct", /* another device's */
      "; forward=0 data=0 weights=0",              /* behind the end */
      "xforward=0 data=0 weights=0",
  };
  vane_device *device = open_cuda(plain);
  (void)state;
  for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
    vane_conv_plan *plan;
    vane_status status = device->conv.plan(device, &everything, bad[i], &plan);
    if (status != VANE_ERR_UNSUPPORTED)
      fail_msg("\"%s\": %s", bad[i], vane_status_name(status));
    assert_null(plan);
  }
  layer l = make_layer(device, &everything, "forward=0+epilogue data=0 weights=0; a note");
  assert_string_equal(l.plan->choice, "forward=0+epilogue data=0 weights=0; a note");
  compare_with_ref(&l, 1e-6);
  drop_layer(&l);
  vane_device_close(device);
}

/* ---- Runs ---- */

static void a_steady_run_makes_nothing(void **state) {
  vane_device *device = open_cuda(plain);
  layer l = make_layer(device, &everything, NULL);
  (void)state;
  run_layer(&l);
  simgpu_count_reset();
  run_layer(&l);
  assert_int_equal(simgpu_count().works, 3);
  assert_int_equal(simgpu_count().launches, 1); /* the bias gradient */
  assert_true(simgpu_count().calls <= 5);       /* those four, and the synchronisation */
  assert_int_equal(simgpu_count().allocations, 0);
  drop_layer(&l);
  vane_device_close(device);
}

static void nan_passes_the_relu(void **state) {
  vane_device *device = open_cuda(plain);
  layer l = make_layer(device, &everything, NULL);
  float bias[12] = {[3] = NAN};
  (void)state;
  put(&l, BIAS, bias);
  run_layer(&l);
  float *y = get(&l, Y);
  for (int64_t i = 0; i < l.counts[Y]; i++)
    assert_int_equal(isnan(y[i]) != 0, i % everything.c_out == 3);
  test_free(y);
  drop_layer(&l);
  vane_device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bf16_rounds_once),        cmocka_unit_test(precision_is_as_asked),
      cmocka_unit_test(measured_engines_agree),  cmocka_unit_test(determinism_is_kept_or_given_up),
      cmocka_unit_test(bad_choices_are_refused), cmocka_unit_test(a_steady_run_makes_nothing),
      cmocka_unit_test(nan_passes_the_relu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
