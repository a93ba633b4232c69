/* The laboratory's lists (problems, remedies) and its table. */
#include <math.h>

#include "scratch.h"

#include "base/error.h"
#include "base/file.h"
#include "lab/presets.h"
#include "lab/table.h"

static void every_problem_takes_every_remedy(void **state) {
  (void)state;
  vane_config config;
  assert_int_equal(vane_lab_n_problems, vane_lab_n_presets);
  for (int p = 0; p < vane_lab_n_problems; p++)
    for (int r = 0; r < vane_lab_n_remedies; r++) {
      assert_ok(vane_lab_remedy_configure(&vane_lab_problems[p], &vane_lab_remedies[r], 7, NULL, 0,
                                          &config));
      assert_int_equal(config.seed, 7);
      /* The same bits on every machine of a kind, whatever else it does. */
      assert_int_equal(config.device_kind, VANE_DEVICE_CPU);
      assert_int_equal(config.device_convolution, VANE_CONVOLUTION_DIRECT);
      assert_int_equal(config.device_threads, 1);
      assert_false(config.data_train_fresh);
    }
}

/* A remedy is known by what it changes: no two are the same, none is plain Adam once more. */
static void remedies_differ(void **state) {
  (void)state;
  vane_config config;
  char *texts[256];
  assert_in_range(vane_lab_n_remedies, 2, 256);
  for (int r = 0; r < vane_lab_n_remedies; r++) {
    assert_ok(vane_lab_remedy_configure(&vane_lab_problems[0], &vane_lab_remedies[r], 1, NULL, 0,
                                        &config));
    assert_ok(vane_config_print(&config, &texts[r]));
    for (int other = 0; other < r; other++)
      if (strcmp(texts[r], texts[other]) == 0)
        fail_msg("%s is %s", vane_lab_remedies[r].name, vane_lab_remedies[other].name);
  }
  for (int r = 0; r < vane_lab_n_remedies; r++)
    free(texts[r]);
}

static void plain_adam_is_the_same_for_every_problem(void **state) {
  (void)state;
  vane_config config;
  const vane_lab_problem *problem;
  const vane_lab_remedy *remedy;
  const char *const assignments[] = {"optim.lr=0.5", "train.steps=3"};
  assert_ok(vane_lab_problem_find("tf1-small", &problem));
  assert_ok(vane_lab_problem_configure(problem, 2, NULL, 0, &config));
  assert_true(config.optim_epsilon == 1e-4 && config.optim_epsilon_mode == VANE_EPSILON_HAT);
  assert_ok(vane_lab_remedy_find("adam", &remedy));
  assert_ptr_equal(remedy, &vane_lab_remedies[0]);
  assert_ok(vane_lab_remedy_configure(problem, remedy, 2, assignments, 2, &config));
  assert_true(config.optim_epsilon == 1e-8 && config.optim_epsilon_mode == VANE_EPSILON_OUTSIDE);
  assert_true(config.optim_lr == 0.5 && config.train_steps == 3);
}

static void an_unknown_name_gets_the_nearest(void **state) {
  (void)state;
  const vane_lab_problem *problem;
  const vane_lab_remedy *remedy;
  assert_fails(vane_lab_problem_find("regresion", &problem), VANE_ERR_ARGUMENT,
               "no problem 'regresion'; did you mean regression?");
  assert_fails(vane_lab_remedy_find("amsgrat", &remedy), VANE_ERR_ARGUMENT,
               "no remedy 'amsgrat'; did you mean amsgrad?");
}

/* --- the table --- */

static const vane_lab_problem *const problems[] = {&vane_lab_problems[0], &vane_lab_problems[3]};
static const vane_lab_remedy *const remedies[] = {&vane_lab_remedies[3], &vane_lab_remedies[0]};
static const vane_lab_matrix matrix = {
    .problems = problems, .n_problems = 2, .remedies = remedies, .n_remedies = 2, .n_seeds = 3};

/* Two problems, two remedies, three seeds, as numbers that tell where they come from. */
static void fill_cells(vane_lab_cell cells[12]) {
  for (int i = 0; i < 12; i++) {
    int problem = i / 6, remedy = i / 3 % 2, seed = i % 3;
    cells[i] = (vane_lab_cell){problems[problem], remedies[remedy], seed + 1, true, {0}};
    cells[i].outcome = (vane_lab_outcome){.steps = 100,
                                          .best = 1e-3,
                                          .late = (double[]){3e-3, 1e-3, 2e-3}[seed],
                                          .late_worst = 1e-2 * (seed + 1),
                                          .setback = 10 * (seed + 1),
                                          .spikes = seed + 2,
                                          .late_spikes = seed,
                                          .reached = {10, seed == 0 ? 0 : 20, seed == 2 ? 40 : 0},
                                          .us_per_step = remedy == 0 ? 15 : 10 + seed};
  }
}

static void seeds_are_summed_up(void **state) {
  (void)state;
  vane_lab_cell cells[12];
  vane_lab_row rows[4];
  fill_cells(cells);
  vane_lab_table_sum_up(&matrix, cells, rows);
  for (int i = 0; i < 4; i++) {
    assert_ptr_equal(rows[i].problem, problems[i / 2]);
    assert_ptr_equal(rows[i].remedy, remedies[i % 2]);
    assert_true(rows[i].best_late == 1e-3 && rows[i].median_late == 2e-3);
    assert_true(fabs(rows[i].worst_setback - 30) < 1e-9);
    assert_true(rows[i].spikes == 9 && rows[i].late_spikes == 3);
    assert_int_equal(rows[i].reached[0], 10);
    assert_int_equal(rows[i].reached[1], 20); /* two of three did */
    assert_int_equal(rows[i].reached[2], 0);  /* two of three did not */
    assert_true(fabs(rows[i].cost - (i % 2 == 0 ? 15.0 / 11 : 1)) < 1e-9);
  }
}

static char *print(void (*to)(FILE *stream, const vane_lab_row *rows, int64_t n)) {
  vane_lab_cell cells[12];
  vane_lab_row rows[4];
  char *text;
  size_t n_bytes;
  FILE *stream = open_memstream(&text, &n_bytes);
  assert_non_null(stream);
  fill_cells(cells);
  vane_lab_table_sum_up(&matrix, cells, rows);
  to(stream, rows, 4);
  assert_int_equal(fclose(stream), 0);
  return text;
}

static void the_table_has_a_part_for_each_problem(void **state) {
  (void)state;
  char *text = print(vane_lab_table_print);
  assert_non_null(strstr(text, "### regression: "));
  assert_non_null(strstr(text, "\n\n### tf1-small: "));
  assert_non_null(
      strstr(text, "| epsilon 1e-5 | 1.0e-03 | 2.0e-03 | 30 | 9 | 3 | 10 | 20 | - | - | - | - | "
                   "1.36 |\n"));
  assert_non_null(strstr(text, " steps to 1e-01 |"));
  assert_non_null(strstr(text, " steps to 1e+00 |")); /* of tf1-small, whose scale is 10 */
  free(text);
  text = print(vane_lab_table_print_csv);
  assert_non_null(strstr(text, "\ntf1-small,adam,3,0.001,0.002,30,9,3,11,1,10,20,0,0,0,0\n"));
  free(text);
}

/* With gnuplot there is a picture; without it the script, and words that say how. */
static void the_table_is_drawn(void **state) {
  scratch *area = *state;
  vane_lab_cell cells[12];
  vane_lab_row rows[4];
  fill_cells(cells);
  cells[0].outcome.late = cells[1].outcome.late = (double)INFINITY;
  vane_lab_table_sum_up(&matrix, cells, rows);
  vane_status status = vane_lab_table_draw(area->folder, rows, 4);
  assert_true(vane_file_exists(scratch_path(area, "remedies.gp")));
  if (status == VANE_OK)
    assert_true(vane_file_exists(scratch_path(area, "remedies.png")));
  else
    assert_message_contains("gnuplot-nox");
  assert_int_equal(setenv("PATH", area->folder, 1), 0);
  assert_fails(vane_lab_table_draw(area->folder, rows, 4), VANE_ERR_UNSUPPORTED, "gnuplot-nox");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_problem_takes_every_remedy),
      cmocka_unit_test(remedies_differ),
      cmocka_unit_test(plain_adam_is_the_same_for_every_problem),
      cmocka_unit_test(an_unknown_name_gets_the_nearest),
      cmocka_unit_test(seeds_are_summed_up),
      cmocka_unit_test(the_table_has_a_part_for_each_problem),
      scratch_test(the_table_is_drawn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
