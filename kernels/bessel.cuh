// Modified Bessel functions of orders 0 and 1 for the von Mises loss (N14), as
// src/device/bessel.h: scaled by exp(-x), to about 1e-15 relative.
#ifndef VANE_KERNELS_BESSEL_CUH
#define VANE_KERNELS_BESSEL_CUH

#include <math.h>

#include "launch.cuh"

// Below, the power series is summed; from here on the asymptotic one. At 30 the former takes 60
// terms, all positive, and the smallest term of the latter is about exp(-60).
#define BESSEL_SERIES_END 30.0

// sum over k of (x^2/4)^k / (k! (k+order)!), without the leading (x/2)^order.
static __device__ double bessel_power_series(double x, int order) {
  double quarter = 0.25 * x * x;
  double term = 1.0, sum = 1.0;
  for (int k = 1; term > 1e-17 * sum; ++k) {
    term *= quarter / ((double)k * (double)(k + order));
    sum += term;
  }
  return sum;
}

// exp(-x) I_order(x) = 1/sqrt(2 pi x) sum over k of (-1)^k prod (4 order^2 - (2j-1)^2) / (k!
// (8x)^k) (Abramowitz and Stegun 9.7.1).
static __device__ double bessel_asymptotic_series(double x, int order) {
  const double two_pi = 6.28318530717958647692;
  double mu = 4.0 * order * order;
  double term = 1.0, sum = 1.0;
  for (int k = 1; fabs(term) > 1e-17 * fabs(sum); ++k) {
    double odd = 2.0 * k - 1.0;
    term *= (odd * odd - mu) / (8.0 * k * x);
    sum += term;
  }
  return sum / sqrt(two_pi * x);
}

// i0 = exp(-x) I0(x) and i1 = exp(-x) I1(x) for x >= 0; NaN gives NaN.
static __device__ void bessel_scaled(double x, double *i0, double *i1) {
  if (x < BESSEL_SERIES_END) {
    double scale = exp(-x);
    *i0 = scale * bessel_power_series(x, 0);
    *i1 = scale * 0.5 * x * bessel_power_series(x, 1);
  } else {
    *i0 = bessel_asymptotic_series(x, 0);
    *i1 = bessel_asymptotic_series(x, 1);
  }
}

#endif
