/* Conformance of the losses (N10, N11), clip_by_average_norm (N16) and regularisation (N17). */
#include "ops/side.h"

static const int64_t batches[] = {0, 1, 7, 16, 33, 200};

/* What the three losses of heads have in common. */
typedef struct head_case {
  int k; /* VANE_LOSS_* */
  vane_regression_desc regression;
  int64_t n, d;
  const double *out, *target, *mask;
  double inv_count;
} head_case;

typedef struct head_outputs {
  double *sample, *seed, loss;
} head_outputs;

static head_outputs run_head(check *c, vane_device *device, const head_case *h) {
  side s = side_begin(device);
  head_outputs got = {check_array(c, h->n), check_array(c, h->n * h->d), 0.0};
  vane_step_record before = {.loss = {CHECK_NAN, CHECK_NAN, CHECK_NAN, CHECK_NAN, CHECK_NAN}};
  before.in.inv_count[h->k] = h->inv_count;
  vane_step_record *record = side_put_record(&s, &before);
  void *out = side_put(&s, h->out, h->n * h->d), *target = side_put(&s, h->target, h->n * h->d);
  void *mask = side_put(&s, h->mask, h->n);
  void *sample = side_reals(&s, h->n), *seed = side_reals(&s, h->n * h->d);
  if (h->k == VANE_LOSS_PRESENCE)
    check_ok(device->loss.presence(device, out, target, mask, h->n, sample, seed, record));
  else
    check_ok(device->loss.regression(device, &h->regression, h->k, out, target, mask, h->n, h->d,
                                     sample, seed, record));
  side_read(&s, sample, got.sample, h->n);
  side_read(&s, seed, got.seed, h->n * h->d);
  got.loss = side_read_record(&s, record).loss[h->k];
  side_end(&s);
  return got;
}

static void compare_heads(check *c, const char *op, const head_case *h) {
  head_outputs got = run_head(c, c->subject, h), want = run_head(c, c->oracle, h);
  check_compare(c, op, "sample", got.sample, want.sample, NULL, h->n);
  check_compare(c, op, "seed", got.seed, want.seed, NULL, h->n * h->d);
  check_scalar(c, op, "loss", got.loss, want.loss);
  for (int64_t i = 0; i < h->n; ++i) {
    if (h->mask[i] > 0.0)
      continue;
    assert_true(got.sample[i] == 0.0);
    for (int64_t j = i * h->d; j < (i + 1) * h->d; ++j)
      assert_true(got.seed[j] == 0.0);
  }
}

static double inverse_count(const double *mask, int64_t n) {
  double count = 0.0;
  for (int64_t i = 0; i < n; ++i)
    count += mask[i];
  return count > 0.0 ? 1.0 / count : 0.0;
}

/* Masked samples have a NaN for a target and every other one a NaN for an output. */
static void poison(double *out, double *target, const double *mask, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i * d; mask[i] == 0.0 && j < (i + 1) * d; ++j) {
      target[j] = CHECK_NAN;
      out[j] = i % 2 ? CHECK_NAN : out[j];
    }
}

static void check_presence(check *c) {
  for (int i = 0; i < 6; ++i)
    for (int kind = CHECK_MASK_ALL; kind <= CHECK_MASK_SOME; ++kind) {
      int64_t n = batches[i];
      double *out = check_normal(c, n), *target = check_mask(c, n, CHECK_MASK_SOME);
      const double *mask = check_mask(c, n, (check_mask_kind)kind);
      const double extremes[] = {0.0, 40.0, -40.0, 1000.0, -1000.0};
      for (int64_t j = 0; j < 5 && j < n; ++j)
        out[j] = extremes[j];
      poison(out, target, mask, n, 1);
      check_label(c, "batch %d, mask %d", (int)n, kind);
      head_case h = {.k = VANE_LOSS_PRESENCE,
                     .n = n,
                     .d = 1,
                     .out = out,
                     .target = target,
                     .mask = mask,
                     .inv_count = inverse_count(mask, n)};
      compare_heads(c, "presence", &h);
    }
}

static void check_regression(check *c) {
  const vane_regression_desc descs[] = {{.kind = VANE_REGRESSION_L2},
                                        {.kind = VANE_REGRESSION_HUBER, .delta = 0.5}};
  for (int i = 0; i < 6; ++i)
    for (int kind = CHECK_MASK_ALL; kind <= CHECK_MASK_SOME; ++kind)
      for (int j = 0; j < 2; ++j)
        for (int64_t d = 1; d <= 2; ++d) {
          int64_t n = batches[i];
          double *out = check_normal(c, n * d), *target = check_normal(c, n * d);
          const double *mask = check_mask(c, n, (check_mask_kind)kind);
          poison(out, target, mask, n, d);
          check_label(c, "batch %d x %d, mask %d, kind %d", (int)n, (int)d, kind, j);
          head_case h = {.k = d == 1 ? VANE_LOSS_MAGNITUDE : VANE_LOSS_POSITION,
                         .regression = descs[j],
                         .n = n,
                         .d = d,
                         .out = out,
                         .target = target,
                         .mask = mask,
                         .inv_count = inverse_count(mask, n)};
          compare_heads(c, "regression", &h);
        }
}

/* A sample that counts and is not finite shows in its own value, its own seed and the loss. */
static void check_bad_sample(check *c) {
  double *out = check_normal(c, 9), *target = check_mask(c, 9, CHECK_MASK_SOME);
  const double *mask = check_mask(c, 9, CHECK_MASK_ALL);
  out[4] = CHECK_NAN;
  check_label(c, "a NaN among nine");
  head_case h = {.n = 9, .d = 1, .out = out, .target = target, .mask = mask, .inv_count = 1.0 / 9};
  const int losses[] = {VANE_LOSS_PRESENCE, VANE_LOSS_MAGNITUDE};
  for (int i = 0; i < 2; ++i) {
    h.k = losses[i];
    head_outputs got = run_head(c, c->subject, &h);
    assert_true(isnan(got.loss));
    for (int j = 0; j < 9; ++j) {
      assert_int_equal(!isfinite(got.sample[j]), j == 4);
      assert_int_equal(!isfinite(got.seed[j]), j == 4);
    }
  }
}

typedef struct clip_outputs {
  double *out, *seed;
  vane_step_record record;
} clip_outputs;

static clip_outputs run_clip(check *c, vane_device *device, double limit, const double *out_in,
                             const double *seed_in, int64_t count) {
  side s = side_begin(device);
  const vane_step_record before = {0};
  clip_outputs got = {.out = check_array(c, count), .seed = check_array(c, count)};
  vane_step_record *record = side_put_record(&s, &before);
  void *out = side_put(&s, out_in, count), *seed = side_put(&s, seed_in, count);
  check_ok(device->loss.clip_average(device, limit, out, count, record));
  check_ok(device->loss.clip_average_backward(device, limit, out, seed, count, record));
  side_read(&s, out, got.out, count);
  side_read(&s, seed, got.seed, count);
  got.record = side_read_record(&s, record);
  side_end(&s);
  return got;
}

static void compare_clip(check *c, double limit, const double *out, int64_t count, bool acts) {
  const double *seed = check_normal(c, count);
  check_label(c, "limit %g of %d", limit, (int)count);
  clip_outputs got = run_clip(c, c->subject, limit, out, seed, count);
  clip_outputs want = run_clip(c, c->oracle, limit, out, seed, count);
  assert_int_equal(got.record.average_scale < 1.0, acts);
  check_scalar(c, "clip_average", "norm", got.record.average_norm, want.record.average_norm);
  check_scalar(c, "clip_average", "scale", got.record.average_scale, want.record.average_scale);
  if (!acts) {
    check_equal(c, "clip_average", "out", got.out, out, count);
    check_equal(c, "clip_average_backward", "seed", got.seed, seed, count);
    return;
  }
  check_compare(c, "clip_average", "out", got.out, want.out, NULL, count);
  check_compare(c, "clip_average_backward", "seed", got.seed, want.seed, NULL, count);
}

static void check_clip_average(check *c) {
  static const int64_t counts[] = {2, 7, 32, 66, 400};
  for (int i = 0; i < 5; ++i) {
    const double *out = check_normal(c, counts[i]);
    compare_clip(c, 0.01, out, counts[i], true);
    compare_clip(c, 100.0, out, counts[i], false);
    compare_clip(c, 0.01, check_array(c, counts[i]), counts[i], false); /* all zero */
  }
  const double none = 0.0, large = 1e30;
  compare_clip(c, 1.0, &none, 0, false);
  compare_clip(c, 1.0, &large, 1, true);
}

/* A norm that is not finite must not spread over the samples that are. */
static void check_clip_bad(check *c) {
  const double bad[] = {CHECK_NAN, CHECK_INFINITY};
  for (int i = 0; i < 2; ++i) {
    double *out = check_normal(c, 8);
    out[3] = bad[i];
    compare_clip(c, 0.01, out, 8, false);
  }
}

static double run_regularization(vane_device *device, const vane_segment *segments,
                                 int64_t n_segments, const double *values, int64_t count) {
  side s = side_begin(device);
  const vane_step_record before = {.loss = {CHECK_NAN, CHECK_NAN, CHECK_NAN, CHECK_NAN, CHECK_NAN}};
  vane_step_record *record = side_put_record(&s, &before);
  void *parameters = side_put(&s, values, count);
  check_ok(device->loss.regularization(device, side_plan_block(&s, segments, n_segments),
                                       parameters, record));
  double loss = side_read_record(&s, record).loss[VANE_LOSS_REGULARIZATION];
  side_end(&s);
  return loss;
}

static void check_regularization(check *c) {
  const vane_segment segments[] = {{0, 5, VANE_SHARED, 1},
                                   {16, 16, VANE_SHARED, 0},
                                   {32, 0, VANE_SHARED, 1},
                                   {32, 1, VANE_LOSS_ANGLE, 1},
                                   {48, 2000, VANE_LOSS_POSITION, 1}};
  double *values = check_normal(c, 2048);
  for (int n_segments = 0; n_segments <= 5; ++n_segments) {
    check_label(c, "%d segments", n_segments);
    check_scalar(c, "regularization", "loss",
                 run_regularization(c->subject, segments, n_segments, values, 2048),
                 run_regularization(c->oracle, segments, n_segments, values, 2048));
  }
  for (int i = 0; i < 4; ++i) { /* squares that a float cannot hold, or with a few bits only */
    static const double sizes[] = {1e-30, 1e-20, 1e19, 1e30};
    double *sized = check_array(c, 2048);
    for (int64_t j = 0; j < 2048; ++j)
      sized[j] = (double)(float)(sizes[i] * values[j]);
    check_label(c, "weights of %g", sizes[i]);
    check_scalar(c, "regularization", "loss",
                 run_regularization(c->subject, segments, 5, sized, 2048),
                 run_regularization(c->oracle, segments, 5, sized, 2048));
  }
  check_label(c, "by hand");
  const double five = 0.5 * (values[0] * values[0] + values[1] * values[1] + values[2] * values[2] +
                             values[3] * values[3] + values[4] * values[4]);
  check_scalar(c, "regularization", "loss by hand",
               run_regularization(c->subject, segments, 3, values, 2048), five);
}

int main(void) {
  const check_entry entries[] = {CHECK(check_presence),   CHECK(check_regression),
                                 CHECK(check_bad_sample), CHECK(check_clip_average),
                                 CHECK(check_clip_bad),   CHECK(check_regularization)};
  return check_run("loss", entries, sizeof entries / sizeof entries[0]);
}
