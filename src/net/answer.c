#include "net/answer.h"

#include <math.h>

#include "device/bessel.h"

#define PI 3.14159265358979323846

static double symmetry(const vane_config *config) {
  static const double fold[] = {[VANE_PERIOD_360] = 1, [VANE_PERIOD_180] = 2, [VANE_PERIOD_90] = 4};
  return fold[config->model_heads_angle_period];
}

double vane_answer_period(const vane_config *config) {
  return 2 * PI / symmetry(config);
}

double vane_answer_wrap(double angle, double period) {
  double wrapped = remainder(angle, period);
  return wrapped <= -period / 2 ? wrapped + period : wrapped;
}

/* The mean resultant length A(kappa) = I1/I0 of a von Mises distribution. */
static double resultant_length(double kappa) {
  double i0, i1;
  vane_bessel_scaled(kappa, &i0, &i1);
  return i1 / i0;
}

/* The circular standard deviation that belongs to a mean resultant length. */
static double deviation(double length) {
  return length >= 1 ? 0 : sqrt(-2 * log(length));
}

static void decode_bins(const vane_config *config, const float *out, double *phase, double *std) {
  int64_t n = config->model_heads_angle_bins, best = 0;
  for (int64_t b = 1; b < n; b++)
    if (out[b] > out[best])
      best = b;
  double total = 0, all_sin = 0, all_cos = 0, near_sin = 0, near_cos = 0;
  for (int64_t b = 0; b < n; b++) {
    double weight = exp((double)out[b] - (double)out[best]),
           centre = 2 * PI * (double)b / (double)n;
    int64_t distance = (b - best + n) % n;
    total += weight;
    all_sin += weight * sin(centre);
    all_cos += weight * cos(centre);
    if (distance <= 3 || distance >= n - 3) {
      near_sin += weight * sin(centre);
      near_cos += weight * cos(centre);
    }
  }
  *phase = atan2(near_sin, near_cos);
  *std = deviation(hypot(all_sin, all_cos) / total);
}

static void decode_angle(const vane_config *config, const float *out, double *phase, double *std) {
  if (config->model_heads_angle_kind == VANE_ANGLE_BINS) {
    decode_bins(config, out, phase, std);
    return;
  }
  double s = (double)out[0], c = (double)out[1];
  *phase = atan2(s, c);
  *std = config->model_heads_angle_kind == VANE_ANGLE_VON_MISES
             ? deviation(resultant_length(hypot(s, c)))
             : (double)NAN;
}

void vane_answer_decode(const vane_config *config, const float *presence, const float *angle,
                        const float *magnitude, const float *position, vane_answer *answer) {
  double phase, std;
  decode_angle(config, angle, &phase, &std);
  answer->present = 1 / (1 + exp(-(double)presence[0]));
  answer->angle = vane_answer_wrap(phase / symmetry(config), vane_answer_period(config));
  answer->angle_std = std / symmetry(config);
  double m = config->model_heads_magnitude_scale * (double)magnitude[0];
  answer->magnitude = config->model_heads_magnitude_log ? exp(m) : m;
  answer->x = config->model_heads_position_offset[0] +
              config->model_heads_position_scale * (double)position[0];
  answer->y = config->model_heads_position_offset[1] +
              config->model_heads_position_scale * (double)position[1];
}

double vane_answer_phase(const vane_config *config, double angle) {
  return angle * symmetry(config);
}

double vane_answer_magnitude_target(const vane_config *config, double magnitude) {
  double m = magnitude;
  if (config->model_heads_magnitude_log)
    m = magnitude > 0 ? log(magnitude) : (double)NAN;
  return m / config->model_heads_magnitude_scale;
}

double vane_answer_position_target(const vane_config *config, double position, int axis) {
  return (position - config->model_heads_position_offset[axis]) /
         config->model_heads_position_scale;
}
