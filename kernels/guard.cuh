// What the guard makes of the losses: whether they rise (N42), and how far a step may go (N38). One
// thread's work.
#pragma once

#include "common.cuh"

// The heads' weighted losses. What is switched off may be infinite. Of the loss that may be
// negative ln(1 + e^L) is taken: L where that is large, and never below zero.
static __device__ double logarithm_of_loss(const vane_guard_desc &guard,
                                           const vane_step_record *record) {
  double total = 0.0;
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    double loss = record->loss[k];
    if (k == guard.signed_loss)
      loss = fmax(loss, 0.0) + log1p(exp(-fabs(loss)));
    if (record->weight[k] != 0.0)
      total += record->weight[k] * loss;
  }
  return log(fmax(total, 1e-30));
}

// Follows `loss`; whether it rises, more than its noise explains.
static __device__ bool rises(double loss, vane_guard_state *state) {
  if (++state->losses == 1.0) {
    state->level = state->last = loss;
    state->noise = 1.0;
    return false;
  }
  double n = fmin(state->losses, (double)VANE_GUARD_MEMORY);
  double noise = fmax(state->noise, 0.2), above = loss - state->level;
  double change = fabs(loss - state->last) / 1.128; // the mean of |x - y| of two normal draws
  state->last = loss;
  state->noise += (fmin(change, 3.0 * noise) - state->noise) / n;
  state->level += (above < 0.0 ? 2.0 * above : fmin(above, 3.0 * noise)) / n; // twice as fast down
  if (state->losses <= (double)VANE_GUARD_BEGIN)
    return false;
  state->rise = fmax(0.0, state->rise + fmin(above / noise, 5.0) - 0.75);
  if (state->rise <= 8.0)
    return false;
  // Braked, it is still high for a while.
  bool higher = state->brake == 0.0 || loss > state->peak + noise;
  state->rise = higher ? 0.0 : 8.0;
  if (higher)
    state->peak = loss;
  return higher;
}

// What learning rate times curvature may reach.
static __device__ double share_of(const vane_guard_desc &guard, const vane_guard_state *state) {
  return guard.margin * exp(-state->narrowing);
}

// The share at which the loss began to rise was too large. Far below the limit it is not Adam's
// stability that fails.
static __device__ void answer(const vane_guard_desc &guard, vane_step_record *record) {
  vane_guard_state *state = &record->guard;
  double share = share_of(guard, state);
  double taken = fmin(record->in.lr * state->bound / guard.limit, share);
  if (taken <= guard.floor)
    return;
  if (state->brake == 0.0) {
    double narrowed = fmax(fmax(0.9 * taken, 0.75 * share), guard.floor);
    state->narrowing = log(guard.margin / narrowed);
  }
  state->brake += 2.3;
  ++state->alarms;
}

static __device__ void follow_loss(const vane_guard_desc &guard, vane_step_record *record) {
  vane_guard_state *state = &record->guard;
  if (!guard.acts)
    return;
  double loss = logarithm_of_loss(guard, record);
  if (!isfinite(loss))
    return;
  state->narrowing = fmax(0.0, state->narrowing - 1e-5);
  state->brake = fmax(0.0, state->brake - 0.05);
  if (rises(loss, state))
    answer(guard, record);
  double largest = 0.0;
  if (state->bound > 0.0) {
    largest = share_of(guard, state) * guard.limit / state->bound;
    if (state->brake > 0.0)
      largest = exp(-state->brake) * fmin(largest, record->in.lr);
  }
  state->largest_lr = largest;
}
