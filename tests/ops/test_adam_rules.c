/* Conformance of Adam's other rules (N60..N63), of what limits a spike and sets the moments back
 * (N64..N66), and of the limits of whole tensors (N67, N68). */
#include "ops/side.h"

#include <stdlib.h>

/* Several chunks of the GPU, shares of three threads, tails, nothing, a single parameter. */
static const vane_segment segments[] = {
    {0, 37, VANE_SHARED, 1},        {48, 5, VANE_SHARED, 0},        {64, 1, VANE_LOSS_PRESENCE, 1},
    {80, 0, VANE_LOSS_PRESENCE, 1}, {80, 5003, VANE_LOSS_ANGLE, 1}, {5088, 64, VANE_LOSS_ANGLE, 0},
    {5152, 31, VANE_SHARED, 0},
};
enum { n_segments = sizeof segments / sizeof segments[0], block = 5183 };
enum { THETA, GRADIENT, M, V, V_MAX, N_ARRAYS };

typedef struct adam_arrays {
  double *array[N_ARRAYS];
  vane_adam_limit limits[n_segments];
} adam_arrays;

/* The middle of a run; now and then a spike, no gradient, or no moments yet. */
static adam_arrays draw_inputs(check *c) {
  adam_arrays in;
  for (int a = 0; a < N_ARRAYS; ++a)
    in.array[a] = check_array(c, block);
  const double *theta = check_normal(c, block), *g = check_normal(c, block);
  const double *m = check_normal(c, block), *v = check_normal(c, block);
  const double *v_max = check_normal(c, block);
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
      double size = i % 13 == 4 ? 30.0 : i % 5 == 1 ? 0.0 : 0.1;
      in.array[THETA][i] = theta[i];
      in.array[GRADIENT][i] = (double)(float)(size * g[i]);
      if (i % 7 == 3)
        continue;
      in.array[M][i] = (double)(float)(0.1 * m[i]);
      in.array[V][i] = (double)(float)(0.01 * (0.05 + v[i] * v[i]));
      in.array[V_MAX][i] = (double)(float)(0.01 * v_max[i] * v_max[i]);
    }
  return in;
}

/* What belongs to whole segments, of which every part must say the same. */
static void read_limits(vane_device *device, const vane_block *planned, const void *memory,
                        vane_adam_limit limits[n_segments]) {
  size_t bytes = (size_t)planned->n_parts * sizeof(vane_adam_limit);
  vane_adam_limit *parts = malloc(bytes);
  assert_non_null(parts);
  check_ok(device->memory.download(device, parts, memory, bytes));
  check_ok(device->memory.synchronize(device));
  for (int64_t s = 0; s < n_segments; ++s) {
    int64_t first = planned->first_part[s], end = planned->first_part[s + 1];
    limits[s] = first < end ? parts[first] : (vane_adam_limit){1.0, 1.0};
    for (int64_t i = first; i < end; ++i)
      assert_memory_equal(&parts[i], &limits[s], sizeof parts[i]);
  }
  free(parts);
}

static adam_arrays run_adam(check *c, vane_device *device, const vane_adam_desc *desc,
                            const adam_arrays *in, const vane_step_record *record) {
  side s = side_begin(device);
  adam_arrays out;
  void *array[N_ARRAYS];
  const vane_block *planned = side_plan_block(&s, segments, n_segments);
  const bool limited = desc->update_clip > 0.0 || desc->adaptive_clip > 0.0;
  void *limits = side_bytes(&s, (size_t)planned->n_parts * sizeof(vane_adam_limit));
  vane_step_record *on_device = side_put_record(&s, record);
  for (int a = 0; a < N_ARRAYS; ++a)
    array[a] = side_put(&s, in->array[a], block);
  const vane_adam_memory memory = {.parameters = array[THETA],
                                   .gradients = array[GRADIENT],
                                   .m = array[M],
                                   .v = array[V],
                                   .v_max = desc->amsgrad ? array[V_MAX] : NULL,
                                   .limits = limited ? limits : NULL};
  if (limited) {
    check_ok(device->optim.limits(device, desc, planned, &memory, on_device));
    read_limits(device, planned, limits, out.limits);
  }
  check_ok(device->optim.adam(device, desc, planned, &memory, on_device));
  for (int a = 0; a < N_ARRAYS; ++a) {
    out.array[a] = check_array(c, block);
    side_read(&s, array[a], out.array[a], block);
  }
  side_end(&s);
  return out;
}

/* ---- Every rule ---------------------------------------------------------------------------- */

/* Moments count against the sum of their terms: of squares of differences for AdaBelief, of
 * gradients over their root for ADOPT. An update counts as what it would be had m not cancelled. */
static void set_scales(const vane_adam_desc *desc, const vane_step_record *record,
                       const adam_arrays *in, const adam_arrays *want,
                       double *const scale[N_ARRAYS]) {
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
      double theta = fabs(in->array[THETA][i]), g = fabs(in->array[GRADIENT][i]);
      double m = fabs(in->array[M][i]), v = in->array[V][i];
      if (segments[s].decay)
        g += (record->coefficient[VANE_LOSS_REGULARIZATION] + desc->weight_decay) * theta;
      double added = desc->rule == VANE_RULE_ADOPT && v > 0.0 ? g / sqrt(v) : g;
      double spread = desc->rule == VANE_RULE_ADABELIEF ? g + m : g;
      double update = fabs(want->array[THETA][i] - in->array[THETA][i]);
      double left = fabs(want->array[M][i]);
      scale[M][i] = m + added;
      scale[V][i] = v + spread * spread + (desc->rule == VANE_RULE_ADABELIEF ? desc->epsilon : 0.0);
      scale[THETA][i] = theta + (left > 0.0 ? update * fmax(scale[M][i] / left, 1.0) : update);
      scale[V_MAX][i] = in->array[V_MAX][i] + scale[V][i];
    }
}

static void compare_rule(check *c, const vane_adam_desc *desc, const adam_arrays *in,
                         const vane_step_record *record) {
  adam_arrays got = run_adam(c, c->subject, desc, in, record);
  adam_arrays want = run_adam(c, c->oracle, desc, in, record);
  double *scale[N_ARRAYS];
  for (int a = 0; a < N_ARRAYS; ++a)
    scale[a] = check_array(c, block);
  set_scales(desc, record, in, &want, scale);
  check_compare(c, "adam_rule_parameter", "theta", got.array[THETA], want.array[THETA],
                scale[THETA], block);
  check_compare(c, "adam_moments", "m", got.array[M], want.array[M], scale[M], block);
  check_compare(c, "adam_moments", "v", got.array[V], want.array[V], scale[V], block);
  check_compare(c, "adam_moments", "v_max", got.array[V_MAX], want.array[V_MAX], scale[V_MAX],
                block);
}

static vane_step_record record_of(int64_t step) {
  return (vane_step_record){.in = {.step = step,
                                   .lr = 1e-2,
                                   .bias1 = 1.0 - pow(0.9, (double)step),
                                   .bias2 = 1.0 - pow(0.99, (double)step),
                                   .rectification = step < 6 ? 0.0 : 0.75,
                                   .adopt_limit = pow((double)step - 1.0, 0.25)},
                            .coefficient = {1.0, 0.7, 1.0, 0.3, 0.01, 1.0},
                            .clip = 0.6};
}

/* Bits of a mode's number. */
enum { MODE_HAT = 1, MODE_AMSGRAD = 2, MODE_L2 = 4, MODE_SPIKE = 8, N_MODES = 16 };

static void check_rules(check *c) {
  static const char *const names[] = {"adam", "adopt", "atan2", "adabelief", "radam"};
  static const int64_t steps[] = {1, 3, 1000};
  for (int rule = VANE_RULE_ADAM; rule <= VANE_RULE_RADAM; ++rule)
    for (int mode = 0; mode < N_MODES; ++mode) {
      bool amsgrad = mode & MODE_AMSGRAD && rule != VANE_RULE_ADOPT;
      vane_adam_desc desc = {.rule = rule,
                             .beta1 = 0.9,
                             .beta2 = 0.99,
                             .epsilon = mode & MODE_SPIKE ? 1e-8 : 1e-3,
                             .epsilon_mode =
                                 mode & MODE_HAT ? VANE_EPSILON_HAT : VANE_EPSILON_OUTSIDE,
                             .amsgrad = amsgrad,
                             .amsgrad_decay = mode & MODE_L2 ? 0.0 : 0.5,
                             .weight_decay = 0.1,
                             .decay_mode = mode & MODE_L2 ? VANE_DECAY_L2 : VANE_DECAY_DECOUPLED,
                             .spike_clip = mode & MODE_SPIKE ? 20.0 : 0.0};
      adam_arrays in = draw_inputs(c);
      int64_t step = steps[(mode + rule) % 3];
      vane_step_record record = record_of(step);
      check_label(c, "%s, mode %d, step %d", names[rule], mode, (int)step);
      compare_rule(c, &desc, &in, &record);
      record.in.adopt_limit = 0.0;
      record.in.reset = desc.resets = true;
      check_label(c, "%s, mode %d, moments set back", names[rule], mode);
      compare_rule(c, &desc, &in, &record);
    }
}

/* By hand: one parameter, g 2 in each of two steps, then -1; lr 1, no bias (corrections of 1). */
static void step_by_hand(check *c, const vane_adam_desc *desc, double adopt_limit,
                         double rectification, double theta[3]) {
  static const double gradients[] = {2.0, 2.0, -1.0};
  const vane_segment one = {0, 1, VANE_SHARED, 0};
  const double zero = 0.0;
  side s = side_begin(c->subject);
  const vane_block *planned = side_plan_block(&s, &one, 1);
  void *at = side_put(&s, &zero, 1), *m = side_put(&s, &zero, 1), *v = side_put(&s, &zero, 1);
  for (int i = 0; i < 3; ++i) {
    const vane_step_record record = {.in = {.step = i + 1,
                                            .lr = 1.0,
                                            .bias1 = 1.0,
                                            .bias2 = 1.0,
                                            .adopt_limit = adopt_limit,
                                            .rectification = rectification},
                                     .coefficient = {1, 1, 1, 1, 0, 1},
                                     .clip = 1.0};
    const vane_adam_memory memory = {
        .parameters = at, .gradients = side_put(&s, &gradients[i], 1), .m = m, .v = v};
    check_ok(
        c->subject->optim.adam(c->subject, desc, planned, &memory, side_put_record(&s, &record)));
    side_read(&s, at, &theta[i], 1);
  }
  side_end(&s);
}

static void check_by_hand(check *c) {
  vane_adam_desc desc = {.beta1 = 0.5, .beta2 = 0.75, .epsilon = 1e-12};
  double theta[3];
  check_label(c, "by hand");
  /* v: 4, 4, 3.25. g over the root before it: 1, then -1/2. m: 0, 1/2, 0. */
  desc.rule = VANE_RULE_ADOPT;
  step_by_hand(c, &desc, 0.0, 0.0, theta);
  assert_true(theta[0] == 0.0);
  check_scalar(c, "adam_rule_parameter", "adopt", theta[1], -0.5);
  check_scalar(c, "adam_rule_parameter", "adopt", theta[2], -0.5);
  /* Limited to 1/4: m: 0, 1/8, -1/16. */
  step_by_hand(c, &desc, 0.25, 0.0, theta);
  check_scalar(c, "adam_rule_parameter", "adopt, limited", theta[1], -0.125);
  check_scalar(c, "adam_rule_parameter", "adopt, limited", theta[2], -0.0625);
  /* m: 1, 3/2; v: 1, 7/4. */
  desc.rule = VANE_RULE_ATAN2;
  step_by_hand(c, &desc, 0.0, 0.0, theta);
  check_scalar(c, "adam_rule_parameter", "atan2", theta[0], -atan(1.0));
  check_scalar(c, "adam_rule_parameter", "atan2", theta[1], -atan(1.0) - atan(1.5 / sqrt(1.75)));
  /* g - m: 1, 1/2; v: 1/4, 1/4. */
  desc.rule = VANE_RULE_ADABELIEF;
  step_by_hand(c, &desc, 0.0, 0.0, theta);
  check_scalar(c, "adam_rule_parameter", "adabelief", theta[0], -2.0);
  check_scalar(c, "adam_rule_parameter", "adabelief", theta[1], -5.0);
  /* Not rectified yet: m alone. Then 1/2 of Adam's. */
  desc.rule = VANE_RULE_RADAM;
  step_by_hand(c, &desc, 0.0, 0.0, theta);
  check_scalar(c, "adam_rule_parameter", "radam", theta[1], -2.5);
  step_by_hand(c, &desc, 0.0, 0.5, theta);
  check_scalar(c, "adam_rule_parameter", "radam, rectified", theta[0], -0.5);
}

/* (N65) by hand: v 1/4, so g^2 is 1 at most of a limit of 4: with beta1 0 that is m. */
static void check_spike_by_hand(check *c) {
  const vane_segment four = {0, 4, VANE_SHARED, 0};
  const vane_adam_desc desc = {.beta2 = 0.5, .epsilon = 1.0, .spike_clip = 4.0};
  const double g[] = {3.0, -3.0, 0.5, 3.0}, v[] = {0.25, 0.25, 0.25, 0.0}, zeros[4] = {0.0};
  const double want[] = {1.0, -1.0, 0.5, 3.0};
  const vane_step_record record = {.in = {.step = 9, .lr = 1.0, .bias1 = 1.0, .bias2 = 1.0},
                                   .coefficient = {1, 1, 1, 1, 0, 1},
                                   .clip = 1.0};
  double got[4];
  side s = side_begin(c->subject);
  void *m = side_put(&s, zeros, 4);
  const vane_adam_memory memory = {.parameters = side_put(&s, zeros, 4),
                                   .gradients = side_put(&s, g, 4),
                                   .m = m,
                                   .v = side_put(&s, v, 4)};
  check_ok(c->subject->optim.adam(c->subject, &desc, side_plan_block(&s, &four, 1), &memory,
                                  side_put_record(&s, &record)));
  side_read(&s, m, got, 4);
  side_end(&s);
  check_label(c, "a spike by hand");
  check_compare(c, "adam_moments", "m", got, want, NULL, 4);
}

/* ---- Limits of whole tensors ----------------------------------------------------------------- */

static void compare_limits(check *c, const vane_adam_desc *desc, int64_t step) {
  adam_arrays in = draw_inputs(c);
  vane_step_record record = record_of(step);
  adam_arrays got = run_adam(c, c->subject, desc, &in, &record);
  adam_arrays want = run_adam(c, c->oracle, desc, &in, &record);
  double *scale[N_ARRAYS];
  int n_acting = 0;
  for (int s = 0; s < n_segments; ++s) {
    check_scalar(c, "adam_limit", "gradient", got.limits[s].gradient, want.limits[s].gradient);
    check_scalar(c, "adam_limit", "lr", got.limits[s].lr, want.limits[s].lr);
    n_acting += want.limits[s].gradient < 1.0 || want.limits[s].lr < 1.0;
  }
  assert_in_range(n_acting, 1, n_segments - 1);
  for (int a = 0; a < N_ARRAYS; ++a)
    scale[a] = check_array(c, block);
  set_scales(desc, &record, &in, &want, scale);
  check_compare(c, "adam_rule_parameter", "theta", got.array[THETA], want.array[THETA],
                scale[THETA], block);
  check_compare(c, "adam_moments", "m", got.array[M], want.array[M], scale[M], block);
  check_compare(c, "adam_moments", "v", got.array[V], want.array[V], scale[V], block);
}

static void check_limits(check *c) {
  for (int mode = 0; mode < 8; ++mode) {
    vane_adam_desc desc = {.rule = mode & 2 ? VANE_RULE_RADAM : VANE_RULE_ADAM,
                           .beta1 = 0.9,
                           .beta2 = 0.99,
                           .epsilon = 1e-3,
                           .epsilon_mode = mode & 1 ? VANE_EPSILON_HAT : VANE_EPSILON_OUTSIDE,
                           .amsgrad = mode & 1,
                           .weight_decay = 0.1,
                           .decay_mode = mode & 2 ? VANE_DECAY_L2 : VANE_DECAY_DECOUPLED};
    desc.spike_clip = mode & 4 ? 50.0 : 0.0;
    desc.update_clip = mode & 4 ? 1.1 : 1.5;
    check_label(c, "update_clip, mode %d", mode);
    compare_limits(c, &desc, 1000);
    desc.update_clip = 0.0;
    desc.adaptive_clip = mode & 4 ? 0.06 : 2.0;
    check_label(c, "adaptive_clip, mode %d", mode);
    compare_limits(c, &desc, 3);
  }
}

/* By hand: |g| 5 and |theta| 1, of which it may be half: 1/10. No weights count as 1e-3, and 5e-4
 * is half of that. v, which stays as it is, is a quarter of g^2 and as large as it: an RMS of 2,
 * and of 1. */
static void check_limits_by_hand(check *c) {
  const vane_segment pairs[] = {{0, 2, VANE_SHARED, 1}, {16, 2, VANE_SHARED, 0}};
  vane_adam_desc desc = {.beta2 = 1.0, .epsilon = 1e-12, .adaptive_clip = 0.5};
  const double theta[18] = {0.6, 0.8}, g[18] = {3.0, 4.0, [16] = 3e-4, 4e-4};
  const double v[18] = {2.25, 4.0, [16] = 9e-8, 16e-8}, zeros[18] = {0.0};
  const vane_step_record record = {.in = {.step = 9, .lr = 1.0, .bias1 = 1.0, .bias2 = 1.0},
                                   .coefficient = {1, 1, 1, 1, 0, 1},
                                   .clip = 1.0};
  vane_adam_limit limits[2];
  side s = side_begin(c->subject);
  const vane_block *planned = side_plan_block(&s, pairs, 2);
  void *at = side_bytes(&s, 2 * sizeof *limits);
  const vane_adam_memory memory = {.parameters = side_put(&s, theta, 18),
                                   .gradients = side_put(&s, g, 18),
                                   .m = side_put(&s, zeros, 18),
                                   .v = side_put(&s, v, 18),
                                   .limits = at};
  vane_step_record *on_device = side_put_record(&s, &record);
  check_label(c, "limits by hand");
  assert_int_equal(planned->n_parts, 2);
  check_ok(c->subject->optim.limits(c->subject, &desc, planned, &memory, on_device));
  check_ok(c->subject->memory.download(c->subject, limits, at, sizeof limits));
  check_ok(c->subject->memory.synchronize(c->subject));
  check_scalar(c, "adam_limit", "gradient", limits[0].gradient, 0.1);
  check_scalar(c, "adam_limit", "gradient", limits[1].gradient, 1.0);
  assert_true(limits[0].lr == 1.0 && limits[1].lr == 1.0);
  desc.adaptive_clip = 0.0;
  desc.update_clip = 1.5;
  check_ok(c->subject->optim.limits(c->subject, &desc, planned, &memory, on_device));
  check_ok(c->subject->memory.download(c->subject, limits, at, sizeof limits));
  check_ok(c->subject->memory.synchronize(c->subject));
  check_scalar(c, "adam_limit", "lr", limits[0].lr, 1.5 / 2.0);
  check_scalar(c, "adam_limit", "lr", limits[1].lr, 1.0);
  assert_true(limits[0].gradient == 1.0 && limits[1].gradient == 1.0);
  side_end(&s);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_rules), CHECK(check_by_hand),
                                 CHECK(check_spike_by_hand), CHECK(check_limits),
                                 CHECK(check_limits_by_hand)};
  return check_run("adam_rules", entries, sizeof entries / sizeof entries[0]);
}
