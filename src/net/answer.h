/* Head outputs to answers, and labels to what the heads are trained on: the units of both sides. */
#ifndef VANE_NET_ANSWER_H
#define VANE_NET_ANSWER_H

#include "config/config.h"

/* What the network says about one image. */
typedef struct vane_answer {
  double present;   /* probability */
  double angle;     /* radians, in (-period/2, period/2] */
  double angle_std; /* circular standard deviation, radians; NaN where the head does not tell it */
  double magnitude;
  double x, y; /* pixels */
} vane_answer;

/* Radians of a full period: 2 pi, pi or pi/2. */
double vane_answer_period(const vane_config *config);

/* An angle, or the difference of two, wrapped into (-period/2, period/2]. */
double vane_answer_wrap(double angle, double period);

/* From the outputs of one image: presence [1], angle [2 or bins], magnitude [1], position [2]
 * (N12..N15 and the units of N11). */
void vane_answer_decode(const vane_config *config, const float *presence, const float *angle,
                        const float *magnitude, const float *position, vane_answer *answer);

/* The other direction, for targets: an angle's phase, a magnitude and a position in head units. A
 * magnitude <= 0 has no logarithm: the result is then NaN and the loss names the example. */
double vane_answer_phase(const vane_config *config, double angle);
double vane_answer_magnitude_target(const vane_config *config, double magnitude);
double vane_answer_position_target(const vane_config *config, double position, int axis);

#endif
