/* A network that does not fit into the GPU's memory: said before anything is allocated, with the
 * batch that would fit, which then does, and not one image more. */
#include "flow/small.h"

#include "simgpu/simgpu.h"

static vane_status try_batch(long long batch) {
  char text[64];
  vane_config config;
  vane_trainer *trainer;
  snprintf(text, sizeof text, "train.batch=%lld", batch);
  const char *const assignments[] = {text};
  small_configure(&config, assignments, 1);
  vane_status status = vane_trainer_create(&config, NULL, &trainer);
  if (status == VANE_OK)
    small_train(trainer, 1);
  vane_trainer_destroy(trainer);
  assert_int_equal(simgpu_leaks(), 0);
  return status;
}

static void the_batch_that_fits_is_named(void **state) {
  (void)state;
  const char advice[] = "train.batch=";
  simgpu_setup()->device_bytes = (size_t)16 << 20;
  assert_fails(try_batch(2000), VANE_ERR_MEMORY, "MiB are missing");
  const char *at = strstr(vane_error_get()->message, advice);
  assert_non_null(at);
  long long fits = strtoll(at + strlen(advice), NULL, 10);
  print_message("%s\n", vane_error_get()->message);
  assert_in_range(fits, 10, 1999);
  assert_ok(try_batch(fits));
  assert_fails(try_batch(fits + 1), VANE_ERR_MEMORY, "MiB are missing");
}

static void a_network_that_never_fits_says_so(void **state) {
  (void)state;
  /* Room for what a device opens with, and little more. */
  simgpu_setup()->device_bytes = (size_t)8768 << 10;
  assert_fails(try_batch(12), VANE_ERR_MEMORY, "no batch fits");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_batch_that_fits_is_named),
      cmocka_unit_test(a_network_that_never_fits_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
