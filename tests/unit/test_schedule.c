/* The learning rate's course: its corners by hand, its middle by formula. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "optim/schedule.h"

/* 1,000 steps from 0.1 to 0.001, the first 100 of them warm-up. */
static vane_config course(int schedule) {
  return (vane_config){.train_steps = 1000,
                       .optim_lr = 0.1,
                       .optim_lr_final = 0.001,
                       .optim_warmup = 100,
                       .optim_schedule = schedule,
                       .optim_step_every = 300,
                       .optim_step_factor = 0.5};
}

static void assert_near(double value, double expected) {
  if (!(fabs(value - expected) < 1e-15))
    fail_msg("%.17g is not %.17g", value, expected);
}

static void test_every_schedule_warms_up_linearly(void **state) {
  (void)state;
  for (int schedule = VANE_SCHEDULE_CONSTANT; schedule <= VANE_SCHEDULE_STEP; schedule++) {
    vane_config config = course(schedule);
    assert_near(vane_schedule_lr(&config, 1), 0.001);
    assert_near(vane_schedule_lr(&config, 50), 0.05);
    assert_near(vane_schedule_lr(&config, 99), 0.099);
    assert_near(vane_schedule_lr(&config, 100), 0.1);
  }
}

static void test_constant_stays(void **state) {
  (void)state;
  vane_config config = course(VANE_SCHEDULE_CONSTANT);
  assert_near(vane_schedule_lr(&config, 101), 0.1);
  assert_near(vane_schedule_lr(&config, 1000), 0.1);
  config.optim_warmup = 0;
  assert_near(vane_schedule_lr(&config, 1), 0.1);
}

static void test_cosine_falls_to_the_final_rate(void **state) {
  (void)state;
  vane_config config = course(VANE_SCHEDULE_COSINE);
  assert_near(vane_schedule_lr(&config, 325), 0.001 + 0.099 * (2 + sqrt(2)) / 4);
  assert_near(vane_schedule_lr(&config, 550), 0.0505);
  assert_near(vane_schedule_lr(&config, 1000), 0.001);
  assert_near(vane_schedule_lr(&config, 5000), 0.001);
  for (int64_t step = 101; step <= 1000; step++)
    assert_true(vane_schedule_lr(&config, step) < vane_schedule_lr(&config, step - 1));
}

static void test_linear_falls_to_the_final_rate(void **state) {
  (void)state;
  vane_config config = course(VANE_SCHEDULE_LINEAR);
  assert_near(vane_schedule_lr(&config, 190), 0.1 - 0.0099);
  assert_near(vane_schedule_lr(&config, 550), 0.0505);
  assert_near(vane_schedule_lr(&config, 1000), 0.001);
  assert_near(vane_schedule_lr(&config, 1001), 0.001);
}

static void test_step_drops_after_whole_distances(void **state) {
  (void)state;
  vane_config config = course(VANE_SCHEDULE_STEP);
  assert_near(vane_schedule_lr(&config, 101), 0.1);
  assert_near(vane_schedule_lr(&config, 400), 0.1);
  assert_near(vane_schedule_lr(&config, 401), 0.05);
  assert_near(vane_schedule_lr(&config, 700), 0.05);
  assert_near(vane_schedule_lr(&config, 701), 0.025);
  config.optim_warmup = 0;
  assert_near(vane_schedule_lr(&config, 300), 0.1);
  assert_near(vane_schedule_lr(&config, 301), 0.05);
  config.optim_warmup = 100;
  config.optim_step_every = 1;
  assert_near(vane_schedule_lr(&config, 100), 0.1);
  assert_near(vane_schedule_lr(&config, 102), 0.05);
}

static void test_a_run_of_warm_up_alone_ends_at_the_highest_rate(void **state) {
  (void)state;
  for (int schedule = VANE_SCHEDULE_CONSTANT; schedule <= VANE_SCHEDULE_STEP; schedule++) {
    vane_config config = course(schedule);
    config.train_steps = 100;
    assert_near(vane_schedule_lr(&config, 99), 0.099);
    assert_true(isfinite(vane_schedule_lr(&config, 100)));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_schedule_warms_up_linearly),
      cmocka_unit_test(test_constant_stays),
      cmocka_unit_test(test_cosine_falls_to_the_final_rate),
      cmocka_unit_test(test_linear_falls_to_the_final_rate),
      cmocka_unit_test(test_step_drops_after_whole_distances),
      cmocka_unit_test(test_a_run_of_warm_up_alone_ends_at_the_highest_rate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
