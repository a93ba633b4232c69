/* Conformance of what reduce.decide does for the guard: it follows the loss (N42) and says how long
 * a step may be (N38). Expected values are the formulas written out. */
#include <string.h>

#include "ops/side.h"

static const vane_segment segments[] = {{0, 16, VANE_SHARED, 0}};

typedef struct course {
  vane_decide_desc desc;
  vane_step_record record;
} course;

/* At a limit of 40, a curvature of 10 and a learning rate of 1 Adam takes a quarter of it. */
static course start(double margin) {
  course run = {.desc = {.on_nonfinite = VANE_NONFINITE_SKIP,
                         .guard = {.acts = true,
                                   .limit = 40.0,
                                   .margin = margin,
                                   .floor = 0.05,
                                   .signed_loss = -1}},
                .record = {.in = {.lr = 1.0},
                           .coefficient = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0},
                           .weight = {0.5, 0.0, 2.0, 0.0, 1.0},
                           .guard = {.bound = 10.0}}};
  return run;
}

/* After many losses of `loss` without noise. */
static course settled(double margin, double loss) {
  course run = start(margin);
  run.record.guard.level = run.record.guard.last = log(loss);
  run.record.guard.losses = 1000;
  return run;
}

static void decide(vane_device *device, course *run) {
  double zeros[16] = {0.0};
  side on = side_begin(device);
  ++run->record.in.step;
  vane_step_record *record = side_put_record(&on, &run->record);
  const void *parameters = side_put(&on, zeros, 16), *gradients = side_put(&on, zeros, 16);
  const void *samples = side_put(&on, zeros, VANE_N_HEADS);
  check_ok(device->reduce.decide(device, &run->desc, side_plan_block(&on, segments, 1), parameters,
                                 gradients, samples, 1, record));
  run->record = side_read_record(&on, record);
  side_end(&on);
}

/* A step whose weighted loss is `loss`, half of it from each of two heads; what is switched off,
 * and the regularisation, take no part. */
static void step(check *c, course *run, double loss) {
  run->record.loss[VANE_LOSS_PRESENCE] = loss;
  run->record.loss[VANE_LOSS_MAGNITUDE] = 0.25 * loss;
  run->record.loss[VANE_LOSS_POSITION] = 1e9;
  run->record.loss[VANE_LOSS_REGULARIZATION] = 1e9;
  decide(c->subject, run);
}

static void steps(check *c, course *run, int n, double loss) {
  for (int i = 0; i < n; ++i)
    step(c, run, loss);
}

static void assert_near(check *c, const char *what, double got, double want) {
  if (!(fabs(got - want) <= 1e-9 * (1.0 + fabs(want))))
    fail_msg("%s, %s: %s is %.17g instead of %.17g", c->name, c->label, what, got, want);
}

static void assert_same_state(check *c, const vane_guard_state *got, const vane_guard_state *want) {
  assert_near(c, "largest_lr", got->largest_lr, want->largest_lr);
  assert_near(c, "level", got->level, want->level);
  assert_near(c, "noise", got->noise, want->noise);
  assert_near(c, "last", got->last, want->last);
  assert_near(c, "rise", got->rise, want->rise);
  assert_near(c, "peak", got->peak, want->peak);
  assert_near(c, "narrowing", got->narrowing, want->narrowing);
  assert_near(c, "brake", got->brake, want->brake);
  assert_int_equal(got->losses, want->losses);
  assert_int_equal(got->alarms, want->alarms);
  assert_int_equal(got->probes, want->probes);
}

/* A noisy loss that falls, rises, and is not finite now and then, on the device and on the oracle.
 */
static void check_course(check *c) {
  for (int density = 0; density < 2; ++density) {
    course got = start(1.0);
    got.desc.guard.signed_loss = density ? VANE_LOSS_MAGNITUDE : -1;
    got.record.guard.losses = VANE_GUARD_BEGIN - 50;
    course want = got;
    const double *noise = check_normal(c, 120);
    for (int i = 0; i < 120; ++i) {
      double loss = exp(0.4 * noise[i] - 0.02 * i + (i > 80 ? 0.3 * (i - 80) : 0.0));
      check_label(c, "density %d, loss %d", density, i);
      got.record.loss[VANE_LOSS_PRESENCE] = i % 30 == 5 ? CHECK_NAN : loss;
      got.record.loss[VANE_LOSS_MAGNITUDE] = density ? log(loss) : loss;
      memcpy(want.record.loss, got.record.loss, sizeof got.record.loss);
      decide(c->subject, &got);
      decide(c->oracle, &want);
      assert_same_state(c, &got.record.guard, &want.record.guard);
    }
    assert_int_equal(got.record.guard.losses, VANE_GUARD_BEGIN - 50 + 120 - 4);
    assert_true(got.record.guard.alarms > 1);
  }
}

/* (N38) at the very margin, and what brakes do to it. */
static void check_limit(check *c) {
  course run = start(0.5);
  check_label(c, "limit");
  step(c, &run, 1.0);
  assert_near(c, "largest_lr", run.record.guard.largest_lr, 0.5 * 40.0 / 10.0);
  run.record.guard.narrowing = 0.25;
  step(c, &run, 1.0);
  assert_near(c, "narrowing", run.record.guard.narrowing, 0.25 - 1e-5);
  assert_near(c, "largest_lr", run.record.guard.largest_lr, 2.0 * exp(-0.25 + 1e-5));
  run.record.guard.brake = 1.05; /* of the smaller one: the schedule's */
  step(c, &run, 1.0);
  assert_near(c, "largest_lr", run.record.guard.largest_lr, exp(-1.0));
  run.record.in.lr = 4.0; /* and now the limit */
  run.record.guard.brake = 1.05;
  run.record.guard.narrowing = 0.0;
  step(c, &run, 1.0);
  assert_near(c, "largest_lr", run.record.guard.largest_lr, 2.0 * exp(-1.0));
  run.record.guard.bound = 0.0; /* flat: no limit */
  step(c, &run, 1.0);
  assert_true(run.record.guard.largest_lr == 0.0);
}

/* The loss doubles: S passes 8 at the fourth. The share is narrowed once, and the brake is put on
 * again only where the loss goes on to rise. */
static void check_alarm(check *c) {
  const double doubled = log(2.0);
  course run = settled(1.0, 1e-3);
  vane_guard_state *guard = &run.record.guard;
  check_label(c, "alarm");
  step(c, &run, 1e-3);
  assert_near(c, "level", guard->level, log(1e-3));
  assert_true(guard->rise == 0.0 && guard->alarms == 0);
  /* The floor of the noise is 0.2: one doubling is 3.5 deviations, the mean takes a hundredth. */
  step(c, &run, 2e-3);
  assert_near(c, "rise", guard->rise, doubled / 0.2 - 0.75);
  step(c, &run, 4e-3);
  assert_int_equal(guard->alarms, 0);
  step(c, &run, 8e-3); /* 3 + 5 + 5 deviations, limited, less 0.75 each */
  assert_int_equal(guard->alarms, 1);
  assert_near(c, "peak", guard->peak, log(8e-3));
  assert_near(c, "narrowing", guard->narrowing,
              -log(0.75)); /* 0.9 of a quarter is too far at once */
  assert_near(c, "brake", guard->brake, 2.3);
  assert_near(c, "largest_lr", guard->largest_lr, exp(-2.3));
  steps(c, &run, 20, 8e-3);
  assert_int_equal(guard->alarms, 1); /* still high, but no higher */
  assert_near(c, "brake", guard->brake, 2.3 - 20 * 0.05);
  step(c, &run, 3.2e-2);
  assert_int_equal(guard->alarms, 2);
  assert_near(c, "narrowing", guard->narrowing, -log(0.75) - 21e-5);
  assert_near(c, "brake", guard->brake, 4.6 - 21 * 0.05);
  steps(c, &run, 72, 1e-4);
  assert_true(guard->brake == 0.0 && guard->alarms == 2);
}

/* What is not Adam's doing, or no rise. */
static void check_silence(check *c) {
  check_label(c, "begin");
  course run = start(1.0);
  run.record.guard.losses = VANE_GUARD_BEGIN - 20;
  for (int i = 0; i < 20; ++i)
    step(c, &run, exp(0.5 * i));
  assert_true(run.record.guard.rise == 0.0 && run.record.guard.alarms == 0);
  step(c, &run, exp(10.0));
  assert_true(run.record.guard.rise > 0.0);

  check_label(c, "outlier");
  run = settled(1.0, 1.0);
  step(c, &run, 1e12);
  assert_near(c, "rise", run.record.guard.rise, 4.25);
  assert_near(c, "level", run.record.guard.level, 0.006);
  steps(c, &run, 10, 1.0);
  assert_true(run.record.guard.alarms == 0 && run.record.guard.rise == 0.0);

  check_label(c, "fall");
  run = settled(1.0, 1.0);
  step(c, &run, exp(-1.0));
  assert_near(c, "level", run.record.guard.level, -0.02); /* two hundredths of the way */

  check_label(c, "floor");
  run = settled(1.0, 1.0);
  run.record.in.lr = 0.19; /* less than a twentieth of the limit */
  steps(c, &run, 10, 8.0);
  assert_true(run.record.guard.alarms == 0 && run.record.guard.brake == 0.0);
  assert_true(run.record.guard.largest_lr == 4.0);

  check_label(c, "never below the floor");
  run = settled(1.0, 1.0);
  run.record.guard.narrowing = -log(0.052);
  run.record.guard.bound = 40.0;
  steps(c, &run, 2, 8.0);
  assert_int_equal(run.record.guard.alarms, 1);
  assert_near(c, "share", exp(-run.record.guard.narrowing), 0.05);

  check_label(c, "watch");
  run = settled(1.0, 1.0);
  run.desc.guard.acts = false;
  vane_guard_state before = run.record.guard;
  steps(c, &run, 5, 100.0);
  assert_memory_equal(&run.record.guard, &before, sizeof before);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_course), CHECK(check_limit), CHECK(check_alarm),
                                 CHECK(check_silence)};
  return check_run("guard_loss", entries, sizeof entries / sizeof entries[0]);
}
