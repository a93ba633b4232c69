/* The laboratory's promise: small problems that plain Adam learns and then loses, the same way each
 * time; and a matrix that goes on where it was interrupted. */
#include "flow/small.h"

#include "base/file.h"
#include "lab/experiment.h"
#include "lab/haywire.h"
#include "lab/matrix.h"
#include "store/run.h"

static vane_lab_curve run_problem(const char *name, const char *const *assignments, int n,
                                  const vane_lab_options *options) {
  const vane_lab_problem *problem;
  vane_config config;
  vane_lab_curve curve;
  assert_ok(vane_lab_problem_find(name, &problem));
  assert_ok(vane_lab_problem_configure(problem, 1, assignments, n, &config));
  assert_ok(vane_lab_experiment(&config, options, NULL, &curve));
  return curve;
}

/* The late failure, as vane lab haywire counts it: at both epsilons the loss has been a hundred
 * times lower than it is again in the last quarter. */
static void adam_learns_and_then_fails(void **state) {
  (void)state;
  static const char *const epsilons[] = {"optim.epsilon=1e-8", "optim.epsilon=1e-4"};
  for (int i = 0; i < 2; i++) {
    const vane_lab_options options = {.tell = NULL};
    vane_lab_curve curve = run_problem("regression", &epsilons[i], 1, &options);
    vane_lab_outcome outcome;
    vane_lab_curve_judge(&curve, 1.0, &outcome);
    assert_true(outcome.best < 1e-3 * curve.loss[0]);
    if (outcome.setback < 100 || outcome.late_spikes == 0)
      fail_msg("%s: best %g, worst late %g, %d spikes", epsilons[i], outcome.best,
               outcome.late_worst, (int)outcome.late_spikes);
    assert_true(outcome.us_per_step > 0);
    vane_lab_curve_finish(&curve);
  }
}

static unsigned char *curve_text(scratch *area, const vane_lab_curve *curve, size_t *n_bytes) {
  unsigned char *text;
  assert_ok(vane_lab_curve_write(curve, scratch_path(area, "curve.csv")));
  assert_ok(vane_file_read(scratch_path(area, "curve.csv"), &text, n_bytes));
  return text;
}

static void a_run_repeats_its_bits(void **state) {
  scratch *area = *state;
  static const char *const problems[] = {"regression-minibatch", "tf1-small", "holdout-2"};
  static const char *const few[] = {"train.steps=90"};
  for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
    const vane_lab_options options = {.tell = NULL};
    size_t n_bytes, n_again;
    vane_lab_curve curve = run_problem(problems[i], few, 1, &options);
    unsigned char *text = curve_text(area, &curve, &n_bytes);
    vane_lab_curve_finish(&curve);
    curve = run_problem(problems[i], few, 1, &options);
    unsigned char *again = curve_text(area, &curve, &n_again);
    vane_lab_curve_finish(&curve);
    assert_int_equal(n_bytes, n_again);
    assert_memory_equal(text, again, n_bytes);
    assert_string_equal(strtok((char *)text, "\n"), "step,loss,mean,curvature,limit");
    free(text);
    free(again);
  }
}

static vane_status note_point(void *user, const vane_lab_point *point) {
  vane_lab_point *newest = user;
  assert_true(point->step > newest->step && point->steps == 300);
  *newest = *point;
  return VANE_OK;
}

/* From its own checkpoint a run goes the same way once more, so that what differs in haywire's
 * restart is the order of examples alone. */
static void a_run_goes_on_from_its_checkpoint(void **state) {
  scratch *area = *state;
  static const char *const few[] = {"train.steps=300"};
  char path[600];
  vane_run *run;
  vane_lab_point newest = {0};
  assert_ok(vane_run_create(scratch_path(area, "run"), "", 10, &run));
  const vane_lab_options saving = {
      .run = run, .save_every = 100, .tell = note_point, .user = &newest};
  vane_lab_curve whole = run_problem("regression-minibatch", few, 1, &saving);
  vane_run_close(run);
  assert_true(newest.step == 300 && newest.best <= newest.loss);
  snprintf(path, sizeof path, "%s/run/checkpoints/step-00000200.safetensors", area->folder);
  const vane_lab_options going_on = {.checkpoint = path};
  vane_lab_curve rest = run_problem("regression-minibatch", few, 1, &going_on);
  assert_true(rest.first == 200 && rest.n == 100 && rest.window == 4);
  for (int64_t i = 0; i < rest.n; i++)
    assert_true(rest.loss[i] == whole.loss[200 + i]);
  vane_lab_curve_finish(&whole);
  vane_lab_curve_finish(&rest);
}

/* Infinite losses from the first bad step on, and no endless run of steps that write nothing. */
static void a_run_that_is_halted_ends_in_infinity(void **state) {
  (void)state;
  static const char *const wild[] = {"train.steps=200", "optim.lr=1e6"};
  const vane_lab_options options = {.tell = NULL};
  vane_lab_curve curve = run_problem("regression", wild, 2, &options);
  vane_lab_outcome outcome;
  vane_lab_curve_judge(&curve, 1.0, &outcome);
  assert_int_equal(outcome.steps, 200);
  assert_true(isfinite(curve.loss[0]) && isinf(curve.loss[199]) && isinf(outcome.late_worst));
  vane_lab_curve_finish(&curve);
}

/* --- haywire --- */

typedef struct shown {
  vane_lab_finding findings[4];
  int n_findings, n_points;
} shown;

static void count_point(void *user, int64_t trial, const vane_lab_point *point) {
  shown *all = user;
  assert_true(trial < 2 && point->step <= point->steps);
  all->n_points++;
}

static void note_finding(void *user, int64_t trial, const vane_lab_finding *finding) {
  shown *all = user;
  assert_true(trial < 2 && all->n_findings < 4);
  all->findings[all->n_findings++] = *finding;
}

/* A learning rate that throws the loss back early makes the restart short. */
static void haywire_restarts_before_the_first_spike(void **state) {
  scratch *area = *state;
  vane_lab_problem problems[2] = {vane_lab_problems[0], vane_lab_problems[0]};
  problems[1].restarts = true;
  const vane_lab_trial trials[] = {{&problems[0], 1}, {&problems[1], 2}};
  const char *const settings[] = {"train.steps=2500", "optim.lr=1e-2"};
  shown all = {.n_points = 0};
  const vane_lab_haywire plan = {.trials = trials,
                                 .n_trials = 2,
                                 .n_jobs = 2,
                                 .assignments = settings,
                                 .n_assignments = 2,
                                 .folder = area->folder,
                                 .tell = count_point,
                                 .found = note_finding,
                                 .user = &all};
  assert_ok(vane_lab_haywire_run(&plan));
  assert_true(all.n_points >= 3);
  assert_int_equal(all.n_findings, 3);
  int n_restarts = 0;
  int64_t first_spike = 0;
  for (int i = 0; i < 3; i++) {
    const vane_lab_finding *finding = &all.findings[i];
    char path[600];
    vane_lab_curve_path(area->folder, finding, path, sizeof path);
    assert_true(vane_file_exists(path));
    assert_true(finding->lr == 1e-2 && finding->epsilon == 1e-8);
    if (finding->restarted_at) {
      n_restarts++;
      assert_true(finding->restarted_at < first_spike);
      assert_int_equal(finding->outcome.steps, 2500 - finding->restarted_at);
    } else if (finding->seed == 2) {
      first_spike = finding->outcome.first_spike;
      assert_true(first_spike > 100);
    }
  }
  assert_int_equal(n_restarts, 1);
  vane_status status = vane_lab_haywire_draw(area->folder, all.findings, 3);
  assert_true(vane_file_exists(scratch_path(area, "haywire.gp")));
  if (status == VANE_OK)
    assert_true(vane_file_exists(scratch_path(area, "haywire.png")));
  else
    assert_message_contains("gnuplot-nox");
}

/* --- remedies --- */

#define N_CELLS 4

static void count_cell(void *user, const vane_lab_cell *cell, int64_t n_done) {
  int *count = user;
  assert_true(cell->done && n_done <= N_CELLS);
  ++*count;
}

/* Everything but the time, which is another one each time. */
static void expect_same_outcomes(const vane_lab_cell *a, const vane_lab_cell *b) {
  for (int i = 0; i < N_CELLS; i++) {
    vane_lab_outcome one = a[i].outcome, other = b[i].outcome;
    one.us_per_step = other.us_per_step = 0;
    assert_memory_equal(&one, &other, sizeof one);
    assert_ptr_equal(a[i].remedy, b[i].remedy);
    assert_int_equal(a[i].seed, b[i].seed);
  }
}

/* Leaves the first line, and half of the second, as a kill may. */
static void break_off(const char *path) {
  unsigned char *text;
  size_t n_bytes;
  assert_ok(vane_file_read(path, &text, &n_bytes));
  size_t first = strcspn((char *)text, "\n") + 1;
  assert_int_equal(truncate(path, (off_t)(first + 40)), 0);
  free(text);
}

static int64_t count_lines(const char *path) {
  unsigned char *text;
  size_t n_bytes;
  int64_t n = 0;
  assert_ok(vane_file_read(path, &text, &n_bytes));
  for (size_t i = 0; i < n_bytes; i++)
    n += text[i] == '\n';
  assert_int_equal(text[n_bytes - 1], '\n');
  free(text);
  return n;
}

static void a_matrix_goes_on_where_it_was_interrupted(void **state) {
  scratch *area = *state;
  const vane_lab_problem *const problems[] = {&vane_lab_problems[0]};
  const vane_lab_remedy *const remedies[] = {&vane_lab_remedies[0], &vane_lab_remedies[4]};
  const char *settings[] = {"train.steps=64"};
  int n_run = 0;
  const vane_lab_matrix matrix = {.problems = problems,
                                  .n_problems = 1,
                                  .remedies = remedies,
                                  .n_remedies = 2,
                                  .n_seeds = 2,
                                  .n_jobs = 2,
                                  .assignments = settings,
                                  .n_assignments = 1,
                                  .folder = area->folder,
                                  .found = count_cell,
                                  .user = &n_run};
  vane_lab_cell whole[N_CELLS], resumed[N_CELLS];
  assert_int_equal(vane_lab_matrix_count(&matrix), N_CELLS);
  assert_ok(vane_lab_matrix_run(&matrix, whole));
  assert_int_equal(n_run, N_CELLS);
  const char *results = scratch_path(area, "cells.jsonl");
  assert_int_equal(count_lines(results), N_CELLS);
  assert_true(whole[0].outcome.best != whole[1].outcome.best); /* seeds */
  assert_true(whole[0].outcome.best != whole[2].outcome.best); /* remedies */

  break_off(results);
  n_run = 0;
  assert_ok(vane_lab_matrix_run(&matrix, resumed));
  assert_int_equal(n_run, N_CELLS - 1);
  assert_int_equal(count_lines(results), N_CELLS);
  expect_same_outcomes(whole, resumed);

  n_run = 0; /* all is there */
  assert_ok(vane_lab_matrix_run(&matrix, resumed));
  assert_int_equal(n_run, 0);
  expect_same_outcomes(whole, resumed);

  settings[0] = "train.steps=65"; /* other settings, other results */
  assert_ok(vane_lab_matrix_run(&matrix, resumed));
  assert_int_equal(n_run, N_CELLS);
  assert_int_equal(resumed[3].outcome.steps, 65);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(adam_learns_and_then_fails),
      scratch_test(a_run_repeats_its_bits),
      scratch_test(a_run_goes_on_from_its_checkpoint),
      cmocka_unit_test(a_run_that_is_halted_ends_in_infinity),
      scratch_test(haywire_restarts_before_the_first_spike),
      scratch_test(a_matrix_goes_on_where_it_was_interrupted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
