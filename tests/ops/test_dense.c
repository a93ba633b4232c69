/* Conformance of fully-connected layers (N9). */
#include "ops/side.h"

/* A case: a layer, and the layer before it, which makes its x by a ReLU (or not). */
typedef struct dense_case {
  vane_dense_desc d;
  int64_t column; /* where x begins in its rows, y in its own */
  bool exact;
} dense_case;

typedef struct dense_inputs {
  const double *first, *x, *weights, *bias,
      *dz; /* x: whole rows; first: input of the layer before */
  const double *first_weights, *first_bias;
} dense_inputs;

typedef struct dense_outputs {
  double *x, *y, *dz, *dx, *dweights, *dbias;
} dense_outputs;

static int64_t rows_of(int64_t n, int64_t stride) {
  return n * stride;
}

static void *at(const side *s, void *matrix, int64_t column) {
  return (unsigned char *)matrix + (size_t)column * s->device->real_bytes;
}

/* A plan that keeps what its ReLU lets through has a place for it, guarded like all others. */
static void *kept_of(side *s, const vane_dense_plan *plan) {
  return plan->kept_bytes ? side_bytes(s, plan->kept_bytes) : NULL;
}

enum { F_FIRST = 7 }; /* input of the layer before */

/* x as that layer's output, and what it kept. */
static void *make_x(side *s, const dense_case *test, const dense_inputs *in, void **kept) {
  const vane_dense_desc *d = &test->d;
  vane_device *device = s->device;
  const vane_dense_desc before = {
      .n = d->n, .f_in = F_FIRST, .f_out = d->f_in, .relu = true, .training = true};
  vane_dense_plan *plan = NULL;
  check_ok(device->dense.plan(device, &before, &plan));
  side_bind_workspace(s, plan->workspace_bytes);
  void *x = side_reals(s, d->n * d->f_in);
  *kept = kept_of(s, plan);
  check_ok(device->dense.forward(device, plan, side_put(s, in->first, d->n * F_FIRST),
                                 side_put(s, in->first_weights, d->f_in * F_FIRST),
                                 side_put(s, in->first_bias, d->f_in), x, *kept));
  device->dense.destroy(device, plan);
  return x;
}

static vane_dense_desc desc_of(side *s, const dense_case *test) {
  const vane_dense_desc before = {
      .n = test->d.n, .f_in = F_FIRST, .f_out = test->d.f_in, .relu = true, .training = true};
  vane_dense_desc d = test->d;
  if (!d.x_kept)
    return d;
  vane_dense_plan *plan = NULL;
  check_ok(s->device->dense.plan(s->device, &before, &plan));
  d.x_kept = plan->kept_bytes > 0; /* this device may keep nothing */
  s->device->dense.destroy(s->device, plan);
  return d;
}

static dense_outputs run_dense(check *c, vane_device *device, const dense_case *test,
                               const dense_inputs *in) {
  side s = side_begin(device);
  const vane_dense_desc d = desc_of(&s, test);
  int64_t n_x = rows_of(d.n, d.x_stride), n_y = rows_of(d.n, d.y_stride);
  dense_outputs out = {check_array(c, n_x),
                       check_array(c, n_y),
                       check_array(c, n_y),
                       check_array(c, n_x),
                       check_array(c, d.f_out * d.f_in),
                       check_array(c, d.f_out)};
  void *x_kept = NULL;
  void *x_rows = test->d.x_kept ? make_x(&s, test, in, &x_kept) : side_put(&s, in->x, n_x);
  vane_dense_plan *plan = NULL;
  check_ok(device->dense.plan(device, &d, &plan));
  side_bind_workspace(&s, plan->workspace_bytes);
  void *weights = side_put(&s, in->weights, d.f_out * d.f_in);
  void *bias = side_put(&s, in->bias, d.f_out), *dz_rows = side_put(&s, in->dz, n_y);
  /* What lies between the rows keeps its values: those of the inputs, the same on every device. */
  void *y_rows = side_put(&s, in->dz, n_y), *dx_rows = side_put(&s, in->x, n_x);
  void *dweights = side_reals(&s, d.f_out * d.f_in), *dbias = side_reals(&s, d.f_out);
  void *x = at(&s, x_rows, test->column), *dx = at(&s, dx_rows, test->column);
  void *y = at(&s, y_rows, test->column), *dz = at(&s, dz_rows, test->column);
  check_ok(device->dense.forward(device, plan, x, weights, bias, y, kept_of(&s, plan)));
  if (d.relu)
    check_ok(device->dense.mask(device, plan, y, dz));
  check_ok(device->dense.backward_weights(device, plan, x, dz, dweights, dbias));
  check_ok(device->dense.backward_data(device, plan, weights, dz, d.x_relu ? x : NULL,
                                       d.x_kept ? x_kept : NULL, dx));
  side_read(&s, x_rows, out.x, n_x);
  side_read(&s, y_rows, out.y, n_y);
  side_read(&s, dz_rows, out.dz, n_y);
  side_read(&s, dx_rows, out.dx, n_x);
  side_read(&s, dweights, out.dweights, d.f_out * d.f_in);
  side_read(&s, dbias, out.dbias, d.f_out);
  device->dense.destroy(device, plan);
  side_end(&s);
  return out;
}

static dense_inputs draw_inputs(check *c, const dense_case *test) {
  const vane_dense_desc *d = &test->d;
  bool exact = test->exact;
  return (dense_inputs){.first = check_inputs(c, d->n * F_FIRST, exact),
                        .x = check_inputs(c, rows_of(d->n, d->x_stride), exact),
                        .weights = check_inputs(c, d->f_out * d->f_in, exact),
                        .bias = check_inputs(c, d->f_out, exact),
                        .dz = check_inputs(c, rows_of(d->n, d->y_stride), exact),
                        .first_weights = check_inputs(c, d->f_in * F_FIRST, exact),
                        .first_bias = check_inputs(c, d->f_in, exact)};
}

static void check_case(check *c, const dense_case *test) {
  const vane_dense_desc *d = &test->d;
  check_label(c, "%d x %d to %d%s, rows %d and %d, column %d%s%s%s", (int)d->n, (int)d->f_in,
              (int)d->f_out, d->relu ? " relu" : "", (int)d->x_stride, (int)d->y_stride,
              (int)test->column, d->x_relu ? ", after a relu" : "", d->x_kept ? " that kept" : "",
              test->exact ? ", exact" : "");
  int64_t n_x = rows_of(d->n, d->x_stride), n_y = rows_of(d->n, d->y_stride);
  dense_inputs in = draw_inputs(c, test);
  dense_outputs got = run_dense(c, c->subject, test, &in);
  dense_outputs want = run_dense(c, c->oracle, test, &in);
  check_match(c, test->exact, "dense_forward", "x", got.x, want.x, n_x);
  check_match(c, test->exact, "dense_forward", "y", got.y, want.y, n_y);
  check_equal(c, "dense_mask", "dz", got.dz, want.dz, n_y);
  check_match(c, test->exact, "dense_backward", "dx", got.dx, want.dx, n_x);
  check_match(c, test->exact, "dense_backward", "dweights", got.dweights, want.dweights,
              d->f_out * d->f_in);
  check_match(c, test->exact, "dense_backward", "dbias", got.dbias, want.dbias, d->f_out);
}

static void check_both(check *c, dense_case test) {
  test.d.training = true;
  if (!test.d.x_stride)
    test.d.x_stride = test.d.f_in;
  if (!test.d.y_stride)
    test.d.y_stride = test.d.f_out;
  for (int exact = 0; exact <= 1; ++exact) {
    test.exact = exact;
    check_case(c, &test);
  }
}

static const int64_t n[] = {1, 3, 17, 64}, f_in[] = {1, 5, 33, 64}, f_out[] = {1, 2, 17, 72};

static void check_shapes(check *c) {
  int turn = 0;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 4; ++k, ++turn)
        check_both(c, (dense_case){.d = {.n = n[i],
                                         .f_in = f_in[j],
                                         .f_out = f_out[k],
                                         .relu = turn % 3 == 0,
                                         .x_relu = turn % 5 < 3,
                                         .x_kept = turn % 5 < 2}});
}

/* Parts of a wider matrix, as the heads' first layers are: 16 reals and more from its edge. */
static void check_rows(check *c) {
  int turn = 0;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 4; ++k, ++turn)
        check_both(c, (dense_case){.d = {.n = n[i],
                                         .f_in = f_in[j],
                                         .f_out = f_out[k],
                                         .relu = turn % 2 == 0,
                                         .x_relu = turn % 3 == 0,
                                         .x_stride = f_in[j] + 16 + turn % 7,
                                         .y_stride = f_out[k] + 16 + turn % 5},
                                   .column = turn % 4 ? 16 : 0});
}

/* Wide enough for threads, and for several tiles of a GPU's product. */
static void check_large(check *c) {
  check_both(c, (dense_case){.d = {.n = 200, .f_in = 130, .f_out = 264, .relu = true}});
  check_both(
      c, (dense_case){.d = {.n = 200, .f_in = 264, .f_out = 130, .x_relu = true, .x_kept = true}});
  check_both(c, (dense_case){.d = {.n = 200, .f_in = 264, .f_out = 130, .x_relu = true}});
}

/* A ReLU that lets nothing through, or everything. */
static void check_closed_and_open(check *c) {
  for (int open = 0; open <= 1; ++open) {
    dense_case test = {
        .d = {.n = 5, .f_in = 6, .f_out = 3, .relu = true, .training = true, .x_relu = true}};
    test.d.x_kept = true;
    test.d.x_stride = test.d.f_in;
    test.d.y_stride = test.d.f_out;
    dense_inputs in = draw_inputs(c, &test);
    double *bias = check_array(c, test.d.f_out), *first_bias = check_array(c, test.d.f_in);
    for (int64_t i = 0; i < test.d.f_out; ++i)
      bias[i] = open ? 1e4 : -1e4;
    for (int64_t i = 0; i < test.d.f_in; ++i)
      first_bias[i] = open ? 1e3 : -1e3;
    in.bias = bias;
    in.first_bias = first_bias;
    check_label(c, open ? "open" : "closed");
    dense_outputs got = run_dense(c, c->subject, &test, &in);
    dense_outputs want = run_dense(c, c->oracle, &test, &in);
    check_compare(c, "dense_forward", "y", got.y, want.y, NULL, test.d.n * test.d.f_out);
    check_equal(c, "dense_mask", "dz", got.dz, want.dz, test.d.n * test.d.f_out);
    check_compare(c, "dense_backward", "dx", got.dx, want.dx, NULL, test.d.n * test.d.f_in);
    check_compare(c, "dense_backward", "dbias", got.dbias, want.dbias, NULL, test.d.f_out);
  }
}

/* A network that only answers plans its forward pass alone, and keeps nothing. */
static void check_inference(check *c) {
  const vane_dense_desc d = {.n = 3, .f_in = 5, .f_out = 4, .relu = true};
  const double *x = check_normal(c, d.n * d.f_in), *weights = check_normal(c, d.f_out * d.f_in);
  const double *bias = check_normal(c, d.f_out);
  double *y[] = {check_array(c, d.n * d.f_out), check_array(c, d.n * d.f_out)};
  vane_device *devices[] = {c->subject, c->oracle};
  for (int i = 0; i < 2; ++i) {
    side s = side_begin(devices[i]);
    vane_dense_plan *plan = NULL;
    check_ok(s.device->dense.plan(s.device, &d, &plan));
    assert_int_equal(plan->kept_bytes, 0);
    side_bind_workspace(&s, plan->workspace_bytes);
    void *out = side_reals(&s, d.n * d.f_out);
    check_ok(s.device->dense.forward(s.device, plan, side_put(&s, x, d.n * d.f_in),
                                     side_put(&s, weights, d.f_out * d.f_in),
                                     side_put(&s, bias, d.f_out), out, NULL));
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
      {.n = 2, .f_in = 4, .f_out = 4, .x_kept = true},
      {.n = 2, .f_in = 4, .f_out = 4, .x_relu = true, .x_kept = true, .x_stride = 5},
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
