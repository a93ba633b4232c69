/* Conformance of Adam (N30..N35), in every mode. */
#include "ops/adam_modes.h"
#include "ops/side.h"

static const vane_segment segments[] = {
    {0, 37, VANE_SHARED, 1},           {48, 5, VANE_SHARED, 0},
    {64, 1, VANE_LOSS_PRESENCE, 1},    {80, 0, VANE_LOSS_PRESENCE, 1},
    {80, 64, VANE_LOSS_ANGLE, 0},      {144, 2051, VANE_LOSS_ANGLE, 1},
    {2208, 15, VANE_LOSS_POSITION, 1},
};
enum { n_segments = sizeof segments / sizeof segments[0], block = 2224 };

typedef struct adam_inputs {
  double *theta, *g, *m, *v, *v_max;
} adam_inputs;

typedef struct adam_outputs {
  double *theta, *m, *v, *v_max;
} adam_outputs;

static adam_outputs run_adam(check *c, vane_device *device, const vane_adam_desc *desc,
                             const adam_inputs *in, const vane_step_record *record) {
  side s = side_begin(device);
  adam_outputs out = {check_array(c, block), check_array(c, block), check_array(c, block),
                      check_array(c, block)};
  void *theta = side_put(&s, in->theta, block), *g = side_put(&s, in->g, block);
  void *m = side_put(&s, in->m, block), *v = side_put(&s, in->v, block);
  void *v_max = side_put(&s, in->v_max, block);
  const vane_adam_memory memory = {
      .parameters = theta, .gradients = g, .m = m, .v = v, .v_max = desc->amsgrad ? v_max : NULL};
  check_ok(device->optim.adam(device, desc, side_plan_block(&s, segments, n_segments), &memory,
                              side_put_record(&s, record)));
  side_read(&s, theta, out.theta, block);
  side_read(&s, m, out.m, block);
  side_read(&s, v, out.v, block);
  side_read(&s, v_max, out.v_max, block);
  side_end(&s);
  return out;
}

/* The state in the middle of a run; gaps are zero. */
static adam_inputs draw_inputs(check *c) {
  const double *normal[5];
  double *array[5];
  for (int i = 0; i < 5; ++i) {
    normal[i] = check_normal(c, block);
    array[i] = check_array(c, block);
  }
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
      array[0][i] = normal[0][i];
      array[1][i] = (double)(float)(0.1 * normal[1][i]);
      array[2][i] = (double)(float)(0.1 * normal[2][i]);
      array[3][i] = (double)(float)(0.01 * normal[3][i] * normal[3][i]);
      array[4][i] = (double)(float)(0.01 * normal[4][i] * normal[4][i]);
    }
  return (adam_inputs){array[0], array[1], array[2], array[3], array[4]};
}

/* Moments are sums that may cancel: errors count against the sum of their terms. */
static void compare_adam(check *c, const vane_adam_desc *desc, const adam_inputs *in,
                         const vane_step_record *record) {
  adam_outputs got = run_adam(c, c->subject, desc, in, record);
  adam_outputs want = run_adam(c, c->oracle, desc, in, record);
  double *of_theta = check_array(c, block), *of_m = check_array(c, block);
  double *of_v = check_array(c, block);
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
      double g = record->coefficient[segments[s].task] * fabs(in->g[i]);
      if (segments[s].decay)
        g += (record->coefficient[VANE_LOSS_REGULARIZATION] + desc->weight_decay) *
             fabs(in->theta[i]);
      of_theta[i] = fabs(in->theta[i]) + fabs(want.theta[i] - in->theta[i]);
      of_m[i] = desc->beta1 * fabs(in->m[i]) + (1.0 - desc->beta1) * g;
      of_v[i] = desc->beta2 * in->v[i] + (1.0 - desc->beta2) * g * g;
    }
  check_compare(c, "adam_parameter", "theta", got.theta, want.theta, of_theta, block);
  check_compare(c, "adam_moments", "m", got.m, want.m, of_m, block);
  check_compare(c, "adam_moments", "v", got.v, want.v, of_v, block);
  if (desc->amsgrad)
    check_compare(c, "adam_moments", "v_max", got.v_max, want.v_max, want.v_max, block);
  else
    check_equal(c, "adam", "v_max", got.v_max, in->v_max, block);
}

static void check_modes(check *c) {
  static const int64_t steps[] = {1, 10, 100000};
  for (int bits = 0; bits < N_ADAM_MODES; ++bits)
    for (int i = 0; i < 3; ++i) {
      vane_adam_desc desc = adam_mode(bits);
      adam_inputs in = draw_inputs(c);
      vane_step_record record = adam_record(&desc, steps[i], 1e-3);
      check_label(c, "mode %d, step %d", bits, (int)steps[i]);
      compare_adam(c, &desc, &in, &record);
      record.clip = 1.0;
      record.coefficient[VANE_LOSS_REGULARIZATION] = 0.0;
      compare_adam(c, &desc, &in, &record);
      record.guard.largest_lr = i == 0 ? 1.0 : 2e-4; /* no limit, or one */
      compare_adam(c, &desc, &in, &record);
    }
}

/* From nothing: the first step moves each parameter by lr, whatever its gradient's size. */
static void check_first_step(check *c) {
  vane_adam_desc desc = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-12};
  adam_inputs in = draw_inputs(c);
  in.m = in.v = check_array(c, block);
  vane_step_record record = {.in = {.step = 1, .lr = 0.5, .bias1 = 0.1, .bias2 = 0.001},
                             .coefficient = {1, 1, 1, 1, 0, 1},
                             .clip = 1.0};
  adam_outputs got = run_adam(c, c->subject, &desc, &in, &record);
  check_label(c, "first step");
  for (int64_t i = 0; i < 37; ++i) {
    double want = in.theta[i] - (in.g[i] > 0.0 ? 0.5 : -0.5), scale = fabs(in.theta[i]) + 0.5;
    check_compare(c, "adam_parameter", "theta", &got.theta[i], &want, &scale, 1);
  }
}

/* The guard's limit takes the place of a learning rate above it, and of no other. */
static void check_limit(check *c) {
  const double limits[] = {0.0, 2e-4, 1e-3, 5e-3}, taken[] = {1e-3, 2e-4, 1e-3, 1e-3};
  for (int decoupled = 0; decoupled < 2; ++decoupled)
    for (int i = 0; i < 4; ++i) {
      vane_adam_desc desc = {
          .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = decoupled ? 0.1 : 0.0};
      adam_inputs in = draw_inputs(c);
      vane_step_record limited = adam_record(&desc, 3, 1e-3),
                       plain = adam_record(&desc, 3, taken[i]);
      limited.guard.largest_lr = limits[i];
      adam_outputs got = run_adam(c, c->subject, &desc, &in, &limited);
      adam_outputs want = run_adam(c, c->subject, &desc, &in, &plain);
      check_label(c, "limit %g", limits[i]);
      check_equal(c, "adam", "theta", got.theta, want.theta, block);
    }
}

/* Gaps stay zero, and a skipped step writes nothing even where gradients are not numbers. */
static void check_skip_and_gaps(check *c) {
  vane_adam_desc desc = {
      .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .amsgrad = true, .weight_decay = 0.1};
  adam_inputs in = draw_inputs(c);
  vane_step_record record = adam_record(&desc, 3, 1e-2);
  adam_outputs got = run_adam(c, c->subject, &desc, &in, &record);
  for (int64_t i = 37; i < 48; ++i)
    assert_true(got.theta[i] == 0.0 && got.m[i] == 0.0 && got.v[i] == 0.0 && got.v_max[i] == 0.0);
  in.g[7] = CHECK_NAN;
  in.g[100] = CHECK_INFINITY;
  record.skip = 1;
  got = run_adam(c, c->subject, &desc, &in, &record);
  check_label(c, "skipped");
  check_equal(c, "adam", "theta", got.theta, in.theta, block);
  check_equal(c, "adam", "m", got.m, in.m, block);
  check_equal(c, "adam", "v", got.v, in.v, block);
  check_equal(c, "adam", "v_max", got.v_max, in.v_max, block);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_modes), CHECK(check_first_step), CHECK(check_limit),
                                 CHECK(check_skip_and_gaps)};
  return check_run("adam", entries, sizeof entries / sizeof entries[0]);
}
