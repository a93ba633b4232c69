#include "ops/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "ops/side.h"
#ifdef VANE_SIMULATED
#include "simgpu/simgpu.h"
#endif

#define SEED 20240607 /* any; fixed, so that a failure repeats */

typedef struct job { /* one entry on one device */
  check *check;
  const check_entry *entry;
} job;

static void release_pool(check *c) {
  for (size_t i = 0; i < c->n_pool; ++i)
    free(c->pool[i]);
  c->n_pool = 0;
}

static void run_job(void **state) {
  job *j = *state;
  release_pool(j->check); /* what a failed check left */
  j->check->label[0] = '\0';
  j->entry->run(j->check);
  release_pool(j->check);
}

static int run_on_device(const char *suite, check *c, const check_entry *entries,
                         size_t n_entries) {
  struct CMUnitTest *tests = calloc(n_entries, sizeof *tests);
  job *jobs = calloc(n_entries, sizeof *jobs);
  char group[128];
  int failures = 1;
  if (tests && jobs) {
    for (size_t i = 0; i < n_entries; ++i) {
      jobs[i] = (job){c, &entries[i]};
      tests[i] = (struct CMUnitTest){
          .name = entries[i].name, .test_func = run_job, .initial_state = &jobs[i]};
    }
    snprintf(group, sizeof group, "%s on %s", suite, c->name);
    failures = _cmocka_run_group_tests(group, tests, n_entries, NULL, NULL);
    for (int row = 0; row < tolerance_n_rows(); ++row)
      if (c->compared[row])
        print_message("%-10s %-24s worst %.1e of %.1e\n", c->name, tolerance_name(row),
                      c->worst[row], tolerance_limit(row, c->precision));
    release_pool(c);
    free(c->pool);
  }
  free(tests);
  free(jobs);
  return failures;
}

/* A device under test; on the simulated GPU also the order in which threads take their turns. */
typedef struct subject {
  const char *name;
  vane_device_options options;
  bool transforms;
  int thread_order, stream_policy;
} subject;

#define CUDA(of_precision, of_convolution)                                                         \
  .options = {.kind = VANE_DEVICE_CUDA,                                                            \
              .precision = VANE_PRECISION_##of_precision,                                          \
              .convolution = VANE_CONVOLUTION_##of_convolution,                                    \
              .deterministic = true,                                                               \
              .graphs = true}

#ifdef VANE_SIMULATED
#define TURNS(order, policy) .thread_order = SIMGPU_##order, .stream_policy = SIMGPU_##policy
/* The doubles multiply and add without transforms, whatever the engine that cuDNN planned. */
static const subject subjects[] = {
    {.name = "cuda-forward", CUDA(FP32, AUTO), TURNS(FORWARD, ISSUE_ORDER)},
    {.name = "cuda-reverse", CUDA(FP32, AUTO), TURNS(REVERSE, LATE)},
    {.name = "cuda-shuffled", CUDA(FP32, AUTO), TURNS(SHUFFLED, RANDOM)},
    {.name = "cuda-tf32", CUDA(TF32, AUTO), TURNS(FORWARD, EARLY)},
    {.name = "cuda-bf16", CUDA(BF16, AUTO), TURNS(SHUFFLED, RANDOM)},
};

static void prepare(const subject *s) {
  simgpu_setup()->thread_order = s->thread_order;
  simgpu_setup()->stream_policy = s->stream_policy;
}

/* What was alive before a device was opened is alive after it was closed, and no more. */
static int count_leaks(void) {
  simgpu_print_leaks();
  return simgpu_leaks() != 0;
}
#else
#ifdef VANE_CHECK_CUDA
static const subject subjects[] = {
    {.name = "cuda", CUDA(FP32, DIRECT)},
    {.name = "cuda-auto", CUDA(FP32, AUTO), .transforms = true},
    {.name = "cuda-tf32", CUDA(TF32, DIRECT)},
    {.name = "cuda-bf16", CUDA(BF16, DIRECT)},
};
#else
static const subject subjects[] = {
    {.name = "ref", .options = {.kind = VANE_DEVICE_REF}},
    {.name = "cpu-1",
     .options = {.kind = VANE_DEVICE_CPU, .convolution = VANE_CONVOLUTION_DIRECT, .threads = 1}},
    {.name = "cpu-3-auto",
     .options = {.kind = VANE_DEVICE_CPU, .convolution = VANE_CONVOLUTION_AUTO, .threads = 3}},
};
#endif

static void prepare(const subject *s) {
  (void)s;
}

static int count_leaks(void) {
  return 0; /* AddressSanitizer does */
}
#endif

static int run_subject(const char *suite, const subject *s, const check_entry *entries,
                       size_t n_entries) {
  check c = {.name = s->name, .precision = s->options.precision, .transforms = s->transforms};
  int failures = 1;
  prepare(s);
  side_hold(c.precision);
  const vane_status status = vane_device_open(&s->options, &c.subject);
  if (status == VANE_ERR_UNSUPPORTED && c.precision != VANE_PRECISION_FP32) {
    print_message("SKIPPED: %s on %s: %s\n", suite, c.name, vane_error_get()->message);
    return 0;
  }
  if (status == VANE_OK && vane_ref_open(true, &c.oracle) == VANE_OK)
    failures = run_on_device(suite, &c, entries, n_entries);
  else
    print_error("%s: %s\n", c.name, vane_error_get()->message);
  vane_device_close(c.subject);
  vane_device_close(c.oracle);
  return failures + count_leaks();
}

int check_run(const char *suite, const check_entry *entries, size_t n_entries) {
  int failures = 0;
  for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; ++i)
    failures += run_subject(suite, &subjects[i], entries, n_entries);
  return failures;
}

void check_label(check *c, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(c->label, sizeof c->label, format, arguments);
  va_end(arguments);
}

void check_status(vane_status status, const char *call, const char *file, int line) {
  if (status == VANE_OK)
    return;
  print_error("%s: %s: %s\n", call, vane_status_name(status), vane_error_get()->message);
  _fail(file, line);
}

double *check_array(check *c, int64_t count) {
  if (c->n_pool == c->pool_capacity) {
    c->pool_capacity = 2 * c->pool_capacity + 64;
    c->pool = realloc(c->pool, c->pool_capacity * sizeof *c->pool);
    assert_non_null(c->pool);
  }
  double *array = calloc((size_t)count + 1, sizeof *array);
  assert_non_null(array);
  c->pool[c->n_pool++] = array;
  return array;
}

double *check_normal(check *c, int64_t count) {
  double *array = check_array(c, count);
  uint64_t draw = c->n_draws++;
  for (int64_t i = 0; i < count; ++i)
    array[i] = (double)(float)vane_random_normal(SEED, VANE_RANDOM_INIT, draw, (uint64_t)i);
  return array;
}

double *check_powers(check *c, int64_t count) {
  double *array = check_array(c, count);
  uint64_t draw = c->n_draws++;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t word = vane_random_below(SEED, VANE_RANDOM_INIT, draw, (uint64_t)i, 9);
    if (word > 0) /* 1..8: two signs times four powers */
      array[i] = ldexp(word % 2 ? 1.0 : -1.0, (int)(word - 1) / 2 - 2);
  }
  return array;
}

/* The nearest number whose mantissa has eight bits, ties to even. */
double check_narrowed(int precision, double value) {
  float single = (float)value;
  uint32_t bits;
  if (precision != VANE_PRECISION_BF16 || !isfinite(value))
    return value;
  memcpy(&bits, &single, sizeof bits);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  memcpy(&single, &bits, sizeof single);
  return (double)single;
}

double *check_narrow(const check *c, double *values, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = check_narrowed(c->precision, values[i]);
  return values;
}

double *check_mask(check *c, int64_t count, check_mask_kind kind) {
  double *array = check_array(c, count);
  uint64_t draw = c->n_draws++;
  for (int64_t i = 0; i < count; ++i) {
    bool drawn = vane_random_below(SEED, VANE_RANDOM_INIT, draw, (uint64_t)i, 2) > 0;
    array[i] = kind == CHECK_MASK_ALL || (kind == CHECK_MASK_SOME && drawn) ? 1.0 : 0.0;
  }
  return array;
}

/* The error in units of `scale`; infinite where a NaN or an infinity does not meet its like. */
static double error_of(double actual, double expected, double scale) {
  if (isnan(actual) && isnan(expected))
    return 0.0;
  if (actual == expected)
    return 0.0;
  double difference = fabs(actual - expected);
  if (!isfinite(difference) || scale == 0.0)
    return CHECK_INFINITY;
  return difference / scale;
}

static void compare(check *c, const char *op, const char *what, const double *actual,
                    const double *expected, const double *scale, int64_t count, double limit,
                    double *worst) {
  double largest = 0.0;
  for (int64_t i = 0; i < count; ++i)
    if (isfinite(expected[i]))
      largest = fmax(largest, fabs(expected[i]));
  for (int64_t i = 0; i < count; ++i) {
    double error = error_of(actual[i], expected[i], scale ? scale[i] : largest);
    *worst = fmax(*worst, error);
    if (error > limit)
      fail_msg("%s on %s, %s: %s[%lld] is %.9g instead of %.9g, error %.2e, allowed %.2e", op,
               c->name, c->label, what, (long long)i, actual[i], expected[i], error, limit);
  }
}

void check_compare(check *c, const char *op, const char *what, const double *actual,
                   const double *expected, const double *scale, int64_t count) {
  int row = tolerance_row(op);
  if (row < 0)
    fail_msg("%s has no row in the tolerance table", op);
  c->compared[row] = true;
  compare(c, op, what, actual, expected, scale, count, tolerance_limit(row, c->precision),
          &c->worst[row]);
}

void check_equal(check *c, const char *op, const char *what, const double *actual,
                 const double *expected, int64_t count) {
  double worst = 0.0;
  compare(c, op, what, actual, expected, NULL, count, 0.0, &worst);
}
