/* vane bench adam on a GPU: what the device tells of its launches, and what a step of its kernels
 * is off from the formulas in double. */
#include "ops/check.h"
#include "train/bench_adam.h"

static void check_mode(vane_device *device, vane_adam_desc adam, bool watch, double most_ulp) {
  adam.beta1 = 0.9, adam.beta2 = 0.999, adam.epsilon = 1e-8;
  const vane_bench_adam_case what = {
      .size = {4099, 5}, .adam = adam, .watch = watch, .seconds = 1e-3};
  vane_bench_adam_result result;
  vane_bench_ulp ulp;
  check_ok(vane_bench_adam(device, &what, &result));
  check_ok(vane_bench_adam_error(device, &what, &ulp));
  print_message("%.2f %.2f %.2f ULP\n", ulp.theta, ulp.m, ulp.v);
  assert_int_equal(result.launches, 1);
  assert_int_equal(result.model_bytes, (adam.amsgrad ? 36 : 28) * 4099);
  assert_true(ulp.theta <= most_ulp && ulp.m <= most_ulp && ulp.v <= most_ulp);
}

static void test_every_mode(void **state) {
  vane_device *device = NULL;
  (void)state;
  check_ok(vane_device_open(
      &(vane_device_options){.kind = VANE_DEVICE_CUDA, .deterministic = true, .graphs = true},
      &device));
  check_mode(device, (vane_adam_desc){0}, false, 2);
  check_mode(device, (vane_adam_desc){0}, true, 2);
  check_mode(device, (vane_adam_desc){.epsilon_mode = VANE_EPSILON_HAT, .amsgrad = true}, false, 2);
  check_mode(device, (vane_adam_desc){.weight_decay = 0.01, .decay_mode = VANE_DECAY_DECOUPLED},
             false, 2);
  check_mode(device, (vane_adam_desc){.weight_decay = 0.01, .decay_mode = VANE_DECAY_L2}, false,
             2.5);
  vane_device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_mode)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
