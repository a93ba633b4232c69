/* Conformance of the operations on one value at a time. */
#include <string.h>

#include "ops/side.h"

static const int64_t shapes[][4] = {{1, 1, 1, 1},  {2, 3, 5, 3},  {1, 7, 2, 5},
                                    {2, 4, 4, 16}, {3, 5, 3, 17}, {1, 9, 9, 33}};
static const int64_t counts[] = {0, 1, 7, 8, 9, 31, 64, 1023, 4099};

static int64_t count_of(const int64_t s[4]) {
  return s[0] * s[1] * s[2] * s[3];
}

static double *run_input(check *c, vane_device *device, const int64_t shape[4],
                         const uint8_t *pixels, const double *mean, const double *inv_std) {
  side s = side_begin(device);
  double *out = check_array(c, count_of(shape));
  void *bytes = side_bytes(&s, (size_t)count_of(shape));
  check_ok(device->memory.upload(device, bytes, pixels, (size_t)count_of(shape)));
  vane_tensor x = side_tensor(&s, shape[0], shape[1], shape[2], shape[3]);
  void *m = side_put(&s, mean, shape[3]), *i = side_put(&s, inv_std, shape[3]);
  check_ok(device->elementwise.input(device, bytes, m, i, &x));
  side_read_tensor(&s, &x, out);
  side_end(&s);
  return out;
}

static void check_input(check *c) {
  static const int64_t images[][4] = {{1, 1, 1, 1}, {3, 5, 7, 3}, {2, 16, 16, 1}, {2, 9, 3, 4}};
  uint8_t pixels[1024];
  for (int i = 0; i < 1024; ++i)
    pixels[i] = (uint8_t)(i * 37 + i / 256); /* every value of a byte */
  for (int i = 0; i < 4; ++i) {
    check_label(c, "image %d", i);
    const double mean[] = {0.5, 0.25, 0.4375, 0.0}, inv_std[] = {4.0, 3.25, 1.0, 0.125};
    const double *got = run_input(c, c->subject, images[i], pixels, mean, inv_std);
    const double *want = run_input(c, c->oracle, images[i], pixels, mean, inv_std);
    check_compare(c, "input", "x", got, want, NULL, count_of(images[i]));
  }
}

static double *run_relu(check *c, vane_device *device, const int64_t shape[4], const double *in) {
  side s = side_begin(device);
  double *out = check_array(c, count_of(shape));
  vane_tensor x = side_put_tensor(&s, in, shape[0], shape[1], shape[2], shape[3]);
  vane_tensor y = side_tensor(&s, shape[0], shape[1], shape[2], shape[3]);
  check_ok(device->elementwise.relu(device, &x, &y));
  side_read_tensor(&s, &y, out);
  side_end(&s);
  return out;
}

static void check_relu(check *c) {
  for (int i = 0; i < 6; ++i) {
    const double *x = check_normal(c, count_of(shapes[i]));
    check_label(c, "shape %d", i);
    check_equal(c, "relu", "y", run_relu(c, c->subject, shapes[i], x),
                run_relu(c, c->oracle, shapes[i], x), count_of(shapes[i]));
  }
}

typedef enum place { APART, OVER_A, OVER_B } place; /* where dz lies */

static double *run_merge(check *c, vane_device *device, const int64_t shape[4], const double *y_in,
                         const double *a_in, const double *b_in, place where) {
  side s = side_begin(device);
  double *out = check_array(c, count_of(shape));
  vane_tensor y = {0}, b = {0};
  vane_tensor a = side_put_tensor(&s, a_in, shape[0], shape[1], shape[2], shape[3]);
  if (y_in)
    y = side_put_tensor(&s, y_in, shape[0], shape[1], shape[2], shape[3]);
  if (b_in)
    b = side_put_tensor(&s, b_in, shape[0], shape[1], shape[2], shape[3]);
  vane_tensor dz = where == OVER_A   ? a
                   : where == OVER_B ? b
                                     : side_tensor(&s, shape[0], shape[1], shape[2], shape[3]);
  check_ok(device->elementwise.merge(device, &dz, y_in ? &y : NULL, &a, b_in ? &b : NULL));
  side_read_tensor(&s, &dz, out);
  side_end(&s);
  return out;
}

/* y is what a ReLU left: zero or positive. */
static void check_merge(check *c) {
  for (int i = 0; i < 6; ++i)
    for (int bits = 0; bits < 4; ++bits)
      for (place where = APART; where <= OVER_B; ++where) {
        int64_t n = count_of(shapes[i]);
        const double *a = check_normal(c, n), *b = bits & 1 ? check_normal(c, n) : NULL;
        double *y = bits & 2 ? check_normal(c, n) : NULL;
        for (int64_t j = 0; y && j < n; ++j)
          y[j] = y[j] > 0.0 ? y[j] : 0.0;
        if (where == OVER_B && !b)
          continue;
        check_label(c, "shape %d%s%s, dz place %d", i, b ? " two" : " one", y ? " relu" : "",
                    (int)where);
        check_compare(c, "merge", "dz", run_merge(c, c->subject, shapes[i], y, a, b, where),
                      run_merge(c, c->oracle, shapes[i], y, a, b, where), NULL, n);
      }
}

static double *run_accumulate(check *c, vane_device *device, const double *to_in,
                              const double *from_in, int64_t count) {
  side s = side_begin(device);
  double *out = check_array(c, count);
  void *to = side_put(&s, to_in, count), *from = side_put(&s, from_in, count);
  check_ok(device->elementwise.accumulate(device, to, from, count));
  side_read(&s, to, out, count);
  side_end(&s);
  return out;
}

static void check_accumulate(check *c) {
  for (int i = 0; i < 9; ++i)
    for (int exact = 0; exact <= 1; ++exact) {
      const double *to = check_inputs(c, counts[i], exact);
      const double *from = check_inputs(c, counts[i], exact);
      check_label(c, "%d reals", (int)counts[i]);
      check_match(c, exact, "accumulate", "to", run_accumulate(c, c->subject, to, from, counts[i]),
                  run_accumulate(c, c->oracle, to, from, counts[i]), counts[i]);
    }
}

static double *run_follow(check *c, vane_device *device, const double *to_in, const double *from_in,
                          int64_t count, double share, const vane_step_record *record) {
  side s = side_begin(device);
  double *out = check_array(c, count);
  void *to = side_put(&s, to_in, count), *from = side_put(&s, from_in, count);
  check_ok(device->elementwise.follow(device, to, from, share, count, side_put_record(&s, record)));
  side_read(&s, to, out, count);
  side_end(&s);
  return out;
}

static void check_follow(check *c) {
  for (int i = 0; i < 9; ++i) {
    const vane_step_record good = {0}, skipped = {.skip = 1};
    const double *to = check_normal(c, counts[i]), *from = check_normal(c, counts[i]);
    check_label(c, "%d reals", (int)counts[i]);
    const double *want = run_follow(c, c->oracle, to, from, counts[i], 0.1, &good);
    check_compare(c, "follow", "to", run_follow(c, c->subject, to, from, counts[i], 0.1, &good),
                  want, NULL, counts[i]);
    check_equal(c, "follow", "to of a skipped step",
                run_follow(c, c->subject, to, from, counts[i], 0.1, &skipped), to, counts[i]);
  }
}

static double *run_draw(check *c, vane_device *device, int64_t count, const vane_draw_desc *desc) {
  side s = side_begin(device);
  double *out = check_array(c, count);
  void *to = side_reals(&s, count);
  check_ok(device->elementwise.draw(device, to, count, desc));
  side_read(&s, to, out, count);
  side_end(&s);
  return out;
}

static const vane_draw_desc draws[] = {
    {0, VANE_RANDOM_BENCH, 0, 0, 0, 1},
    {1, VANE_RANDOM_INIT, 3, 0, -1, 1},
    {0x8000000000000003, VANE_RANDOM_BENCH, 0xffffff00000001, 7, -0x1p-20F, 3e-5F},
    /* The index passes 2^32 within the array, then 2^64. */
    {777, VANE_RANDOM_BENCH, 1, 0xfffffff0, 0.1F, 0.7F},
    {777, VANE_RANDOM_BENCH, 1, 0xfffffffffffffff0, 0.1F, 0.7F},
    /* Two floats apart, and the largest range: both round to their upper end. */
    {5, VANE_RANDOM_BENCH, 0, 0, 1, 1 + 0x1p-22F},
    {5, VANE_RANDOM_BENCH, 0, 0, -0x1p126F, 0x1p126F},
};
enum { n_draws = sizeof draws / sizeof draws[0] };

/* What random.h gives for the same counters. */
static double *expected_draw(check *c, int64_t count, const vane_draw_desc *d) {
  double *out = check_array(c, count);
  for (int64_t i = 0; i < count; ++i) {
    float four[4];
    vane_random_floats(d->seed, d->stream, d->step, d->index + (uint64_t)(i / 4), d->low, d->high,
                       four);
    out[i] = (double)four[i % 4];
  }
  return out;
}

static void check_draw(check *c) {
  for (int i = 0; i < n_draws; ++i)
    for (int j = 0; j < 9; ++j) {
      check_label(c, "draw %d, %d reals", i, (int)counts[j]);
      const double *want = expected_draw(c, counts[j], &draws[i]);
      check_equal(c, "draw", "to", run_draw(c, c->subject, counts[j], &draws[i]), want, counts[j]);
      check_equal(c, "draw", "to of the oracle", run_draw(c, c->oracle, counts[j], &draws[i]), want,
                  counts[j]);
    }
}

/* An array drawn in parts is the array. */
static void check_draw_in_parts(check *c) {
  const int64_t part = 1028, count = 4099;
  side s = side_begin(c->subject);
  double *out = check_array(c, count);
  float *to = side_reals(&s, count);
  for (int64_t begin = 0; begin < count; begin += part) {
    vane_draw_desc desc = draws[3];
    desc.index += (uint64_t)(begin / 4);
    check_ok(c->subject->elementwise.draw(c->subject, to + begin,
                                          count - begin < part ? count - begin : part, &desc));
  }
  side_read(&s, to, out, count);
  check_label(c, "in parts");
  check_equal(c, "draw", "to", out, expected_draw(c, count, &draws[3]), count);
  side_end(&s);
}

/* The three arrays, one after the other. */
static double *run_stream(check *c, vane_device *device, const double *to_in, const double *from_in,
                          int64_t count, bool past_caches) {
  side s = side_begin(device);
  double *out = check_array(c, 3 * count);
  void *to[3], *from = side_put(&s, from_in, count);
  for (int k = 0; k < 3; ++k)
    to[k] = side_put(&s, to_in + k * count, count);
  check_ok(device->elementwise.stream(device, to, from, 0.5, count, past_caches));
  for (int k = 0; k < 3; ++k)
    side_read(&s, to[k], out + k * count, count);
  side_end(&s);
  return out;
}

static void check_stream(check *c) {
  for (int i = 0; i < 9; ++i)
    for (int bits = 0; bits < 4; ++bits) {
      const bool exact = bits & 1, past_caches = bits & 2;
      const double *to = check_inputs(c, 3 * counts[i], exact);
      const double *from = check_inputs(c, counts[i], exact);
      check_label(c, "%d reals%s", (int)counts[i], past_caches ? " past the caches" : "");
      check_match(c, exact, "stream", "to",
                  run_stream(c, c->subject, to, from, counts[i], past_caches),
                  run_stream(c, c->oracle, to, from, counts[i], past_caches), 3 * counts[i]);
    }
}

int main(void) {
  const check_entry entries[] = {
      CHECK(check_input),  CHECK(check_relu), CHECK(check_merge),         CHECK(check_accumulate),
      CHECK(check_follow), CHECK(check_draw), CHECK(check_draw_in_parts), CHECK(check_stream)};
  return check_run("elementwise", entries, sizeof entries / sizeof entries[0]);
}
