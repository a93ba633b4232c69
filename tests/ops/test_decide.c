/* Conformance of reduce.decide (N25, N26): the norm, the global clip, what is not finite, what is
 * skipped and who is blamed, and the interval's sums. Spikes and ZClip: test_spike.c. */
#include <string.h>

#include "ops/side.h"

#define FIFTH VANE_LOSS_REGULARIZATION

static const vane_segment segments[] = {
    {0, 100, VANE_SHARED, 1},         {112, 7, VANE_SHARED, 0},
    {128, 33, VANE_LOSS_PRESENCE, 1}, {176, 65, VANE_LOSS_ANGLE, 1},
    {256, 1, VANE_LOSS_MAGNITUDE, 0}, {272, 16, VANE_LOSS_POSITION, 1},
};
enum { n_segments = sizeof segments / sizeof segments[0], block = 288, batch = 12 };

typedef struct decide_case {
  vane_decide_desc desc;
  double *parameters, *gradients, *samples;
  vane_step_record record;
} decide_case;

static double *draw_block(check *c) {
  double *values = check_normal(c, block), *out = check_array(c, block);
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i)
      out[i] = values[i];
  return out;
}

static decide_case draw_case(check *c) {
  decide_case d = {.parameters = draw_block(c),
                   .gradients = draw_block(c),
                   .samples = check_normal(c, VANE_N_HEADS * batch)};
  d.record = (vane_step_record){.in.step = 5,
                                .loss = {0.5, 1.5, 2.5, 3.5, 4.5},
                                .coefficient = {1.0, 0.5, 0.25, 2.0, 0.01, 1.0},
                                .weight = {1.0, 0.5, 0.25, 4.0, 0.01},
                                .skip = 1};
  for (int k = 0; k < VANE_N_LOSSES; ++k)
    d.record.gram[k][k] = (k + 1.0) * (k + 1.0);
  d.record.gram[0][1] = d.record.gram[1][0] = -1.0;
  d.record.gram[3][3] = 0.0; /* a norm of zero: its cosines are 0 */
  return d;
}

static vane_step_record run_decide(vane_device *device, const decide_case *d) {
  side s = side_begin(device);
  vane_step_record *record = side_put_record(&s, &d->record);
  void *parameters = side_put(&s, d->parameters, block);
  void *gradients = side_put(&s, d->gradients, block);
  void *samples = side_put(&s, d->samples, VANE_N_HEADS * batch);
  check_ok(device->reduce.decide(device, &d->desc, side_plan_block(&s, segments, n_segments),
                                 parameters, gradients, samples, batch, record));
  vane_step_record after = side_read_record(&s, record);
  side_end(&s);
  return after;
}

static void check_norm(check *c) {
  decide_case d = draw_case(c);
  double squares = 0.0;
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i) {
      double g = d.record.coefficient[segments[s].task] * d.gradients[i];
      g += segments[s].decay ? 0.01 * d.parameters[i] : 0.0;
      squares += g * g;
    }
  double norm = sqrt(squares);
  const double limits[] = {0.0, 1e9, 0.5 * norm};
  for (int i = 0; i < 3; ++i) {
    d.desc.clip_global = limits[i];
    vane_step_record got = run_decide(c->subject, &d);
    check_label(c, "limit %g", limits[i]);
    check_scalar(c, "norm", "gradient_norm", got.gradient_norm, norm);
    check_scalar(c, "norm", "clip", got.clip, i == 2 ? 0.5 : 1.0);
    assert_int_equal(got.skip, 0);
    assert_int_equal(got.n_bad_steps, 0);
    check_scalar(c, "decide", "clipped_global", got.sum.clipped_global, i == 2 ? 1.0 : 0.0);
  }
}

/* Gradients whose squares a float cannot hold: the norm is that of the oracle. */
static void check_norm_sizes(check *c) {
  static const double sizes[] = {1e-30, 1e-22, 1e-17, 1e17, 1e25};
  for (int i = 0; i < 5; ++i) {
    decide_case d = draw_case(c);
    for (int64_t j = 0; j < block; ++j) {
      d.gradients[j] = (double)(float)(sizes[i] * d.gradients[j]);
      d.parameters[j] = (double)(float)(sizes[i] * d.parameters[j]);
    }
    d.gradients[20] = d.parameters[20] = 0.0;
    vane_step_record got = run_decide(c->subject, &d), want = run_decide(c->oracle, &d);
    check_label(c, "gradients of %g", sizes[i]);
    check_scalar(c, "norm", "gradient_norm", got.gradient_norm, want.gradient_norm);
    assert_int_equal(got.skip, want.skip);
  }
}

static void check_sums(check *c) {
  decide_case d = draw_case(c);
  for (int step = 1; step <= 3; ++step) {
    d.record.average_scale = step == 1 ? 0.0 : step == 2 ? 1.0 : 0.5; /* 0: did not run */
    d.record = run_decide(c->subject, &d);
  }
  const vane_step_sum *sum = &d.record.sum;
  const double norms[] = {3.0, 6.0, 9.0, 0.0, 15.0}, losses[] = {1.5, 4.5, 7.5, 10.5, 13.5};
  const double cosines[] = {3.0, -1.5, 0.0, 0.0, 0.0}, clipped[] = {0.0, 0.0, 0.0, 3.0, 0.0};
  check_label(c, "three good steps");
  check_compare(c, "decide", "loss", sum->loss, losses, NULL, VANE_N_LOSSES);
  check_compare(c, "decide", "norm", sum->norm, norms, NULL, VANE_N_LOSSES);
  check_compare(c, "decide", "cosine", sum->cosine[0], cosines, NULL, VANE_N_LOSSES);
  check_compare(c, "decide", "clipped_loss", sum->clipped_loss, clipped, NULL, VANE_N_LOSSES);
  check_scalar(c, "decide", "gradient_norm", sum->gradient_norm, 3.0 * d.record.gradient_norm);
  check_scalar(c, "decide", "clipped_average", sum->clipped_average, 1.0);
  check_scalar(c, "decide", "steps", sum->steps, 3.0);
  check_scalar(c, "decide", "skipped", sum->skipped, 0.0);
  assert_true(sum->cosine[3][3] == 0.0);
}

/* A bad step adds to the skipped and to nothing else. */
static void assert_skipped(const vane_step_record *got, int32_t bad_loss) {
  vane_step_sum nothing = {.skipped = 1.0};
  assert_int_equal(got->skip, 1);
  assert_int_equal(got->n_bad_steps, 1);
  assert_true(got->bad_steps[0].note.step == 5.0);
  assert_int_equal(got->bad_steps[0].kind, VANE_BAD_NONFINITE);
  assert_int_equal(got->bad_steps[0].loss, bad_loss);
  assert_memory_equal(&got->sum, &nothing, sizeof nothing);
}

static void check_bad_losses(check *c) {
  const double bad[] = {CHECK_NAN, CHECK_INFINITY, -CHECK_INFINITY};
  for (int k = 0; k < VANE_N_LOSSES; ++k) {
    decide_case d = draw_case(c);
    d.desc.on_nonfinite = VANE_NONFINITE_SKIP;
    for (int later = k; later < VANE_N_LOSSES; ++later)
      d.record.loss[later] = bad[k % 3];
    for (int64_t i = 0; k < VANE_N_HEADS && i < batch; ++i)
      if (i % 5 == 2)
        d.samples[k * batch + i] = bad[i % 3];
    vane_step_record got = run_decide(c->subject, &d);
    assert_skipped(&got, k);
    assert_int_equal(got.halted, 0);
    assert_int_equal(got.bad_steps[0].n_samples, k < VANE_N_HEADS ? 2 : 0);
    if (k < VANE_N_HEADS) {
      assert_int_equal(got.bad_steps[0].samples[0], 2);
      assert_int_equal(got.bad_steps[0].samples[1], 7);
    }
  }
}

static void check_bad_gradients(check *c) {
  for (int k = 0; k < VANE_N_LOSSES; ++k) {
    decide_case d = draw_case(c);
    d.record.gram[k][k] = CHECK_INFINITY;
    vane_step_record got = run_decide(c->subject, &d);
    assert_skipped(&got, k);
    assert_int_equal(got.bad_steps[0].n_samples, 0);
    assert_int_equal(got.halted, 1); /* stop is the default */
  }
  static const int64_t places[] = {0, 99, 113, 240, 256, 287};
  for (int i = 0; i < 6; ++i) {
    decide_case d = draw_case(c);
    d.gradients[places[i]] = i % 2 ? CHECK_NAN : CHECK_INFINITY;
    vane_step_record got = run_decide(c->subject, &d);
    assert_skipped(&got, VANE_SHARED);
    assert_int_equal(got.bad_steps[0].n_samples, 0);
  }
}

/* Finite, but its square would overflow in Adam's second moment (N26). */
static void check_overflow(check *c) {
  decide_case d = draw_case(c);
  d.gradients[50] = 1e20;
  vane_step_record got = run_decide(c->subject, &d);
  assert_skipped(&got, VANE_SHARED);
  d = draw_case(c);
  d.record.gram[1][1] = 1e39;
  got = run_decide(c->subject, &d);
  assert_skipped(&got, 1);
}

/* More bad samples than the record has room for: all are counted, the first eight named. */
static void check_many_samples(check *c) {
  decide_case d = draw_case(c);
  d.record.loss[1] = CHECK_NAN;
  for (int64_t i = 1; i < batch; ++i)
    d.samples[batch + i] = CHECK_NAN;
  vane_step_record got = run_decide(c->subject, &d);
  assert_int_equal(got.bad_steps[0].n_samples, batch - 1);
  for (int i = 0; i < 8; ++i)
    assert_int_equal(got.bad_steps[0].samples[i], i + 1);
}

/* After a stop every step is skipped, however good or bad, and the first one keeps the blame. */
static void check_halt(check *c) {
  decide_case d = draw_case(c);
  d.desc.on_nonfinite = VANE_NONFINITE_STOP;
  d.record.loss[2] = CHECK_NAN;
  d.samples[2 * batch + 3] = CHECK_NAN;
  vane_step_record bad = run_decide(c->subject, &d);
  assert_skipped(&bad, 2);
  assert_int_equal(bad.halted, 1);
  for (int turn = 0; turn < 2; ++turn) {
    d.record = bad;
    d.record.in.step = 6;
    d.record.loss[2] = 1.0;
    d.record.loss[0] = turn ? CHECK_NAN : 1.0;
    vane_step_record got = run_decide(c->subject, &d);
    assert_int_equal(got.skip, 1);
    assert_int_equal(got.halted, 1);
    assert_int_equal(got.n_bad_steps, 1);
    assert_true(got.bad_steps[0].note.step == 5.0);
    assert_int_equal(got.bad_steps[0].loss, 2);
    assert_int_equal(got.bad_steps[0].n_samples, 1);
    assert_int_equal(got.bad_steps[0].samples[0], 3);
    check_scalar(c, "decide", "skipped", got.sum.skipped, 2.0);
    check_scalar(c, "decide", "steps", got.sum.steps, 0.0);
  }
}

/* With skip, training goes on, and each bad step is noted while there is room; a step that halts is
 * noted in any case. */
static void check_skip_and_go_on(check *c) {
  decide_case d = draw_case(c);
  d.desc.on_nonfinite = VANE_NONFINITE_SKIP;
  d.record.loss[2] = CHECK_NAN;
  d.record = run_decide(c->subject, &d);
  d.record.in.step = 6;
  d.record.loss[2] = 1.0;
  d.record = run_decide(c->subject, &d);
  assert_int_equal(d.record.skip, 0);
  check_scalar(c, "decide", "steps", d.record.sum.steps, 1.0);
  d.record.in.step = 7;
  d.record.loss[0] = CHECK_NAN;
  d.record = run_decide(c->subject, &d);
  assert_int_equal(d.record.skip, 1);
  assert_int_equal(d.record.n_bad_steps, 2);
  assert_true(d.record.bad_steps[0].note.step == 5.0 && d.record.bad_steps[1].note.step == 7.0);
  assert_int_equal(d.record.bad_steps[0].loss, 2);
  assert_int_equal(d.record.bad_steps[1].loss, 0);
  check_scalar(c, "decide", "skipped", d.record.sum.skipped, 2.0);
  for (d.record.in.step = 8; d.record.in.step <= 17; ++d.record.in.step) {
    d.desc.on_nonfinite = d.record.in.step < 17 ? VANE_NONFINITE_SKIP : VANE_NONFINITE_STOP;
    d.record = run_decide(c->subject, &d);
  }
  assert_int_equal(d.record.n_bad_steps, 12);
  for (int i = 2; i < VANE_N_BAD_STEPS - 1; ++i) {
    assert_true(d.record.bad_steps[i].note.step == 6.0 + i);
    assert_int_equal(d.record.bad_steps[i].running, i);
  }
  assert_true(d.record.bad_steps[VANE_N_BAD_STEPS - 1].note.step == 17.0);
  assert_int_equal(d.record.halted, 1);
}

int main(void) {
  const check_entry entries[] = {
      CHECK(check_norm),       CHECK(check_norm_sizes),    CHECK(check_sums),
      CHECK(check_bad_losses), CHECK(check_bad_gradients), CHECK(check_many_samples),
      CHECK(check_halt),       CHECK(check_overflow),      CHECK(check_skip_and_go_on),
  };
  return check_run("decide", entries, sizeof entries / sizeof entries[0]);
}
