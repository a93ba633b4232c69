/* The bench's arithmetic, what it calls and what it refuses; its times are whatever they are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "train/bench_adam.h"
#include "train/bench_timer.h"

#define ADAM .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8

static vane_device *open_ref(void) {
  vane_device *device;
  assert_int_equal(vane_ref_open(false, &device), VANE_OK);
  return device;
}

static vane_device *open_cpu(void) {
  vane_device *device;
  assert_int_equal(vane_cpu_open(&(vane_device_options){.threads = 2}, &device), VANE_OK);
  return device;
}

static vane_bench_adam_case case_of(int64_t n_parameters, int64_t n_tensors) {
  return (vane_bench_adam_case){.size = {n_parameters, n_tensors}, .adam = {ADAM}, .seconds = 1e-3};
}

/* ---- Figures --------------------------------------------------------------------------------- */

static bool is_near(double actual, double expected) {
  return fabs(actual - expected) <= 1e-9 * fabs(expected);
}

static void assert_plausible(const vane_bench_adam_result *r, int64_t bytes) {
  assert_int_equal(r->model_bytes, bytes);
  assert_true(r->fastest_ms > 0 && r->fastest_ms <= r->ms);
  assert_true(is_near(r->gb_per_s * r->ms * 1e6, (double)bytes));
  assert_true(r->stream_gb_per_s > 0 && r->stream_past_caches_gb_per_s > 0 && r->share > 0);
  assert_true(r->rounds >= VANE_LEAST_ROUNDS && r->rounds <= VANE_MOST_ROUNDS);
}

static void test_bytes_are_those_of_the_parameters(void **state) {
  (void)state;
  vane_device *device = open_ref();
  /* 1,000 in 7 tensors: six of 142, one of 148; their padding is not counted. */
  vane_bench_adam_case what = case_of(1000, 7);
  vane_bench_adam_result result;
  assert_int_equal(vane_bench_adam(device, &what, &result), VANE_OK);
  assert_plausible(&result, 28000);
  assert_int_equal(result.launches, 0); /* a host has none */
  what.adam.amsgrad = true;
  assert_int_equal(vane_bench_adam(device, &what, &result), VANE_OK);
  assert_plausible(&result, 36000);
  vane_device_close(device);
}

/* A device on which each call takes its time, or more where the machine is busy: 0.4 ms a step, 4
 * and 0.1 ms the streams. */
static void pass_ms(double ms) {
  for (double end_s = vane_clock_s() + 1e-3 * ms; vane_clock_s() < end_s;)
    ;
}

static vane_status slow_step(vane_device *device, const vane_adam_desc *desc,
                             const vane_block *block, const vane_adam_memory *memory,
                             const vane_step_record *record) {
  (void)device, (void)desc, (void)block, (void)memory, (void)record;
  pass_ms(0.4);
  return VANE_OK;
}

static vane_status slow_stream(vane_device *device, void *const to[3], const void *from,
                               double scale, int64_t count, bool past_caches) {
  (void)device, (void)to, (void)from;
  assert_int_equal(count, 1000);
  assert_true(scale == 0);
  pass_ms(past_caches ? 0.1 : 4);
  return VANE_OK;
}

static void test_the_faster_stream_is_the_ceiling(void **state) {
  (void)state;
  vane_device *device = open_ref();
  vane_bench_adam_case what = case_of(1000, 1);
  vane_bench_adam_result result;
  what.adam.amsgrad = true;
  what.seconds = 0.1;
  device->optim.adam = slow_step;
  device->elementwise.stream = slow_stream;
  assert_int_equal(vane_bench_adam(device, &what, &result), VANE_OK);
  assert_plausible(&result, 36000);
  assert_true(result.stream_past_caches_gb_per_s > result.stream_gb_per_s);
  /* 36,000 bytes in 0.4 ms of 28,000 in 0.1 are a third; of 28,000 in 4 ms, thirteen times as many.
   */
  assert_true(result.share > 0.1 && result.share < 2);
  vane_device_close(device);
}

static void test_sizes_without_sense_are_refused(void **state) {
  (void)state;
  vane_device *device = open_ref();
  const int64_t wrong[][2] = {{0, 1}, {5, 6}, {5, 0}, {-1, -1}};
  for (int i = 0; i < 4; i++)
    for (int cold = 0; cold <= 1; cold++) {
      vane_bench_adam_case what = case_of(wrong[i][0], wrong[i][1]);
      vane_bench_adam_result result;
      vane_bench_ulp ulp;
      what.cold = cold;
      assert_int_equal(vane_bench_adam(device, &what, &result), VANE_ERR_ARGUMENT);
      assert_int_equal(vane_bench_adam_error(device, &what, &ulp), VANE_ERR_ARGUMENT);
    }
  vane_device_close(device);
}

/* ---- What is called -------------------------------------------------------------------------- */

enum { MOST_SEEN = 4096 };
static const void *seen[MOST_SEEN]; /* the parameters of each step and stream, in turn */
static int n_seen;

static void see(const void *parameters) {
  if (n_seen < MOST_SEEN)
    seen[n_seen++] = parameters;
}

static vane_status see_step(vane_device *device, const vane_adam_desc *desc,
                            const vane_block *block, const vane_adam_memory *memory,
                            const vane_step_record *record) {
  const vane_segment *segments = block->segments;
  (void)device, (void)desc;
  assert_int_equal(block->n_segments, 3);
  assert_int_equal(segments[0].count + segments[1].count + segments[2].count, 1000000);
  for (int i = 0; i < 3; i++)
    assert_int_equal(segments[i].offset % 16, 0);
  assert_null(memory->v_max);
  assert_int_equal(record->skip, 0);
  assert_true(record->in.bias1 > 0 && record->in.bias2 > 0 && record->in.lr > 0);
  assert_int_equal((uintptr_t)memory->parameters % 256, 0);
  see(memory->parameters);
  pass_ms(0.5);
  return VANE_OK;
}

static vane_status see_stream(vane_device *device, void *const to[3], const void *from,
                              double scale, int64_t count, bool past_caches) {
  (void)device, (void)from, (void)scale, (void)past_caches;
  assert_int_equal(count, 1000000);
  see(to[0]);
  pass_ms(0.5);
  return VANE_OK;
}

static void see_case(bool cold) {
  vane_device *device = open_cpu();
  vane_bench_adam_case what = case_of(1000000, 3);
  vane_bench_adam_result result;
  what.cold = cold;
  what.seconds = 1e-3;
  device->optim.adam = see_step;
  device->elementwise.stream = see_stream;
  n_seen = 0;
  assert_int_equal(vane_bench_adam(device, &what, &result), VANE_OK);
  assert_true(n_seen > 3 * VANE_LEAST_ROUNDS);
  vane_device_close(device);
}

static void test_warm_calls_share_their_arrays(void **state) {
  (void)state;
  see_case(false);
  for (int i = 1; i < n_seen; i++)
    assert_ptr_equal(seen[i], seen[0]);
}

/* 256 MiB at least lie between two calls on the same set of 16 MB: 16 others. */
static void test_cold_calls_come_back_late(void **state) {
  (void)state;
  see_case(true);
  for (int i = 0; i < n_seen; i++)
    for (int j = i + 1; j < n_seen && j <= i + 16; j++)
      assert_ptr_not_equal(seen[i], seen[j]);
}

static void test_large_sizes_are_cold_by_themselves(void **state) {
  (void)state;
  vane_device *device = open_ref();
  vane_bench_adam_case small = case_of(1000000, 3), large = case_of(1000000000, 1);
  assert_false(vane_bench_adam_is_large(device, &small));
  assert_true(vane_bench_adam_is_large(device, &large));
  assert_int_equal(vane_bench_adam_bytes(device, &large), 16000000000);
  large.cold = true;
  assert_int_equal(vane_bench_adam_bytes(device, &large), 16000000000);
  small.cold = true;
  assert_true(vane_bench_adam_bytes(device, &small) >= (int64_t)256 << 20);
  vane_device_close(device);
}

/* A device that returns early: its calls take no time, what is enqueued is done when it is waited
 * for, 0.1 ms each. */
static int n_enqueued, n_waits, largest_batch;

static vane_status enqueue(void *user) {
  (void)user;
  n_enqueued++;
  return VANE_OK;
}

static vane_status wait_for_all(vane_device *device) {
  (void)device;
  pass_ms(0.1 * n_enqueued);
  largest_batch = n_enqueued > largest_batch ? n_enqueued : largest_batch;
  n_enqueued = 0;
  n_waits++;
  return VANE_OK;
}

static void test_calls_that_return_early_are_timed_in_batches(void **state) {
  (void)state;
  vane_device *device = open_ref();
  vane_timed timed = {.call = enqueue};
  int64_t rounds = 0;
  device->asynchronous = true;
  device->memory.synchronize = wait_for_all;
  n_enqueued = n_waits = largest_batch = 0;
  assert_int_equal(vane_time_in_turn(device, &timed, 1, 1e-3, &rounds), VANE_OK);
  assert_int_equal(rounds, VANE_LEAST_ROUNDS);
  assert_true(n_waits >= 2 * VANE_LEAST_ROUNDS && n_waits < 40);
  assert_true(largest_batch >= 20); /* 200, less on a machine that is busy */
  assert_true(vane_fastest_ms(timed.ms, rounds) >= 0.0999);
  assert_true(vane_fastest_ms(timed.ms, rounds) <= vane_median_ms(timed.ms, rounds));
  vane_device_close(device);
}

static vane_status fail_later(void *user) {
  int *n_calls = user;
  return ++*n_calls < 5 ? VANE_OK : vane_fail(VANE_ERR_NUMERIC, "as the test wants it");
}

static void test_a_call_that_fails_ends_it(void **state) {
  (void)state;
  vane_device *device = open_ref();
  int n_calls = 0;
  int64_t rounds = 0;
  vane_timed timed = {.call = fail_later, .user = &n_calls};
  assert_int_equal(vane_time_in_turn(device, &timed, 1, 1, &rounds), VANE_ERR_NUMERIC);
  assert_int_equal(n_calls, 5);
  vane_device_close(device);
}

/* ---- Errors in ULP --------------------------------------------------------------------------- */

static void assert_within(vane_device *device, vane_adam_desc adam, bool watch, double most) {
  const int64_t sizes[][2] = {{1000, 7}, {100003, 62}, {3, 3}, {400000, 1}};
  for (int i = 0; i < 4; i++) {
    vane_bench_adam_case what = case_of(sizes[i][0], sizes[i][1]);
    vane_bench_ulp ulp;
    what.adam = adam;
    what.watch = watch;
    assert_int_equal(vane_bench_adam_error(device, &what, &ulp), VANE_OK);
    assert_true(ulp.theta <= most && ulp.m <= most && ulp.v <= most);
    /* And it is floats that are compared. */
    assert_true(ulp.theta > 0.05 && ulp.m > 0.05 && ulp.v > 0.05);
  }
}

/* A scaled gradient, or one with decay in it, is rounded once more before it reaches the moments.
 */
static void test_a_step_is_within_two_ulp(void **state) {
  (void)state;
  vane_device *devices[] = {open_ref(), open_cpu()};
  for (int i = 0; i < 2; i++) {
    assert_within(devices[i], (vane_adam_desc){ADAM}, false, 2);
    assert_within(devices[i], (vane_adam_desc){ADAM}, true, 2);
    assert_within(devices[i], (vane_adam_desc){ADAM, .epsilon_mode = VANE_EPSILON_HAT}, false, 2);
    assert_within(devices[i], (vane_adam_desc){ADAM, .amsgrad = true}, false, 2);
    assert_within(devices[i],
                  (vane_adam_desc){ADAM, .weight_decay = 0.01, .decay_mode = VANE_DECAY_DECOUPLED},
                  false, 2);
    assert_within(devices[i],
                  (vane_adam_desc){ADAM, .weight_decay = 0.01, .decay_mode = VANE_DECAY_L2}, false,
                  2.5);
    vane_device_close(devices[i]);
  }
}

static vane_status (*true_step)(vane_device *device, const vane_adam_desc *desc,
                                const vane_block *block, const vane_adam_memory *memory,
                                const vane_step_record *record);
static double shift; /* of one result, relative */
static int shifted;  /* 0 theta, 1 m, 2 v */

static vane_status shifted_step(vane_device *device, const vane_adam_desc *desc,
                                const vane_block *block, const vane_adam_memory *memory,
                                const vane_step_record *record) {
  float *arrays[] = {memory->parameters, memory->m, memory->v};
  VANE_TRY(true_step(device, desc, block, memory, record));
  const int64_t last = block->count - 1;
  arrays[shifted][last] = (float)((double)arrays[shifted][last] * (1 + shift));
  return VANE_OK;
}

static vane_bench_ulp error_of_shifted(vane_device *device, int array, double by) {
  const vane_bench_adam_case what = case_of(1000, 3);
  vane_bench_ulp ulp;
  shifted = array;
  shift = by;
  assert_int_equal(vane_bench_adam_error(device, &what, &ulp), VANE_OK);
  return ulp;
}

/* 1e-5 is 84 to 168 ULP of a result as large as its operands, which the last of m need not be. */
static void test_an_error_in_one_result_is_seen(void **state) {
  (void)state;
  vane_device *device = open_ref();
  true_step = device->optim.adam;
  device->optim.adam = shifted_step;
  vane_bench_ulp theta = error_of_shifted(device, 0, 1e-5), m = error_of_shifted(device, 1, 1e-4);
  vane_bench_ulp v = error_of_shifted(device, 2, 1e-5);
  assert_true(theta.theta > 20 && theta.theta < 200 && theta.m < 2 && theta.v < 2);
  assert_true(m.m > 20 && m.v < 2 && m.theta < 2); /* theta follows the m that is stored */
  assert_true(v.v > 20 && v.m < 2);
  assert_true(isnan(error_of_shifted(device, 0, (double)NAN).theta));
  vane_device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes_are_those_of_the_parameters),
      cmocka_unit_test(test_the_faster_stream_is_the_ceiling),
      cmocka_unit_test(test_sizes_without_sense_are_refused),
      cmocka_unit_test(test_warm_calls_share_their_arrays),
      cmocka_unit_test(test_cold_calls_come_back_late),
      cmocka_unit_test(test_large_sizes_are_cold_by_themselves),
      cmocka_unit_test(test_calls_that_return_early_are_timed_in_batches),
      cmocka_unit_test(test_a_call_that_fails_ends_it),
      cmocka_unit_test(test_a_step_is_within_two_ulp),
      cmocka_unit_test(test_an_error_in_one_result_is_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
