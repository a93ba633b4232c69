// One parameter's step of Adam, by the formulas and in the order of roundings of
// src/device/cpu/cpu_adam.h, where they are explained: with fused multiply-adds both give the same
// bits.
#ifndef VANE_KERNELS_ADAM_CUH
#define VANE_KERNELS_ADAM_CUH

#include "chunk.cuh"

// The root of the smallest normal float: what g is divided by is no smaller.
static constexpr float LEAST_ROOT = 1.0842021724855044e-19f; // 2^-63

// Blocks on a multiprocessor: registers enough for half of the threads of any, which hides the
// latency of its memory.
static constexpr int LEAST_BLOCKS = 4;

// A kernel for each combination, so that none pays for another. GENERAL: rules but Adam's own, and
// SPAM; which, the step says. SHADOW is a loop's alone: chunks with and without a shadow share a
// launch.
enum { AMSGRAD = 1, TELEMETRY = 2, GENERAL = 4, SHADOW = 8 };

// What a block of threads works out in double, once, from the step's record.
struct adam_step {
  float rate1, rate2; // 1 - b1, 1 - b2
  float rest2;        // what rounding took from 1 - b2
  float epsilon;      // beside the uncorrected root
  float grown;        // AMSGrad: what is kept of v_max
  // Of the block's segment: g = gradient * grad + weight * theta, then a move of the loop's times
  // length; decoupled decay takes `shrink` of theta.
  float gradient, weight, length, shrink;
  // Of GENERAL alone, see cpu_adam.h.
  int rule;
  float keep, spike, belief, unit, most, slope, least;
  double times, over; // a move of the loop's is times/over learning rates
  double correction;  // of g^2 / v
  double lr;          // the segment's
};

// Of one parameter, before anything is written.
struct adam_result {
  float g, m, v, second, root, move, theta;
};

static __device__ void set_rule(const vane_adam_desc &desc, const vane_step_input &in,
                                adam_step &step) {
  const double root = sqrt(in.bias2);
  const bool rectified = in.rectification > 0.0;
  step.rule = desc.rule;
  step.keep = desc.resets && in.reset ? 0.0f : 1.0f;
  step.spike = desc.spike_clip > 0.0 ? (float)desc.spike_clip : INFINITY;
  step.belief = (float)desc.epsilon;
  step.unit = (float)(root / in.bias1);
  step.most = in.adopt_limit > 0.0 ? (float)in.adopt_limit : INFINITY;
  step.slope = rectified ? 1.0f : 0.0f;
  step.least = rectified ? step.epsilon : 1.0f;
  if (desc.rule == VANE_RULE_RADAM)
    step.times = rectified ? in.rectification * root : 1.0;
  if (desc.rule == VANE_RULE_ATAN2)
    step.epsilon = 0.0f;
  if (desc.rule == VANE_RULE_ADOPT) {
    step.epsilon = (float)desc.epsilon;
    step.correction = 1.0;
  }
  if (desc.rule == VANE_RULE_ATAN2 || desc.rule == VANE_RULE_ADOPT)
    step.times = step.over = 1.0;
}

// `limit` NULL: none.
static __device__ void set_scale(const vane_adam_desc &desc, vane_chunk chunk,
                                 const vane_adam_limit *limit, const vane_step_record *record,
                                 adam_step &step) {
  const double clip = record->clip * (limit ? limit->gradient : 1.0);
  const double lr = vane_record_lr(record) * (limit ? limit->lr : 1.0);
  step.gradient = (float)(clip * record->coefficient[chunk.task]);
  step.lr = lr;
  step.length = (float)(lr * step.times / step.over);
  step.weight = step.shrink = 0.0f;
  if (!chunk.decay)
    return;
  bool l2 = desc.decay_mode == VANE_DECAY_L2;
  step.weight = (float)(clip * record->coefficient[VANE_LOSS_REGULARIZATION] +
                        (l2 ? desc.weight_decay : 0.0));
  step.shrink = l2 ? 0.0f : (float)(lr * desc.weight_decay);
}

template <int MODE>
static __device__ adam_step step_of(const vane_adam_desc &desc, vane_chunk chunk,
                                    const vane_adam_limit *limit, const vane_step_record *record) {
  const double root = sqrt(record->in.bias2), rate2 = 1.0 - desc.beta2;
  const bool hat = desc.epsilon_mode == VANE_EPSILON_HAT;
  adam_step step;
  step.rate1 = (float)(1.0 - desc.beta1);
  step.rate2 = (float)rate2;
  step.rest2 = (float)(rate2 - (double)(float)rate2);
  step.epsilon = (float)(hat ? desc.epsilon : desc.epsilon * root);
  step.grown = desc.amsgrad_decay > 0.0 ? (float)desc.amsgrad_decay : 1.0f;
  step.times = root;
  step.over = record->in.bias1;
  step.correction = record->in.bias2;
  if (MODE & GENERAL)
    set_rule(desc, record->in, step);
  set_scale(desc, chunk, limit, record, step);
  return step;
}

// (N61)
static __device__ __forceinline__ float arc_tangent(float y, float x) {
  float size = fabsf(y);
  float low = size < x ? size : x, high = size < x ? x : size;
  float t = high > 0.0f ? low / high : 0.0f;
  float square = t * t;
  float p = 0.0029206930194050074f;
  p = fmaf(p, square, -0.01636793091893196f);
  p = fmaf(p, square, 0.04321186617016792f);
  p = fmaf(p, square, -0.07552214711904526f);
  p = fmaf(p, square, 0.10666004568338394f);
  p = fmaf(p, square, -0.14211055636405945f);
  p = fmaf(p, square, 0.19993773102760315f);
  p = fmaf(p, square, -0.33333152532577515f);
  float angle = fmaf(t * square, p, t);
  return copysignf(size > x ? 1.57079632679489662f - angle : angle, y);
}

// (N65)
static __device__ __forceinline__ float limit_spike(float g, float spike, float v) {
  float most = sqrtf(spike * v);
  return v > 0.0f && fabsf(g) > most ? copysignf(most, g) : g;
}

// (N31)
static __device__ __forceinline__ float add_moment(float rate, float m, float g) {
  return fmaf(rate, g, fmaf(-rate, m, m));
}

static __device__ __forceinline__ float add_square(const adam_step &step, float v, float g) {
  float growth = fmaf(g, g, -v);
  return fmaf(step.rate2, growth, fmaf(step.rest2, growth, v));
}

// (N60)
static __device__ __forceinline__ void adopt(const adam_step &step, float m, float v,
                                             adam_result &to) {
  float root = sqrtf(v);
  float normed = to.g / (root > step.epsilon ? root : step.epsilon);
  normed = normed < step.most ? normed : step.most;
  normed = normed > -step.most ? normed : -step.most;
  float moved = add_moment(step.rate1, m, normed), grown = add_square(step, v, to.g);
  to.second = v;
  to.root = root;
  to.m = v > 0.0f ? moved : m;
  to.v = v > 0.0f ? grown : to.g * to.g;
  to.move = v > 0.0f ? moved : 0.0f;
}

template <int MODE>
static __device__ __forceinline__ void divide_by_own(const adam_step &step, float m, float v,
                                                     float v_max, adam_result &to) {
  const int rule = MODE & GENERAL ? step.rule : VANE_RULE_ADAM;
  to.m = add_moment(step.rate1, m, to.g);
  to.v = add_square(step, v, rule == VANE_RULE_ADABELIEF ? to.g - to.m : to.g);
  if (rule == VANE_RULE_ADABELIEF && fabsf(to.g) + v > 0.0f) // (N62)
    to.v += step.belief;
  to.second = MODE & AMSGRAD && v_max > to.v ? v_max : to.v;
  to.root = sqrtf(to.second);
  if (rule == VANE_RULE_ATAN2)
    to.move = arc_tangent(step.unit * to.m, to.root);
  else if (rule == VANE_RULE_RADAM)
    to.move = to.m / fmaf(step.slope, to.root, step.least);
  else
    to.move = to.m / (to.root + step.epsilon);
}

template <int MODE>
static __device__ __forceinline__ adam_result result_of(const adam_step &step, float theta,
                                                        float gradient, float m, float v,
                                                        float v_max) {
  adam_result to;
  to.g = fmaf(step.gradient, gradient, step.weight * theta);
  if (MODE & AMSGRAD)
    v_max *= step.grown;
  if (MODE & GENERAL) {
    m *= step.keep;
    v *= step.keep;
    if (MODE & AMSGRAD)
      v_max *= step.keep;
    to.g = limit_spike(to.g, step.spike, v);
  }
  const bool adopts = MODE & GENERAL && !(MODE & AMSGRAD) && step.rule == VANE_RULE_ADOPT;
  if (adopts)
    adopt(step, m, v, to);
  else
    divide_by_own<MODE>(step, m, v, v_max, to);
  float shrunk = fmaf(-step.shrink, theta, theta);
  to.theta = fmaf(-step.length, to.move, shrunk);
  if (adopts && !(v > 0.0f))
    to.theta = theta;
  return to;
}

#endif
