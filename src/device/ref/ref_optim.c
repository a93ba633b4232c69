/* Adam (N30..N35, N40). */
#include <float.h>
#include <math.h>

#include "device/ref/real.h"
#include "device/ref/ref.h"

/* What one parameter's update moves from and to. */
typedef struct adam_state {
  real *theta, *m, *v, *v_max; /* v_max NULL without AMSGrad */
} adam_state;

/* (N40) `move` is Adam's own, in units of lr; `divisor` is what stands under the root. */
static void adam_watch(const vane_adam_desc *desc, const vane_step_record *record, double gradient,
                       double theta, double v, double divisor, double move,
                       vane_adam_telemetry *seen) {
  bool hat = desc->epsilon_mode == VANE_EPSILON_HAT;
  double root = sqrt(hat ? divisor : divisor / record->in.bias2);
  double update = vane_record_lr(record) * move;
  bool live = gradient != 0.0 || divisor > 0.0;
  seen->live += live;
  seen->below += live && root < desc->epsilon;
  seen->underflows += gradient != 0.0 && v < (double)FLT_MIN;
  seen->ratio += gradient * gradient / fmax(divisor, (double)FLT_MIN) * record->in.bias2;
  seen->update += update * update;
  seen->weight += theta * theta;
  seen->largest = fmax(seen->largest, fabs(move));
}

/* `seen` NULL: nobody watches. */
static void adam_update(const vane_adam_desc *desc, const vane_step_record *record, double gradient,
                        double decay, adam_state state, vane_adam_telemetry *seen) {
  const vane_step_input *in = &record->in;
  double lr = vane_record_lr(record);
  double theta = (double)*state.theta, before = theta;
  if (desc->decay_mode == VANE_DECAY_L2)
    gradient += decay * theta;
  else
    theta -= lr * decay * theta;
  double m = desc->beta1 * (double)*state.m + (1.0 - desc->beta1) * gradient;
  double v = desc->beta2 * (double)*state.v + (1.0 - desc->beta2) * gradient * gradient;
  double divisor = v;
  if (state.v_max) {
    divisor = fmax((double)*state.v_max, v);
    *state.v_max = (real)divisor;
  }
  double move = desc->epsilon_mode == VANE_EPSILON_HAT
                    ? sqrt(in->bias2) / in->bias1 * m / (sqrt(divisor) + desc->epsilon)
                    : m / in->bias1 / (sqrt(divisor / in->bias2) + desc->epsilon);
  if (seen)
    adam_watch(desc, record, gradient, before, v, divisor, move, seen);
  *state.theta = (real)(theta - lr * move);
  *state.m = (real)m;
  *state.v = (real)v;
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
    double own = record->coefficient[segment->task];
    double l2_loss = segment->decay ? record->coefficient[VANE_LOSS_REGULARIZATION] : 0.0;
    double decay = segment->decay ? desc->weight_decay : 0.0;
    for (int64_t i = segment->offset; i < segment->offset + segment->count; ++i) {
      double gradient = record->clip * (own * (double)g[i] + l2_loss * (double)theta[i]);
      adam_state state = {&theta[i], &m[i], &v[i], v_max ? &v_max[i] : NULL};
      adam_update(desc, record, gradient, decay, state,
                  memory->telemetry && record->in.watch ? &memory->telemetry[s] : NULL);
    }
  }
  return VANE_OK;
}

void REF_NAME(vane_ref_fill_optim)(vane_optim_ops *ops) {
  *ops = (vane_optim_ops){.adam = ref_adam, .curvature = REF_NAME(vane_ref_curvature)};
}
