/* The bench's arithmetic and its refusals; its times are whatever they are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "train/bench_adam.h"

static vane_device *open_ref(void) {
  vane_device *device;
  assert_int_equal(vane_ref_open(false, &device), VANE_OK);
  return device;
}

static void assert_plausible(const vane_bench_result *result, int64_t bytes) {
  assert_int_equal(result->model_bytes, bytes);
  assert_true(result->fastest_ms > 0 && result->fastest_ms <= result->ms);
  assert_true(fabs(result->gb_per_s * result->ms * 1e6 - (double)bytes) < 1e-6 * (double)bytes);
}

static void test_bytes_are_those_of_the_parameters(void **state) {
  (void)state;
  vane_device *device = open_ref();
  /* 1,000 in 7 tensors: six of 142, one of 148; their padding is not counted. */
  const vane_bench_adam_size size = {.n_parameters = 1000, .n_tensors = 7};
  vane_bench_result result;
  assert_int_equal(vane_bench_adam(device, &size, false, 4, &result), VANE_OK);
  assert_plausible(&result, 28000);
  assert_int_equal(vane_bench_adam(device, &size, true, 1, &result), VANE_OK);
  assert_plausible(&result, 36000);
  vane_device_close(device);
}

static void test_triad(void **state) {
  (void)state;
  vane_bench_result result;
  assert_int_equal(vane_bench_triad(1000, 2, 3, &result), VANE_OK);
  assert_plausible(&result, 12000);
}

static void test_sizes_without_sense_are_refused(void **state) {
  (void)state;
  vane_device *device = open_ref();
  const vane_bench_adam_size wrong[] = {{0, 1}, {5, 6}, {5, 0}, {-1, -1}};
  vane_bench_result result;
  for (int i = 0; i < 4; i++)
    assert_int_equal(vane_bench_adam(device, &wrong[i], false, 1, &result), VANE_ERR_ARGUMENT);
  const vane_bench_adam_size good = {5, 5};
  assert_int_equal(vane_bench_adam(device, &good, false, 0, &result), VANE_ERR_ARGUMENT);
  assert_int_equal(vane_bench_triad(0, 1, 1, &result), VANE_ERR_ARGUMENT);
  vane_device_close(device);
}

/* Adam on a counter: which step of the bench sees which time does not matter, that all run does. */
static int n_steps;

static vane_status count_step(vane_device *device, const vane_adam_desc *desc,
                              const vane_block *block, const vane_adam_memory *memory,
                              const vane_step_record *record) {
  (void)device, (void)desc;
  const vane_segment *segments = block->segments;
  assert_int_equal(block->n_segments, 3);
  assert_int_equal(segments[0].count + segments[1].count + segments[2].count, 100);
  for (int i = 0; i < 3; i++)
    assert_int_equal(segments[i].offset % 16, 0);
  assert_null(memory->v_max);
  assert_int_equal(record->skip, 0);
  n_steps++;
  return VANE_OK;
}

static void test_every_repeat_is_one_step_over_all_tensors(void **state) {
  (void)state;
  vane_device *device = open_ref();
  device->optim.adam = count_step;
  const vane_bench_adam_size size = {.n_parameters = 100, .n_tensors = 3};
  vane_bench_result result;
  n_steps = 0;
  assert_int_equal(vane_bench_adam(device, &size, false, 5, &result), VANE_OK);
  assert_int_equal(n_steps, 3 + 5);
  vane_device_close(device);
}

/* A device that returns early: its calls take no time, what is enqueued is done when it is waited
 * for, 0.1 ms each. */
static int n_enqueued, n_waits, largest_batch;

static vane_status enqueue_step(vane_device *device, const vane_adam_desc *desc,
                                const vane_block *block, const vane_adam_memory *memory,
                                const vane_step_record *record) {
  (void)device, (void)desc, (void)block, (void)memory, (void)record;
  n_enqueued++;
  return VANE_OK;
}

static vane_status enqueue_copy(vane_device *device, void *to, const void *from, size_t bytes) {
  (void)device;
  assert_int_equal(bytes, 1000);
  assert_true(to != from);
  n_enqueued++;
  return VANE_OK;
}

static vane_status wait_for_all(vane_device *device) {
  (void)device;
  for (double end_s = vane_clock_s() + 1e-4 * n_enqueued; vane_clock_s() < end_s;)
    ;
  largest_batch = n_enqueued > largest_batch ? n_enqueued : largest_batch;
  n_enqueued = 0;
  n_waits++;
  return VANE_OK;
}

static void test_calls_that_return_early_are_timed_in_batches(void **state) {
  (void)state;
  vane_device *device = open_ref();
  device->asynchronous = true;
  device->optim.adam = enqueue_step;
  device->memory.copy = enqueue_copy;
  device->memory.synchronize = wait_for_all;
  const vane_bench_adam_size size = {.n_parameters = 100, .n_tensors = 1};
  for (int copies = 0; copies <= 1; copies++) {
    vane_bench_result result;
    n_enqueued = n_waits = largest_batch = 0;
    assert_int_equal(copies ? vane_bench_copy(device, 2000, 3, &result)
                            : vane_bench_adam(device, &size, false, 3, &result),
                     VANE_OK);
    assert_plausible(&result, copies ? 2000 : 2800);
    assert_true(n_waits >= 3 + 3 && n_waits < 30);
    assert_true(largest_batch >= 20); /* 200, less on a machine that is busy */
    assert_true(result.ms >= 0.0999 && result.fastest_ms >= 0.0999);
  }
  vane_device_close(device);
}

static void test_copy(void **state) {
  (void)state;
  vane_device *device = open_ref();
  vane_bench_result result;
  assert_int_equal(vane_bench_copy(device, 4000, 3, &result), VANE_OK);
  assert_plausible(&result, 4000);
  assert_int_equal(vane_bench_copy(device, 1, 3, &result), VANE_ERR_ARGUMENT);
  assert_int_equal(vane_bench_copy(device, 4000, 0, &result), VANE_ERR_ARGUMENT);
  vane_device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes_are_those_of_the_parameters),
      cmocka_unit_test(test_triad),
      cmocka_unit_test(test_sizes_without_sense_are_refused),
      cmocka_unit_test(test_every_repeat_is_one_step_over_all_tensors),
      cmocka_unit_test(test_calls_that_return_early_are_timed_in_batches),
      cmocka_unit_test(test_copy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
