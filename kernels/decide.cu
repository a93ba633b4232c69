// Whether a step counts, in one launch: the gradient's norm (N25), then, in the block that arrives
// last, the global clip and what is not finite (N26), and the interval's sums.
#include <float.h>

#include "chunk.cuh"

// ---- Norm (N25) ----

struct gradient_scale {
  double own, decay;
};

static __device__ gradient_scale scale_of(vane_chunk chunk, const vane_step_record *record) {
  gradient_scale scale = {record->coefficient[chunk.task], 0.0};
  if (chunk.decay)
    scale.decay = record->coefficient[VANE_LOSS_REGULARIZATION];
  return scale;
}

// The squares of own g + decay w, as Adam forms them: in float.
static __device__ double squares_of(const float (&g)[4], const float (&w)[4],
                                    gradient_scale scale) {
  float own = (float)scale.own, decay = (float)scale.decay, squares = 0.0f;
  for (int j = 0; j < 4; ++j) {
    float x = fmaf(own, g[j], decay * w[j]);
    squares = fmaf(x, x, squares);
  }
  if (is_in_range(squares))
    return (double)squares;
  if (is_zero(g) && is_zero(w))
    return 0.0;
  double exact = 0.0;
  for (int j = 0; j < 4; ++j) {
    double x = scale.own * (double)g[j] + scale.decay * (double)w[j];
    exact += x * x;
  }
  return exact;
}

static __device__ double squares_of_chunk(vane_chunk chunk, gradient_scale scale,
                                          const float *gradients, const float *parameters) {
  double sum = 0.0;
  for (int i = 4 * (int)threadIdx.x; i < chunk.count; i += 4 * BLOCK) {
    float g[4], w[4];
    load_of_chunk(g, gradients + chunk.offset, i, chunk.count);
    if (scale.decay != 0.0)
      load_of_chunk(w, parameters + chunk.offset, i, chunk.count);
    else
      set_zero(w);
    sum += squares_of(g, w, scale);
  }
  return sum;
}

// ---- Decision (N26) ----

// Finite in fp32: what goes beyond would overflow in the second moment, which is fp32.
static __device__ bool is_sound(double value) {
  return fabs(value) <= (double)FLT_MAX;
}

// The first loss whose value is not finite, else the first whose gradient is not, else VANE_SHARED:
// only their combination can be bad.
static __device__ int32_t culprit(const vane_step_record *record) {
  for (int32_t k = 0; k < VANE_N_LOSSES; ++k)
    if (!is_sound(record->loss[k]))
      return k;
  for (int32_t k = 0; k < VANE_N_LOSSES; ++k)
    if (!is_sound(record->gram[k][k]))
      return k;
  return VANE_SHARED;
}

static __device__ void name_bad_samples(const float *samples, int64_t n, vane_step_record *record) {
  const int32_t room = (int32_t)(sizeof record->bad_samples / sizeof record->bad_samples[0]);
  int32_t n_bad = 0;
  if (record->bad_loss < VANE_N_HEADS) {
    const float *own = samples + record->bad_loss * n;
    for (int64_t i = 0; i < n; ++i) {
      if (is_sound((double)own[i]))
        continue;
      if (n_bad < room)
        record->bad_samples[n_bad] = (int32_t)i;
      ++n_bad;
    }
  }
  record->n_bad_samples = n_bad;
}

// One thread decides; true: the step counts.
static __device__ bool settle(vane_decide_desc desc, double norm, const float *samples, int64_t n,
                              vane_step_record *record) {
  record->gradient_norm = norm;
  record->clip = desc.clip_global > 0.0 && norm > desc.clip_global ? desc.clip_global / norm : 1.0;
  int32_t blamed = culprit(record);
  bool bad = !is_sound(norm * norm) || blamed != VANE_SHARED;
  record->skip = bad || record->halted;
  if (!record->skip)
    return true;
  record->sum.skipped += 1.0;
  if (bad && record->bad_step == 0) {
    record->bad_step = record->in.step;
    record->bad_loss = blamed;
    name_bad_samples(samples, n, record);
  }
  if (desc.on_nonfinite == VANE_NONFINITE_STOP)
    record->halted = 1;
  return false;
}

// A thread for each cosine, the first few for the rest too.
static __device__ void add_to_sums(int thread, vane_step_record *record) {
  vane_step_sum *sum = &record->sum;
  if (thread >= VANE_N_LOSSES * VANE_N_LOSSES)
    return;
  int i = thread / VANE_N_LOSSES, j = thread % VANE_N_LOSSES;
  double norm = sqrt(record->gram[i][i]), both = norm * sqrt(record->gram[j][j]);
  sum->cosine[i][j] += both > 0.0 ? record->gram[i][j] / both : 0.0;
  if (j == 0) {
    sum->loss[i] += record->loss[i];
    sum->norm[i] += norm;
    sum->clipped_loss[i] += record->coefficient[i] < record->weight[i] ? 1.0 : 0.0;
  }
  if (thread == 0) {
    sum->steps += 1.0;
    sum->gradient_norm += record->gradient_norm;
    sum->clipped_global += record->clip < 1.0 ? 1.0 : 0.0;
    // 0: clip_average never wrote it.
    bool clipped = record->average_scale > 0.0 && record->average_scale < 1.0;
    sum->clipped_average += clipped ? 1.0 : 0.0;
  }
}

static __global__ void __launch_bounds__(BLOCK)
    k_decide(vane_decide_desc desc, vane_chunks chunks, const float *parameters,
             const float *gradients, const float *samples, int64_t n, vane_step_record *record,
             vane_scratch scratch) {
  __shared__ bool counts;
  double squares = 0.0;
  for (int64_t at = blockIdx.x; at < chunks.n; at += gridDim.x) {
    const vane_chunk chunk = chunks.chunk[at];
    squares += squares_of_chunk(chunk, scale_of(chunk, record), gradients, parameters);
  }
  squares = block_sum(squares);
  if (threadIdx.x == 0)
    scratch.parts[blockIdx.x] = squares;
  if (!arrive_last(scratch))
    return;
  squares = sum_of_parts(scratch.parts, gridDim.x);
  if (threadIdx.x == 0)
    counts = settle(desc, sqrt(squares), samples, n, record);
  __syncthreads();
  if (counts)
    add_to_sums((int)threadIdx.x, record);
}

cudaError_t vane_launch_decide(vane_decide_desc desc, vane_chunks chunks, const float *parameters,
                               const float *gradients, const float *samples, int64_t n,
                               vane_step_record *record, vane_scratch scratch,
                               cudaStream_t stream) {
  if (!is_aligned(parameters) || !is_aligned(gradients))
    return cudaErrorInvalidValue;
  return VANE_LAUNCH_MEETING(k_decide, chunk_blocks(chunks.n_reals), BLOCK, stream, desc, chunks,
                             parameters, gradients, samples, n, record, scratch);
}
