/* The scaled Bessel functions against values of another library (torch.special, float64). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "device/bessel.h"

static void assert_close(double actual, double expected, double relative) {
  if (!(fabs(actual - expected) <= relative * fabs(expected)))
    fail_msg("%.17g instead of %.17g", actual, expected);
}

/* Either side of 30, where one series takes over from the other, too. */
static void test_values(void **state) {
  (void)state;
  static const double table[][3] = {{0.0, 1.0, 0.0},
                                    {0.01, 0.9900745851497077, 0.004950311047118276},
                                    {1, 0.46575960759364043, 0.2079104153497085},
                                    {10, 0.1278333371634286, 0.1212626813844555},
                                    {29.75, 0.07345530228191528, 0.07221001664055529},
                                    {30.25, 0.07284046717911502, 0.07162619510912747},
                                    {100, 0.03994437929909668, 0.03974415302513025},
                                    {10000.0, 0.0039894726746047314, 0.003989273195983662}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i) {
    double i0, i1;
    vane_bessel_scaled(table[i][0], &i0, &i1);
    assert_close(i0, table[i][1], 2e-15);
    assert_close(i1, table[i][2], 2e-15);
  }
}

static void test_no_number(void **state) {
  (void)state;
  double i0, i1;
  vane_bessel_scaled((double)NAN, &i0, &i1);
  assert_true(isnan(i0) && isnan(i1));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                     cmocka_unit_test(test_no_number)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
