/* Head outputs to answers and labels to targets: the two must be each other's inverse. */
#include <math.h>

#include "scratch.h"

#include "net/answer.h"

#define PI 3.14159265358979323846

static const double degrees_of[] = {360, 180, 90};

static void configure(vane_config *config, int kind, int period) {
  vane_config_init(config);
  config->model_heads_angle_kind = kind;
  config->model_heads_angle_period = period;
}

/* What a head that answers perfectly would put out for phase `phi`. */
static void perfect(const vane_config *config, double phi, float *out) {
  if (config->model_heads_angle_kind != VANE_ANGLE_BINS) {
    out[0] = (float)(3 * sin(phi));
    out[1] = (float)(3 * cos(phi));
    return;
  }
  double width = config->model_heads_angle_bin_width * PI / 180;
  int64_t n = config->model_heads_angle_bins;
  for (int64_t b = 0; b < n; b++)
    out[b] = (float)(cos(2 * PI * (double)b / (double)n - phi) / (width * width));
}

static void angles_come_back_in_every_period(void **state) {
  (void)state;
  const float zero[2] = {0};
  float out[72];
  for (int kind = VANE_ANGLE_SINCOS; kind <= VANE_ANGLE_BINS; kind++)
    for (int period = VANE_PERIOD_360; period <= VANE_PERIOD_90; period++) {
      vane_config config;
      configure(&config, kind, period);
      double turn = vane_answer_period(&config);
      assert_true(fabs(turn - degrees_of[period] * PI / 180) < 1e-12);
      for (double degrees = -700; degrees < 700; degrees += 7.3) {
        vane_answer answer;
        double angle = degrees * PI / 180;
        perfect(&config, vane_answer_phase(&config, angle), out);
        vane_answer_decode(&config, zero, out, zero, zero, &answer);
        assert_true(answer.angle > -turn / 2 - 1e-9 && answer.angle <= turn / 2 + 1e-9);
        /* The seven bins around the largest cut the tails of the soft label unevenly where the
         * angle lies between two bins: up to 0.016 degrees of a full turn (worked out for these
         * bins). */
        double error = vane_answer_wrap(answer.angle - angle, turn);
        assert_true(fabs(error) < (kind == VANE_ANGLE_BINS ? 3e-4 : 1e-6));
      }
    }
}

static void wrapping_keeps_the_upper_end(void **state) {
  (void)state;
  assert_true(vane_answer_wrap(PI, 2 * PI) == PI);
  assert_true(vane_answer_wrap(-PI, 2 * PI) == PI);
  assert_true(fabs(vane_answer_wrap(3.5 * PI, 2 * PI) + 0.5 * PI) < 1e-12);
  assert_true(fabs(vane_answer_wrap(0.3 * PI, PI / 2) + 0.2 * PI) < 1e-12);
}

/* von Mises: kappa large, the deviation is 1/sqrt(kappa); and in a period of 180 half of that. */
static void the_deviation_is_that_of_the_distribution(void **state) {
  (void)state;
  const float zero[2] = {0}, out[2] = {0, 400};
  vane_config config;
  vane_answer answer;
  configure(&config, VANE_ANGLE_VON_MISES, VANE_PERIOD_360);
  vane_answer_decode(&config, zero, out, zero, zero, &answer);
  assert_true(fabs(answer.angle_std - 0.05) < 1e-4);
  configure(&config, VANE_ANGLE_VON_MISES, VANE_PERIOD_180);
  vane_answer_decode(&config, zero, out, zero, zero, &answer);
  assert_true(fabs(answer.angle_std - 0.025) < 1e-4);
  configure(&config, VANE_ANGLE_SINCOS, VANE_PERIOD_360);
  vane_answer_decode(&config, zero, out, zero, zero, &answer);
  assert_true(isnan(answer.angle_std));
}

static void magnitude_and_position_have_units(void **state) {
  (void)state;
  vane_config config;
  vane_answer answer;
  const float angle[2] = {0, 1};
  for (int log_scale = 0; log_scale < 2; log_scale++) {
    configure(&config, VANE_ANGLE_SINCOS, VANE_PERIOD_360);
    config.model_heads_magnitude_log = log_scale;
    config.model_heads_magnitude_scale = 0.25;
    config.model_heads_position_scale = 8;
    config.model_heads_position_offset[0] = 31.5;
    config.model_heads_position_offset[1] = -2;
    const float logit = 1.5f, magnitude = (float)vane_answer_magnitude_target(&config, 1.3);
    const float position[2] = {(float)vane_answer_position_target(&config, 40, 0),
                               (float)vane_answer_position_target(&config, 7, 1)};
    vane_answer_decode(&config, &logit, angle, &magnitude, position, &answer);
    assert_true(fabs(answer.present - 1 / (1 + exp(-1.5))) < 1e-12);
    assert_true(fabs(answer.magnitude - 1.3) < 1e-6);
    assert_true(fabs(answer.x - 40) < 1e-5 && fabs(answer.y - 7) < 1e-5);
  }
  assert_true(isnan(vane_answer_magnitude_target(&config, 0)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(angles_come_back_in_every_period),
      cmocka_unit_test(wrapping_keeps_the_upper_end),
      cmocka_unit_test(the_deviation_is_that_of_the_distribution),
      cmocka_unit_test(magnitude_and_position_have_units),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
