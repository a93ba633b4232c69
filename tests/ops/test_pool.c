/* Conformance of pooling (N8), global pooling and flattening. */
#include "ops/side.h"

typedef struct pool_outputs {
  double *y, *dx;
  int64_t n_y, n_x;
} pool_outputs;

static pool_outputs run_pool(check *c, vane_device *device, const vane_pool_desc *d,
                             const double *x_values, const double *dz_values) {
  side s = side_begin(device);
  vane_pool_plan *plan = NULL;
  check_ok(device->pool.plan(device, d, &plan));
  assert_int_equal(plan->h_out, (d->h + 2 * d->padding - d->kernel) / d->stride + 1);
  assert_int_equal(plan->w_out, (d->w + 2 * d->padding - d->kernel) / d->stride + 1);
  pool_outputs out = {.n_y = d->n * plan->h_out * plan->w_out * d->c,
                      .n_x = d->n * d->h * d->w * d->c};
  out.y = check_array(c, out.n_y);
  out.dx = check_array(c, out.n_x);
  vane_tensor x = side_put_tensor(&s, x_values, d->n, d->h, d->w, d->c);
  vane_tensor y = side_tensor(&s, d->n, plan->h_out, plan->w_out, d->c);
  vane_tensor dz = side_put_tensor(&s, dz_values, d->n, plan->h_out, plan->w_out, d->c);
  vane_tensor dx = side_tensor(&s, d->n, d->h, d->w, d->c);
  void *index = side_bytes(&s, plan->index_bytes);
  check_ok(device->pool.forward(device, plan, &x, &y, index));
  check_ok(device->pool.backward(device, plan, &dz, index, &dx));
  side_read_tensor(&s, &y, out.y);
  side_read_tensor(&s, &dx, out.dx);
  device->pool.destroy(device, plan);
  side_end(&s);
  return out;
}

/* All values are negative, so that a maximum that counted the padding's zeros would show; exact
 * inputs take few values, so that a window often has several largest ones. */
static void check_case(check *c, const vane_pool_desc *d, bool exact) {
  check_label(c, "%s of %d x %dx%dx%d, kernel %d/%d padding %d%s", d->average ? "mean" : "maximum",
              (int)d->n, (int)d->h, (int)d->w, (int)d->c, (int)d->kernel, (int)d->stride,
              (int)d->padding, exact ? ", exact" : "");
  double *x = check_inputs(c, d->n * d->h * d->w * d->c, exact);
  for (int64_t i = 0; i < d->n * d->h * d->w * d->c; ++i)
    x[i] = (double)(float)(x[i] - 8.0);
  int64_t most = d->n * (d->h + 2 * d->padding) * (d->w + 2 * d->padding) * d->c;
  const double *dz = check_inputs(c, most, exact);
  pool_outputs got = run_pool(c, c->subject, d, x, dz), want = run_pool(c, c->oracle, d, x, dz);
  bool powers = d->kernel == 2 && d->padding == 0; /* a mean of four: no rounding */
  check_match(c, !d->average || (exact && powers), "pool_average", "y", got.y, want.y, got.n_y);
  check_match(c, exact && (!d->average || powers), "pool_average_backward", "dx", got.dx, want.dx,
              got.n_x);
}

static void check_windows(check *c) {
  static const int64_t images[][4] = {{1, 7, 9, 1},  {2, 8, 8, 3},   {3, 11, 7, 5},
                                      {2, 6, 5, 16}, {1, 9, 10, 17}, {2, 7, 7, 33}};
  int turn = 0;
  for (int64_t kernel = 1; kernel <= 5; ++kernel)
    for (int64_t stride = 1; stride <= 3; ++stride)
      for (int64_t padding = 0; padding <= kernel / 2; ++padding, ++turn) {
        const int64_t *i = images[turn % 6];
        vane_pool_desc d = {.n = i[0],
                            .h = i[1],
                            .w = i[2],
                            .c = i[3],
                            .kernel = kernel,
                            .stride = stride,
                            .padding = padding};
        check_case(c, &d, false);
        check_case(c, &d, true);
        d.average = true;
        check_case(c, &d, false);
        check_case(c, &d, true);
      }
}

static void check_bad_shapes(check *c) {
  const vane_pool_desc bad[] = {
      {.n = 1, .h = 4, .w = 4, .c = 1, .kernel = 5, .stride = 1},
      {.n = 1, .h = 4, .w = 4, .c = 1, .kernel = 2, .stride = 1, .padding = 2},
      {.n = 1, .h = 4, .w = 4, .c = 1, .kernel = 2, .stride = 0},
  };
  for (int i = 0; i < 3; ++i) {
    vane_pool_plan *plan = NULL;
    assert_int_not_equal(c->subject->pool.plan(c->subject, &bad[i], &plan), VANE_OK);
    assert_null(plan);
  }
  c->subject->pool.destroy(c->subject, NULL);
}

typedef struct feature_outputs {
  double *mean, *dmean, *flat, *dflat;
} feature_outputs;

static feature_outputs run_features(check *c, vane_device *device, const int64_t shape[4],
                                    const double *x_values, const double *gradient) {
  int64_t n = shape[0], channels = shape[3], count = n * shape[1] * shape[2] * channels;
  side s = side_begin(device);
  feature_outputs out = {check_array(c, n * channels), check_array(c, count), check_array(c, count),
                         check_array(c, count)};
  vane_tensor x = side_put_tensor(&s, x_values, n, shape[1], shape[2], channels);
  vane_tensor dmean = side_tensor(&s, n, shape[1], shape[2], channels);
  vane_tensor dflat = side_tensor(&s, n, shape[1], shape[2], channels);
  void *mean = side_reals(&s, n * channels), *flat = side_reals(&s, count);
  void *features = side_put(&s, gradient, count);
  check_ok(device->pool.global_forward(device, &x, mean));
  check_ok(device->pool.global_backward(device, features, &dmean));
  check_ok(device->pool.flatten_forward(device, &x, flat));
  check_ok(device->pool.flatten_backward(device, features, &dflat));
  side_read(&s, mean, out.mean, n * channels);
  side_read_tensor(&s, &dmean, out.dmean);
  side_read(&s, flat, out.flat, count);
  side_read_tensor(&s, &dflat, out.dflat);
  side_end(&s);
  return out;
}

static void check_features(check *c) {
  static const int64_t shapes[][4] = {{1, 1, 1, 1},  {3, 2, 4, 3},  {2, 5, 3, 17},
                                      {5, 4, 4, 33}, {2, 8, 8, 16}, {1, 20, 20, 5}};
  for (int i = 0; i < 6; ++i)
    for (int exact = 0; exact <= 1; ++exact) {
      const int64_t *s = shapes[i];
      int64_t positions = s[1] * s[2], count = s[0] * positions * s[3];
      check_label(c, "%d x %dx%dx%d", (int)s[0], (int)s[1], (int)s[2], (int)s[3]);
      const double *x = check_inputs(c, count, exact), *g = check_inputs(c, count, exact);
      feature_outputs got = run_features(c, c->subject, s, x, g);
      feature_outputs want = run_features(c, c->oracle, s, x, g);
      bool power = exact && (positions & (positions - 1)) == 0;
      check_match(c, power, "global_mean", "features", got.mean, want.mean, s[0] * s[3]);
      check_match(c, power, "global", "dx", got.dmean, want.dmean, count);
      check_equal(c, "flatten", "features", got.flat, want.flat, count);
      check_equal(c, "flatten", "dx", got.dflat, want.dflat, count);
    }
}

int main(void) {
  const check_entry entries[] = {CHECK(check_windows), CHECK(check_bad_shapes),
                                 CHECK(check_features)};
  return check_run("pool", entries, sizeof entries / sizeof entries[0]);
}
