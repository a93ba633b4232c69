/* One parameter's step of Adam in floats, ordered so that few roundings reach the result: m and v
 * come within 2 ULP of their largest term. Doubles would make it half an ULP, and a step that fits
 * into the cache two (moments) to three times (all) as long (Zen 4, one thread: 0.20, 0.41, 0.64 ms
 * for 729,158 parameters).
 *
 * Both epsilon modes are one formula. With r = sqrt(1 - b2^t), the corrected root is sqrt(v)/r, so
 * (N32) times r/r becomes (N33) with epsilon r in the place of epsilon; neither costs the loop a
 * multiplication.
 */
#ifndef VANE_DEVICE_CPU_CPU_ADAM_H
#define VANE_DEVICE_CPU_CPU_ADAM_H

#include <math.h>

#include "device/device.h"

/* What is not inlined is not a loop over vectors. */
#define ADAM_INLINE static inline __attribute__((always_inline))

/* The root of the smallest normal float: what g is divided by is no smaller. */
#define ADAM_LEAST_ROOT 0x1p-63f

/* Literals at every call, so that each variant becomes a loop of its own without a branch. */
typedef struct adam_variant {
  int rule;
  bool amsgrad;
  bool spam;  /* spikes are limited, moments may begin anew */
  bool watch; /* telemetry is kept */
} adam_variant;

/* The same for all segments; computed in double, rounded once. */
typedef struct adam_step {
  float rate1, rate2; /* 1 - b1, 1 - b2 */
  float rest2;        /* what rounding took from 1 - b2: 0.001 as a float is 5e-8 of it off */
  float epsilon;      /* beside the uncorrected root */
  float grown;        /* AMSGrad: what is kept of v_max */
  float keep, spike;  /* SPAM: 0 where the moments begin anew; most of g^2 / v */
  float belief;       /* AdaBelief: added to v */
  float unit;         /* atan2: r/(1 - b1^t), r = sqrt(1 - b2^t) */
  float most;         /* ADOPT: of a normalised gradient */
  float slope, least; /* RAdam: m is divided by slope root + least */
  double times, over; /* a move of the loop's is times/over learning rates */
  double correction;  /* of g^2 / v */
} adam_step;

/* What differs between segments: g = gradient * grad + weight * theta. */
typedef struct adam_scale {
  float gradient, weight;
  float length; /* of a move of the loop's */
  float shrink; /* decoupled decay takes off so much of theta */
} adam_scale;

typedef struct adam_block {
  float *theta;
  const float *gradient;
  float *m, *v, *v_max;
} adam_block;

/* Of one parameter, before anything is written. */
typedef struct adam_result {
  float g, m, v;
  float second, root; /* what stands under the root, which is v_max's new value with AMSGrad */
  float move;
  float theta;
} adam_result;

adam_step vane_cpu_adam_step(const vane_adam_desc *desc, const vane_step_record *record);
/* `limit` NULL: none. */
adam_scale vane_cpu_adam_scale(const vane_adam_desc *desc, const adam_step *step,
                               const vane_segment *segment, const vane_adam_limit *limit,
                               const vane_step_record *record);

/* a b + c, rounded once where the processor can; in words, so that accuracy does not depend on
 * what an optimiser makes of the loop. */
ADAM_INLINE float multiply_add(float a, float b, float c) {
#if defined(FP_FAST_FMAF) || defined(__FMA__)
  return fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/* (N61) Of a pair with x >= 0; 0 of none. The polynomial is fitted to atan(t)/t over 0..1 in
 * t^2: least relative error, with these roundings 1.4 times 2^-24. */
ADAM_INLINE float arc_tangent(float y, float x) {
  float size = fabsf(y);
  float low = size < x ? size : x, high = size < x ? x : size;
  float t = high > 0 ? low / high : 0;
  float square = t * t;
  float p = 0.0029206930194050074f;
  p = multiply_add(p, square, -0.01636793091893196f);
  p = multiply_add(p, square, 0.04321186617016792f);
  p = multiply_add(p, square, -0.07552214711904526f);
  p = multiply_add(p, square, 0.10666004568338394f);
  p = multiply_add(p, square, -0.14211055636405945f);
  p = multiply_add(p, square, 0.19993773102760315f);
  p = multiply_add(p, square, -0.33333152532577515f);
  float angle = multiply_add(t * square, p, t);
  return copysignf(size > x ? 1.57079632679489662f - angle : angle, y);
}

/* (N65) A NaN compares false: without a limit (infinity times no v) nothing is limited. */
ADAM_INLINE float limit_spike(float g, float spike, float v) {
  float most = sqrtf(spike * v);
  return v > 0 && fabsf(g) > most ? copysignf(most, g) : g;
}

/* (N31) */
ADAM_INLINE float add_moment(float rate, float m, float g) {
  return multiply_add(rate, g, multiply_add(-rate, m, m));
}

ADAM_INLINE float add_square(adam_step step, float v, float g) {
  float growth = multiply_add(g, g, -v);
  return multiply_add(step.rate2, growth, multiply_add(step.rest2, growth, v));
}

/* (N60) A parameter's first gradient only sets its v. */
ADAM_INLINE void adopt(adam_step step, float m, float v, adam_result *to) {
  float root = sqrtf(v);
  float normed = to->g / (root > step.epsilon ? root : step.epsilon);
  normed = normed < step.most ? normed : step.most;
  normed = normed > -step.most ? normed : -step.most;
  float moved = add_moment(step.rate1, m, normed), grown = add_square(step, v, to->g);
  to->second = v;
  to->root = root;
  to->m = v > 0 ? moved : m;
  to->v = v > 0 ? grown : to->g * to->g;
  to->move = v > 0 ? moved : 0;
}

ADAM_INLINE void divide_by_own(adam_step step, adam_variant variant, float m, float v, float v_max,
                               adam_result *to) {
  to->m = add_moment(step.rate1, m, to->g);
  if (variant.rule == VANE_RULE_ADABELIEF) { /* (N62) */
    float spread = add_square(step, v, to->g - to->m);
    to->v = fabsf(to->g) + v > 0 ? spread + step.belief : spread;
  } else {
    to->v = add_square(step, v, to->g);
  }
  to->second = variant.amsgrad && v_max > to->v ? v_max : to->v;
  to->root = sqrtf(to->second);
  if (variant.rule == VANE_RULE_ATAN2)
    to->move = arc_tangent(step.unit * to->m, to->root);
  else if (variant.rule == VANE_RULE_RADAM)
    to->move = to->m / multiply_add(step.slope, to->root, step.least);
  else
    to->move = to->m / (to->root + step.epsilon);
}

ADAM_INLINE adam_result adam_result_of(adam_step step, adam_scale scale, adam_variant variant,
                                       float theta, float gradient, float m, float v, float v_max) {
  adam_result to;
  to.g = multiply_add(scale.gradient, gradient, scale.weight * theta);
  if (variant.amsgrad)
    v_max *= step.grown;
  if (variant.spam) {
    m *= step.keep;
    v *= step.keep;
    v_max *= step.keep;
    to.g = limit_spike(to.g, step.spike, v);
  }
  if (variant.rule == VANE_RULE_ADOPT)
    adopt(step, m, v, &to);
  else
    divide_by_own(step, variant, m, v, v_max, &to);
  float shrunk = multiply_add(-scale.shrink, theta, theta);
  to.theta = multiply_add(-scale.length, to.move, shrunk);
  if (variant.rule == VANE_RULE_ADOPT)
    to.theta = v > 0 ? to.theta : theta;
  return to;
}

#endif
