/* The advisor on problems whose curvature is known: a linear answer under a squared loss has the
 * same Hessian everywhere. And whether its epsilon is the one that divides runs that fail from runs
 * that do not. */
#include "flow/small.h"

#include "train/advisor.h"

enum { SIDE = 3, N_PIXELS = SIDE * SIDE, N_WEIGHTS = N_PIXELS + 1, N_IMAGES = 48 };

#define LOSS_WEIGHT    0.7
#define REGULARIZATION 0.05

/* One answer, linear in the pixels; pixels are numbers between -1 and 1. */
static const char *const linear_config =
    "model: {input: [3, 3, 1], trunk: [flatten]}\n"
    "data: {train: {source: scenes, count: 48}, mean: [0.5], std: [0.5]}\n"
    "train: {batch: 48, steps: 100000, log_every: 100, on_nonfinite: stop}\n"
    "loss: {weights: {presence: 0, angle: 0, magnitude: 0.7, position: 0}}\n"
    "optim: {lr: 0.01, guard: {mode: watch, every: 1000000}}\n"
    "device: {kind: " SMALL_DEVICE ", convolution: direct, threads: 1}\n";

static const vane_advice_effort enough = {.most_gradients = 1000};

typedef struct problem {
  uint8_t pixels[N_IMAGES * N_PIXELS];
  vane_labels labels[N_IMAGES];
  vane_origin origins[N_IMAGES];
  vane_batch batch;
} problem;

/* Pixels that have little to do with one another, and a magnitude that they determine. */
static void make_problem(problem *made) {
  uint32_t state = 12345;
  *made = (problem){.batch = {.n = N_IMAGES}};
  made->batch.pixels = made->pixels;
  made->batch.labels = made->labels;
  made->batch.origins = made->origins;
  for (int i = 0; i < N_IMAGES; i++) {
    float magnitude = 2;
    for (int j = 0; j < N_PIXELS; j++) {
      state = state * 1664525 + 1013904223;
      made->pixels[i * N_PIXELS + j] = (uint8_t)(state >> 24);
      magnitude += 0.1f * (float)(j + 1) * (float)made->pixels[i * N_PIXELS + j] / 255;
    }
    made->labels[i] = (vane_labels){
        .present = 1, .magnitude = magnitude, .known = VANE_LABEL_PRESENT | VANE_LABEL_MAGNITUDE};
  }
}

static vane_trainer *open_trainer(const char *const *assignments, int n) {
  vane_config config;
  vane_trainer *trainer;
  vane_config_init(&config);
  assert_ok(vane_config_parse(&config, "linear", linear_config, strlen(linear_config)));
  for (int i = 0; i < n; i++)
    assert_ok(vane_config_set(&config, assignments[i]));
  assert_ok(vane_trainer_create(&config, NULL, &trainer));
  assert_ok(vane_network_draw(trainer->network));
  return trainer;
}

static void run(vane_trainer *trainer, const problem *data, int64_t steps) {
  for (int64_t i = 0; i < steps; i++)
    assert_ok(vane_step_run(trainer, &data->batch));
}

/* --- the curvature, by hand --- */

/* The parameter's row in the Hessian: pixel j, or the bias last. */
static double input_of(const problem *data, int image, int row) {
  return row < N_PIXELS ? 2.0 * data->pixels[image * N_PIXELS + row] / 255.0 - 1 : 1;
}

/* H = 2 w/N sum x x^T, and the regularisation's weight on the diagonal of the weights. */
static void fill_hessian(const problem *data, double regularization,
                         double h[N_WEIGHTS][N_WEIGHTS]) {
  for (int i = 0; i < N_WEIGHTS; i++)
    for (int j = 0; j < N_WEIGHTS; j++) {
      double sum = 0;
      for (int image = 0; image < N_IMAGES; image++)
        sum += input_of(data, image, i) * input_of(data, image, j);
      h[i][j] = 2 * LOSS_WEIGHT / N_IMAGES * sum;
      if (i == j && i < N_PIXELS)
        h[i][j] += regularization;
    }
}

/* Of R h R by plain power iteration: all eigenvalues are positive. */
static double largest_eigenvalue(double h[N_WEIGHTS][N_WEIGHTS], const double root[N_WEIGHTS]) {
  double x[N_WEIGHTS], y[N_WEIGHTS], norm = 0;
  for (int i = 0; i < N_WEIGHTS; i++)
    x[i] = 1 + 0.1 * i;
  for (int iteration = 0; iteration < 5000; iteration++) {
    norm = 0;
    for (int i = 0; i < N_WEIGHTS; i++) {
      y[i] = 0;
      for (int j = 0; j < N_WEIGHTS; j++)
        y[i] += root[i] * h[i][j] * root[j] * x[j];
      norm += y[i] * y[i];
    }
    norm = sqrt(norm);
    for (int i = 0; i < N_WEIGHTS; i++)
      x[i] = y[i] / norm;
  }
  return norm;
}

/* Adam's metric from the trainer's own v: of the magnitude head's weights, then its bias. */
static void fill_root(const vane_trainer *trainer, double root[N_WEIGHTS]) {
  const vane_parameters *parameters = &trainer->network->parameters;
  double bias2 = 1 - pow(trainer->config.optim_beta2, (double)trainer->step);
  int found = 0;
  for (int64_t i = 0; i < parameters->n; i++) {
    float v[N_PIXELS];
    const vane_parameter *item = &parameters->items[i];
    if (!strstr(item->name, "magnitude"))
      continue;
    bool is_bias = strstr(item->name, "bias") != NULL;
    assert_int_equal(item->count, is_bias ? 1 : N_PIXELS);
    assert_ok(vane_parameters_get(parameters, trainer->device, trainer->v, i, v));
    for (int j = 0; j < item->count; j++, found++)
      root[is_bias ? N_PIXELS : j] =
          1 / sqrt(sqrt((double)v[j] / bias2) + trainer->config.optim_epsilon);
  }
  assert_int_equal(found, N_WEIGHTS);
}

static void assert_within_5_percent(const char *what, double value, double expected) {
  if (!(fabs(value - expected) <= 0.05 * expected))
    fail_msg("%s: %g, and %g by hand", what, value, expected);
}

static void check_quadratic(const char *const *assignments, int n, double regularization) {
  problem data;
  make_problem(&data);
  vane_trainer *trainer = open_trainer(assignments, n);
  int64_t count;
  vane_advice advice;
  run(trainer, &data, 20);
  float *before = small_read(trainer, trainer->network->weights, &count);
  assert_ok(vane_advise(trainer, &data.batch, &enough, &advice));
  float *after = small_read(trainer, trainer->network->weights, &count);
  assert_memory_equal(before, after, (size_t)count * sizeof *before);

  double h[N_WEIGHTS][N_WEIGHTS], root[N_WEIGHTS], ones[N_WEIGHTS];
  for (int i = 0; i < N_WEIGHTS; i++)
    ones[i] = 1;
  fill_hessian(&data, regularization, h);
  fill_root(trainer, root);
  double curvature = largest_eigenvalue(h, ones), own = largest_eigenvalue(h, root);
  assert_within_5_percent("curvature", advice.curvature, curvature);
  assert_within_5_percent("curvature in Adam's metric", advice.adam_curvature, own);
  assert_within_5_percent("limit", advice.limit, 38);
  assert_within_5_percent("margin", advice.margin, 38 / (0.01 * own));
  assert_within_5_percent("lr now", advice.lr_now, 38 / own);
  assert_within_5_percent("epsilon", advice.epsilon_always, 0.01 * curvature / 38);
  assert_within_5_percent("lr", advice.lr_always, 38 * trainer->config.optim_epsilon / curvature);
  free(before);
  free(after);
  vane_trainer_destroy(trainer);
}

static void a_quadratic_has_the_curvature_found_by_hand(void **state) {
  (void)state;
  check_quadratic(NULL, 0, 0);
}

static void so_it_has_with_everything_that_changes_it(void **state) {
  (void)state;
  const char *const assignments[] = {"loss.weights.regularization=0.05", "train.accumulate=4",
                                     "grad.space=parameters", "optim.epsilon=0.05"};
  check_quadratic(assignments, 4, REGULARIZATION);
}

/* --- the epsilon that divides --- */

#ifndef VANE_SIMULATED

/* The largest loss in the last quarter of a run that is long enough for v to decay. */
static double late_loss(double epsilon, const problem *data) {
  const int64_t steps = 40000;
  char assignment[64];
  const char *assignments[] = {"optim.lr=0.1", assignment};
  snprintf(assignment, sizeof assignment, "optim.epsilon=%.9g", epsilon);
  vane_trainer *trainer = open_trainer(assignments, 2);
  double largest = 0;
  for (int64_t i = 0; i < steps; i++) {
    run(trainer, data, 1);
    if (4 * i >= 3 * steps)
      largest = fmax(largest, small_record(trainer).loss[VANE_LOSS_MAGNITUDE]);
  }
  vane_trainer_destroy(trainer);
  return largest;
}

/* Far above it the loss ends where rounding ends it. */
static void below_its_epsilon_runs_fail_above_it_they_do_not(void **state) {
  (void)state;
  static const double below[] = {0.5, 0.8, 0.9, 0.95}, above[] = {1.05, 1.1, 1.25, 2};
  const char *const assignments[] = {"optim.lr=0.1"};
  problem data;
  vane_advice advice;
  make_problem(&data);
  vane_trainer *trainer = open_trainer(assignments, 1);
  run(trainer, &data, 20);
  assert_ok(vane_advise(trainer, &data.batch, &enough, &advice));
  vane_trainer_destroy(trainer);
  double worst_above = 0;
  for (int i = 0; i < 4; i++)
    worst_above = fmax(worst_above, late_loss(above[i] * advice.epsilon_always, &data));
  for (int i = 0; i < 4; i++) {
    double late = late_loss(below[i] * advice.epsilon_always, &data);
    if (!(late > 1000 * worst_above))
      fail_msg("at %.2f of the advised epsilon the loss ends at %g, above it at %g", below[i], late,
               worst_above);
  }
}

#endif

static void step_0_has_nothing_to_go_by(void **state) {
  (void)state;
  problem data;
  vane_advice advice;
  make_problem(&data);
  vane_trainer *trainer = open_trainer(NULL, 0);
  assert_fails(vane_advise(trainer, &data.batch, &enough, &advice), VANE_ERR_STATE, "step 0");
  run(trainer, &data, 5);
  assert_fails(
      vane_advise(trainer, &data.batch, &(vane_advice_effort){.most_gradients = 3}, &advice),
      VANE_ERR_NUMERIC, "allow more");
  vane_trainer_destroy(trainer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_quadratic_has_the_curvature_found_by_hand),
      cmocka_unit_test(so_it_has_with_everything_that_changes_it),
#ifndef VANE_SIMULATED /* whose steps take a hundred times as long */
      cmocka_unit_test(below_its_epsilon_runs_fail_above_it_they_do_not),
#endif
      cmocka_unit_test(step_0_has_nothing_to_go_by),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
