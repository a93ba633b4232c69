#include "device/bessel.h"

#include <math.h>

#define PI 3.14159265358979323846

/* Below, the power series is summed; from here on the asymptotic one. At 30 the series takes 60
 * terms, all positive, and the smallest asymptotic term is about exp(-60). */
#define SERIES_END 30.0

/* sum over k of (x^2/4)^k / (k! (k+order)!), without the leading (x/2)^order. */
static double power_series(double x, int order) {
  double quarter = 0.25 * x * x;
  double term = 1.0, sum = 1.0;
  for (int k = 1; term > 1e-17 * sum; ++k) {
    term *= quarter / ((double)k * (double)(k + order));
    sum += term;
  }
  return sum;
}

/* exp(-x) I_order(x) = 1/sqrt(2 pi x) sum over k of (-1)^k prod (4 order^2 - (2j-1)^2) / (k!
 * (8x)^k) (Abramowitz and Stegun 9.7.1). */
static double asymptotic_series(double x, int order) {
  double mu = 4.0 * order * order;
  double term = 1.0, sum = 1.0;
  for (int k = 1; fabs(term) > 1e-17 * fabs(sum); ++k) {
    double odd = 2.0 * k - 1.0;
    term *= (odd * odd - mu) / (8.0 * k * x);
    sum += term;
  }
  return sum / sqrt(2.0 * PI * x);
}

void vane_bessel_scaled(double x, double *i0, double *i1) {
  if (x < SERIES_END) {
    double scale = exp(-x);
    *i0 = scale * power_series(x, 0);
    *i1 = scale * 0.5 * x * power_series(x, 1);
  } else {
    *i0 = asymptotic_series(x, 0);
    *i1 = asymptotic_series(x, 1);
  }
}
