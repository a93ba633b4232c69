// The curvature along Adam's step (N36), in one launch: both products over all segments of the
// block of parameters, then, in the block that arrives last, the bound that follows from them
// (N37). Moments and both gradients are read, 16 bytes per parameter, 20 with decoupled decay,
// which wants the parameters too.
//
// The step is formed in floats as Adam forms it (adam.cu), the products in doubles.
#include "chunk.cuh"

struct moved_reals {
  const float *theta, *m, *second, *before, *after;
};

// What a block of threads works out in double from the step's record. With r = sqrt(1 - b2^t) the
// metric D is (sqrt(v) + epsilon)/r.
struct moved_step {
  float length;            // lr r/(1 - b1^t)
  float epsilon;           // beside the uncorrected root
  double gradient, weight; // the gradient's change is gradient (after - before) + weight step
  double shrink;           // decoupled decay took off so much of theta
};

static __device__ moved_step step_of(const vane_adam_desc &desc, vane_chunk chunk,
                                     const vane_step_record *record) {
  double lr = vane_record_lr(record), root = sqrt(record->in.bias2);
  bool hat = desc.epsilon_mode == VANE_EPSILON_HAT, l2 = desc.decay_mode == VANE_DECAY_L2;
  moved_step step;
  step.length = (float)(lr * root / record->in.bias1);
  step.epsilon = (float)(hat ? desc.epsilon : desc.epsilon * root);
  step.gradient = record->clip * record->coefficient[chunk.task];
  step.weight = step.shrink = 0.0;
  if (!chunk.decay)
    return step;
  step.weight =
      record->clip * record->coefficient[VANE_LOSS_REGULARIZATION] + (l2 ? desc.weight_decay : 0.0);
  step.shrink = l2 ? 0.0 : lr * desc.weight_decay;
  return step;
}

// Beyond a chunk's end all is zero: it did not move.
static __device__ void add_products(const moved_step &step, const moved_reals &at, int i, int count,
                                    double (&sums)[2]) {
  float theta[4], m[4], second[4], before[4], after[4];
  load_of_chunk(m, at.m, i, count);
  load_of_chunk(second, at.second, i, count);
  load_of_chunk(before, at.before, i, count);
  load_of_chunk(after, at.after, i, count);
  if (step.shrink != 0.0)
    load_of_chunk(theta, at.theta, i, count);
  else
    set_zero(theta);
  double stretch = 1.0 / (1.0 - step.shrink);
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    float divisor = sqrtf(second[j]) + step.epsilon;
    double moved = (double)(-step.length * (m[j] / divisor));
    moved = (moved - step.shrink * (double)theta[j]) * stretch;
    double change = step.gradient * ((double)after[j] - (double)before[j]);
    sums[0] += moved * (change + step.weight * moved);
    sums[1] += moved * moved * (double)divisor;
  }
}

static __device__ void take_curvature(const vane_guard_desc &guard, double gradient_change,
                                      double square, vane_step_record *record) {
  vane_guard_state *state = &record->guard;
  double k = gradient_change / square;
  if (square == 0.0) // it did not move, and found nothing
    return;
  if (!isfinite(k)) {
    ++state->ignored;
    return;
  }
  ++state->probes;
  state->curvature = fmax(k, 0.0);
  state->bound = fmax(guard.decay * state->bound, state->curvature);
}

static __global__ void __launch_bounds__(BLOCK)
    k_curvature(vane_adam_desc desc, vane_guard_desc guard, vane_chunks chunks, moved_reals from,
                vane_step_record *record, vane_scratch scratch) {
  double sums[2] = {0.0, 0.0}, totals[2];
  for (int64_t at = blockIdx.x; at < chunks.n; at += gridDim.x) {
    const vane_chunk chunk = chunks.chunk[at];
    const moved_step step = step_of(desc, chunk, record);
    const moved_reals reals = {from.theta + chunk.offset, from.m + chunk.offset,
                               from.second + chunk.offset, from.before + chunk.offset,
                               from.after + chunk.offset};
    for (int i = 4 * (int)threadIdx.x; i < chunk.count; i += 4 * BLOCK)
      add_products(step, reals, i, chunk.count, sums);
  }
  if (grid_sum(sums, scratch, totals) && !record->skip)
    take_curvature(guard, totals[0], totals[1] / sqrt(record->in.bias2), record);
}

cudaError_t vane_launch_curvature(vane_adam_desc desc, vane_guard_desc guard, vane_chunks chunks,
                                  vane_adam_memory memory, const float *gradients_after,
                                  vane_step_record *record, vane_scratch scratch,
                                  cudaStream_t stream) {
  if (desc.amsgrad != (memory.v_max != nullptr))
    return cudaErrorInvalidValue;
  const moved_reals from = {(const float *)memory.parameters, (const float *)memory.m,
                            (const float *)(desc.amsgrad ? memory.v_max : memory.v),
                            (const float *)memory.gradients, gradients_after};
  if (!is_aligned(from.theta) || !is_aligned(from.m) || !is_aligned(from.second) ||
      !is_aligned(from.before) || !is_aligned(from.after))
    return cudaErrorInvalidValue;
  return VANE_LAUNCH_MEETING(k_curvature, chunk_blocks(chunks.n_reals), BLOCK, stream, desc, guard,
                             chunks, from, record, scratch);
}
