/* Finite differences of every head's loss (N10..N15), of clip_by_average_norm in front of the
 * angle's (N16), and of the regularisation (N17). */
#include "grad/differences.h"

enum { n = 6 }; /* samples; one in three does not count */

typedef struct loss_lab {
  vane_device *device;
  vane_step_record record;
  int k;
  vane_angle_desc angle;
  vane_regression_desc regression;
  double clip; /* of the average norm; 0: none */
  int64_t d;   /* outputs per sample */
  double *out, *clipped, *target, *mask, *sample, *seed;
} loss_lab;

static double loss_objective(void *user) {
  loss_lab *l = user;
  vane_device *device = l->device;
  const vane_loss_ops *loss = &device->loss;
  check_ok(device->memory.upload(device, l->clipped, l->out, (size_t)(n * l->d) * sizeof *l->out));
  if (l->clip > 0.0)
    check_ok(loss->clip_average(device, l->clip, l->clipped, n * l->d, &l->record));
  if (l->k == VANE_LOSS_PRESENCE)
    check_ok(
        loss->presence(device, l->clipped, l->target, l->mask, n, l->sample, l->seed, &l->record));
  else if (l->k == VANE_LOSS_ANGLE)
    check_ok(loss->angle(device, &l->angle, l->clipped, l->target, l->mask, n, l->sample, l->seed,
                         &l->record));
  else
    check_ok(loss->regression(device, &l->regression, l->k, l->clipped, l->target, l->mask, n, l->d,
                              l->sample, l->seed, &l->record));
  return l->record.loss[l->k];
}

static void check_loss(loss_lab l, const char *what) {
  side s = side_begin(l.device);
  l.out = differences_normal(&s, 61, n * l.d);
  l.clipped = side_reals(&s, n * l.d);
  l.target = differences_normal(&s, 62, n * l.d);
  l.mask = side_reals(&s, n);
  l.sample = side_reals(&s, n);
  l.seed = side_reals(&s, n * l.d);
  for (int i = 0; i < n; ++i) {
    l.mask[i] = i % 3 != 1;
    if (l.k == VANE_LOSS_PRESENCE)
      l.target[i] = i % 2;
  }
  l.record.in.inv_count[l.k] = 0.25;
  for (int64_t i = 0; l.regression.kind == VANE_REGRESSION_HUBER && i < n * l.d; ++i) {
    double error = fabs(l.out[i] - l.target[i]);
    differences_stay_away(what, &error, 1, l.regression.delta);
  }
  loss_objective(&l);
  assert_true(l.record.loss[l.k] != 0.0);
  if (l.clip > 0.0)
    check_ok(l.device->loss.clip_average_backward(l.device, l.clip, l.clipped, l.seed, n * l.d,
                                                  &l.record));
  double *analytic = side_reals(&s, n * l.d); /* the objective writes over its seed */
  check_ok(
      l.device->memory.upload(l.device, analytic, l.seed, (size_t)(n * l.d) * sizeof *analytic));
  differences_check(what, loss_objective, &l, l.out, n * l.d, analytic);
  side_end(&s);
}

static void test_presence(void **state) {
  check_loss((loss_lab){.device = *state, .k = VANE_LOSS_PRESENCE, .d = 1}, "presence");
}

static void test_regression(void **state) {
  loss_lab l = {.device = *state, .k = VANE_LOSS_MAGNITUDE, .d = 1};
  check_loss(l, "magnitude, L2");
  l.k = VANE_LOSS_POSITION;
  l.d = 2;
  check_loss(l, "position, L2");
  l.regression = (vane_regression_desc){VANE_REGRESSION_HUBER, 0.7};
  check_loss(l, "position, Huber");
}

static void test_angle(void **state) {
  static const vane_angle_desc kinds[] = {{VANE_ANGLE_SINCOS, 2, 0.0},
                                          {VANE_ANGLE_UNIT, 2, 0.0},
                                          {VANE_ANGLE_VON_MISES, 2, 0.0},
                                          {VANE_ANGLE_BINS, 9, 0.5}};
  static const char *names[] = {"sincos", "unit", "von Mises", "bins"};
  for (int i = 0; i < 4; ++i) {
    loss_lab l = {
        .device = *state, .k = VANE_LOSS_ANGLE, .angle = kinds[i], .d = kinds[i].n_outputs};
    check_loss(l, names[i]);
    l.clip = 0.03; /* acts */
    check_loss(l, "clipped");
    l.clip = 30.0; /* does not */
    check_loss(l, "not clipped");
  }
}

typedef struct weights_lab {
  vane_device *device;
  vane_step_record record;
  const vane_block *block;
  double *weights;
} weights_lab;

static const vane_segment segments[] = {
    {0, 5, VANE_SHARED, 1}, {8, 3, VANE_SHARED, 0}, {16, 4, VANE_LOSS_ANGLE, 1}};

static double regularization_objective(void *user) {
  weights_lab *l = user;
  check_ok(l->device->loss.regularization(l->device, l->block, l->weights, &l->record));
  return l->record.loss[VANE_LOSS_REGULARIZATION];
}

/* Its gradient is the decaying weights themselves: what gram, decide and Adam take it to be. */
static void test_regularization(void **state) {
  side s = side_begin(*state);
  weights_lab l = {.device = *state,
                   .block = side_plan_block(&s, segments, 3),
                   .weights = differences_normal(&s, 71, 24)};
  double analytic[24] = {0.0};
  for (int i = 0; i < 3; ++i)
    for (int64_t j = 0; segments[i].decay && j < segments[i].count; ++j)
      analytic[segments[i].offset + j] = l.weights[segments[i].offset + j];
  differences_check("regularisation", regularization_objective, &l, l.weights, 24, analytic);
  side_end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_presence),
      cmocka_unit_test(test_regression),
      cmocka_unit_test(test_angle),
      cmocka_unit_test(test_regularization),
  };
  return cmocka_run_group_tests(tests, differences_open, differences_close);
}
