/* Conformance of Adam's telemetry (N40): what each device saw, added up per segment, is what the
 * oracle saw, and watching changes nothing. */
#include "ops/side.h"

#include <stdlib.h>
#include <string.h>

#include "optim/telemetry.h"

/* One longer than two chunks of the GPU, so that with three threads it belongs to each of them;
 * some far smaller than any vector, one empty. */
static const vane_segment segments[] = {
    {0, 37, VANE_SHARED, 1},           {48, 5, VANE_SHARED, 0},
    {64, 1, VANE_LOSS_PRESENCE, 1},    {80, 0, VANE_LOSS_PRESENCE, 1},
    {80, 64, VANE_LOSS_ANGLE, 0},      {144, 9001, VANE_LOSS_ANGLE, 1},
    {9152, 15, VANE_LOSS_POSITION, 1}, {9168, 40, VANE_SHARED, 0},
};
enum {
  n_segments = sizeof segments / sizeof segments[0],
  block = 9208,
  n_steps = 3,
  never_alive = 7 /* a segment without gradients and second moments, as padding is */
};

enum { THETA, GRADIENT, M, V, V_MAX, N_ARRAYS };

typedef struct adam_inputs {
  double *array[N_ARRAYS];
} adam_inputs;

typedef struct adam_outputs {
  double *array[N_ARRAYS];
  vane_adam_telemetry seen[n_segments];
} adam_outputs;

/* Sizes between which everything that is counted happens: roots on either side of epsilon (0.05),
 * parameters without gradient, second moment, or either, and second moments below the normal
 * floats. All numbers of a parameter have one sign, so that none of its sums cancels. */
static void set_parameter(adam_inputs *in, double *const normal[N_ARRAYS], int64_t i) {
  double size = i % 11 == 3 ? 1e-20 : i % 7 == 2 ? 1e-6 : 0.1;
  bool no_gradient = i % 5 == 1, no_moment = i % 3 == 1;
  double sign = i % 2 ? -1.0 : 1.0, large = sign * size;
  in->array[THETA][i] = sign * fabs(normal[THETA][i]);
  in->array[GRADIENT][i] = no_gradient ? 0.0 : (double)(float)(large * fabs(normal[GRADIENT][i]));
  if (no_moment)
    return;
  in->array[M][i] = (double)(float)(large * fabs(normal[M][i]));
  in->array[V][i] = (double)(float)(size * size * normal[V][i] * normal[V][i]);
  in->array[V_MAX][i] = (double)(float)(size * size * normal[V_MAX][i] * normal[V_MAX][i]);
}

static adam_inputs draw_inputs(check *c) {
  double *normal[N_ARRAYS];
  adam_inputs in;
  for (int a = 0; a < N_ARRAYS; ++a) {
    normal[a] = check_normal(c, block);
    in.array[a] = check_array(c, block);
  }
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i)
      set_parameter(&in, normal, i);
  for (int64_t i = 0; i < segments[never_alive].count; ++i)
    for (int a = 0; a < N_ARRAYS; ++a)
      in.array[a][segments[never_alive].offset + i] = 0.0;
  return in;
}

static void read_telemetry(vane_device *device, const vane_block *planned, const void *memory,
                           vane_adam_telemetry seen[n_segments]) {
  size_t bytes = (size_t)planned->n_parts * sizeof(vane_adam_telemetry);
  vane_adam_telemetry *parts = malloc(bytes);
  assert_non_null(parts);
  check_ok(device->memory.download(device, parts, memory, bytes));
  check_ok(device->memory.synchronize(device));
  memset(seen, 0, n_segments * sizeof *seen);
  for (int64_t s = 0; s < n_segments; ++s)
    vane_telemetry_add(&seen[s], planned, parts, s);
  free(parts);
}

/* A few steps on the same gradients, the learning rate of each another. */
static adam_outputs run_adam(check *c, vane_device *device, const vane_adam_desc *desc,
                             const adam_inputs *in, const vane_step_record *first,
                             bool has_telemetry) {
  side s = side_begin(device);
  adam_outputs out;
  void *array[N_ARRAYS];
  const vane_block *planned = side_plan_block(&s, segments, n_segments);
  size_t bytes = (size_t)planned->n_parts * sizeof(vane_adam_telemetry);
  void *telemetry = side_bytes(&s, bytes);
  check_ok(device->memory.clear(device, telemetry, bytes));
  for (int a = 0; a < N_ARRAYS; ++a)
    array[a] = side_put(&s, in->array[a], block);
  const vane_adam_memory memory = {.parameters = array[THETA],
                                   .gradients = array[GRADIENT],
                                   .m = array[M],
                                   .v = array[V],
                                   .v_max = desc->amsgrad ? array[V_MAX] : NULL,
                                   .telemetry = has_telemetry ? telemetry : NULL};
  for (int step = 0; step < n_steps; ++step) {
    vane_step_record record = *first;
    record.in.step += step;
    record.in.lr *= 1.0 + step;
    record.in.bias1 = 1.0 - pow(desc->beta1, (double)record.in.step);
    record.in.bias2 = 1.0 - pow(desc->beta2, (double)record.in.step);
    check_ok(device->optim.adam(device, desc, planned, &memory, side_put_record(&s, &record)));
  }
  for (int a = 0; a < N_ARRAYS; ++a) {
    out.array[a] = check_array(c, block);
    side_read(&s, array[a], out.array[a], block);
  }
  read_telemetry(device, planned, telemetry, out.seen);
  side_end(&s);
  return out;
}

static void compare_sum(check *c, int segment, const char *what, double got, double want) {
  char name[64];
  snprintf(name, sizeof name, "%s of segment %d", what, segment);
  double scale = want;
  check_compare(c, "adam_telemetry", name, &got, &want, &scale, 1);
}

static void compare_seen(check *c, const vane_adam_telemetry *got, const vane_adam_telemetry *want,
                         int segment) {
  double counts[] = {got->live, got->below, got->underflows};
  double expected[] = {want->live, want->below, want->underflows};
  check_equal(c, "adam_telemetry", "counts", counts, expected, 3);
  compare_sum(c, segment, "ratio", got->ratio, want->ratio);
  compare_sum(c, segment, "update", got->update, want->update);
  compare_sum(c, segment, "weight", got->weight, want->weight);
  compare_sum(c, segment, "largest", got->largest, want->largest);
}

static vane_step_record record_of(int64_t step) {
  return (vane_step_record){.in = {.step = step, .lr = 1e-3, .watch = 1},
                            .coefficient = {1.0, 0.7, 1.0, 0.3, 0.01, 1.0},
                            .clip = 0.6};
}

/* Bits of a mode's number. */
enum { MODE_HAT = 1, MODE_AMSGRAD = 2, MODE_L2 = 4, MODE_LIMIT = 8, N_MODES = 16 };

static vane_adam_desc desc_of(int mode) {
  return (vane_adam_desc){.beta1 = 0.9,
                          .beta2 = 0.999,
                          .epsilon = 0.05,
                          .epsilon_mode = mode & MODE_HAT ? VANE_EPSILON_HAT : VANE_EPSILON_OUTSIDE,
                          .amsgrad = mode & MODE_AMSGRAD,
                          .weight_decay = 0.1,
                          .decay_mode = mode & MODE_L2 ? VANE_DECAY_L2 : VANE_DECAY_DECOUPLED};
}

static void check_modes(check *c) {
  for (int mode = 0; mode < N_MODES; ++mode) {
    vane_adam_desc desc = desc_of(mode);
    adam_inputs in = draw_inputs(c);
    vane_step_record record = record_of(mode % 3 ? 2000 : 1);
    if (mode & MODE_LIMIT) {
      record.guard.largest_lr = 1.5e-3; /* below that of the second step */
      record.coefficient[VANE_LOSS_REGULARIZATION] = 0.0;
    }
    adam_outputs got = run_adam(c, c->subject, &desc, &in, &record, true);
    adam_outputs want = run_adam(c, c->oracle, &desc, &in, &record, true);
    check_label(c, "mode %d", mode);
    for (int s = 0; s < n_segments; ++s)
      compare_seen(c, &got.seen[s], &want.seen[s], s);
  }
}

/* By hand: two parameters that are alive, of which one is below epsilon and underflows, and one
 * that is not. */
static void check_by_hand(check *c) {
  const vane_segment three = {0, 3, VANE_SHARED, 0};
  const vane_adam_desc desc = {.beta1 = 0.5, .beta2 = 0.75, .epsilon = 0.25};
  const double theta[] = {3.0, 4.0, 12.0}, g[] = {2.0, 0x1p-70, 0.0}, zeros[] = {0.0, 0.0, 0.0};
  vane_step_record record = {.in = {.step = 1, .lr = 0.5, .bias1 = 0.5, .bias2 = 0.25, .watch = 1},
                             .coefficient = {1, 1, 1, 1, 0, 1},
                             .clip = 1.0};
  side s = side_begin(c->subject);
  const vane_block *planned = side_plan_block(&s, &three, 1);
  vane_adam_telemetry seen = {0};
  void *telemetry = side_bytes(&s, (size_t)planned->n_parts * sizeof seen);
  check_ok(c->subject->memory.upload(c->subject, telemetry, &seen, sizeof seen));
  const vane_adam_memory memory = {.parameters = side_put(&s, theta, 3),
                                   .gradients = side_put(&s, g, 3),
                                   .m = side_put(&s, zeros, 3),
                                   .v = side_put(&s, zeros, 3),
                                   .telemetry = telemetry};
  assert_int_equal(planned->n_parts, 1);
  check_ok(
      c->subject->optim.adam(c->subject, &desc, planned, &memory, side_put_record(&s, &record)));
  check_ok(c->subject->memory.download(c->subject, &seen, telemetry, sizeof seen));
  check_ok(c->subject->memory.synchronize(c->subject));
  /* The first: m 1, v 1, mhat 2, root of vhat 2, a move of 2/2.25. The second: g^2 is 2^-140, the
   * divisor of it no smaller than 2^-126; times bias2. */
  check_scalar(c, "adam_telemetry", "live", seen.live, 2.0);
  check_scalar(c, "adam_telemetry", "below", seen.below, 1.0);
  check_scalar(c, "adam_telemetry", "underflows", seen.underflows, 1.0);
  check_scalar(c, "adam_telemetry", "ratio", seen.ratio, 1.0 + 0x1p-16);
  check_scalar(c, "adam_telemetry", "update", seen.update, 1.0 / 2.25 / 2.25);
  check_scalar(c, "adam_telemetry", "weight", seen.weight, 9.0 + 16.0 + 144.0);
  check_scalar(c, "adam_telemetry", "largest", seen.largest, 2.0 / 2.25);
  side_end(&s);
}

static void assert_saw_nothing(const adam_outputs *out) {
  for (int s = 0; s < n_segments; ++s) {
    const vane_adam_telemetry *seen = &out->seen[s];
    assert_true(seen->live == 0.0 && seen->below == 0.0 && seen->underflows == 0.0);
    assert_true(seen->ratio == 0.0 && seen->update == 0.0 && seen->weight == 0.0);
    assert_true(seen->largest == 0.0);
  }
}

static void assert_same_results(check *c, const adam_outputs *got, const adam_outputs *want) {
  static const char *const names[] = {"theta", "gradient", "m", "v", "v_max"};
  for (int a = 0; a < N_ARRAYS; ++a)
    check_equal(c, "adam", names[a], got->array[a], want->array[a], block);
}

static void check_watching_changes_nothing(check *c) {
  for (int mode = 0; mode <= (MODE_HAT | MODE_AMSGRAD); ++mode) {
    vane_adam_desc desc = desc_of(mode);
    adam_inputs in = draw_inputs(c);
    vane_step_record record = record_of(10);
    adam_outputs watched = run_adam(c, c->subject, &desc, &in, &record, true);
    adam_outputs again = run_adam(c, c->subject, &desc, &in, &record, true);
    adam_outputs without = run_adam(c, c->subject, &desc, &in, &record, false);
    record.in.watch = 0;
    adam_outputs not_watched = run_adam(c, c->subject, &desc, &in, &record, true);
    check_label(c, "mode %d", mode);
    assert_same_results(c, &watched, &without);
    assert_same_results(c, &not_watched, &without);
    assert_memory_equal(again.seen, watched.seen, sizeof again.seen);
    assert_true(watched.seen[0].live > 0.0 && watched.seen[never_alive].live == 0.0);
    assert_saw_nothing(&not_watched);
  }
}

static void check_a_skipped_step_is_not_seen(check *c) {
  vane_adam_desc desc = desc_of(0);
  adam_inputs in = draw_inputs(c);
  vane_step_record record = record_of(10);
  in.array[GRADIENT][3] = CHECK_NAN;
  record.skip = 1;
  adam_outputs out = run_adam(c, c->subject, &desc, &in, &record, true);
  assert_saw_nothing(&out);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_modes), CHECK(check_by_hand),
                                 CHECK(check_watching_changes_nothing),
                                 CHECK(check_a_skipped_step_is_not_seen)};
  return check_run("adam_telemetry", entries, sizeof entries / sizeof entries[0]);
}
