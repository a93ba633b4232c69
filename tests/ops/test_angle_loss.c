/* Conformance of the angle head's losses (N12..N15). */
#include "ops/side.h"

#define PI 3.14159265358979323846

static const vane_angle_desc kinds[] = {
    {.kind = VANE_ANGLE_SINCOS, .n_outputs = 2},
    {.kind = VANE_ANGLE_UNIT, .n_outputs = 2},
    {.kind = VANE_ANGLE_VON_MISES, .n_outputs = 2},
    {.kind = VANE_ANGLE_BINS, .n_outputs = 72, .bin_width = 5 * PI / 180},
    {.kind = VANE_ANGLE_BINS,
     .n_outputs = 9,
     .bin_width = 0.1 * PI / 180}, /* one class takes all */
};
enum { n_kinds = sizeof kinds / sizeof kinds[0] };

typedef struct angle_outputs {
  double *sample, *seed, loss;
} angle_outputs;

static angle_outputs run_angle(check *c, vane_device *device, const vane_angle_desc *desc,
                               const double *out_in, const double *phase, const double *mask_in,
                               int64_t n, double inv_count) {
  side s = side_begin(device);
  angle_outputs got = {check_array(c, n), check_array(c, n * desc->n_outputs), 0.0};
  vane_step_record before = {.loss = {CHECK_NAN, CHECK_NAN, CHECK_NAN, CHECK_NAN, CHECK_NAN}};
  before.in.inv_count[VANE_LOSS_ANGLE] = inv_count;
  vane_step_record *record = side_put_record(&s, &before);
  void *out = side_put(&s, out_in, n * desc->n_outputs), *target = side_put(&s, phase, n);
  void *mask = side_put(&s, mask_in, n), *sample = side_reals(&s, n);
  void *seed = side_reals(&s, n * desc->n_outputs);
  check_ok(device->loss.angle(device, desc, out, target, mask, n, sample, seed, record));
  side_read(&s, sample, got.sample, n);
  side_read(&s, seed, got.seed, n * desc->n_outputs);
  got.loss = side_read_record(&s, record).loss[VANE_LOSS_ANGLE];
  side_end(&s);
  return got;
}

/* A sample's loss may be a small difference of large terms (von Mises at a large concentration, a
 * sharp class): its error is measured against its largest term. */
static double *scale_of(check *c, const vane_angle_desc *desc, const double *out,
                        const double *expected, int64_t n) {
  double *scale = check_array(c, n);
  for (int64_t i = 0; i < n; ++i) {
    scale[i] = fabs(expected[i]) + 1.0;
    for (int64_t j = i * desc->n_outputs; j < (i + 1) * desc->n_outputs; ++j)
      scale[i] = isfinite(out[j]) ? fmax(scale[i], fabs(out[j])) : scale[i];
  }
  return scale;
}

static void compare_angle(check *c, const vane_angle_desc *desc, const double *out,
                          const double *phase, const double *mask, int64_t n) {
  double counted = 0.0, loss_scale = 0.0;
  for (int64_t i = 0; i < n; ++i)
    counted += mask[i];
  double inv_count = counted > 0.0 ? 1.0 / counted : 0.0;
  angle_outputs got = run_angle(c, c->subject, desc, out, phase, mask, n, inv_count);
  angle_outputs want = run_angle(c, c->oracle, desc, out, phase, mask, n, inv_count);
  const double *scale = scale_of(c, desc, out, want.sample, n);
  check_compare(c, "angle", "sample", got.sample, want.sample, scale, n);
  check_compare(c, "angle", "seed", got.seed, want.seed, NULL, n * desc->n_outputs);
  for (int64_t i = 0; i < n; ++i)
    loss_scale += scale[i] * mask[i] * inv_count;
  check_compare(c, "angle", "loss", &got.loss, &want.loss, &loss_scale, 1);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i * desc->n_outputs; mask[i] == 0.0 && j < (i + 1) * desc->n_outputs; ++j)
      assert_true(got.seed[j] == 0.0 && got.sample[i] == 0.0);
}

static void check_kinds(check *c) {
  static const int64_t batches[] = {0, 1, 7, 33, 200};
  for (int k = 0; k < n_kinds; ++k)
    for (int i = 0; i < 5; ++i)
      for (int mask_kind = CHECK_MASK_ALL; mask_kind <= CHECK_MASK_SOME; ++mask_kind) {
        int64_t n = batches[i], n_outputs = kinds[k].n_outputs;
        double *out = check_normal(c, n * n_outputs), *phase = check_normal(c, n);
        const double *mask = check_mask(c, n, (check_mask_kind)mask_kind);
        for (int64_t j = 0; j < n; ++j) {
          phase[j] = mask[j] > 0.0 ? (double)(float)(3.0 * phase[j]) : CHECK_NAN;
          if (mask[j] == 0.0)
            out[j * n_outputs] = CHECK_NAN;
        }
        check_label(c, "kind %d with %d outputs, batch %d, mask %d", kinds[k].kind, (int)n_outputs,
                    (int)n, mask_kind);
        compare_angle(c, &kinds[k], out, phase, mask, n);
      }
}

/* Outputs from none to huge: the concentration of von Mises, the sharpness of bins. */
static void check_extremes(check *c) {
  static const double lengths[] = {1e-6, 1.0, 20.0, 29.5, 30.5, 100.0, 1e4};
  for (int k = 0; k < n_kinds; ++k)
    for (int i = 0; i < 7; ++i) {
      int64_t n_outputs = kinds[k].n_outputs;
      double *out = check_array(c, n_outputs), one = 1.0;
      const double phase = 0.5;
      for (int64_t j = 0; j < n_outputs; ++j)
        out[j] = (double)(float)(lengths[i] * (j % 2 ? 0.8 : 0.6));
      check_label(c, "kind %d, length %g", kinds[k].kind, lengths[i]);
      compare_angle(c, &kinds[k], out, &phase, &one, 1);
    }
}

/* Zero outputs are where two kinds have a rule of their own. */
static void check_zero(check *c) {
  const double out[] = {0.0, 0.0}, phase = 0.5, one = 1.0;
  check_label(c, "outputs of zero");
  angle_outputs got = run_angle(c, c->subject, &kinds[2], out, &phase, &one, 1, 1.0);
  check_scalar(c, "angle", "von Mises", got.loss, log(2 * PI));
  check_scalar(c, "angle", "von Mises", got.seed[0], -sin(phase));
  got = run_angle(c, c->subject, &kinds[1], out, &phase, &one, 1, 1.0);
  check_scalar(c, "angle", "unit", got.loss, 1.0);
  check_scalar(c, "angle", "unit", got.seed[0], -sin(phase));
  const double tiny[] = {0.0, 5e-13}; /* shorter than 1e-12: no direction */
  got = run_angle(c, c->subject, &kinds[1], tiny, &phase, &one, 1, 1.0);
  check_scalar(c, "angle", "unit", got.loss, 1.0);
  check_scalar(c, "angle", "unit", got.seed[1], -cos(phase));
}

static void check_bad_sample(check *c) {
  for (int k = 0; k < n_kinds; ++k) {
    int64_t n_outputs = kinds[k].n_outputs;
    double *out = check_normal(c, 5 * n_outputs);
    const double *phase = check_normal(c, 5), *mask = check_mask(c, 5, CHECK_MASK_ALL);
    out[3 * n_outputs + 1] = CHECK_NAN;
    angle_outputs got = run_angle(c, c->subject, &kinds[k], out, phase, mask, 5, 0.2);
    assert_true(isnan(got.loss));
    for (int i = 0; i < 5; ++i)
      assert_int_equal(!isfinite(got.sample[i]), i == 3);
    for (int64_t i = 0; i < 5 * n_outputs; ++i)
      assert_true(isfinite(got.seed[i]) || i / n_outputs == 3);
  }
}

int main(void) {
  const check_entry entries[] = {CHECK(check_kinds), CHECK(check_extremes), CHECK(check_zero),
                                 CHECK(check_bad_sample)};
  return check_run("angle loss", entries, sizeof entries / sizeof entries[0]);
}
