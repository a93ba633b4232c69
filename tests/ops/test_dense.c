/* Conformance of fully-connected layers (N9). */
#include "ops/side.h"

typedef struct dense_case {
  vane_dense_desc d;
  int64_t column; /* of x in its rows, and of dz in those of a part */
  int64_t part; /* reals from one row of dz to the next where dx is asked for alone, 0: not asked */
  bool exact;
} dense_case;

typedef struct dense_inputs {
  const double *x, *weights, *bias, *dz, *dz_part;
} dense_inputs;

typedef struct dense_outputs {
  double *x, *y, *dz, *dx, *dx_part, *dweights, *dbias;
} dense_outputs;

static void *at(const side *s, void *matrix, int64_t column) {
  return (unsigned char *)matrix + (size_t)column * s->device->real_bytes;
}

static vane_dense_plan *plan_of(side *s, const vane_dense_desc *d) {
  vane_dense_plan *plan = NULL;
  check_ok(s->device->dense.plan(s->device, d, &plan));
  side_bind_workspace(s, plan->workspace_bytes);
  return plan;
}

/* dx from the columns of a wider gradient. */
static void run_part(side *s, const dense_case *test, const dense_inputs *in, const void *weights,
                     double *dx_values) {
  const vane_dense_desc d = {.n = test->d.n,
                             .f_in = test->d.f_in,
                             .f_out = test->d.f_out,
                             .backward_data = true,
                             .y_stride = test->part};
  vane_dense_plan *plan = plan_of(s, &d);
  void *dz = side_put(s, in->dz_part, d.n * d.y_stride), *dx = side_reals(s, d.n * d.f_in);
  check_ok(
      s->device->dense.backward_data(s->device, plan, weights, at(s, dz, test->column), NULL, dx));
  side_read(s, dx, dx_values, d.n * d.f_in);
  s->device->dense.destroy(s->device, plan);
}

static dense_outputs run_dense(check *c, vane_device *device, const dense_case *test,
                               const dense_inputs *in) {
  side s = side_begin(device);
  const vane_dense_desc d = test->d;
  int64_t n_x = d.n * d.x_stride, n_y = d.n * d.f_out;
  dense_outputs out = {check_array(c, n_x),          check_array(c, n_y),
                       check_array(c, n_y),          check_array(c, n_x),
                       check_array(c, d.n * d.f_in), check_array(c, d.f_out * d.f_in),
                       check_array(c, d.f_out)};
  void *x_rows = side_put(&s, in->x, n_x);
  void *weights = side_put(&s, in->weights, d.f_out * d.f_in);
  void *bias = side_put(&s, in->bias, d.f_out), *dz = side_put(&s, in->dz, n_y);
  /* What lies between the rows keeps its values: those of x, the same on every device. */
  void *y = side_reals(&s, n_y), *dx_rows = side_put(&s, in->x, n_x);
  void *dweights = side_reals(&s, d.f_out * d.f_in), *dbias = side_reals(&s, d.f_out);
  void *x = at(&s, x_rows, test->column), *dx = at(&s, dx_rows, test->column);
  vane_dense_plan *plan = plan_of(&s, &d);
  check_ok(device->dense.forward(device, plan, x, weights, bias, y));
  if (d.relu)
    check_ok(device->dense.mask(device, plan, y, dz));
  check_ok(device->dense.backward_weights(device, plan, x, dz, dweights, dbias));
  check_ok(device->dense.backward_data(device, plan, weights, dz, d.x_relu ? x : NULL, dx));
  device->dense.destroy(device, plan);
  if (test->part)
    run_part(&s, test, in, weights, out.dx_part);
  side_read(&s, x_rows, out.x, n_x);
  side_read(&s, y, out.y, n_y);
  side_read(&s, dz, out.dz, n_y);
  side_read(&s, dx_rows, out.dx, n_x);
  side_read(&s, dweights, out.dweights, d.f_out * d.f_in);
  side_read(&s, dbias, out.dbias, d.f_out);
  side_end(&s);
  return out;
}

static dense_inputs draw_inputs(check *c, const dense_case *test) {
  const vane_dense_desc *d = &test->d;
  bool exact = test->exact;
  return (dense_inputs){.x = check_inputs(c, d->n * d->x_stride, exact),
                        .weights = check_inputs(c, d->f_out * d->f_in, exact),
                        .bias = check_inputs(c, d->f_out, exact),
                        .dz = check_inputs(c, d->n * d->f_out, exact),
                        .dz_part = check_inputs(c, d->n * test->part, exact)};
}

/* Sums over the samples of |dz|: what rounding a sum of them is measured by, be the sum ever so
 * small. */
static double *magnitudes_of(check *c, const vane_dense_desc *d, const double *dz) {
  double *sums = check_array(c, d->f_out);
  for (int64_t i = 0; i < d->n * d->f_out; ++i)
    sums[i % d->f_out] += fabs(dz[i]);
  return sums;
}

static void compare(check *c, const dense_case *test, const dense_inputs *in) {
  const vane_dense_desc *d = &test->d;
  int64_t n_x = d->n * d->x_stride, n_y = d->n * d->f_out;
  dense_outputs got = run_dense(c, c->subject, test, in);
  dense_outputs want = run_dense(c, c->oracle, test, in);
  check_match(c, test->exact, "dense_forward", "x", got.x, want.x, n_x);
  check_match(c, test->exact, "dense_forward", "y", got.y, want.y, n_y);
  check_equal(c, "dense_mask", "dz", got.dz, want.dz, n_y);
  check_match(c, test->exact, "dense_backward", "dx", got.dx, want.dx, n_x);
  check_match(c, test->exact, "dense_backward", "dx of a part", got.dx_part, want.dx_part,
              d->n * d->f_in);
  check_match(c, test->exact, "dense_backward", "dweights", got.dweights, want.dweights,
              d->f_out * d->f_in);
  if (test->exact)
    check_equal(c, "dense_backward", "dbias", got.dbias, want.dbias, d->f_out);
  else
    check_compare(c, "dense_backward", "dbias", got.dbias, want.dbias, magnitudes_of(c, d, want.dz),
                  d->f_out);
}

static vane_dense_desc training(int64_t n, int64_t f_in, int64_t f_out) {
  return (vane_dense_desc){.n = n,
                           .f_in = f_in,
                           .f_out = f_out,
                           .forward = true,
                           .backward_data = true,
                           .backward_weights = true,
                           .x_stride = f_in};
}

/* In tf32 exact alone, where nothing is rounded: else a ReLU may open that stays shut on the
 * oracle. */
static void check_both(check *c, dense_case test) {
  const vane_dense_desc *d = &test.d;
  for (int exact = c->precision == VANE_PRECISION_TF32; exact <= 1; ++exact) {
    test.exact = exact;
    check_label(c, "%d x %d to %d%s%s, rows %d and %d, column %d%s", (int)d->n, (int)d->f_in,
                (int)d->f_out, d->relu ? " relu" : "", d->x_relu ? ", after a relu" : "",
                (int)d->x_stride, (int)test.part, (int)test.column, exact ? ", exact" : "");
    dense_inputs in = draw_inputs(c, &test);
    compare(c, &test, &in);
  }
}

static const int64_t n[] = {1, 3, 17, 64}, f_in[] = {1, 5, 33, 64}, f_out[] = {1, 2, 17, 72};

static void check_shapes(check *c) {
  int turn = 0;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 4; ++k, ++turn) {
        dense_case test = {.d = training(n[i], f_in[j], f_out[k])};
        test.d.relu = turn % 3 == 0;
        test.d.x_relu = turn % 5 < 3;
        check_both(c, test);
      }
}

/* Columns of a wider matrix, as the heads' parts of their joint layer are. */
static void check_rows(check *c) {
  int turn = 0;
  for (int i = 0; i < 4; i += 2)
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 4; ++k, ++turn) {
        dense_case test = {.d = training(n[i], f_in[j], f_out[k]),
                           .part = f_out[k] + 16 + turn % 5,
                           .column = turn % 4 ? 16 : 0};
        test.d.relu = turn % 2 == 0;
        test.d.x_stride = f_in[j] + 16 + turn % 7;
        check_both(c, test);
      }
}

/* Wide enough for threads, and for several tiles of a GPU's product. */
static void check_large(check *c) {
  dense_case test = {.d = training(200, 130, 264)};
  test.d.relu = true;
  check_both(c, test);
  test.d = training(200, 264, 130);
  test.d.x_relu = true;
  check_both(c, test);
}

/* ReLUs that let nothing through, that find zeros alone, and that let everything through. */
static void check_closed_and_open(check *c) {
  static const char *const names[] = {"closed", "zero", "open"};
  for (int sign = -1; sign <= 1; ++sign) {
    dense_case test = {.d = training(5, 6, 3)};
    test.d.relu = test.d.x_relu = true;
    check_label(c, "%s", names[sign + 1]);
    dense_inputs in = draw_inputs(c, &test);
    double *x = check_normal(c, test.d.n * test.d.f_in), *bias = check_array(c, test.d.f_out);
    for (int64_t i = 0; i < test.d.n * test.d.f_in; ++i)
      x[i] = sign * fabs(x[i]);
    for (int64_t i = 0; i < test.d.f_out; ++i)
      bias[i] = sign * 1e4;
    in.x = x;
    in.bias = bias;
    compare(c, &test, &in);
  }
}

/* As a network that only answers has it. */
static void check_inference(check *c) {
  vane_device *devices[] = {c->subject, c->oracle};
  const vane_dense_desc d = {.n = 3, .f_in = 5, .f_out = 4, .forward = true, .relu = true};
  const double *x = check_normal(c, d.n * d.f_in), *weights = check_normal(c, d.f_out * d.f_in);
  const double *bias = check_normal(c, d.f_out);
  double *y[] = {check_array(c, d.n * d.f_out), check_array(c, d.n * d.f_out)};
  for (int i = 0; i < 2; ++i) {
    side s = side_begin(devices[i]);
    vane_dense_plan *plan = plan_of(&s, &d);
    void *out = side_reals(&s, d.n * d.f_out);
    check_ok(s.device->dense.forward(s.device, plan, side_put(&s, x, d.n * d.f_in),
                                     side_put(&s, weights, d.f_out * d.f_in),
                                     side_put(&s, bias, d.f_out), out));
    side_read(&s, out, y[i], d.n * d.f_out);
    s.device->dense.destroy(s.device, plan);
    side_end(&s);
  }
  check_compare(c, "dense_forward", "y", y[0], y[1], NULL, d.n * d.f_out);
}

static void check_bad_shapes(check *c) {
  static const vane_dense_desc bad[] = {
      {.n = 1, .f_in = 0, .f_out = 1},
      {.n = 0, .f_in = 1, .f_out = 1},
      {.n = 1, .f_in = 1, .f_out = -1},
      {.n = 2, .f_in = 4, .f_out = 4, .x_stride = 3},
      {.n = 2, .f_in = 4, .f_out = 4, .y_stride = 3},
      {.n = 2, .f_in = 4, .f_out = 4, .forward = true, .y_stride = 5},
      {.n = 2, .f_in = 4, .f_out = 4, .backward_weights = true, .y_stride = 5},
      {.n = 2, .f_in = 4, .f_out = 4, .x_relu = true, .x_stride = 5},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    vane_dense_plan *plan = NULL;
    assert_int_equal(c->subject->dense.plan(c->subject, &bad[i], &plan), VANE_ERR_ARGUMENT);
    assert_null(plan);
  }
  c->subject->dense.destroy(c->subject, NULL);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_shapes),    CHECK(check_rows),
                                 CHECK(check_large),     CHECK(check_closed_and_open),
                                 CHECK(check_inference), CHECK(check_bad_shapes)};
  return check_run("dense", entries, sizeof entries / sizeof entries[0]);
}
