/* The angle head's four kinds of loss (N12..N15). */
#include <math.h>

#include "device/bessel.h"
#include "device/ref/real.h"
#include "device/ref/ref.h"

#define TURN 6.28318530717958647692 /* 2 pi */

/* Each returns the loss of one sample with outputs o and phase phi, and writes scale x its gradient
 * with respect to o. */
typedef double angle_loss(const vane_angle_desc *desc, const real *o, double phi, double scale,
                          real *gradient);

/* (N12) */
static double sincos_loss(const vane_angle_desc *desc, const real *o, double phi, double scale,
                          real *gradient) {
  (void)desc;
  double e_sin = (double)o[0] - sin(phi), e_cos = (double)o[1] - cos(phi);
  gradient[0] = (real)(scale * 2.0 * e_sin);
  gradient[1] = (real)(scale * 2.0 * e_cos);
  return e_sin * e_sin + e_cos * e_cos;
}

/* (N13) */
static double unit_loss(const vane_angle_desc *desc, const real *o, double phi, double scale,
                        real *gradient) {
  (void)desc;
  const double smallest = 1e-12; /* N13's; below it o has no direction */
  double t_sin = sin(phi), t_cos = cos(phi);
  double rho = hypot((double)o[0], (double)o[1]);
  if (rho < smallest) {
    gradient[0] = (real)(-scale * t_sin);
    gradient[1] = (real)(-scale * t_cos);
    return 1.0;
  }
  double u_sin = (double)o[0] / rho, u_cos = (double)o[1] / rho;
  double along = u_sin * t_sin + u_cos * t_cos;
  gradient[0] = (real)(scale * -(t_sin - u_sin * along) / rho);
  gradient[1] = (real)(scale * -(t_cos - u_cos * along) / rho);
  return 1.0 - along;
}

/* (N14) */
static double von_mises_loss(const vane_angle_desc *desc, const real *o, double phi, double scale,
                             real *gradient) {
  (void)desc;
  double t_sin = sin(phi), t_cos = cos(phi);
  double kappa = hypot((double)o[0], (double)o[1]), i0, i1;
  vane_bessel_scaled(kappa, &i0, &i1);
  double pull = kappa == 0.0 ? 0.0 : i1 / i0 / kappa;
  gradient[0] = (real)(scale * (pull * (double)o[0] - t_sin));
  gradient[1] = (real)(scale * (pull * (double)o[1] - t_cos));
  return log(TURN * i0) + kappa - ((double)o[0] * t_sin + (double)o[1] * t_cos);
}

/* log of the soft label of class b, up to a constant. */
static double label_score(const vane_angle_desc *desc, int64_t b, double phi) {
  double centre = TURN * (double)b / (double)desc->n_outputs;
  return cos(centre - phi) / (desc->bin_width * desc->bin_width);
}

/* (N15) Both softmaxes are taken relative to their largest score, so that nothing overflows. */
static double bins_loss(const vane_angle_desc *desc, const real *o, double phi, double scale,
                        real *gradient) {
  double top_label = -HUGE_VAL, top_output = -HUGE_VAL, sum_label = 0.0, sum_output = 0.0;
  for (int64_t b = 0; b < desc->n_outputs; ++b) {
    top_label = fmax(top_label, label_score(desc, b, phi));
    top_output = fmax(top_output, (double)o[b]);
  }
  for (int64_t b = 0; b < desc->n_outputs; ++b) {
    sum_label += exp(label_score(desc, b, phi) - top_label);
    sum_output += exp((double)o[b] - top_output);
  }
  double loss = 0.0;
  for (int64_t b = 0; b < desc->n_outputs; ++b) {
    double label = exp(label_score(desc, b, phi) - top_label) / sum_label;
    double log_p = (double)o[b] - top_output - log(sum_output);
    loss -= label * log_p;
    gradient[b] = (real)(scale * (exp(log_p) - label));
  }
  return loss;
}

static angle_loss *loss_of_kind(int kind) {
  switch (kind) {
  case VANE_ANGLE_SINCOS:
    return sincos_loss;
  case VANE_ANGLE_UNIT:
    return unit_loss;
  case VANE_ANGLE_VON_MISES:
    return von_mises_loss;
  default:
    return bins_loss;
  }
}

vane_status REF_NAME(vane_ref_angle)(vane_device *device, const vane_angle_desc *desc,
                                     const void *out, const void *target, const void *mask,
                                     int64_t n, void *sample, void *seed,
                                     vane_step_record *record) {
  (void)device;
  const real *o = out, *phase = target, *counts = mask;
  real *value = sample, *gradient = seed;
  angle_loss *loss_of = loss_of_kind(desc->kind);
  double inv_count = record->in.inv_count[VANE_LOSS_ANGLE], sum = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    int64_t first = i * desc->n_outputs;
    double loss = 0.0;
    if (counts[i] > 0)
      loss = loss_of(desc, o + first, (double)phase[i], inv_count, gradient + first);
    else
      for (int64_t b = 0; b < desc->n_outputs; ++b)
        gradient[first + b] = 0;
    sum += loss;
    value[i] = (real)loss;
  }
  record->loss[VANE_LOSS_ANGLE] = sum * inv_count;
  return VANE_OK;
}
