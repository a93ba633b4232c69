/* The curvature along Adam's step, and the bound that follows (N36, N37). */
#include <math.h>

#include "device/ref/real.h"
#include "device/ref/ref.h"

/* The step that Adam took with one parameter, theta' - theta, and its metric D. */
typedef struct adam_move {
  double step, metric;
} adam_move;

static adam_move move_of(const vane_adam_desc *desc, const vane_step_record *record, double decay,
                         double theta_after, double m, double v) {
  const vane_step_input *in = &record->in;
  double lr = vane_record_lr(record);
  adam_move move;
  if (desc->epsilon_mode == VANE_EPSILON_HAT)
    move.metric = (sqrt(v) + desc->epsilon) / sqrt(in->bias2);
  else
    move.metric = sqrt(v / in->bias2) + desc->epsilon;
  double update = lr * (m / in->bias1) / move.metric;
  /* theta' = (1 - shrink) theta - update */
  double shrink = desc->decay_mode == VANE_DECAY_DECOUPLED ? lr * decay : 0.0;
  move.step = -(update + shrink * theta_after) / (1.0 - shrink);
  return move;
}

void REF_NAME(vane_ref_take_curvature)(const vane_guard_desc *guard, double gradient_change,
                                       double square, vane_step_record *record) {
  vane_guard_state *state = &record->guard;
  double k = gradient_change / square;
  if (square == 0.0) /* it did not move, and found nothing */
    return;
  if (!isfinite(k)) {
    ++state->ignored;
    return;
  }
  ++state->probes;
  state->curvature = fmax(k, 0.0);
  state->bound = fmax(guard->decay * state->bound, state->curvature);
}

vane_status REF_NAME(vane_ref_curvature)(vane_device *device, const vane_adam_desc *desc,
                                         const vane_guard_desc *guard, const vane_block *block,
                                         const vane_adam_memory *memory,
                                         const void *gradients_after, vane_step_record *record) {
  (void)device;
  const real *theta = memory->parameters, *m = memory->m, *v = memory->v, *v_max = memory->v_max;
  const real *before = memory->gradients, *after = gradients_after;
  double gradient_change = 0.0, square = 0.0;
  if (record->skip)
    return VANE_OK;
  for (int64_t s = 0; s < block->n_segments; ++s) {
    const vane_segment *segment = &block->segments[s];
    double own = record->clip * record->coefficient[segment->task];
    double decay = segment->decay ? desc->weight_decay : 0.0;
    double l2 = segment->decay ? record->clip * record->coefficient[VANE_LOSS_REGULARIZATION] : 0.0;
    if (desc->decay_mode == VANE_DECAY_L2)
      l2 += decay;
    for (int64_t i = segment->offset; i < segment->offset + segment->count; ++i) {
      adam_move move = move_of(desc, record, decay, (double)theta[i], (double)m[i],
                               v_max ? (double)v_max[i] : (double)v[i]);
      double change = own * ((double)after[i] - (double)before[i]) + l2 * move.step;
      gradient_change += move.step * change;
      square += move.step * move.metric * move.step;
    }
  }
  REF_NAME(vane_ref_take_curvature)(guard, gradient_change, square, record);
  return VANE_OK;
}
