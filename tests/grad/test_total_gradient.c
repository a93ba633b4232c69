/* Finite differences of the whole: features -> four dense heads -> losses -> weights -> total, with
 * fixed weights and with learned ones (N21), against the combined gradient, the heads' own
 * gradients as Adam takes them (N25, N31), and the gradient of the log variances. */
#include "grad/differences.h"

enum {
  n = 5,
  f = 4,
  block = 128,    /* reals of all parameters */
  variances = 96, /* where the four log variances lie */
  n_segments = 2 * VANE_N_HEADS + 1
};
static const int64_t n_outputs[VANE_N_HEADS] = {1, 2, 1, 2};
static const double loss_weight[VANE_N_LOSSES] = {1.0, 0.5, 2.0, 1.5, 0.01};

typedef struct total_lab {
  vane_device *device;
  vane_combine_desc combine;
  vane_segment segments[n_segments]; /* per head: weights, bias; then the log variances */
  const vane_block *block;           /* of them */
  vane_dense_plan *heads[VANE_N_HEADS];
  vane_step_record record;
  double *features, *parameters, *gradients;
  double *out[VANE_N_HEADS], *seed[VANE_N_HEADS], *slots[VANE_N_HEADS], *target, *mask, *samples;
} total_lab;

static void forward(total_lab *l) {
  vane_device *device = l->device;
  const vane_angle_desc angle = {VANE_ANGLE_VON_MISES, 2, 0.0};
  const vane_regression_desc l2 = {VANE_REGRESSION_L2, 0.0};
  for (int k = 0; k < VANE_N_HEADS; ++k)
    check_ok(device->dense.forward(device, l->heads[k], l->features,
                                   l->parameters + l->segments[2 * k].offset,
                                   l->parameters + l->segments[2 * k + 1].offset, l->out[k]));
  check_ok(device->loss.presence(device, l->out[0], l->target, l->mask, n, l->samples, l->seed[0],
                                 &l->record));
  check_ok(device->loss.angle(device, &angle, l->out[1], l->target, l->mask, n, l->samples + n,
                              l->seed[1], &l->record));
  for (int k = VANE_LOSS_MAGNITUDE; k <= VANE_LOSS_POSITION; ++k)
    check_ok(device->loss.regression(device, &l2, k, l->out[k], l->target, l->mask, n, n_outputs[k],
                                     l->samples + k * n, l->seed[k], &l->record));
  check_ok(device->loss.regularization(device, l->block, l->parameters, &l->record));
}

/* What is minimised (N21). */
static double total_objective(void *user) {
  total_lab *l = user;
  forward(l);
  double total = loss_weight[VANE_LOSS_REGULARIZATION] * l->record.loss[VANE_LOSS_REGULARIZATION];
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    bool learned = l->combine.weighting == VANE_WEIGHTING_UNCERTAINTY;
    double s = learned ? l->parameters[variances + k] : 0.0;
    total += loss_weight[k] * (exp(-s) * l->record.loss[k] + s);
  }
  return total;
}

static void backward(total_lab *l, double *dfeatures) {
  vane_device *device = l->device;
  bool learned = l->combine.weighting == VANE_WEIGHTING_UNCERTAINTY;
  forward(l);
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    check_ok(device->dense.backward_weights(device, l->heads[k], l->features, l->seed[k],
                                            l->gradients + l->segments[2 * k].offset,
                                            l->gradients + l->segments[2 * k + 1].offset));
    check_ok(device->dense.backward_data(device, l->heads[k],
                                         l->parameters + l->segments[2 * k].offset, l->seed[k],
                                         NULL, l->slots[k]));
  }
  const void *const slots[] = {l->slots[0], l->slots[1], l->slots[2], l->slots[3]};
  check_ok(device->reduce.gram(device, slots, n * f, l->block, NULL, NULL, &l->record));
  check_ok(device->reduce.coefficients(device, &l->combine,
                                       learned ? l->parameters + variances : NULL,
                                       learned ? l->gradients + variances : NULL, &l->record));
  check_ok(device->reduce.combine(device, dfeatures, slots, n * f, &l->record));
}

/* Adam without memory (beta 0) leaves the gradient it took in m. */
static void gradient_of_adam(total_lab *l, side *s, double *gradient) {
  const vane_adam_desc desc = {.epsilon = 1.0};
  double *parameters = side_reals(s, block), *v = side_reals(s, block);
  check_ok(
      l->device->memory.upload(l->device, parameters, l->parameters, block * sizeof *parameters));
  check_ok(l->device->memory.clear(l->device, v, block * sizeof *v));
  check_ok(l->device->memory.clear(l->device, gradient, block * sizeof *gradient));
  const vane_adam_memory memory = {
      .parameters = parameters, .gradients = l->gradients, .m = gradient, .v = v};
  check_ok(l->device->optim.adam(l->device, &desc, l->block, &memory, &l->record));
}

static void lay_out(total_lab *l, side *s) {
  int64_t offset = 0;
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    const vane_dense_desc desc = {.n = n,
                                  .f_in = f,
                                  .f_out = n_outputs[k],
                                  .forward = true,
                                  .backward_data = true,
                                  .backward_weights = true};
    check_ok(l->device->dense.plan(l->device, &desc, &l->heads[k]));
    l->segments[2 * k] = (vane_segment){offset, n_outputs[k] * f, k, 1};
    l->segments[2 * k + 1] = (vane_segment){offset + 8, n_outputs[k], k, 0};
    offset += 16;
    l->out[k] = side_reals(s, n * n_outputs[k]);
    l->seed[k] = side_reals(s, n * n_outputs[k]);
    l->slots[k] = side_reals(s, n * f);
    l->record.in.inv_count[k] = 0.25;
  }
  l->segments[2 * VANE_N_HEADS] = (vane_segment){variances, VANE_N_HEADS, VANE_SHARED, 0};
  l->block = side_plan_block(s, l->segments, n_segments);
  l->samples = side_reals(s, VANE_N_HEADS * n);
  l->features = differences_normal(s, 81, n * f);
  l->parameters = differences_normal(s, 82, block);
  l->target = differences_normal(s, 83, 2 * n);
  l->mask = side_reals(s, n);
  for (int i = 0; i < n; ++i)
    l->mask[i] = i != 2;
  l->gradients = side_reals(s, block);
  check_ok(l->device->memory.clear(l->device, l->gradients, block * sizeof *l->gradients));
  l->record.in.lr = l->record.in.bias1 = l->record.in.bias2 = 1.0;
}

static void check_total(vane_device *device, int weighting) {
  side s = side_begin(device);
  total_lab l = {.device = device, .combine = {.weighting = weighting}};
  for (int k = 0; k < VANE_N_LOSSES; ++k)
    l.combine.weight[k] = loss_weight[k];
  lay_out(&l, &s);
  double *dfeatures = side_reals(&s, n * f), *gradient = side_reals(&s, block);
  const vane_decide_desc decide = {0};
  backward(&l, dfeatures);
  check_ok(device->reduce.decide(device, &decide, l.block, l.parameters, l.gradients, l.samples, n,
                                 &l.record));
  gradient_of_adam(&l, &s, gradient);
  assert_int_equal(l.record.skip, 0);
  double norm = sqrt(differences_dot(gradient, gradient, block));
  assert_true(fabs(l.record.gradient_norm - norm) <= 1e-12 * norm);
  differences_check("total, features", total_objective, &l, l.features, n * f, dfeatures);
  for (int i = 0; i < n_segments; ++i) {
    int64_t offset = l.segments[i].offset;
    differences_check("total, parameters", total_objective, &l, l.parameters + offset,
                      l.segments[i].count, gradient + offset);
  }
  for (int k = 0; k < VANE_N_HEADS; ++k)
    device->dense.destroy(device, l.heads[k]);
  side_end(&s);
}

static void test_fixed(void **state) {
  check_total(*state, VANE_WEIGHTING_FIXED);
}

static void test_uncertainty(void **state) {
  check_total(*state, VANE_WEIGHTING_UNCERTAINTY);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixed),
                                     cmocka_unit_test(test_uncertainty)};
  return cmocka_run_group_tests(tests, differences_open, differences_close);
}
