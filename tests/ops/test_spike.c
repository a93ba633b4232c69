/* Conformance of what reduce.decide knows from step to step: spikes (N27), against a window that is
 * sorted, and ZClip (N28), against the formulas written out. */
#include <stdlib.h>
#include <string.h>

#include "ops/side.h"

/* One segment whose gradient has the norm that a case wants. */
static const vane_segment segments[] = {{0, 16, VANE_SHARED, 0}};
enum { batch = 12 };

typedef struct spike_case {
  vane_decide_desc desc;
  double norm;                          /* of the gradient */
  double samples[VANE_N_HEADS * batch]; /* losses of the examples */
  vane_step_record record;
} spike_case;

static spike_case start(int mode, int64_t window, double threshold) {
  spike_case s = {.desc = {.on_nonfinite = VANE_NONFINITE_SKIP,
                           .spike_mode = mode,
                           .spike_window = window,
                           .spike_threshold = threshold},
                  .norm = 1.0};
  s.record = (vane_step_record){.coefficient = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0},
                                .weight = {1.0, 0.5, 2.0, 0.0, 1.0}};
  for (int k = 0; k < VANE_N_LOSSES; ++k)
    s.record.gram[k][k] = 1.0;
  return s;
}

/* A step whose total is `total`: the second loss makes all of it. */
static void step(check *c, spike_case *s, double total) {
  double gradients[16] = {s->norm};
  side on = side_begin(c->subject);
  ++s->record.in.step;
  s->record.loss[VANE_LOSS_ANGLE] = 2.0 * total;
  s->record.loss[VANE_LOSS_REGULARIZATION] = 1e6; /* takes no part */
  vane_step_record *record = side_put_record(&on, &s->record);
  void *parameters = side_put(&on, gradients, 16);
  void *put = side_put(&on, gradients, 16);
  void *samples = side_put(&on, s->samples, VANE_N_HEADS * batch);
  check_ok(c->subject->reduce.decide(c->subject, &s->desc, side_plan_block(&on, segments, 1),
                                     parameters, put, samples, batch, record));
  s->record = side_read_record(&on, record);
  side_end(&on);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double sorted_median(double *values, int64_t n) {
  qsort(values, (size_t)n, sizeof *values, compare);
  return values[(n - 1) / 2];
}

/* (N27) by sorting. */
static void judge(const double *window, int64_t n, double *median, double *deviation, bool *ratio) {
  double moved[VANE_SPIKE_LONGEST_WINDOW];
  *ratio = true;
  for (int64_t i = 0; i < n; ++i) {
    moved[i] = window[i];
    *ratio = *ratio && window[i] > 0.0;
  }
  *median = sorted_median(moved, n);
  for (int64_t i = 0; i < n; ++i)
    moved[i] = *ratio ? fabs(log(window[i] / *median)) : fabs(window[i] - *median);
  *deviation = 1.4826 * sorted_median(moved, n);
  double least = 0.1 * (*ratio ? 1.0 : fabs(*median));
  *deviation = *deviation > least ? *deviation : least;
}

/* Window lengths around a warp, half full and full, with losses of three kinds: each next loss is
 * put just below and just above the line. */
static void check_lines(check *c) {
  static const int64_t windows[] = {8, 31, 32, 33, 128, 255, 256};
  for (int w = 0; w < 7; ++w)
    for (int kind = 0; kind < 3; ++kind) {
      int64_t window = windows[w], enough = window < 32 ? window : 32;
      spike_case s = start(VANE_SPIKE_WATCH, window, 6.0);
      int64_t n = window + (w % 2 ? 17 : -(window - enough) / 2), held = n < window ? n : window;
      const double *drawn = check_normal(c, n);
      double *losses = check_array(c, n);
      for (int64_t i = 0; i < n; ++i) {
        /* decades apart; signs of both kinds; nearly flat */
        double x = kind == 0   ? exp(0.5 * drawn[i]) * 1e-4
                   : kind == 1 ? drawn[i]
                               : 3.0 + 1e-4 * drawn[i];
        losses[i] = (double)(float)x;
        s.record.spike.recent[i % VANE_SPIKE_LONGEST_WINDOW] = (float)x;
      }
      s.record.spike.n_accepted = n;
      double median, deviation;
      bool ratio;
      judge(losses + n - held, held, &median, &deviation, &ratio);
      assert_true(ratio == (kind != 1));
      double line = ratio ? median * exp(6.0 * deviation) : median + 6.0 * deviation;
      double reach = fabs(line) * 1e-5;
      check_label(c, "window %d, kind %d", (int)window, kind);
      spike_case below = s, above = s;
      step(c, &below, line - reach);
      step(c, &above, line + reach);
      assert_int_equal(below.record.n_bad_steps, 0);
      assert_int_equal(below.record.spike.n_accepted, n + 1);
      assert_true(below.record.spike.recent[n % VANE_SPIKE_LONGEST_WINDOW] ==
                  (float)(line - reach));
      assert_int_equal(above.record.n_bad_steps, 1);
      assert_int_equal(above.record.bad_steps[0].kind, VANE_BAD_SPIKE);
      check_scalar(c, "spike", "median", above.record.bad_steps[0].median, median);
      check_scalar(c, "spike", "deviation", above.record.bad_steps[0].deviation, deviation);
      assert_int_equal(above.record.spike.n_accepted, n);
      assert_memory_equal(above.record.spike.recent, s.record.spike.recent,
                          sizeof s.record.spike.recent);
    }
}

/* Too few losses: nothing is judged, everything enters. All the same: only the floor keeps a flat
 * curve from tripping. All zero: nothing is known of the spread. */
static void check_edges(check *c) {
  spike_case s = start(VANE_SPIKE_SKIP, 16, 6.0);
  for (int i = 0; i < 16; ++i)
    step(c, &s, i == 3 ? 1e12 : 2.0);
  assert_int_equal(s.record.n_bad_steps, 0);
  assert_int_equal(s.record.spike.n_accepted, 16);
  step(c, &s, 2.0 * exp(0.59));
  step(c, &s, 1e-9);
  step(c, &s, -5.0);
  assert_int_equal(s.record.n_bad_steps, 0);
  s = start(VANE_SPIKE_SKIP, 16, 6.0);
  for (int i = 0; i < 16; ++i)
    step(c, &s, 2.0);
  step(c, &s, 2.0 * exp(0.61));
  assert_int_equal(s.record.n_bad_steps, 1);
  s = start(VANE_SPIKE_SKIP, 16, 6.0);
  for (int i = 0; i < 16; ++i)
    step(c, &s, 0.0);
  step(c, &s, 1.0);
  assert_int_equal(s.record.n_bad_steps, 0);
  s = start(VANE_SPIKE_OFF, 16, 6.0);
  for (int i = 0; i < 17; ++i)
    step(c, &s, i < 16 ? 2.0 : 1e12);
  assert_int_equal(s.record.n_bad_steps, 0);
  assert_int_equal(s.record.skip, 0);
}

/* NaN, Inf and 1e12, twice, with good steps between: all are found, none enters the window, and
 * what each mode writes. */
static void check_modes(check *c) {
  static const double bad[] = {CHECK_NAN, CHECK_INFINITY, 1e12};
  for (int mode = VANE_SPIKE_WATCH; mode <= VANE_SPIKE_ROLLBACK; ++mode) {
    spike_case s = start(mode, 32, 8.0);
    check_label(c, "mode %d", mode);
    for (int i = 0; i < 32; ++i)
      step(c, &s, 1.0 + 0.01 * i);
    vane_spike_state before = s.record.spike;
    for (int turn = 0; turn < 2; ++turn)
      for (int i = 0; i < 3 && !s.record.halted; ++i) {
        step(c, &s, bad[i]);
        bool written = i == 2 && mode == VANE_SPIKE_WATCH,
             halts = i == 2 && mode == VANE_SPIKE_ROLLBACK;
        assert_int_equal(s.record.skip, !written);
        assert_int_equal(s.record.halted, halts);
        if (halts)
          break;
        assert_int_equal(s.record.n_bad_steps, 3 * turn + i + 1);
        const vane_bad_step *found = &s.record.bad_steps[3 * turn + i];
        assert_int_equal(found->kind, i < 2 ? VANE_BAD_NONFINITE : VANE_BAD_SPIKE);
        assert_int_equal(found->loss, VANE_LOSS_ANGLE);
        assert_int_equal(found->running, 3 * turn + i + 1);
        assert_true(found->note.step == (double)s.record.in.step);
        assert_true(i < 2 || found->note.total == 1e12);
      }
    assert_memory_equal(s.record.spike.recent, before.recent, sizeof before.recent);
    assert_int_equal(s.record.spike.n_accepted, 32);
    int64_t n_bad = s.record.n_bad_steps;
    step(c, &s, 1.1);
    assert_int_equal(s.record.skip, mode == VANE_SPIKE_ROLLBACK);
    assert_int_equal(s.record.n_bad_steps, n_bad);
    assert_int_equal(s.record.spike.n_accepted, mode == VANE_SPIKE_ROLLBACK ? 32 : 33);
    check_scalar(c, "decide", "spikes", s.record.sum.spikes,
                 mode == VANE_SPIKE_ROLLBACK ? 1.0 : 2.0);
  }
}

/* A loss that stays high is no spike for ever. */
static void check_patience(check *c) {
  spike_case s = start(VANE_SPIKE_SKIP, 16, 8.0);
  for (int i = 0; i < 16; ++i)
    step(c, &s, 1.0);
  for (int i = 0; i < VANE_SPIKE_PATIENCE; ++i) {
    step(c, &s, 50.0);
    assert_int_equal(s.record.skip, 1);
  }
  assert_int_equal(s.record.n_bad_steps, VANE_SPIKE_PATIENCE);
  for (int i = 0; i < 16; ++i) {
    step(c, &s, 50.0);
    assert_int_equal(s.record.skip, 0);
  }
  step(c, &s, 5000.0);
  assert_int_equal(s.record.skip, 1);
  assert_true(s.record.bad_steps[0].note.step == 17.0); /* the first ones are kept */
}

/* The loss that weighs most is named, and its largest examples in their order. */
static void check_blame(check *c) {
  spike_case s = start(VANE_SPIKE_WATCH, 16, 8.0);
  for (int i = 0; i < 16; ++i)
    step(c, &s, 1.0);
  static const double losses[batch] = {1, 9, 2, 8, 8, 0, 12, 3, 7, 4, 6, 5};
  static const int32_t largest[] = {6, 1, 3, 4, 8, 10, 11, 9};
  for (int i = 0; i < batch; ++i)
    s.samples[VANE_LOSS_MAGNITUDE * batch + i] = losses[i];
  s.record.loss[VANE_LOSS_PRESENCE] = 500.0;
  s.record.loss[VANE_LOSS_MAGNITUDE] = 400.0; /* weight 2 */
  s.record.loss[VANE_LOSS_POSITION] = 1e9;    /* weight 0 */
  step(c, &s, 0.0);
  const vane_bad_step *bad = &s.record.bad_steps[0];
  assert_int_equal(s.record.n_bad_steps, 1);
  assert_int_equal(bad->loss, VANE_LOSS_MAGNITUDE);
  assert_int_equal(bad->n_samples, VANE_N_BAD_SAMPLES);
  assert_memory_equal(bad->samples, largest, sizeof largest);
  check_scalar(c, "decide", "total", bad->note.total, 1300.0);
}

/* Notes: the last steps, then a few after the first bad one, until the host has looked. */
static void check_notes(check *c) {
  spike_case s = start(VANE_SPIKE_WATCH, 16, 8.0);
  for (int i = 1; i <= 150; ++i) {
    s.norm = i;
    s.record.in.lr = 0.001 * i;
    s.record.guard = (vane_guard_state){.curvature = i, .bound = 2.0 * i, .largest_lr = 0.12};
    step(c, &s, i == 100 ? 1e6 : 1.0);
  }
  for (int64_t i = 100 + VANE_NOTES_AFTER - VANE_N_NOTES + 1; i <= 100 + VANE_NOTES_AFTER; ++i) {
    const vane_step_note *note = &s.record.notes[i % VANE_N_NOTES];
    assert_true(note->step == (double)i);
    check_scalar(c, "norm", "noted norm", note->gradient_norm, (double)i);
    assert_true(note->total == (i == 100 ? 1e6 : 1.0));
    assert_true(note->lr == fmin(0.12, 0.001 * (double)i));
    assert_true(note->curvature == (double)i && note->bound == 2.0 * (double)i);
    assert_true(note->norm[2] == 1.0 && note->clip == 1.0);
    assert_true(note->loss[VANE_LOSS_REGULARIZATION] == 1e6);
  }
  s.record.n_bad_steps = 0;
  step(c, &s, 1.0);
  assert_true(s.record.notes[151 % VANE_N_NOTES].step == 151.0);
}

/* ZClip beside the paper's formulas, with the warm-up, clips, a skipped step, and the other clip.
 */
static void check_zclip(check *c) {
  spike_case s = start(VANE_SPIKE_SKIP, 16, 8.0);
  const double *drawn = check_normal(c, 60);
  double mean = 0.0, variance = 0.0, warmup[VANE_NORM_TREND_WARMUP];
  int clips = 0;
  s.desc.clip_zscore = 2.5;
  for (int i = 0; i < 60; ++i) {
    bool spike = i == 45;
    double clip = 1.0;
    s.norm = i == 30 || i == 50 || i == 55 ? 40.0 : (double)(float)(3.0 + 0.3 * drawn[i]);
    s.desc.clip_global = i == 50 ? 2.0 : i >= 48 ? 5.0 : 0.0; /* the stricter one; the laxer */
    step(c, &s, spike ? 1e6 : 1.0);
    const double norm = s.record.gradient_norm; /* how good that is, test_decide.c says */
    check_label(c, "step %d", i);
    if (i < VANE_NORM_TREND_WARMUP) {
      warmup[i] = norm;
      double sum = 0.0, squares = 0.0;
      for (int j = 0; j <= i; ++j)
        sum += warmup[j];
      mean = sum / (i + 1);
      for (int j = 0; j <= i; ++j)
        squares += (warmup[j] - mean) * (warmup[j] - mean);
      variance = squares / (i + 1);
    } else {
      double z = (norm - mean) / sqrt(variance), kept = norm;
      if (z > 2.5) {
        kept = mean + 2.5 * 2.5 / z * sqrt(variance);
        clip = kept / norm;
        clips += !spike;
      }
      if (s.desc.clip_global > 0.0 && norm > s.desc.clip_global && s.desc.clip_global / norm < clip)
        clip = s.desc.clip_global / norm;
      if (!spike) {
        mean = 0.97 * mean + 0.03 * kept;
        variance = 0.97 * variance + 0.03 * (kept - mean) * (kept - mean);
      }
    }
    check_scalar(c, "zclip", "clip", s.record.clip, clip);
    check_scalar(c, "zclip", "mean", s.record.norm_trend.mean, mean);
    check_scalar(c, "zclip", "variance", s.record.norm_trend.variance, variance);
  }
  assert_true(clips >= 2);
  check_scalar(c, "decide", "clipped_zscore", s.record.sum.clipped_zscore, clips);
  check_scalar(c, "decide", "clipped_global", s.record.sum.clipped_global, 2.0);
}

int main(void) {
  const check_entry entries[] = {
      CHECK(check_lines), CHECK(check_edges), CHECK(check_modes), CHECK(check_patience),
      CHECK(check_blame), CHECK(check_notes), CHECK(check_zclip),
  };
  return check_run("spike", entries, sizeof entries / sizeof entries[0]);
}
