/* Loading the module with the CUDA backend, with one that stands in for it beside this program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "device/device.h"
#include "unit/module/stand_in.h"

static vane_status open_as(int kind, int64_t machine, vane_device **device) {
  return vane_device_open(&(vane_device_options){.kind = kind, .threads = machine}, device);
}

static void test_a_good_machine_computes_on_cuda(void **state) {
  (void)state;
  static const int kinds[] = {VANE_DEVICE_CUDA, VANE_DEVICE_AUTO};
  for (int i = 0; i < 2; i++) {
    vane_device *device;
    vane_block *block;
    assert_int_equal(open_as(kinds[i], STAND_IN_GOOD, &device), VANE_OK);
    assert_string_equal(device->name, "cuda");
    const vane_segment segment = {.count = 5, .task = VANE_SHARED};
    assert_int_equal(device->block.plan(device, &segment, 1, &block), VANE_OK);
    assert_int_equal(block->count, 5);
    device->block.destroy(device, block);
    vane_device_close(device);
  }
}

static void test_auto_takes_the_cpu_without_a_gpu(void **state) {
  (void)state;
  vane_device *device;
  assert_int_equal(open_as(VANE_DEVICE_CUDA, STAND_IN_WITHOUT_GPU, &device), VANE_ERR_UNSUPPORTED);
  assert_null(device);
  assert_string_equal(vane_error_get()->message, "this machine has no GPU");
  assert_int_equal(open_as(VANE_DEVICE_AUTO, STAND_IN_WITHOUT_GPU, &device), VANE_OK);
  assert_string_equal(device->name, "cpu");
  vane_device_close(device);
}

static void test_a_broken_gpu_is_not_passed_over(void **state) {
  (void)state;
  static const int kinds[] = {VANE_DEVICE_CUDA, VANE_DEVICE_AUTO};
  for (int i = 0; i < 2; i++) {
    vane_device *device;
    assert_int_equal(open_as(kinds[i], STAND_IN_BROKEN, &device), VANE_ERR_DEVICE);
    assert_null(device);
    assert_string_equal(vane_error_get()->message, "the GPU is broken");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_good_machine_computes_on_cuda),
      cmocka_unit_test(test_auto_takes_the_cpu_without_a_gpu),
      cmocka_unit_test(test_a_broken_gpu_is_not_passed_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
