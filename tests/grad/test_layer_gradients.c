/* Finite differences of every layer (N1..N9), each with the ReLU and the merge of consumers that go
 * with it in the trunk. The objective is always sum of r y with random r. */
#include "grad/differences.h"

typedef struct conv_lab {
  vane_device *device;
  vane_conv_plan *plan;
  vane_tensor x, residual, y, r;
  double *weights, *bias;
} conv_lab;

static double conv_objective(void *user) {
  conv_lab *l = user;
  check_ok(l->device->conv.forward(l->device, l->plan, &l->x, l->weights, l->bias,
                                   l->plan->desc.residual ? &l->residual : NULL, &l->y));
  return differences_dot(l->y.data, l->r.data, differences_count(&l->y));
}

/* The values before the ReLU, by a plan without one. */
static void stay_away_from_relu(conv_lab *l) {
  vane_conv_desc linear = l->plan->desc;
  vane_conv_plan *with_relu = l->plan;
  linear.relu = false;
  check_ok(l->device->conv.plan(l->device, &linear, NULL, &l->plan));
  conv_objective(l);
  differences_stay_away("convolution", l->y.data, differences_count(&l->y), 0.0);
  l->device->conv.destroy(l->device, l->plan);
  l->plan = with_relu;
}

static void check_conv(vane_device *device, const vane_conv_desc *d) {
  side s = side_begin(device);
  conv_lab l = {.device = device};
  check_ok(device->conv.plan(device, d, NULL, &l.plan));
  int64_t h = l.plan->h_out, w = l.plan->w_out;
  l.x = differences_normal_tensor(&s, 1, d->n, d->h, d->w, d->c_in);
  l.residual = differences_normal_tensor(&s, 2, d->n, h, w, d->c_out);
  l.r = differences_normal_tensor(&s, 3, d->n, h, w, d->c_out);
  l.weights = differences_normal(&s, 4, l.plan->weight_count);
  l.bias = differences_normal(&s, 5, d->c_out);
  l.y = side_tensor(&s, d->n, h, w, d->c_out);
  stay_away_from_relu(&l);

  vane_tensor dz = side_tensor(&s, d->n, h, w, d->c_out);
  vane_tensor dx = side_tensor(&s, d->n, d->h, d->w, d->c_in);
  double *dweights = side_reals(&s, l.plan->weight_count), *dbias = side_reals(&s, d->c_out);
  conv_objective(&l);
  check_ok(device->elementwise.merge(device, &dz, d->relu ? &l.y : NULL, &l.r, NULL));
  check_ok(device->conv.backward_data(device, l.plan, l.weights, &dz, &dx));
  check_ok(device->conv.backward_weights(device, l.plan, &l.x, &dz, dweights, dbias));
  differences_check("convolution, x", conv_objective, &l, l.x.data, differences_count(&l.x),
                    dx.data);
  differences_check("convolution, weights", conv_objective, &l, l.weights, l.plan->weight_count,
                    dweights);
  if (d->bias)
    differences_check("convolution, bias", conv_objective, &l, l.bias, d->c_out, dbias);
  if (d->residual)
    differences_check("convolution, residual", conv_objective, &l, l.residual.data,
                      differences_count(&l.residual), dz.data);
  device->conv.destroy(device, l.plan);
  side_end(&s);
}

static void test_conv(void **state) {
  static const int64_t kernels[][3] = {{3, 1, 1}, {3, 2, 1}, {5, 2, 0},
                                       {5, 1, 2}, {1, 2, 0}, {2, 3, 1}};
  for (int i = 0; i < 6; ++i)
    for (int bits = 0; bits < 8;
         bits += i == 0 ? 1 : 7) { /* all fusions once, none and all after */
      vane_conv_desc d = {.n = 2,
                          .h = 5,
                          .w = 6,
                          .c_in = 2,
                          .c_out = 3,
                          .kernel = kernels[i][0],
                          .stride = kernels[i][1],
                          .padding = kernels[i][2],
                          .bias = bits & 1,
                          .residual = bits & 2,
                          .relu = bits & 4,
                          .data_gradient = true,
                          .training = true};
      check_conv(*state, &d);
    }
}

typedef struct norm_lab {
  vane_device *device;
  vane_norm_plan *plan;
  vane_tensor x, residual, y, r;
  double *gamma, *beta, *saved;
} norm_lab;

static double norm_objective(void *user) {
  norm_lab *l = user;
  check_ok(l->device->norm.forward(l->device, l->plan, &l->x, l->gamma, l->beta,
                                   l->plan->desc.residual ? &l->residual : NULL, l->saved, &l->y));
  return differences_dot(l->y.data, l->r.data, differences_count(&l->y));
}

static void check_norm(vane_device *device, const vane_norm_desc *d) {
  side s = side_begin(device);
  norm_lab l = {.device = device};
  check_ok(device->norm.plan(device, d, &l.plan));
  l.x = differences_normal_tensor(&s, 11, d->n, d->h, d->w, d->c);
  l.residual = differences_normal_tensor(&s, 12, d->n, d->h, d->w, d->c);
  l.r = differences_normal_tensor(&s, 13, d->n, d->h, d->w, d->c);
  l.gamma = differences_normal(&s, 14, d->c);
  l.beta = differences_normal(&s, 15, d->c);
  l.saved = side_reals(&s, 2 * d->c);
  l.y = side_tensor(&s, d->n, d->h, d->w, d->c);
  l.plan->desc.relu = false;
  norm_objective(&l);
  differences_stay_away("norm", l.y.data, differences_count(&l.y), 0.0);
  l.plan->desc.relu = d->relu;

  vane_tensor dz = side_tensor(&s, d->n, d->h, d->w, d->c);
  vane_tensor dx = side_tensor(&s, d->n, d->h, d->w, d->c);
  double *dgamma = side_reals(&s, d->c), *dbeta = side_reals(&s, d->c);
  norm_objective(&l);
  check_ok(device->elementwise.merge(device, &dz, d->relu ? &l.y : NULL, &l.r, NULL));
  check_ok(device->norm.backward(device, l.plan, &l.x, l.gamma, l.saved, &dz, &dx, dgamma, dbeta));
  differences_check("norm, x", norm_objective, &l, l.x.data, differences_count(&l.x), dx.data);
  differences_check("norm, gamma", norm_objective, &l, l.gamma, d->c, dgamma);
  differences_check("norm, beta", norm_objective, &l, l.beta, d->c, dbeta);
  if (d->residual)
    differences_check("norm, residual", norm_objective, &l, l.residual.data,
                      differences_count(&l.residual), dz.data);
  device->norm.destroy(device, l.plan);
  side_end(&s);
}

static void test_norm(void **state) {
  for (int bits = 0; bits < 4; ++bits) {
    vane_norm_desc d = {
        .n = 3, .h = 2, .w = 4, .c = 3, .epsilon = 1e-2, .residual = bits & 1, .relu = bits & 2};
    check_norm(*state, &d);
  }
}

typedef struct pool_lab {
  vane_device *device;
  vane_pool_plan *plan;
  vane_tensor x, y, r;
  void *index;
  double *features, *r_features;
} pool_lab;

static double pool_objective(void *user) {
  pool_lab *l = user;
  check_ok(l->device->pool.forward(l->device, l->plan, &l->x, &l->y, l->index));
  return differences_dot(l->y.data, l->r.data, differences_count(&l->y));
}

static void check_pool(vane_device *device, const vane_pool_desc *d) {
  side s = side_begin(device);
  pool_lab l = {.device = device};
  check_ok(device->pool.plan(device, d, &l.plan));
  l.x = differences_normal_tensor(&s, 21, d->n, d->h, d->w, d->c);
  l.r = differences_normal_tensor(&s, 22, d->n, l.plan->h_out, l.plan->w_out, d->c);
  l.y = side_tensor(&s, d->n, l.plan->h_out, l.plan->w_out, d->c);
  l.index = side_bytes(&s, l.plan->index_bytes);
  double *x = l.x.data;
  for (int64_t i = 0; i < differences_count(&l.x); ++i)
    differences_stay_away("maximum", x + i + 1, differences_count(&l.x) - i - 1, x[i]);
  vane_tensor dx = side_tensor(&s, d->n, d->h, d->w, d->c);
  pool_objective(&l);
  check_ok(device->pool.backward(device, l.plan, &l.r, l.index, &dx));
  differences_check("pooling", pool_objective, &l, x, differences_count(&l.x), dx.data);
  device->pool.destroy(device, l.plan);
  side_end(&s);
}

static void test_pool(void **state) {
  static const int64_t kernels[][3] = {{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {2, 3, 1}};
  for (int i = 0; i < 4; ++i)
    for (int average = 0; average <= 1; ++average) {
      vane_pool_desc d = {.n = 2,
                          .h = 5,
                          .w = 4,
                          .c = 2,
                          .kernel = kernels[i][0],
                          .stride = kernels[i][1],
                          .padding = kernels[i][2],
                          .average = average};
      check_pool(*state, &d);
    }
}

static double global_objective(void *user) {
  pool_lab *l = user;
  check_ok(l->device->pool.global_forward(l->device, &l->x, l->features));
  return differences_dot(l->features, l->r_features, l->x.n * l->x.c);
}

static double flatten_objective(void *user) {
  pool_lab *l = user;
  check_ok(l->device->pool.flatten_forward(l->device, &l->x, l->features));
  return differences_dot(l->features, l->r_features, differences_count(&l->x));
}

static void test_features(void **state) {
  vane_device *device = *state;
  side s = side_begin(device);
  pool_lab l = {.device = device, .x = differences_normal_tensor(&s, 31, 3, 2, 4, 5)};
  vane_tensor dx = side_tensor(&s, 3, 2, 4, 5);
  l.features = side_reals(&s, differences_count(&l.x));
  l.r_features = differences_normal(&s, 32, differences_count(&l.x));
  check_ok(device->pool.global_backward(device, l.r_features, &dx));
  differences_check("global", global_objective, &l, l.x.data, differences_count(&l.x), dx.data);
  check_ok(device->pool.flatten_backward(device, l.r_features, &dx));
  differences_check("flatten", flatten_objective, &l, l.x.data, differences_count(&l.x), dx.data);
  side_end(&s);
}

/* Two layers with a ReLU between them, whose gradient is taken by the layer above (x_relu) or by
 * the layer below (mask). */
typedef struct dense_lab {
  vane_device *device;
  vane_dense_plan *plans[2];
  double *x, *weights[2], *bias[2], *y[2], *r;
} dense_lab;

static double dense_objective(void *user) {
  dense_lab *l = user;
  const double *x = l->x;
  for (int i = 0; i < 2; ++i) {
    check_ok(
        l->device->dense.forward(l->device, l->plans[i], x, l->weights[i], l->bias[i], l->y[i]));
    x = l->y[i];
  }
  return differences_dot(l->y[1], l->r, l->plans[1]->desc.n * l->plans[1]->desc.f_out);
}

static void check_dense(vane_device *device, bool above) {
  enum { N = 4, F = 5, HIDDEN = 6, OUT = 3 };
  const vane_dense_desc layer = {
      .n = N, .forward = true, .backward_data = true, .backward_weights = true};
  vane_dense_desc descs[] = {layer, layer};
  descs[0].f_in = F;
  descs[0].f_out = descs[1].f_in = HIDDEN;
  descs[1].f_out = OUT;
  descs[1].x_relu = above;
  side s = side_begin(device);
  dense_lab l = {.device = device};
  double *dweights[2], *dbias[2];
  l.x = differences_normal(&s, 41, N * F);
  for (int i = 0; i < 2; ++i) {
    const vane_dense_desc *d = &descs[i];
    check_ok(device->dense.plan(device, d, &l.plans[i]));
    l.weights[i] = differences_normal(&s, 42 + i, d->f_out * d->f_in);
    l.bias[i] = differences_normal(&s, 44 + i, d->f_out);
    l.y[i] = side_reals(&s, N * d->f_out);
    dweights[i] = side_reals(&s, d->f_out * d->f_in);
    dbias[i] = side_reals(&s, d->f_out);
  }
  l.r = differences_normal(&s, 46, N * OUT);
  dense_objective(&l);
  differences_stay_away("dense", l.y[0], N * HIDDEN, 0.0);
  l.plans[0]->desc.relu = true;
  dense_objective(&l);

  double *dhidden = side_reals(&s, N * HIDDEN), *dx = side_reals(&s, N * F);
  const vane_dense_ops *dense = &device->dense;
  check_ok(dense->backward_weights(device, l.plans[1], l.y[0], l.r, dweights[1], dbias[1]));
  check_ok(
      dense->backward_data(device, l.plans[1], l.weights[1], l.r, above ? l.y[0] : NULL, dhidden));
  if (!above)
    check_ok(dense->mask(device, l.plans[0], l.y[0], dhidden));
  check_ok(dense->backward_weights(device, l.plans[0], l.x, dhidden, dweights[0], dbias[0]));
  check_ok(dense->backward_data(device, l.plans[0], l.weights[0], dhidden, NULL, dx));
  differences_check("dense, x", dense_objective, &l, l.x, N * F, dx);
  for (int i = 0; i < 2; ++i) {
    int64_t n_w = descs[i].f_out * descs[i].f_in;
    differences_check("dense, weights", dense_objective, &l, l.weights[i], n_w, dweights[i]);
    differences_check("dense, bias", dense_objective, &l, l.bias[i], descs[i].f_out, dbias[i]);
  }
  for (int i = 0; i < 2; ++i)
    device->dense.destroy(device, l.plans[i]);
  side_end(&s);
}

static void test_dense(void **state) {
  for (int above = 0; above <= 1; ++above)
    check_dense(*state, above);
}

/* A tensor with two consumers: L = sum of r1 relu(x) + r2 relu(x). */
typedef struct merge_lab {
  vane_device *device;
  vane_tensor x, y, r1, r2;
} merge_lab;

static double merge_objective(void *user) {
  merge_lab *l = user;
  int64_t count = differences_count(&l->x);
  check_ok(l->device->elementwise.relu(l->device, &l->x, &l->y));
  return differences_dot(l->y.data, l->r1.data, count) +
         differences_dot(l->y.data, l->r2.data, count);
}

static void test_merge(void **state) {
  vane_device *device = *state;
  side s = side_begin(device);
  merge_lab l = {.device = device,
                 .x = differences_normal_tensor(&s, 51, 2, 3, 4, 5),
                 .r1 = differences_normal_tensor(&s, 52, 2, 3, 4, 5),
                 .r2 = differences_normal_tensor(&s, 53, 2, 3, 4, 5)};
  vane_tensor dz = side_tensor(&s, 2, 3, 4, 5);
  l.y = side_tensor(&s, 2, 3, 4, 5);
  differences_stay_away("merge", l.x.data, differences_count(&l.x), 0.0);
  merge_objective(&l);
  check_ok(device->elementwise.merge(device, &dz, &l.y, &l.r1, &l.r2));
  differences_check("merge", merge_objective, &l, l.x.data, differences_count(&l.x), dz.data);
  side_end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv),     cmocka_unit_test(test_norm),  cmocka_unit_test(test_pool),
      cmocka_unit_test(test_features), cmocka_unit_test(test_dense), cmocka_unit_test(test_merge),
  };
  return cmocka_run_group_tests(tests, differences_open, differences_close);
}
