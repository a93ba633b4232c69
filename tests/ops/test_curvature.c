/* Conformance of the curvature along Adam's step, and of the bound that follows (N36, N37). */
#include "ops/adam_modes.h"
#include "ops/side.h"

/* Tails, an empty segment, and one that several blocks of threads share. */
static const vane_segment segments[] = {
    {0, 37, VANE_SHARED, 1},           {48, 5, VANE_SHARED, 0},
    {64, 1, VANE_LOSS_PRESENCE, 1},    {80, 0, VANE_LOSS_PRESENCE, 1},
    {80, 64, VANE_LOSS_ANGLE, 0},      {144, 9001, VANE_LOSS_ANGLE, 1},
    {9152, 15, VANE_LOSS_POSITION, 1},
};
enum { n_segments = sizeof segments / sizeof segments[0], block = 9168 };

typedef struct moved_inputs {
  double *theta, *m, *v, *v_max, *before, *after;
} moved_inputs;

static vane_guard_state measure(vane_device *device, const vane_adam_desc *desc,
                                const vane_guard_desc *guard, const moved_inputs *in,
                                const vane_step_record *record) {
  side s = side_begin(device);
  const vane_adam_memory memory = {.parameters = side_put(&s, in->theta, block),
                                   .gradients = side_put(&s, in->before, block),
                                   .m = side_put(&s, in->m, block),
                                   .v = side_put(&s, in->v, block),
                                   .v_max = desc->amsgrad ? side_put(&s, in->v_max, block) : NULL};
  const void *after = side_put(&s, in->after, block);
  vane_step_record *at = side_put_record(&s, record);
  check_ok(device->optim.curvature(device, desc, guard, side_plan_block(&s, segments, n_segments),
                                   &memory, after, at));
  vane_step_record got = side_read_record(&s, at), rest = *record;
  side_end(&s);
  rest.guard = got.guard;
  assert_memory_equal(&got, &rest, sizeof got); /* of the record it writes the guard's part alone */
  return got.guard;
}

/* After a step in the midst of a run. The gradient changes by `stiffness` against the step, so that
 * all terms of the product have its sign; gaps are zero. */
static moved_inputs draw_inputs(check *c, double stiffness) {
  const double *normal[6];
  double *array[6];
  for (int i = 0; i < 6; ++i) {
    normal[i] = check_normal(c, block);
    array[i] = check_array(c, block);
  }
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
      array[1][i] = (double)(float)(0.1 * normal[1][i]);
      /* Decoupled decay moves a weight against its sign: here never against the gradient's. */
      array[0][i] = (double)(float)copysign(normal[0][i], array[1][i]);
      array[2][i] = (double)(float)(0.01 * normal[2][i] * normal[2][i]);
      array[3][i] = (double)(float)(0.01 * normal[3][i] * normal[3][i]);
      array[4][i] = (double)(float)(0.1 * normal[4][i]);
      array[5][i] = (double)(float)(array[4][i] - stiffness * fabs(normal[5][i]) * array[1][i]);
    }
  return (moved_inputs){array[0], array[1], array[2], array[3], array[4], array[5]};
}

static void check_modes(check *c) {
  static const int64_t steps[] = {1, 10, 100000};
  const vane_guard_desc guard = {.acts = true, .decay = 0.9};
  for (int bits = 0; bits < N_ADAM_MODES; ++bits)
    for (int i = 0; i < 3; ++i) {
      vane_adam_desc desc = adam_mode(bits);
      moved_inputs in = draw_inputs(c, 0.3);
      vane_step_record record = adam_record(&desc, steps[i], 1e-3);
      record.guard.largest_lr = i == 1 ? 2e-4 : 0.0; /* the step was a shorter one */
      vane_guard_state got = measure(c->subject, &desc, &guard, &in, &record);
      vane_guard_state want = measure(c->oracle, &desc, &guard, &in, &record);
      check_label(c, "mode %d, step %d", bits, (int)steps[i]);
      assert_true(want.curvature > 0.0);
      assert_int_equal(got.probes, 1);
      check_scalar(c, "curvature", "curvature", got.curvature, want.curvature);
      check_scalar(c, "curvature", "bound", got.bound, want.bound);
    }
}

/* Adam takes a step on the quadratic sum of h theta^2/2, whose curvatures in Adam's metric are h/D;
 * the curvature along the step lies between the smallest and the largest, and is theirs where all
 * are the same. Here Adam itself runs, so that the step is the one that it took. */
typedef struct quadratic {
  double *h, *theta, *before, *m, *v, *after;
} quadratic;

static void gradient_of(const quadratic *q, const double *theta, double *gradient) {
  for (int64_t i = 0; i < block; ++i)
    gradient[i] = (double)(float)(q->h[i] * theta[i]);
}

static double curvature_of(check *c, const vane_adam_desc *desc, const quadratic *q,
                           const vane_step_record *record) {
  const vane_guard_desc guard = {.acts = true, .decay = 0.95};
  vane_device *device = c->subject;
  side s = side_begin(device);
  gradient_of(q, q->theta, q->before);
  void *theta = side_put(&s, q->theta, block);
  const vane_adam_memory memory = {.parameters = theta,
                                   .gradients = side_put(&s, q->before, block),
                                   .m = side_put(&s, q->m, block),
                                   .v = side_put(&s, q->v, block)};
  const vane_block *all = side_plan_block(&s, segments, n_segments);
  vane_step_record *at = side_put_record(&s, record);
  check_ok(device->optim.adam(device, desc, all, &memory, at));
  side_read(&s, theta, q->after, block);
  side_read(&s, memory.v, q->v, block); /* the metric's */
  double *moved = check_array(c, block);
  for (int64_t i = 0; i < block; ++i)
    moved[i] = q->after[i];
  gradient_of(q, moved, q->after);
  check_ok(device->optim.curvature(device, desc, &guard, all, &memory,
                                   side_put(&s, q->after, block), at));
  vane_guard_state state = side_read_record(&s, at).guard;
  side_end(&s);
  assert_int_equal(state.probes, 1);
  return state.curvature;
}

static quadratic draw_quadratic(check *c) {
  quadratic q = {check_array(c, block), check_array(c, block), check_array(c, block),
                 check_array(c, block), check_array(c, block), check_array(c, block)};
  const double *theta = check_normal(c, block), *h = check_normal(c, block);
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
      q.theta[i] = theta[i];
      q.h[i] = (double)(float)(0.5 + fabs(h[i]));
    }
  return q;
}

static void check_quadratic(check *c) {
  for (int mode = 0; mode < 4; ++mode) {
    vane_adam_desc desc = {.beta1 = 0.9,
                           .beta2 = 0.999,
                           .epsilon = 0.01,
                           .epsilon_mode = mode & 1 ? VANE_EPSILON_HAT : VANE_EPSILON_OUTSIDE,
                           .weight_decay = mode & 2 ? 0.2 : 0.0};
    quadratic q = draw_quadratic(c);
    vane_step_record record = {.in = {.step = 1, .lr = 0.1, .bias1 = 0.1, .bias2 = 0.001},
                               .coefficient = {1, 1, 1, 1, 0, 1},
                               .clip = 1.0};
    double k = curvature_of(c, &desc, &q, &record), root = sqrt(record.in.bias2);
    double smallest = CHECK_INFINITY, largest = 0.0;
    for (int64_t i = 0; i < block; ++i) {
      double metric =
          mode & 1 ? (sqrt(q.v[i]) + desc.epsilon) / root : sqrt(q.v[i]) / root + desc.epsilon;
      if (q.h[i] > 0.0) {
        smallest = fmin(smallest, q.h[i] / metric);
        largest = fmax(largest, q.h[i] / metric);
      }
    }
    check_label(c, "quadratic, mode %d", mode);
    if (!(k > smallest && k < largest))
      fail_msg("%s, %s: curvature %g lies outside %g..%g", c->name, c->label, k, smallest, largest);
    /* H a multiple of D: all moments alike, and epsilon alone counts. */
    desc.epsilon = 1e8;
    q = draw_quadratic(c);
    for (int64_t i = 0; i < block; ++i)
      q.h[i] = q.h[i] > 0.0 ? 3.0 : 0.0;
    record.in.lr = 1e7; /* steps of about 0.1 */
    if (mode & 2)
      desc.weight_decay = 2e-8;
    k = curvature_of(c, &desc, &q, &record);
    double want = 3.0 / (mode & 1 ? 1e8 / root : 1e8);
    if (!(fabs(k - want) <= 1e-5 * want)) /* theta' is rounded to a float: 6e-8 of a step of 0.1 */
      fail_msg("%s, %s: curvature %.9g instead of %.9g", c->name, c->label, k, want);
  }
}

/* One parameter that moves: the gradient rises by `change` along its step of -lr. */
static vane_guard_state probe_once(check *c, const vane_guard_desc *guard, double change,
                                   const vane_step_record *record) {
  const vane_adam_desc desc = {.beta1 = 0.5, .beta2 = 0.5, .epsilon = 0.5};
  moved_inputs in = {check_array(c, block), check_array(c, block), check_array(c, block),
                     check_array(c, block), check_array(c, block), check_array(c, block)};
  in.m[0] = 0.25;   /* corrected by 1/4: 1 */
  in.v[0] = 0.0625; /* the corrected root is 1/2, so D is 1 and the step -lr */
  in.before[0] = 1.0;
  in.after[0] = 1.0 - change;
  return measure(c->subject, &desc, guard, &in, record);
}

/* Expected values are exact: powers of two and sums of few of them. */
static void check_state(check *c) {
  const vane_guard_desc guard = {.decay = 0.5};
  vane_step_record record = {.in = {.step = 2, .lr = 0.25, .bias1 = 0.25, .bias2 = 0.25},
                             .coefficient = {1, 1, 1, 1, 0, 1},
                             .clip = 1.0};
  check_label(c, "state");
  record.guard = probe_once(c, &guard, 2.0, &record); /* k = 0.25 * 2 / 0.25^2 */
  assert_true(record.guard.curvature == 8.0 && record.guard.bound == 8.0);
  assert_true(record.guard.largest_lr == 0.0 && record.guard.probes == 1);

  record.guard.largest_lr = 0.1875; /* the step is a shorter one */
  record.guard = probe_once(c, &guard, 0.1875, &record);
  assert_true(record.guard.curvature == 1.0 && record.guard.bound == 4.0);
  assert_true(record.guard.largest_lr == 0.1875 && record.guard.probes == 2);

  record.guard = probe_once(c, &guard, -4.0, &record); /* a negative curvature is none */
  assert_true(record.guard.curvature == 0.0 && record.guard.bound == 2.0);
  assert_true(record.guard.probes == 3);

  vane_guard_state got = probe_once(c, &guard, CHECK_NAN, &record);
  assert_true(got.bound == 2.0 && got.probes == 3 && got.ignored == 1);
  got = probe_once(c, &guard, CHECK_INFINITY, &record);
  assert_true(got.bound == 2.0 && got.probes == 3 && got.ignored == 1);

  record.skip = 1;
  got = probe_once(c, &guard, 2.0, &record);
  assert_memory_equal(&got, &record.guard, sizeof got);
  record.skip = 0;
  record.in.lr = 0.0; /* nothing moved */
  got = probe_once(c, &guard, 2.0, &record);
  assert_memory_equal(&got, &record.guard, sizeof got);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_modes), CHECK(check_quadratic), CHECK(check_state)};
  return check_run("curvature", entries, sizeof entries / sizeof entries[0]);
}
