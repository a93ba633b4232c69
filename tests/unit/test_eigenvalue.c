/* The largest eigenvalue of matrices whose eigenvalues are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "optim/eigenvalue.h"

#define MOST_ROWS 2000

typedef struct known {
  int64_t n;
  int64_t n_products;
} known;

/* Second differences: 2 on the diagonal, -1 beside it; eigenvalues 2 - 2 cos(pi k / (n + 1)). */
static vane_status second_differences(void *user, const double *x, double *y) {
  known *matrix = user;
  int64_t n = matrix->n;
  matrix->n_products++;
  for (int64_t i = 0; i < n; i++)
    y[i] = 2 * x[i] - (i > 0 ? x[i - 1] : 0) - (i + 1 < n ? x[i + 1] : 0);
  return VANE_OK;
}

/* Negative but for two zeros, which belong to the first two rows: the largest by size is not the
 * largest, and the largest is -1/2 as long as nothing enters those rows. */
static vane_status mostly_negative(void *user, const double *x, double *y) {
  known *matrix = user;
  for (int64_t i = 0; i < matrix->n; i++)
    y[i] = i < 2 ? 0 : (i == 2 ? -0.5 : -(double)i) * x[i];
  return VANE_OK;
}

static vane_status not_finite(void *user, const double *x, double *y) {
  known *matrix = user;
  for (int64_t i = 0; i < matrix->n; i++)
    y[i] = x[i] / 0.0;
  return VANE_OK;
}

static void fill(double *start, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    start[i] = 1 + 0.1 * sin((double)(7 * i));
}

static void test_second_differences_of_any_size(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 3, 9, 10, 11, 100};
  double start[MOST_ROWS];
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int64_t n = sizes[i];
    known matrix = {.n = n};
    double value, expected = 2 - 2 * cos(acos(-1) * (double)n / (double)(n + 1));
    fill(start, n);
    vane_symmetric symmetric = {n, second_differences, &matrix};
    assert_int_equal(vane_largest_eigenvalue(&symmetric, start, 1e-4, 2000, &value), VANE_OK);
    if (!(fabs(value - expected) <= 1e-3 * expected))
      fail_msg("%lld rows: %.9g, not %.9g", (long long)n, value, expected);
  }
}

static void test_the_largest_by_sign(void **state) {
  (void)state;
  double start[50], value;
  known matrix = {.n = 50};
  fill(start, 50);
  vane_symmetric symmetric = {50, mostly_negative, &matrix};
  start[0] = start[1] = 0;
  assert_int_equal(vane_largest_eigenvalue(&symmetric, start, 1e-6, 2000, &value), VANE_OK);
  if (!(fabs(value + 0.5) < 1e-5))
    fail_msg("%.9g is not -0.5: the first two rows were to stay at zero", value);
}

static void test_products_are_bounded(void **state) {
  (void)state;
  double start[MOST_ROWS], value;
  known matrix = {.n = MOST_ROWS};
  fill(start, MOST_ROWS);
  vane_symmetric symmetric = {MOST_ROWS, second_differences, &matrix};
  assert_int_equal(vane_largest_eigenvalue(&symmetric, start, 1e-12, 30, &value), VANE_ERR_NUMERIC);
  assert_true(matrix.n_products <= 30);
}

static void test_products_that_are_not_finite(void **state) {
  (void)state;
  double start[10], value;
  known matrix = {.n = 10};
  fill(start, 10);
  vane_symmetric symmetric = {10, not_finite, &matrix};
  assert_int_equal(vane_largest_eigenvalue(&symmetric, start, 1e-3, 100, &value), VANE_ERR_NUMERIC);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_second_differences_of_any_size),
      cmocka_unit_test(test_the_largest_by_sign),
      cmocka_unit_test(test_products_are_bounded),
      cmocka_unit_test(test_products_that_are_not_finite),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
