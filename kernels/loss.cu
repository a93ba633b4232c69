// The losses of all heads but the angle's (N10, N11), value and seed in one pass;
// clip_by_average_norm (N16); regularisation (N17). The angle's kinds are in angle.cu.
#include "chunk.cuh"
#include "loss.cuh"

// ---- Presence (N10) ----

static __global__ void k_presence(const float *logits, const float *target, const float *mask,
                                  int64_t n, float *sample, float *seed, vane_step_record *record,
                                  vane_scratch scratch) {
  double inv_count = record->in.inv_count[VANE_LOSS_PRESENCE], sum = 0.0;
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    double loss = 0.0, gradient = 0.0;
    if (mask[i] > 0.0f) {
      double logit = (double)logits[i], truth = (double)target[i];
      double small = exp(-fabs(logit)); // in 0..1: nothing overflows
      double probability = logit >= 0.0 ? 1.0 / (1.0 + small) : small / (1.0 + small);
      double positive = logit < 0.0 ? 0.0 : logit; // a NaN stays one
      loss = positive - logit * truth + log1p(small);
      gradient = (probability - truth) * inv_count;
    }
    sum += loss;
    sample[i] = (float)loss;
    seed[i] = (float)gradient;
  }
  put_loss(sum, VANE_LOSS_PRESENCE, scratch, record);
}

cudaError_t vane_launch_presence(const float *logits, const float *target, const float *mask,
                                 int64_t n, float *sample, float *seed, vane_step_record *record,
                                 vane_scratch scratch, cudaStream_t stream) {
  unsigned threads = loss_block(n);
  return VANE_LAUNCH_MEETING(k_presence, blocks_for(n, threads, MOST_LOSS_BLOCKS), threads, stream,
                             logits, target, mask, n, sample, seed, record, scratch);
}

// ---- Regression (N11) ----

// The loss of one component's error, and its derivative.
static __device__ double regression_loss(vane_regression_desc desc, double error,
                                         double *derivative) {
  if (desc.kind == VANE_REGRESSION_HUBER && fabs(error) > desc.delta) {
    *derivative = error > 0.0 ? 2.0 * desc.delta : -2.0 * desc.delta;
    return desc.delta * (2.0 * fabs(error) - desc.delta);
  }
  *derivative = 2.0 * error;
  return error * error;
}

static __global__ void k_regression(vane_regression_desc desc, int k, const float *out,
                                    const float *target, const float *mask, int64_t n, int64_t d,
                                    float *sample, float *seed, vane_step_record *record,
                                    vane_scratch scratch) {
  double inv_count = record->in.inv_count[k], sum = 0.0;
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    bool counts = mask[i] > 0.0f;
    double loss = 0.0;
    for (int64_t j = i * d; j < (i + 1) * d; ++j) {
      double derivative = 0.0;
      if (counts)
        loss += regression_loss(desc, (double)out[j] - (double)target[j], &derivative);
      seed[j] = (float)(derivative * inv_count);
    }
    sum += loss;
    sample[i] = (float)loss;
  }
  put_loss(sum, k, scratch, record);
}

cudaError_t vane_launch_regression(vane_regression_desc desc, int k, const float *out,
                                   const float *target, const float *mask, int64_t n, int64_t d,
                                   float *sample, float *seed, vane_step_record *record,
                                   vane_scratch scratch, cudaStream_t stream) {
  if (k < 0 || k >= VANE_N_HEADS)
    return cudaErrorInvalidValue;
  unsigned threads = loss_block(n);
  return VANE_LAUNCH_MEETING(k_regression, blocks_for(n, threads, MOST_LOSS_BLOCKS), threads,
                             stream, desc, k, out, target, mask, n, d, sample, seed, record,
                             scratch);
}

// ---- clip_by_average_norm (N16) ----
// All blocks share the sum; scaling, which hardly ever happens, is the last one's alone.

// True in all threads of the last block, once the grid's values are summed: then in thread 0.
static __device__ bool sum_in_last(double value, vane_scratch scratch, double *total) {
  value = block_sum(value);
  if (threadIdx.x == 0)
    scratch.parts[blockIdx.x] = value;
  if (!arrive_last(scratch))
    return false;
  *total = sum_of_parts(scratch.parts, gridDim.x);
  return true;
}

// A norm that is not finite leaves the output alone, so that the bad sample keeps its name.
static __global__ void k_clip_average(double limit, float *out, int64_t count,
                                      vane_step_record *record, vane_scratch scratch) {
  __shared__ double scale;
  double squares = 0.0, total = 0.0;
  for (int64_t i = grid_thread(); i < count; i += grid_threads())
    squares += (double)out[i] * (double)out[i];
  if (!sum_in_last(squares, scratch, &total))
    return;
  if (threadIdx.x == 0) {
    double average = count > 0 ? sqrt(total) / (double)count : 0.0;
    record->average_norm = average;
    record->average_scale = scale = isfinite(average) && average > limit ? limit / average : 1.0;
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; scale < 1.0 && i < count; i += blockDim.x)
    out[i] = (float)((double)out[i] * scale);
}

static __global__ void k_clip_average_backward(double limit, const float *out, float *seed,
                                               int64_t count, const vane_step_record *record,
                                               vane_scratch scratch) {
  __shared__ double shared_along;
  if (!(record->average_scale < 1.0))
    return;
  double clipped_norm = limit * (double)count;
  double along = 0.0, total = 0.0; // (t'.dt') / |t'|^2
  for (int64_t i = grid_thread(); i < count; i += grid_threads())
    along += (double)out[i] / clipped_norm * (double)seed[i] / clipped_norm;
  if (!sum_in_last(along, scratch, &total))
    return;
  if (threadIdx.x == 0)
    shared_along = total;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x)
    seed[i] = (float)(record->average_scale * ((double)seed[i] - (double)out[i] * shared_along));
}

static unsigned clip_blocks(int64_t count) {
  return blocks_for(count, 4 * BLOCK, MOST_LOSS_BLOCKS);
}

cudaError_t vane_launch_clip_average(double limit, float *out, int64_t count,
                                     vane_step_record *record, vane_scratch scratch,
                                     cudaStream_t stream) {
  return VANE_LAUNCH_MEETING(k_clip_average, clip_blocks(count), loss_block(count), stream, limit,
                             out, count, record, scratch);
}

cudaError_t vane_launch_clip_average_backward(double limit, const float *out, float *seed,
                                              int64_t count, const vane_step_record *record,
                                              vane_scratch scratch, cudaStream_t stream) {
  return VANE_LAUNCH_MEETING(k_clip_average_backward, clip_blocks(count), loss_block(count), stream,
                             limit, out, seed, count, record, scratch);
}

// ---- Regularisation (N17) ----

static __global__ void __launch_bounds__(BLOCK)
    k_regularization(vane_chunks chunks, const float *parameters, vane_step_record *record,
                     vane_scratch scratch) {
  double squares[1] = {0.0}, total[1];
  for (int64_t at = blockIdx.x; at < chunks.n; at += gridDim.x) {
    const vane_chunk chunk = chunks.chunk[at];
    if (!chunk.decay)
      continue;
    const float *w = parameters + chunk.offset;
    for (int i = 4 * (int)threadIdx.x; i < chunk.count; i += 4 * (int)blockDim.x) {
      float x[4];
      load_of_chunk(x, w, i, chunk.count);
      squares[0] += is_tame(x) ? (double)dot_in_float(x, x) : dot_in_double(x, x);
    }
  }
  if (grid_sum(squares, scratch, total))
    record->loss[VANE_LOSS_REGULARIZATION] = 0.5 * total[0];
}

cudaError_t vane_launch_regularization(vane_chunks chunks, const float *parameters,
                                       vane_step_record *record, vane_scratch scratch,
                                       cudaStream_t stream) {
  if (!is_aligned(parameters))
    return cudaErrorInvalidValue;
  return VANE_LAUNCH_MEETING(k_regularization, chunk_blocks(chunks.n_reals), BLOCK, stream, chunks,
                             parameters, record, scratch);
}
