// Whether a step counts, in one launch: the gradient's norm (N25), then, in the block that arrives
// last, the clips, what is not finite (N26), spikes (N27), ZClip (N28) and the guard's limit (N38,
// N42), and the interval's sums.
#include <float.h>

#include "chunk.cuh"
#include "guard.cuh"
#include "spike.cuh"

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

// The weighted losses of the heads. What is switched off may be infinite.
static __device__ double total_of(const vane_step_record *record) {
  double total = 0.0;
  for (int k = 0; k < VANE_N_HEADS; ++k)
    if (record->weight[k] != 0.0)
      total += record->weight[k] * record->loss[k];
  return total;
}

enum { GOOD = -1 }; // or VANE_BAD_*

// What kind of step this is. A good one's loss enters the window.
static __device__ int kind_of(vane_decide_desc desc, const spike_window *window, double total,
                              vane_step_record *record) {
  vane_spike_state *spike = &record->spike;
  double norm = record->gradient_norm;
  if (!is_sound(norm * norm) || culprit(record) != VANE_SHARED) {
    ++spike->n_bad_running;
    return VANE_BAD_NONFINITE;
  }
  if (distance_of(window, total) > desc.spike_threshold) {
    if (++spike->n_bad_running >= VANE_SPIKE_PATIENCE)
      spike->n_accepted = 0; // no spike, but a new level
    return VANE_BAD_SPIKE;
  }
  spike->n_bad_running = 0;
  if (is_sound(total))
    spike->recent[spike->n_accepted++ % VANE_SPIKE_LONGEST_WINDOW] = (float)total;
  return GOOD;
}

// ---- Bad steps ----

static __device__ void name_unsound(const float *own, int64_t n, vane_bad_step *bad) {
  for (int64_t i = 0; i < n; ++i) {
    if (is_sound((double)own[i]))
      continue;
    if (bad->n_samples < VANE_N_BAD_SAMPLES)
      bad->samples[bad->n_samples] = (int32_t)i;
    ++bad->n_samples;
  }
}

// The largest first; of equals the one that comes first in the batch.
static __device__ void name_largest(const float *own, int64_t n, vane_bad_step *bad) {
  for (int64_t i = 0; i < n; ++i) {
    int at = bad->n_samples;
    while (at > 0 && own[bad->samples[at - 1]] < own[i])
      --at;
    if (at == VANE_N_BAD_SAMPLES)
      continue;
    bad->n_samples += bad->n_samples < VANE_N_BAD_SAMPLES ? 1 : 0;
    for (int j = bad->n_samples - 1; j > at; --j)
      bad->samples[j] = bad->samples[j - 1];
    bad->samples[at] = (int32_t)i;
  }
}

static __device__ int32_t heaviest(const vane_step_record *record) {
  int32_t most = 0;
  for (int32_t k = 1; k < VANE_N_HEADS; ++k)
    if (record->weight[k] * record->loss[k] > record->weight[most] * record->loss[most])
      most = k;
  return most;
}

static __device__ void write_note(const vane_step_record *record, double total,
                                  vane_step_note *note) {
  note->step = (double)record->in.step;
  note->lr = vane_record_lr(record);
  note->curvature = record->guard.curvature;
  note->bound = record->guard.bound;
  for (int k = 0; k < VANE_N_LOSSES; ++k) {
    note->loss[k] = record->loss[k];
    note->norm[k] = sqrt(record->gram[k][k]);
  }
  note->total = total;
  note->gradient_norm = record->gradient_norm;
  note->clip = record->clip;
}

// Writes the step down, where there is room; the one that halts the run in any case.
static __device__ void note_bad(int kind, const spike_window *window, double total,
                                const float *samples, int64_t n, vane_step_record *record) {
  int64_t at = record->n_bad_steps++;
  if (at >= VANE_N_BAD_STEPS && !record->halted)
    return;
  vane_bad_step *bad = &record->bad_steps[at < VANE_N_BAD_STEPS ? at : VANE_N_BAD_STEPS - 1];
  bool spike = kind == VANE_BAD_SPIKE;
  write_note(record, total, &bad->note);
  bad->median = spike ? window->median : 0.0;
  bad->deviation = spike ? window->deviation : 0.0;
  bad->kind = kind;
  bad->running = (int32_t)record->spike.n_bad_running;
  bad->loss = spike ? heaviest(record) : culprit(record);
  bad->n_samples = 0;
  if (spike)
    name_largest(samples + bad->loss * n, n, bad);
  else if (bad->loss < VANE_N_HEADS)
    name_unsound(samples + bad->loss * n, n, bad);
}

// The last steps, but not so many after a bad one that those before it are lost.
static __device__ void keep_note(double total, vane_step_record *record) {
  double step = (double)record->in.step;
  if (record->n_bad_steps == 0 || step <= record->bad_steps[0].note.step + (double)VANE_NOTES_AFTER)
    write_note(record, total, &record->notes[record->in.step % VANE_N_NOTES]);
}

// ---- Clips (N26, N28) ----

// ZClip's limit of this step's norm; infinite where it does not act.
static __device__ double zscore_limit(double threshold, double norm, const vane_norm_trend *trend) {
  double deviation = sqrt(trend->variance);
  if (threshold <= 0.0 || trend->n < VANE_NORM_TREND_WARMUP || deviation <= 0.0)
    return (double)INFINITY;
  double z = (norm - trend->mean) / deviation;
  return z > threshold ? trend->mean + threshold * threshold / z * deviation : (double)INFINITY;
}

static __device__ void follow_norm(double norm, vane_norm_trend *trend) {
  double keep = VANE_NORM_TREND_KEEP, before = norm - trend->mean;
  if (trend->n < VANE_NORM_TREND_WARMUP) { // the plain mean and variance (Welford)
    double n = (double)++trend->n;
    trend->mean += before / n;
    trend->variance += (before * (norm - trend->mean) - trend->variance) / n;
    return;
  }
  trend->mean = keep * trend->mean + (1.0 - keep) * norm;
  double after = norm - trend->mean;
  trend->variance = keep * trend->variance + (1.0 - keep) * after * after;
}

// The stricter clip counts.
static __device__ void clip_whole(vane_decide_desc desc, vane_step_record *record) {
  double norm = record->gradient_norm;
  double limit = zscore_limit(desc.clip_zscore, norm, &record->norm_trend);
  bool zscore = norm > limit, global = desc.clip_global > 0.0 && norm > desc.clip_global;
  double clip = global ? desc.clip_global / norm : 1.0;
  record->clip = zscore && limit / norm < clip ? limit / norm : clip;
  if (record->skip)
    return;
  record->sum.clipped_global += global ? 1.0 : 0.0;
  record->sum.clipped_zscore += zscore ? 1.0 : 0.0;
  if (desc.clip_zscore > 0.0)
    follow_norm(zscore ? limit : norm, &record->norm_trend);
}

// ---- The step ----

static __device__ bool ends_the_run(vane_decide_desc desc, int kind) {
  return kind == VANE_BAD_SPIKE ? desc.spike_mode == VANE_SPIKE_ROLLBACK
                                : desc.on_nonfinite != VANE_NONFINITE_SKIP;
}

// One thread decides; true: the step counts.
static __device__ bool settle(vane_decide_desc desc, const spike_window *window, double norm,
                              const float *samples, int64_t n, vane_step_record *record) {
  record->gradient_norm = norm;
  if (record->halted) {
    record->skip = 1;
    record->sum.skipped += 1.0;
    return false;
  }
  double total = total_of(record);
  int kind = kind_of(desc, window, total, record);
  bool watched = kind == VANE_BAD_SPIKE && desc.spike_mode == VANE_SPIKE_WATCH;
  record->skip = kind != GOOD && !watched;
  record->halted = record->skip && ends_the_run(desc, kind);
  clip_whole(desc, record);
  if (kind != VANE_BAD_NONFINITE)
    follow_loss(desc.guard, record);
  if (kind != GOOD)
    note_bad(kind, window, total, samples, n, record);
  keep_note(total, record);
  record->sum.spikes += kind == VANE_BAD_SPIKE ? 1.0 : 0.0;
  record->sum.skipped += record->skip ? 1.0 : 0.0;
  return !record->skip;
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
  __shared__ spike_window window;
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
  judge_window(desc, &record->spike, &window);
  if (threadIdx.x == 0)
    counts = settle(desc, &window, sqrt(squares), samples, n, record);
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
  if (desc.spike_mode != VANE_SPIKE_OFF &&
      (desc.spike_window < 1 || desc.spike_window > VANE_SPIKE_LONGEST_WINDOW))
    return cudaErrorInvalidValue;
  return VANE_LAUNCH_MEETING(k_decide, chunk_blocks(chunks.n_reals), BLOCK, stream, desc, chunks,
                             parameters, gradients, samples, n, record, scratch);
}
