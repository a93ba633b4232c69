/* lab/outcome.h: what a curve says, on curves made by hand; and its way through JSON. */
#include <math.h>

#include "scratch.h"

#include "lab/outcome.h"
#include "lab/outcome_json.h"

static void a_mean_is_that_of_an_epoch(void **state) {
  (void)state;
  const double loss[] = {8, 4, 0, 2, (double)INFINITY, 1, 1, 1, 4, 7};
  assert_true(vane_lab_epoch_mean(loss, 0, 0, 3) == 8);
  assert_true(vane_lab_epoch_mean(loss, 1, 0, 3) == 6);
  assert_true(vane_lab_epoch_mean(loss, 2, 0, 3) == 4);
  assert_true(vane_lab_epoch_mean(loss, 4, 0, 3) == 4); /* the second epoch is not over */
  assert_true(isinf(vane_lab_epoch_mean(loss, 5, 0, 3)));
  assert_true(isinf(vane_lab_epoch_mean(loss, 7, 0, 3)));
  assert_true(vane_lab_epoch_mean(loss, 8, 0, 3) == 2);
  assert_true(vane_lab_epoch_mean(loss, 3, 0, 1) == 2);
  /* A run that begins in the middle of an epoch. */
  assert_true(vane_lab_epoch_mean(loss, 0, 31, 3) == 8);
  assert_true(vane_lab_epoch_mean(loss, 1, 31, 3) == 6);
  assert_true(vane_lab_epoch_mean(loss, 3, 31, 3) == 6);
  assert_true(isinf(vane_lab_epoch_mean(loss, 4, 31, 3)));
  assert_true(vane_lab_epoch_mean(loss, 7, 31, 3) == 1);
}

/* A run of 100 steps that falls from 1 by a tenth of a decade a step, to 1e-3 at the 31st, and
 * stays there. */
#define N 100
static void draw_calm_run(double *means) {
  for (int i = 0; i < N; i++)
    means[i] = fmax(pow(10, -0.1 * i), 1e-3);
}

static void a_calm_run_has_no_spike(void **state) {
  (void)state;
  double means[N];
  vane_lab_outcome outcome;
  draw_calm_run(means);
  vane_lab_judge(means, N, 0, 1.0, &outcome);
  assert_int_equal(outcome.steps, N);
  assert_true(outcome.best == 1e-3 && outcome.best_step == 31);
  assert_true(outcome.late == 1e-3 && outcome.late_worst == 1e-3);
  assert_true(outcome.setback == 1);
  assert_true(outcome.spikes == 0 && outcome.late_spikes == 0 && outcome.first_spike == 0);
}

static void levels_are_of_the_scale_and_steps_of_the_run(void **state) {
  (void)state;
  double means[N];
  vane_lab_outcome outcome;
  draw_calm_run(means);
  vane_lab_judge(means, N, 500, 1.0, &outcome);
  assert_in_range(outcome.reached[0], 511, 512); /* 10^-1 to rounding */
  assert_in_range(outcome.reached[1], 521, 522);
  assert_int_equal(outcome.reached[3], 0);
  vane_lab_judge(means, N, 0, 20.0, &outcome);
  assert_int_equal(outcome.reached[0], 1); /* 1 is below 2 */
  assert_int_equal(outcome.reached[1], 8); /* 0.2 = 10^-0.7 */
}

/* A spike begins beyond 10 times the best and is over below 3 times the best. */
static void spikes_are_counted_once_until_the_loss_has_come_back(void **state) {
  (void)state;
  double means[N];
  vane_lab_outcome outcome;
  draw_calm_run(means);
  means[20] = 1;     /* 100 times the best at step 21, in the first quarter */
  means[40] = 9e-3;  /* nine times: none */
  means[50] = 11e-3; /* one at step 51, */
  means[51] = 5e-3;  /* which is not over yet */
  means[52] = 2;
  means[53] = 2.9e-3; /* now it is */
  means[54] = 3;      /* and here is the third one, which lasts into the last quarter */
  for (int i = 55; i < 80; i++)
    means[i] = 4;
  vane_lab_judge(means, N, 0, 1.0, &outcome);
  assert_int_equal(outcome.spikes, 3);
  assert_int_equal(outcome.late_spikes, 2);
  assert_int_equal(outcome.first_spike, 21);
  assert_true(outcome.late_worst == 4 && outcome.late == 1e-3);
  assert_true(fabs(outcome.setback - 4000) < 1e-6);
}

/* A loss that falls all the way to the end is far below where it was when the last quarter began.
 */
static void what_only_falls_has_no_setback(void **state) {
  (void)state;
  double means[N];
  vane_lab_outcome outcome;
  for (int i = 0; i < N; i++)
    means[i] = pow(10, -0.1 * i);
  means[90] *= 5; /* of what is the lowest before it times 10^-0.1 */
  vane_lab_judge(means, N, 0, 1.0, &outcome);
  assert_true(outcome.late_worst > 100 * outcome.best);
  assert_true(fabs(outcome.setback - 5 * pow(10, -0.1)) < 1e-9);
  assert_int_equal(outcome.spikes, 0);
}

static void rounding_is_no_spike(void **state) {
  (void)state;
  double means[N];
  vane_lab_outcome outcome;
  for (int i = 0; i < N; i++)
    means[i] = i % 2 ? 1e-16 : 9e-12;
  vane_lab_judge(means, N, 0, 1.0, &outcome);
  assert_true(outcome.best == 1e-16 && outcome.spikes == 0);
  assert_true(fabs(outcome.setback - 9) < 1e-9);
  means[80] = 1.1e-11;
  vane_lab_judge(means, N, 0, 1.0, &outcome);
  assert_int_equal(outcome.spikes, 1);
}

static void what_is_not_finite_is_the_worst(void **state) {
  (void)state;
  double means[N];
  vane_lab_outcome outcome;
  draw_calm_run(means);
  for (int i = 60; i < N; i++)
    means[i] = (double)INFINITY;
  vane_lab_judge(means, N, 0, 1.0, &outcome);
  assert_true(isinf(outcome.late) && isinf(outcome.late_worst));
  assert_true(isinf(outcome.setback));
  assert_int_equal(outcome.spikes, 1);
  vane_lab_judge(means + 60, 1, 60, 1.0, &outcome);
  assert_true(outcome.spikes == 0 && isinf(outcome.best));
}

static void an_outcome_survives_json(void **state) {
  (void)state;
  vane_lab_outcome outcome = {.steps = 9,
                              .best = 0.1,
                              .best_step = 8,
                              .late = 1.0 / 3,
                              .late_worst = (double)INFINITY,
                              .setback = (double)INFINITY,
                              .spikes = 4,
                              .late_spikes = 3,
                              .first_spike = 5,
                              .reached = {1, 2, 3, 0, 0, 0},
                              .us_per_step = 12.5,
                              .strain = 0.7};
  json_t *object = vane_lab_outcome_to_json(&outcome);
  char *text = json_dumps(object, 0);
  json_decref(object);
  object = json_loads(text, 0, NULL);
  free(text);
  vane_lab_outcome back;
  assert_true(vane_lab_outcome_from_json(object, &back));
  assert_memory_equal(&outcome, &back, sizeof back);
  json_object_del(object, "spikes");
  assert_false(vane_lab_outcome_from_json(object, &back));
  json_decref(object);
  assert_false(vane_lab_outcome_from_json(NULL, &back));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_mean_is_that_of_an_epoch),
      cmocka_unit_test(a_calm_run_has_no_spike),
      cmocka_unit_test(levels_are_of_the_scale_and_steps_of_the_run),
      cmocka_unit_test(spikes_are_counted_once_until_the_loss_has_come_back),
      cmocka_unit_test(what_only_falls_has_no_setback),
      cmocka_unit_test(rounding_is_no_spike),
      cmocka_unit_test(what_is_not_finite_is_the_worst),
      cmocka_unit_test(an_outcome_survives_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
