/* The scalars that the host computes for one step. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "optim/record.h"

static const int64_t counted[VANE_N_HEADS] = {128, 96, 1, 0};

static vane_config settings(void) {
  return (vane_config){.seed = 7,
                       .train_steps = 1000,
                       .optim_lr = 0.1,
                       .optim_warmup = 10,
                       .optim_beta1 = 0.9,
                       .optim_beta2 = 0.999};
}

static vane_step_input input_of(const vane_config *config, int64_t step) {
  vane_step_input input;
  memset(&input, 0xff, sizeof input);
  vane_step_input_fill(config, step, counted, &input);
  return input;
}

static void assert_relative(double value, double expected) {
  if (!(fabs(value - expected) <= 4e-16 * expected))
    fail_msg("%.17g is not %.17g", value, expected);
}

/* Expected values by 50-digit arithmetic on the doubles nearest to the decays. */
static void test_bias_corrections_keep_all_digits(void **state) {
  (void)state;
  vane_config config = settings();
  assert_relative(input_of(&config, 1).bias1, 0.099999999999999978);
  assert_relative(input_of(&config, 1).bias2, 0.0010000000000000009);
  assert_relative(input_of(&config, 10).bias2, 0.0099551197902517981);
  assert_relative(input_of(&config, 1000).bias2, 0.63230457522903627);
  assert_relative(input_of(&config, 1000000).bias1, 1);
  assert_relative(input_of(&config, 1000000).bias2, 1);
  config.optim_beta2 = 0.9999999;
  assert_relative(input_of(&config, 1).bias2, 9.9999999947364415e-08);
  assert_relative(input_of(&config, 1000).bias2, 9.999500511353253e-05);
}

static void test_without_memory_nothing_is_corrected(void **state) {
  (void)state;
  vane_config config = settings();
  config.optim_beta1 = 0;
  config.optim_beta2 = 0;
  assert_true(input_of(&config, 1).bias1 == 1);
  assert_true(input_of(&config, 1000).bias2 == 1);
}

static void test_step_rate_and_counts(void **state) {
  (void)state;
  vane_config config = settings();
  vane_step_input input = input_of(&config, 5);
  assert_int_equal(input.step, 5);
  assert_true(fabs(input.lr - 0.05) < 1e-15);
  assert_true(input.inv_count[0] == 1.0 / 128);
  assert_true(input.inv_count[1] == 1.0 / 96);
  assert_true(input.inv_count[2] == 1);
  assert_true(input.inv_count[3] == 0);
}

static void test_every_row_lists_the_other_losses(void **state) {
  (void)state;
  vane_config config = settings();
  for (int64_t step = 1; step <= 100; step++) {
    vane_step_input input = input_of(&config, step);
    for (uint32_t i = 0; i < VANE_N_HEADS; i++) {
      uint32_t seen = 0;
      for (int j = 0; j < VANE_N_HEADS; j++) {
        assert_true(input.projection_order[i][j] < VANE_N_HEADS);
        seen |= 1u << input.projection_order[i][j];
      }
      assert_int_equal(seen, 0xf);
      assert_int_equal(input.projection_order[i][3], i);
    }
  }
}

/* Which of the six orders of (a, b, c) a row holds. */
static int order_of(const uint32_t row[VANE_N_HEADS]) {
  int later = (row[0] > row[1]) + (row[0] > row[2]);
  return 2 * later + (row[1] > row[2]);
}

static void test_all_orders_are_equally_likely(void **state) {
  (void)state;
  vane_config config = settings();
  int seen[VANE_N_HEADS][6] = {{0}};
  for (int64_t step = 1; step <= 6000; step++) {
    vane_step_input input = input_of(&config, step);
    for (int i = 0; i < VANE_N_HEADS; i++)
      seen[i][order_of(input.projection_order[i])]++;
  }
  /* 1,000 expected, standard deviation 29: five of them either way. */
  for (int i = 0; i < VANE_N_HEADS; i++)
    for (int order = 0; order < 6; order++)
      assert_in_range(seen[i][order], 855, 1145);
}

static void test_orders_follow_from_seed_and_step_alone(void **state) {
  (void)state;
  vane_config config = settings();
  int differ_by_step = 0, differ_by_seed = 0;
  for (int64_t step = 1; step <= 50; step++) {
    config.seed = 7;
    vane_step_input input = input_of(&config, step), again = input_of(&config, step);
    vane_step_input next = input_of(&config, step + 1);
    const size_t bytes = sizeof input.projection_order;
    assert_memory_equal(input.projection_order, again.projection_order, bytes);
    differ_by_step += memcmp(input.projection_order, next.projection_order, bytes) != 0;
    config.seed = 8;
    again = input_of(&config, step);
    differ_by_seed += memcmp(input.projection_order, again.projection_order, bytes) != 0;
  }
  /* Four rows agree by chance once in 1,296. */
  assert_true(differ_by_step >= 47);
  assert_true(differ_by_seed >= 47);
}

static void test_adam_takes_every_setting(void **state) {
  (void)state;
  vane_config config = settings();
  config.optim_epsilon = 1e-4;
  config.optim_epsilon_mode = VANE_EPSILON_HAT;
  config.optim_amsgrad = true;
  config.optim_weight_decay = 0.01;
  config.optim_decay_mode = VANE_DECAY_L2;
  config.optim_rule = VANE_RULE_ATAN2;
  config.optim_amsgrad_decay = 0.9;
  config.optim_update_clip = 1.5;
  config.optim_spike_clip = 5000;
  config.optim_reset_every = 10;
  config.grad_clip_adaptive = 0.02;
  vane_adam_desc desc;
  vane_adam_desc_fill(&config, &desc);
  assert_true(desc.beta1 == 0.9 && desc.beta2 == 0.999);
  assert_true(desc.epsilon == 1e-4 && desc.weight_decay == 0.01);
  assert_int_equal(desc.epsilon_mode, VANE_EPSILON_HAT);
  assert_int_equal(desc.decay_mode, VANE_DECAY_L2);
  assert_true(desc.amsgrad && desc.amsgrad_decay == 0.9);
  assert_int_equal(desc.rule, VANE_RULE_ATAN2);
  assert_true(desc.update_clip == 1.5 && desc.spike_clip == 5000 && desc.adaptive_clip == 0.02);
  assert_true(desc.resets);
  config.optim_reset_every = 0;
  vane_adam_desc_fill(&config, &desc);
  assert_false(desc.resets);
}

/* n_t is a difference of numbers near 2,000: three of sixteen digits are gone. */
static void assert_rectification(const vane_config *config, int64_t step, double expected) {
  double r = input_of(config, step).rectification;
  if (!(fabs(r - expected) <= 1e-12))
    fail_msg("step %lld: %.17g is not %.17g", (long long)step, r, expected);
}

/* (N63) The first step whose n_t passes 5 is the sixth; by 50-digit arithmetic. */
static void test_radam_waits_for_the_second_moment(void **state) {
  (void)state;
  vane_config config = settings();
  assert_true(input_of(&config, 5).rectification == 0);
  assert_rectification(&config, 6, 0.025821112801865228);
  assert_rectification(&config, 10, 0.048998013447140199);
  assert_rectification(&config, 1000, 0.64532565233806562);
  assert_rectification(&config, 1000000, 1);
  config.optim_beta2 = 0.5; /* n is 3: it never does */
  assert_true(input_of(&config, 1000).rectification == 0);
}

static void test_adopt_limits_grow(void **state) {
  (void)state;
  vane_config config = settings();
  assert_true(input_of(&config, 17).adopt_limit == 0);
  config.optim_adopt_clip = true;
  assert_true(input_of(&config, 2).adopt_limit == 1);
  assert_true(input_of(&config, 17).adopt_limit == 2);
}

/* (N66) */
static void test_moments_begin_anew(void **state) {
  (void)state;
  vane_config config = settings(), plain = settings();
  config.optim_reset_every = 100;
  config.optim_reset_warmup = 4;
  config.optim_adopt_clip = true;
  assert_int_equal(input_of(&config, 1).reset, 0);
  assert_int_equal(input_of(&config, 100).reset, 0);
  assert_int_equal(input_of(&config, 101).reset, 1);
  assert_int_equal(input_of(&config, 102).reset, 0);
  assert_true(input_of(&config, 101).bias2 == input_of(&plain, 1).bias2);
  assert_true(input_of(&config, 217).bias1 == input_of(&plain, 17).bias1);
  assert_true(input_of(&config, 217).adopt_limit == 2);
  assert_true(input_of(&config, 206).rectification == input_of(&plain, 6).rectification);
  assert_int_equal(vane_moment_age(&config, 217), 17);
  assert_int_equal(vane_moment_age(&plain, 217), 217);
  /* A hundredth, half, and all of it. The first steps are the warm-up's, which has a course of its
   * own. */
  assert_true(fabs(input_of(&config, 101).lr - 0.01 * input_of(&plain, 101).lr) < 1e-16);
  assert_true(fabs(input_of(&config, 103).lr - 0.505 * input_of(&plain, 103).lr) < 1e-16);
  assert_true(input_of(&config, 105).lr == input_of(&plain, 105).lr);
  assert_true(input_of(&config, 2).lr == input_of(&plain, 2).lr);
}

static void test_every_so_many_steps_are_watched(void **state) {
  (void)state;
  vane_config config = settings();
  config.optim_telemetry_every = 20;
  assert_int_equal(input_of(&config, 20).watch, 1);
  assert_int_equal(input_of(&config, 21).watch, 0);
  assert_int_equal(input_of(&config, 100).watch, 1);
  config.optim_telemetry_every = 1;
  assert_int_equal(input_of(&config, 1).watch, 1);
  config.optim_telemetry_every = 0;
  assert_int_equal(input_of(&config, 20).watch, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_so_many_steps_are_watched),
      cmocka_unit_test(test_bias_corrections_keep_all_digits),
      cmocka_unit_test(test_without_memory_nothing_is_corrected),
      cmocka_unit_test(test_step_rate_and_counts),
      cmocka_unit_test(test_every_row_lists_the_other_losses),
      cmocka_unit_test(test_all_orders_are_equally_likely),
      cmocka_unit_test(test_orders_follow_from_seed_and_step_alone),
      cmocka_unit_test(test_adam_takes_every_setting),
      cmocka_unit_test(test_radam_waits_for_the_second_moment),
      cmocka_unit_test(test_adopt_limits_grow),
      cmocka_unit_test(test_moments_begin_anew),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
