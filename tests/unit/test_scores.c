/* Figures of an evaluation, on answers few enough to work them out by hand. */
#include <math.h>

#include "scratch.h"

#include "train/scores.h"

#define RADIANS_PER_DEGREE 0.017453292519943295769

typedef struct given {
  double probability, angle_deg, magnitude, x, y; /* the answer */
  float present, label_deg, label_magnitude;
  uint32_t known;
} given;

#define ALL (VANE_LABEL_PRESENT | VANE_LABEL_ANGLE | VANE_LABEL_MAGNITUDE | VANE_LABEL_POSITION)

static vane_scores scores_of(const given *images, int64_t n) {
  vane_config config;
  vane_score_sheet *sheet;
  vane_scores scores = {0};
  vane_config_init(&config);
  assert_ok(vane_score_sheet_create(&config, n, &sheet));
  for (int64_t i = 0; i < n; i++) {
    const given *image = &images[i];
    vane_answer answer = {.present = image->probability,
                          .angle = image->angle_deg * RADIANS_PER_DEGREE,
                          .magnitude = image->magnitude,
                          .x = image->x,
                          .y = image->y};
    vane_labels labels = {.present = image->present,
                          .angle = image->label_deg * (float)RADIANS_PER_DEGREE,
                          .magnitude = image->label_magnitude,
                          .known = image->known};
    vane_score_sheet_add(sheet, &answer, &labels);
  }
  vane_score_sheet_sum_up(sheet, &scores);
  vane_score_sheet_destroy(sheet);
  return scores;
}

static void assert_near(double value, double expected) {
  if (!(fabs(value - expected) <= 1e-5 * (1 + fabs(expected))))
    fail_msg("%.9g is not %.9g", value, expected);
}

static void figures_are_those_by_hand(void **state) {
  (void)state;
  const given images[] = {
      /* errors of 3, 20 (across the end of the scale), 7 and 170 degrees */
      {0.9, 13, 2.2, 3, 4, 1, 10, 2, ALL},
      {0.7, 175, 1.5, 0, 1, 1, -165, 3, ALL},
      {0.4, -7, 4, 0, 0, 1, 0, 4, VANE_LABEL_PRESENT | VANE_LABEL_ANGLE},
      {0.6, 0, 0, 0, 0, 1, 170, 0, VANE_LABEL_PRESENT | VANE_LABEL_ANGLE},
      /* absent: only presence counts, whatever else is said */
      {0.6, 99, 9, 9, 9, 0, 0, 1, ALL},
      {0.1, 99, 9, 9, 9, 0, 0, 1, ALL},
  };
  vane_scores s = scores_of(images, 6);
  assert_int_equal(s.images, 6);
  /* Pairs (present, absent): 0.9 and 0.7 beat both, 0.6 ties one and beats one, 0.4 beats one. */
  assert_near(s.auroc, (2 + 2 + 1.5 + 1) / 8);
  /* Precision at each present image, the tied pair of 0.6 together: 1, 1, 3/4, 4/5. */
  assert_near(s.average_precision, (1 + 1 + 3.0 / 4 + 4.0 / 5) / 4);
  assert_near(s.accuracy, 4.0 / 6);
  /* Bins of 1/15: {0.9}, {0.7}, {0.4}, {0.6, 0.6}, {0.1}. */
  assert_near(s.ece, (0.1 + 0.3 + 0.6 + fabs(1.2 - 1) + 0.1) / 6);
  assert_near(s.mae_deg, (3 + 20 + 7 + 170) / 4.0);
  assert_near(s.median_deg, 13.5);
  assert_near(s.rmse_deg, sqrt((9 + 400 + 49 + 28900) / 4.0));
  assert_near(s.acc5, 0.25);
  assert_near(s.acc10, 0.5);
  assert_near(s.acc30, 0.75);
  assert_near(s.flip, 0.25);
  assert_near(s.mape, (0.1 + 0.5) / 2);
  assert_near(s.mae_px, (5 + 1) / 2.0);
}

static void what_nobody_labelled_is_not_a_number(void **state) {
  (void)state;
  const given images[] = {{.probability = 0.8, .present = 1, .known = VANE_LABEL_PRESENT}};
  vane_scores s = scores_of(images, 1);
  assert_true(isnan(s.auroc) && isnan(s.mae_deg) && isnan(s.median_deg) && isnan(s.flip));
  assert_true(isnan(s.mape) && isnan(s.mae_px));
  assert_near(s.accuracy, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(figures_are_those_by_hand),
      cmocka_unit_test(what_nobody_labelled_is_not_a_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
