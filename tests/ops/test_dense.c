/* Conformance of fully-connected layers (N9). */
#include "ops/side.h"

typedef struct dense_inputs {
  const double *x, *weights, *bias, *dy;
} dense_inputs;

typedef struct dense_outputs {
  double *y, *dz, *dx, *dweights, *dbias;
} dense_outputs;

static dense_outputs run_dense(check *c, vane_device *device, const vane_dense_desc *d,
                               const dense_inputs *in, bool data_gradient) {
  side s = side_begin(device);
  dense_outputs out = {check_array(c, d->n * d->f_out), check_array(c, d->n * d->f_out),
                       check_array(c, d->n * d->f_in), check_array(c, d->f_out * d->f_in),
                       check_array(c, d->f_out)};
  vane_dense_plan *plan = NULL;
  check_ok(device->dense.plan(device, d, &plan));
  side_bind_workspace(&s, plan->workspace_bytes);
  void *x = side_put(&s, in->x, d->n * d->f_in);
  void *weights = side_put(&s, in->weights, d->f_out * d->f_in);
  void *bias = side_put(&s, in->bias, d->f_out), *dy = side_put(&s, in->dy, d->n * d->f_out);
  void *y = side_reals(&s, d->n * d->f_out), *dx = side_reals(&s, d->n * d->f_in);
  void *dweights = side_reals(&s, d->f_out * d->f_in), *dbias = side_reals(&s, d->f_out);
  check_ok(device->dense.forward(device, plan, x, weights, bias, y));
  check_ok(device->dense.backward(device, plan, x, weights, y, dy, data_gradient ? dx : NULL,
                                  dweights, dbias));
  side_read(&s, y, out.y, d->n * d->f_out);
  side_read(&s, dy, out.dz, d->n * d->f_out);
  side_read(&s, dx, out.dx, d->n * d->f_in);
  side_read(&s, dweights, out.dweights, d->f_out * d->f_in);
  side_read(&s, dbias, out.dbias, d->f_out);
  device->dense.destroy(device, plan);
  side_end(&s);
  return out;
}

static void check_case(check *c, const vane_dense_desc *d, bool data_gradient, bool exact) {
  check_label(c, "%d x %d to %d%s%s%s", (int)d->n, (int)d->f_in, (int)d->f_out,
              d->relu ? " relu" : "", data_gradient ? "" : " without dx", exact ? " exact" : "");
  dense_inputs in = {check_inputs(c, d->n * d->f_in, exact),
                     check_inputs(c, d->f_out * d->f_in, exact), check_inputs(c, d->f_out, exact),
                     check_inputs(c, d->n * d->f_out, exact)};
  dense_outputs got = run_dense(c, c->subject, d, &in, data_gradient);
  dense_outputs want = run_dense(c, c->oracle, d, &in, data_gradient);
  check_match(c, exact, "dense_forward", "y", got.y, want.y, d->n * d->f_out);
  check_equal(c, "dense_backward", "dz", got.dz, want.dz, d->n * d->f_out);
  check_match(c, exact, "dense_backward", "dx", got.dx, want.dx, d->n * d->f_in);
  check_match(c, exact, "dense_backward", "dweights", got.dweights, want.dweights,
              d->f_out * d->f_in);
  check_match(c, exact, "dense_backward", "dbias", got.dbias, want.dbias, d->f_out);
}

static void check_shapes(check *c) {
  static const int64_t n[] = {1, 3, 17, 64}, f_in[] = {1, 5, 33, 64}, f_out[] = {1, 2, 17, 72};
  int turn = 0;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 4; ++k, ++turn) {
        vane_dense_desc d = {n[i], f_in[j], f_out[k], turn % 3 == 0};
        check_case(c, &d, turn % 5 != 0, false);
        check_case(c, &d, turn % 5 != 0, true);
      }
}

static void check_bad_shapes(check *c) {
  const vane_dense_desc bad = {.n = 1, .f_in = 0, .f_out = 1};
  vane_dense_plan *plan = NULL;
  assert_int_not_equal(c->subject->dense.plan(c->subject, &bad, &plan), VANE_OK);
  assert_null(plan);
  c->subject->dense.destroy(c->subject, NULL);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_shapes), CHECK(check_bad_shapes)};
  return check_run("dense", entries, sizeof entries / sizeof entries[0]);
}
