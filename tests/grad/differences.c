#include "grad/differences.h"

#include "base/random.h"

#define SEED 97 /* any; fixed, so that no value is close to a kink one day and not the next */
/* The truncation error is step^2/6 of the third derivative, the rounding error 1e-16 of the value
 * over the step: about 1e-11 each, for values and derivatives near 1. */
#define STEP  1e-5
#define LIMIT 1e-7 /* of the largest gradient in the array */
#define FLOOR 1e-9
#define KINK  (10.0 * STEP) /* times the slope, which stays below 10 here */

void differences_check(const char *what, objective *f, void *user, double *x, int64_t count,
                       const double *analytic) {
  double largest = 0.0;
  for (int64_t i = 0; i < count; ++i)
    largest = fmax(largest, fabs(analytic[i]));
  for (int64_t i = 0; i < count; ++i) {
    double kept = x[i];
    x[i] = kept + STEP;
    double above = f(user);
    x[i] = kept - STEP;
    double below = f(user);
    x[i] = kept;
    double numeric = (above - below) / (2.0 * STEP);
    if (!(fabs(numeric - analytic[i]) <= LIMIT * largest + FLOOR))
      fail_msg("%s: element %lld of %lld has gradient %.12g, by differences %.12g", what,
               (long long)i, (long long)count, analytic[i], numeric);
  }
}

void differences_stay_away(const char *what, const double *values, int64_t count, double kink) {
  for (int64_t i = 0; i < count; ++i)
    if (fabs(values[i] - kink) < KINK)
      fail_msg("%s: value %lld, %g, is too close to a kink at %g: draw others", what, (long long)i,
               values[i], kink);
}

static void fill_normal(double *values, uint64_t draw, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = vane_random_normal(SEED, VANE_RANDOM_INIT, draw, (uint64_t)i);
}

double *differences_normal(side *s, uint64_t draw, int64_t count) {
  double *values = side_reals(s, count);
  fill_normal(values, draw, count);
  return values;
}

vane_tensor differences_normal_tensor(side *s, uint64_t draw, int64_t n, int64_t h, int64_t w,
                                      int64_t c) {
  vane_tensor tensor = side_tensor(s, n, h, w, c);
  fill_normal(tensor.data, draw, n * h * w * c);
  return tensor;
}

double differences_dot(const double *a, const double *b, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i)
    sum += a[i] * b[i];
  return sum;
}

int64_t differences_count(const vane_tensor *tensor) {
  return tensor->n * tensor->h * tensor->w * tensor->c;
}

int differences_open(void **state) {
  vane_device *device = NULL;
  if (vane_ref_open(true, &device) != VANE_OK)
    return 1;
  *state = device;
  return 0;
}

int differences_close(void **state) {
  vane_device_close(*state);
  return 0;
}
