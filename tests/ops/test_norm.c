/* Conformance of batch norm (N4..N7). */
#include "ops/side.h"

typedef struct norm_inputs {
  const double *x, *gamma, *beta, *residual, *running, *dz, *pending;
} norm_inputs;

typedef struct norm_outputs {
  double *y, *saved, *inferred, *dx, *dgamma, *dbeta, *fresh, *tracked;
} norm_outputs;

static int64_t count_of(const vane_norm_desc *d) {
  return d->n * d->h * d->w * d->c;
}

static norm_outputs create_outputs(check *c, const vane_norm_desc *d) {
  return (norm_outputs){
      .y = check_array(c, count_of(d)),
      .saved = check_array(c, 2 * d->c),
      .inferred = check_array(c, count_of(d)),
      .dx = check_array(c, count_of(d)),
      .dgamma = check_array(c, d->c),
      .dbeta = check_array(c, d->c),
      .fresh = check_array(c, 2 * d->c),
      .tracked = check_array(c, 2 * d->c),
  };
}

static void run_backward(side *s, const vane_norm_plan *plan, const norm_inputs *in,
                         const vane_tensor *x, const void *gamma, const void *saved, bool in_place,
                         norm_outputs *out) {
  const vane_norm_desc *d = &plan->desc;
  vane_tensor dz = side_put_tensor(s, in->dz, d->n, d->h, d->w, d->c);
  vane_tensor dx = in_place ? dz : side_tensor(s, d->n, d->h, d->w, d->c);
  void *dgamma = side_reals(s, d->c), *dbeta = side_reals(s, d->c);
  check_ok(s->device->norm.backward(s->device, plan, x, gamma, saved, &dz, &dx, dgamma, dbeta));
  side_read_tensor(s, &dx, out->dx);
  side_read(s, dgamma, out->dgamma, d->c);
  side_read(s, dbeta, out->dbeta, d->c);
}

/* `fresh` starts from NaN with keep 0, `tracked` from `pending`. */
static void run_track(side *s, const vane_norm_plan *plan, const norm_inputs *in, const void *saved,
                      norm_outputs *out) {
  const vane_norm_desc *d = &plan->desc;
  void *fresh = side_reals(s, 2 * d->c), *pending = side_put(s, in->pending, 2 * d->c);
  check_ok(s->device->norm.track(s->device, plan, saved, 0.0, 0.25, fresh));
  check_ok(s->device->norm.track(s->device, plan, saved, 1.0, 0.5, pending));
  side_read(s, fresh, out->fresh, 2 * d->c);
  side_read(s, pending, out->tracked, 2 * d->c);
}

static norm_outputs run_norm(check *c, vane_device *device, const vane_norm_desc *d,
                             const norm_inputs *in, bool in_place) {
  side s = side_begin(device);
  norm_outputs out = create_outputs(c, d);
  vane_norm_plan *plan = NULL;
  check_ok(device->norm.plan(device, d, &plan));
  side_bind_workspace(&s, plan->workspace_bytes);
  vane_tensor x = side_put_tensor(&s, in->x, d->n, d->h, d->w, d->c);
  vane_tensor y = side_tensor(&s, d->n, d->h, d->w, d->c);
  vane_tensor inferred = side_tensor(&s, d->n, d->h, d->w, d->c), residual = {0};
  if (d->residual)
    residual = side_put_tensor(&s, in->residual, d->n, d->h, d->w, d->c);
  const vane_tensor *r = d->residual ? &residual : NULL;
  void *gamma = side_put(&s, in->gamma, d->c), *beta = side_put(&s, in->beta, d->c);
  void *running = side_put(&s, in->running, 2 * d->c), *saved = side_reals(&s, 2 * d->c);
  check_ok(device->norm.forward(device, plan, &x, gamma, beta, r, saved, &y));
  check_ok(device->norm.infer(device, plan, &x, gamma, beta, r, running, &inferred));
  side_read_tensor(&s, &y, out.y);
  side_read(&s, saved, out.saved, 2 * d->c);
  side_read_tensor(&s, &inferred, out.inferred);
  run_backward(&s, plan, in, &x, gamma, saved, in_place, &out);
  run_track(&s, plan, in, saved, &out);
  device->norm.destroy(device, plan);
  side_end(&s);
  return out;
}

/* Channel 0 is dead (all zero, as after a ReLU that never opens); the others have means of up to 15
 * standard deviations, so that a variance from sums of squares would cancel. */
static double *draw_x(check *c, const vane_norm_desc *d) {
  double *x = check_normal(c, count_of(d));
  for (int64_t i = 0; i < count_of(d); ++i) {
    int64_t channel = i % d->c;
    x[i] = channel == 0 ? 0.0 : (double)(float)(x[i] + (double)(channel % 16));
  }
  return x;
}

static norm_inputs draw_inputs(check *c, const vane_norm_desc *d) {
  double *running = check_normal(c, 2 * d->c);
  for (int64_t i = d->c; i < 2 * d->c; ++i)
    running[i] = fabs(running[i]);
  return (norm_inputs){
      .x = draw_x(c, d),
      .gamma = check_normal(c, d->c),
      .beta = check_normal(c, d->c),
      .residual = check_normal(c, count_of(d)),
      .running = running,
      .dz = check_normal(c, count_of(d)),
      .pending = check_normal(c, 2 * d->c),
  };
}

/* A variance comes out of variance + epsilon, and is that exact and no more. */
static double *track_scale(check *c, const vane_norm_desc *d, const double *expected) {
  double *scale = check_array(c, 2 * d->c), largest = 0.0;
  for (int64_t i = 0; i < 2 * d->c; ++i)
    largest = fmax(largest, fabs(expected[i]));
  for (int64_t i = 0; i < 2 * d->c; ++i)
    scale[i] = largest + d->epsilon;
  return scale;
}

static void check_case(check *c, const vane_norm_desc *d, bool in_place) {
  check_label(c, "%d x %dx%dx%d%s%s%s", (int)d->n, (int)d->h, (int)d->w, (int)d->c,
              d->residual ? " residual" : "", d->relu ? " relu" : "", in_place ? " in place" : "");
  norm_inputs in = draw_inputs(c, d);
  norm_outputs got = run_norm(c, c->subject, d, &in, in_place);
  norm_outputs want = run_norm(c, c->oracle, d, &in, in_place);
  int64_t n = count_of(d), n_c = d->c;
  check_compare(c, "norm_forward", "y", got.y, want.y, NULL, n);
  check_compare(c, "norm_saved", "mean", got.saved, want.saved, NULL, n_c);
  check_compare(c, "norm_saved", "1/std", got.saved + n_c, want.saved + n_c, want.saved + n_c, n_c);
  check_compare(c, "norm_infer", "y", got.inferred, want.inferred, NULL, n);
  check_compare(c, "norm_backward", "dx", got.dx, want.dx, NULL, n);
  check_compare(c, "norm_parameters", "dgamma", got.dgamma, want.dgamma, NULL, n_c);
  check_compare(c, "norm_parameters", "dbeta", got.dbeta, want.dbeta, NULL, n_c);
  const double *of_fresh = track_scale(c, d, want.fresh);
  const double *of_tracked = track_scale(c, d, want.tracked);
  check_compare(c, "norm_track", "fresh", got.fresh, want.fresh, of_fresh, 2 * n_c);
  check_compare(c, "norm_track", "tracked", got.tracked, want.tracked, of_tracked, 2 * n_c);
}

static void check_shapes(check *c) {
  static const int64_t shapes[][4] = {{1, 1, 2, 1},  {2, 3, 5, 3},  {3, 7, 1, 5},  {4, 8, 8, 16},
                                      {2, 5, 7, 17}, {5, 4, 4, 20}, {3, 6, 6, 33}, {2, 20, 20, 64}};
  for (int i = 0; i < 8; ++i)
    for (int bits = 0; bits < 4; ++bits) {
      const int64_t *s = shapes[i];
      vane_norm_desc d = {.n = s[0],
                          .h = s[1],
                          .w = s[2],
                          .c = s[3],
                          .epsilon = 1e-5,
                          .residual = bits & 1,
                          .relu = bits & 2};
      check_case(c, &d, (i + bits) % 2);
    }
}

/* One value per channel: the variance is zero and biased (N7). */
static void check_single_value(check *c) {
  vane_norm_desc d = {.n = 1, .h = 1, .w = 1, .c = 5, .epsilon = 1e-3};
  check_case(c, &d, false);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_shapes), CHECK(check_single_value)};
  return check_run("norm", entries, sizeof entries / sizeof entries[0]);
}
