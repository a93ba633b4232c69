// The losses' gradients become one: their Gram matrix (N20), weights and clips (N21, N22), conflict
// projection (N23) and the mix (N24), a launch for each. The decision (N25, N26) is in decide.cu.
#include "chunk.cuh"

// Copies the slots; false where one cannot be loaded 128 bits at a time.
static bool take_slots(const void *const slots[VANE_N_HEADS], const float *to[VANE_N_HEADS]) {
  bool aligned = true;
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    to[k] = (const float *)slots[k];
    aligned = aligned && is_aligned(slots[k]);
  }
  return aligned;
}

// ---- Dots (N20) ----

enum {
  FIFTH = VANE_LOSS_REGULARIZATION,
  N_PAIRS = VANE_N_LOSSES * (VANE_N_LOSSES + 1) / 2 /* (a, b), b <= a, row after row */
};

struct gram_sources {
  const float *slot[VANE_N_HEADS]; // NULL: zero
  int64_t count;                   // of a slot
  const float *parameters, *gradients;
};

// The gradients of the five losses in one chunk, NULL: zero.
struct gram_rows {
  const float *row[VANE_N_LOSSES];
};

// In space trunk_output the slots are all there is: chunks are cut from them.
static __device__ vane_chunk chunk_at(vane_chunks chunks, int64_t at, const gram_sources &from) {
  if (from.parameters)
    return chunks.chunk[at];
  vane_chunk chunk = {at * VANE_CHUNK_REALS, VANE_CHUNK_REALS, VANE_SHARED, 0};
  if (from.count - chunk.offset < VANE_CHUNK_REALS)
    chunk.count = (int32_t)(from.count - chunk.offset);
  return chunk;
}

// A shared segment has a gradient per head, unless it lies behind the slots (log variances); a
// head's own segment has one; the fifth loss's gradient is the weights, where they decay.
static __device__ gram_rows rows_of(vane_chunk chunk, const gram_sources &from) {
  gram_rows rows;
#pragma unroll
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    const float *source = nullptr;
    if (chunk.task == VANE_SHARED)
      source = chunk.offset < from.count ? from.slot[k] : nullptr;
    else if (chunk.task == k)
      source = from.gradients;
    rows.row[k] = source ? source + chunk.offset : nullptr;
  }
  rows.row[FIFTH] = chunk.decay ? from.parameters + chunk.offset : nullptr;
  return rows;
}

static __device__ void add_products(const gram_rows &rows, int i, int count,
                                    double (&sums)[N_PAIRS]) {
  float x[VANE_N_LOSSES][4];
  bool tame = true;
#pragma unroll
  for (int k = 0; k < VANE_N_LOSSES; ++k) {
    if (rows.row[k])
      load_of_chunk(x[k], rows.row[k], i, count);
    else
      set_zero(x[k]);
  }
#pragma unroll
  for (int k = 0; k < VANE_N_LOSSES; ++k)
    tame = tame && is_tame(x[k]);
  int pair = 0;
#pragma unroll
  for (int a = 0; a < VANE_N_LOSSES; ++a)
#pragma unroll
    for (int b = 0; b <= a; ++b, ++pair)
      sums[pair] += tame ? (double)dot_in_float(x[a], x[b]) : dot_in_double(x[a], x[b]);
}

// In lane 0 of a warp that takes part as a whole: the sum of n doubles in a fixed order.
static __device__ double sum_of_column(const double *column, int n) {
  double sum = 0.0;
  for (int i = (int)threadIdx.x % WARP; i < n; i += WARP)
    sum += column[i];
  return warp_sum(sum);
}

// Fifteen sums at once: a warp adds up whole columns, first of the block's threads, then of the
// grid's blocks.
static __global__ void __launch_bounds__(BLOCK)
    k_gram(vane_chunks chunks, gram_sources from, vane_step_record *record, vane_scratch scratch) {
  __shared__ double of_thread[N_PAIRS][BLOCK];
  const int warp = (int)threadIdx.x / WARP, n_warps = BLOCK / WARP;
  const bool leads = threadIdx.x % WARP == 0;
  double sums[N_PAIRS] = {0.0};
  for (int64_t at = blockIdx.x; at < chunks.n; at += gridDim.x) {
    const vane_chunk chunk = chunk_at(chunks, at, from);
    const gram_rows rows = rows_of(chunk, from);
    for (int i = 4 * (int)threadIdx.x; i < chunk.count; i += 4 * BLOCK)
      add_products(rows, i, chunk.count, sums);
  }
#pragma unroll
  for (int pair = 0; pair < N_PAIRS; ++pair)
    of_thread[pair][threadIdx.x] = sums[pair];
  __syncthreads();
  for (int pair = warp; pair < N_PAIRS; pair += n_warps) {
    double sum = sum_of_column(of_thread[pair], BLOCK);
    if (leads)
      scratch.parts[(int64_t)pair * gridDim.x + blockIdx.x] = sum;
  }
  if (!arrive_last(scratch))
    return;
  for (int pair = warp; pair < N_PAIRS; pair += n_warps) {
    double sum = sum_of_column(scratch.parts + (int64_t)pair * gridDim.x, (int)gridDim.x);
    int a = 0;
    while ((a + 1) * (a + 2) / 2 <= pair)
      ++a;
    int b = pair - a * (a + 1) / 2;
    if (leads)
      record->gram[a][b] = record->gram[b][a] =
          a == FIFTH && b == FIFTH ? 2.0 * record->loss[FIFTH] : sum;
  }
}

cudaError_t vane_launch_gram(const void *const slots[VANE_N_HEADS], int64_t count,
                             vane_chunks chunks, const float *parameters, const float *gradients,
                             vane_step_record *record, vane_scratch scratch, cudaStream_t stream) {
  gram_sources from = {{}, count, parameters, gradients};
  if (!take_slots(slots, from.slot) || !is_aligned(parameters) || !is_aligned(gradients))
    return cudaErrorInvalidValue;
  if (!parameters) {
    chunks.n = (count + VANE_CHUNK_REALS - 1) / VANE_CHUNK_REALS;
    chunks.n_reals = count;
  }
  return VANE_LAUNCH_MEETING(k_gram, chunk_blocks(chunks.n_reals), BLOCK, stream, chunks, from,
                             record, scratch);
}

// ---- Coefficients (N21..N24) ----

// (N21) A loss that no sample counted for leaves its log variance alone.
static __device__ double weigh_by_uncertainty(double fixed, int k, const float *log_variances,
                                              float *dlog_variances,
                                              const vane_step_record *record) {
  double precision = exp(-(double)log_variances[k]);
  bool counted = record->in.inv_count[k] > 0.0;
  dlog_variances[k] = (float)(counted ? fixed * (1.0 - precision * record->loss[k]) : 0.0);
  return fixed * precision;
}

// (N23) p_i as its coefficients over the a_j, from the coefficients c of the losses.
static __device__ void project_conflicts(const vane_step_record *record, const double *c, int i,
                                         double *part) {
  for (int l = 0; l < VANE_N_HEADS; ++l)
    part[l] = i == l ? 1.0 : 0.0;
  for (int step = 0; step < VANE_N_HEADS - 1; ++step) {
    uint32_t j = record->in.projection_order[i][step];
    double square = c[j] * c[j] * record->gram[j][j], product = 0.0;
    for (int l = 0; l < VANE_N_HEADS; ++l)
      product += part[l] * c[l] * c[j] * record->gram[l][j];
    if (product < 0.0 && square > 0.0)
      part[j] -= product / square;
  }
}

// One warp: a thread for each loss.
static __global__ void k_coefficients(vane_combine_desc desc, const float *log_variances,
                                      float *dlog_variances, vane_step_record *record) {
  __shared__ double coefficient[VANE_N_LOSSES];
  __shared__ double part[VANE_N_HEADS][VANE_N_HEADS]; // row i: p_i
  const int k = (int)threadIdx.x;
  if (k < VANE_N_LOSSES) {
    double weight = desc.weight[k]; // (N22)
    if (desc.weighting == VANE_WEIGHTING_UNCERTAINTY && k < VANE_N_HEADS)
      weight = weigh_by_uncertainty(weight, k, log_variances, dlog_variances, record);
    double limit = desc.clip_per_loss, length = weight * sqrt(record->gram[k][k]);
    double clip = limit > 0.0 && length > limit ? limit / length : 1.0;
    record->weight[k] = weight;
    record->coefficient[k] = coefficient[k] = weight * clip;
  }
  if (k == VANE_SHARED)
    record->coefficient[VANE_SHARED] = 1.0;
  __syncthreads();
  if (k < VANE_N_HEADS && desc.weighting == VANE_WEIGHTING_PCGRAD)
    project_conflicts(record, coefficient, k, part[k]);
  __syncthreads();
  if (k >= VANE_N_HEADS)
    return;
  double times = 1.0;
  if (desc.weighting == VANE_WEIGHTING_PCGRAD) {
    times = 0.0;
    for (int i = 0; i < VANE_N_HEADS; ++i)
      times += part[i][k];
  }
  record->mix[k] = coefficient[k] * times;
}

cudaError_t vane_launch_coefficients(vane_combine_desc desc, const float *log_variances,
                                     float *dlog_variances, vane_step_record *record,
                                     cudaStream_t stream) {
  if (desc.weighting == VANE_WEIGHTING_UNCERTAINTY && (!log_variances || !dlog_variances))
    return cudaErrorInvalidValue;
  return VANE_LAUNCH_MEETING(k_coefficients, 1, WARP, stream, desc, log_variances, dlog_variances,
                             record);
}

// ---- Sum (N24) ----

struct combine_slots {
  const float *slot[VANE_N_HEADS]; // NULL: zero
};

static __global__ void __launch_bounds__(BLOCK)
    k_combine(float *out, combine_slots from, int64_t count, const vane_step_record *record) {
  float mix[VANE_N_HEADS];
#pragma unroll
  for (int k = 0; k < VANE_N_HEADS; ++k)
    mix[k] = (float)record->mix[k];
  const int64_t n_vectors = count / 4;
  for (int64_t i = grid_thread(); i < n_vectors; i += grid_threads()) {
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int k = 0; k < VANE_N_HEADS; ++k) {
      float x[4];
      if (!from.slot[k])
        continue;
      load(x, from.slot[k] + 4 * i);
      for (int j = 0; j < 4; ++j)
        sum[j] = fmaf(mix[k], x[j], sum[j]);
    }
    store(out + 4 * i, sum);
  }
  int64_t last = 4 * n_vectors + grid_thread();
  if (last >= count)
    return;
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < VANE_N_HEADS; ++k)
    if (from.slot[k])
      sum = fmaf(mix[k], from.slot[k][last], sum);
  out[last] = sum;
}

cudaError_t vane_launch_combine(float *out, const void *const slots[VANE_N_HEADS], int64_t count,
                                const vane_step_record *record, cudaStream_t stream) {
  if (count == 0)
    return cudaSuccess;
  combine_slots from;
  if (!take_slots(slots, from.slot) || !is_aligned(out))
    return cudaErrorInvalidValue;
  return VANE_LAUNCH(k_combine, blocks_for(count, 4 * BLOCK, 4096), BLOCK, stream, out, from, count,
                     record);
}
