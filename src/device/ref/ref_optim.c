/* Adam (N30..N35), its telemetry (N40), its other rules and remedies (N60..N68). */
#include <float.h>
#include <math.h>

#include "device/ref/real.h"
#include "device/ref/ref.h"

/* What one parameter's update moves from and to. */
typedef struct adam_state {
  real *theta, *m, *v, *v_max; /* v_max NULL without AMSGrad */
} adam_state;

/* One parameter's step before anything of it is written. */
typedef struct adam_step {
  double g, m, v;
  double divisor;    /* what stands under the root, */
  double correction; /* over this, 1 - b2^t where it is a running mean */
  double move;       /* Adam's own, in units of lr */
  bool rests;        /* theta stays where it is, decay included */
} adam_step;

/* (N32), (N33) */
static double divide(const vane_adam_desc *desc, const vane_step_input *in, double m,
                     double divisor) {
  if (desc->epsilon_mode == VANE_EPSILON_HAT)
    return sqrt(in->bias2) / in->bias1 * m / (sqrt(divisor) + desc->epsilon);
  return m / in->bias1 / (sqrt(divisor / in->bias2) + desc->epsilon);
}

/* (N60) */
static adam_step adopt(const vane_adam_desc *desc, const vane_step_input *in, double g, double m,
                       double v) {
  bool first = v == 0.0;
  adam_step step = {.g = g, .m = m, .v = g * g, .divisor = v, .correction = 1.0, .rests = first};
  if (first)
    return step;
  double normed = g / fmax(sqrt(v), desc->epsilon);
  if (in->adopt_limit > 0.0)
    normed = fmax(-in->adopt_limit, fmin(normed, in->adopt_limit));
  step.m = step.move = desc->beta1 * m + (1.0 - desc->beta1) * normed;
  step.v = desc->beta2 * v + (1.0 - desc->beta2) * g * g;
  return step;
}

/* (N31), (N34), and what the rule makes of them. */
static adam_step divide_by_own(const vane_adam_desc *desc, const vane_step_input *in, double g,
                               double m, double v, double largest) {
  adam_step step = {.g = g, .correction = in->bias2};
  step.m = desc->beta1 * m + (1.0 - desc->beta1) * g;
  double spread = desc->rule == VANE_RULE_ADABELIEF ? g - step.m : g;
  step.v = desc->beta2 * v + (1.0 - desc->beta2) * spread * spread;
  if (desc->rule == VANE_RULE_ADABELIEF && (g != 0.0 || v > 0.0))
    step.v += desc->epsilon; /* (N62) */
  step.divisor = fmax(largest, step.v);
  if (desc->rule == VANE_RULE_ATAN2) /* (N61) */
    step.move = atan2(step.m / in->bias1, sqrt(step.divisor / in->bias2));
  else if (desc->rule != VANE_RULE_RADAM)
    step.move = divide(desc, in, step.m, step.divisor);
  else if (in->rectification > 0.0) /* (N63) */
    step.move = in->rectification * divide(desc, in, step.m, step.divisor);
  else
    step.move = step.m / in->bias1;
  return step;
}

/* (N65) */
static double limit_spike(const vane_adam_desc *desc, double g, double v) {
  double most = sqrt(desc->spike_clip * v);
  return most > 0.0 && fabs(g) > most ? copysign(most, g) : g;
}

/* The step from the gradient that is left after all clips of whole tensors. */
static adam_step adam_step_of(const vane_adam_desc *desc, const vane_step_input *in, double g,
                              adam_state state) {
  double keep = desc->resets && in->reset ? 0.0 : 1.0; /* (N66) */
  double m = keep * (double)*state.m, v = keep * (double)*state.v, largest = 0.0;
  if (state.v_max) /* (N64) */
    largest = keep * (double)*state.v_max * (desc->amsgrad_decay > 0.0 ? desc->amsgrad_decay : 1.0);
  g = limit_spike(desc, g, v);
  return desc->rule == VANE_RULE_ADOPT ? adopt(desc, in, g, m, v)
                                       : divide_by_own(desc, in, g, m, v, largest);
}

/* (N40) */
static void adam_watch(const vane_adam_desc *desc, const vane_step_input *in, const adam_step *step,
                       double theta, double lr, vane_adam_telemetry *seen) {
  bool corrected = desc->epsilon_mode != VANE_EPSILON_HAT && desc->rule != VANE_RULE_ADOPT;
  double root = sqrt(corrected ? step->divisor / in->bias2 : step->divisor);
  double epsilon = desc->rule == VANE_RULE_ATAN2 ? 0.0 : desc->epsilon;
  bool live = step->g != 0.0 || step->divisor > 0.0;
  seen->live += live;
  seen->below += live && root < epsilon;
  seen->underflows += step->g != 0.0 && step->v < (double)FLT_MIN;
  if (!step->rests)
    seen->ratio += step->g * step->g / fmax(step->divisor, (double)FLT_MIN) * step->correction;
  seen->update += lr * step->move * lr * step->move;
  seen->weight += theta * theta;
  seen->largest = fmax(seen->largest, fabs(step->move));
}

static void adam_write(const vane_adam_desc *desc, const adam_step *step, double decay, double lr,
                       adam_state state) {
  double theta = (double)*state.theta;
  if (desc->decay_mode == VANE_DECAY_DECOUPLED)
    theta -= lr * decay * theta;
  if (!step->rests)
    *state.theta = (real)(theta - lr * step->move);
  *state.m = (real)step->m;
  *state.v = (real)step->v;
  if (state.v_max)
    *state.v_max = (real)step->divisor;
}

/* ---- A block ------------------------------------------------------------------------------- */

/* The gradient as Adam takes it: coefficients, clips, the regularisation and L2 decay. */
static double gradient_of(const vane_adam_desc *desc, const vane_segment *segment,
                          const vane_step_record *record, double limit, double gradient,
                          double theta) {
  double own = record->coefficient[segment->task], l2_loss = 0.0, decay = 0.0;
  if (segment->decay) {
    l2_loss = record->coefficient[VANE_LOSS_REGULARIZATION];
    decay = desc->decay_mode == VANE_DECAY_L2 ? desc->weight_decay : 0.0;
  }
  return limit * record->clip * (own * gradient + l2_loss * theta) + decay * theta;
}

static vane_status ref_adam(vane_device *device, const vane_adam_desc *desc,
                            const vane_block *block, const vane_adam_memory *memory,
                            const vane_step_record *record) {
  (void)device;
  real *theta = memory->parameters, *m = memory->m, *v = memory->v, *v_max = memory->v_max;
  const real *g = memory->gradients;
  if (record->skip)
    return VANE_OK;
  for (int64_t s = 0; s < block->n_segments; ++s) {
    const vane_segment *segment = &block->segments[s];
    vane_adam_limit limit = memory->limits ? memory->limits[s] : (vane_adam_limit){1.0, 1.0};
    vane_adam_telemetry *seen =
        memory->telemetry && record->in.watch ? &memory->telemetry[s] : NULL;
    double decay = segment->decay ? desc->weight_decay : 0.0,
           lr = limit.lr * vane_record_lr(record);
    for (int64_t i = segment->offset; i < segment->offset + segment->count; ++i) {
      adam_state state = {&theta[i], &m[i], &v[i], v_max ? &v_max[i] : NULL};
      double gradient =
          gradient_of(desc, segment, record, limit.gradient, (double)g[i], (double)theta[i]);
      adam_step step = adam_step_of(desc, &record->in, gradient, state);
      if (seen)
        adam_watch(desc, &record->in, &step, (double)theta[i], lr, seen);
      adam_write(desc, &step, decay, lr, state);
    }
  }
  return VANE_OK;
}

/* ---- Limits of whole tensors --------------------------------------------------------------- */

/* (N67) */
static vane_adam_limit limit_updates(const vane_adam_desc *desc, const vane_segment *segment,
                                     const vane_adam_memory *memory,
                                     const vane_step_record *record) {
  real *theta = memory->parameters, *m = memory->m, *v = memory->v, *v_max = memory->v_max;
  const real *g = memory->gradients;
  double least = desc->epsilon * desc->epsilon, live = 0.0, ratio = 0.0;
  if (desc->epsilon_mode != VANE_EPSILON_HAT)
    least *= record->in.bias2;
  for (int64_t i = segment->offset; i < segment->offset + segment->count; ++i) {
    adam_state state = {&theta[i], &m[i], &v[i], v_max ? &v_max[i] : NULL};
    double gradient = gradient_of(desc, segment, record, 1.0, (double)g[i], (double)theta[i]);
    adam_step step = adam_step_of(desc, &record->in, gradient, state);
    live += step.g != 0.0 || step.divisor > 0.0;
    ratio += step.g * step.g / fmax(fmax(step.divisor, least), (double)FLT_MIN) * step.correction;
  }
  double rms = live > 0.0 ? sqrt(ratio / live) : 0.0;
  return (vane_adam_limit){1.0, rms > desc->update_clip ? desc->update_clip / rms : 1.0};
}

/* (N68) */
static vane_adam_limit limit_gradient(const vane_adam_desc *desc, const vane_segment *segment,
                                      const vane_adam_memory *memory,
                                      const vane_step_record *record) {
  const real *theta = memory->parameters, *g = memory->gradients;
  vane_adam_desc plain = {.decay_mode = VANE_DECAY_DECOUPLED}; /* the loss's own gradient */
  double gradients = 0.0, weights = 0.0;
  for (int64_t i = segment->offset; i < segment->offset + segment->count; ++i) {
    double own = gradient_of(&plain, segment, record, 1.0, (double)g[i], (double)theta[i]);
    gradients += own * own;
    weights += (double)theta[i] * (double)theta[i];
  }
  double most = desc->adaptive_clip * fmax(sqrt(weights), VANE_LEAST_WEIGHT);
  double length = sqrt(gradients);
  return (vane_adam_limit){length > most ? most / length : 1.0, 1.0};
}

static vane_status ref_limits(vane_device *device, const vane_adam_desc *desc,
                              const vane_block *block, const vane_adam_memory *memory,
                              const vane_step_record *record) {
  (void)device;
  for (int64_t s = 0; s < block->n_segments; ++s) {
    const vane_segment *segment = &block->segments[s];
    memory->limits[s] = desc->update_clip > 0.0 ? limit_updates(desc, segment, memory, record)
                                                : limit_gradient(desc, segment, memory, record);
  }
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_optim)(vane_optim_ops *ops) {
  *ops = (vane_optim_ops){
      .limits = ref_limits, .adam = ref_adam, .curvature = REF_NAME(vane_ref_curvature)};
}
