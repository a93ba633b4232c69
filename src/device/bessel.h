/* Modified Bessel functions of orders 0 and 1, for the von Mises distribution (N14). */
#ifndef VANE_DEVICE_BESSEL_H
#define VANE_DEVICE_BESSEL_H

/* i0 = exp(-x) I0(x) and i1 = exp(-x) I1(x) for x >= 0, to about 1e-15 relative: scaled, so that
 * any x is safe. NaN gives NaN. */
void vane_bessel_scaled(double x, double *i0, double *i1);

#endif
