// Batch norm (N4..N7) over x [n_rows, c]: sums per channel, then one pass over the elements. What
// becomes of a channel (mean, 1/std, gradients) goes through memory from one launch to the next.
#include "columns.cuh"

enum {
  APPLY_WIDTH = 32,      // threads side by side: 512 bytes of a row
  APPLY_HEIGHT = 4,      // rows per thread, which share what it holds of its channels
  APPLY_BLOCKS = 1 << 13 // then more rows per thread
};

// ---- Statistics ----

// Sums of distances, and of their squares, from the first value that a thread meets: a mean of many
// standard deviations costs no digits, and a first value far off spoils only a thread's share. The
// sums of all threads are brought to one centre, the channel's first value, in double.
template <typename Element, int V> struct moments {
  static constexpr int N_SUMS = 2;
  float *saved;
  const Element *x;
  int64_t n_rows, c;
  double epsilon;
  float centre[V];

  __device__ void begin(int64_t offset, int64_t) {
    load(centre, x + offset);
  }
  __device__ void add(int64_t offset, float (&run)[2][V]) {
    float value[V];
    load(value, x + offset);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      float away = value[v] - centre[v];
      run[0][v] += away;
      run[1][v] += away * away;
    }
  }
  __device__ void end(int64_t n, int64_t column, double (&sums)[2][V]) {
    float first[V];
    load(first, x + column);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      double moved = (double)centre[v] - (double)first[v];
      sums[1][v] += moved * (2.0 * sums[0][v] + moved * (double)n);
      sums[0][v] += moved * (double)n;
    }
  }
  __device__ void finish(int64_t column, const double (&sum)[2]) const {
    double n = (double)n_rows, away = sum[0] / n;
    double variance = sum[1] / n - away * away;
    variance = variance < 0.0 ? 0.0 : variance; // by rounding
    saved[column] = (float)((double)to_float(x[column]) + away);
    saved[c + column] = (float)(1.0 / sqrt(variance + epsilon));
  }
};

template <typename Element, int V>
static __global__ void __launch_bounds__(BLOCK, COLUMN_PER_SM)
    k_norm_statistics(float *saved, const Element *x, double epsilon, column_grid grid,
                      vane_scratch scratch) {
  sum_columns<V>(moments<Element, V>{saved, x, grid.n_rows, grid.c, epsilon, {}}, grid, scratch);
}

template <typename Element, int V>
static cudaError_t statistics_wide(float *saved, const void *x, int64_t n_rows, int64_t c,
                                   double epsilon, vane_scratch scratch, cudaStream_t stream) {
  column_grid grid = column_grid_of_sums(n_rows, c, V, sizeof(Element), 2);
  return VANE_LAUNCH_MEETING((k_norm_statistics<Element, V>), column_blocks(grid), BLOCK, stream,
                             saved, (const Element *)x, epsilon, grid, scratch);
}

template <typename Element>
static cudaError_t launch_statistics(float *saved, const void *x, int64_t n_rows, int64_t c,
                                     double epsilon, vane_scratch scratch, cudaStream_t stream) {
  return c % 4 == 0 ? statistics_wide<Element, 4>(saved, x, n_rows, c, epsilon, scratch, stream)
                    : statistics_wide<Element, 1>(saved, x, n_rows, c, epsilon, scratch, stream);
}

cudaError_t vane_launch_norm_statistics(float *saved, const void *x, vane_number number,
                                        int64_t n_rows, int64_t c, double epsilon,
                                        vane_scratch scratch, cudaStream_t stream) {
  if (n_rows < 1 || c < 1)
    return cudaErrorInvalidValue;
  return VANE_WITH_NUMBER(number, launch_statistics, saved, x, n_rows, c, epsilon, scratch, stream);
}

// ---- The pass over the elements ----

// A thread keeps what belongs to its channels in registers and walks down the rows.
static inline column_grid apply_grid(int64_t n_rows, int64_t c, int v) {
  return column_grid_of(n_rows, c, v, APPLY_WIDTH, APPLY_HEIGHT, APPLY_BLOCKS, n_rows);
}

// Running statistics of all layers are packed: only a float's alignment is sure.
template <int V> static inline __device__ void load_apart(float (&to)[V], const float *from) {
#pragma unroll
  for (int v = 0; v < V; ++v)
    to[v] = from[v];
}

// `epsilon` < 0: statistics are mean and 1/std, else mean and variance.
template <typename Element, int V>
static __global__ void k_norm_apply(Element *y, const Element *x, const float *gamma,
                                    const float *beta, const Element *residual,
                                    const float *statistics, float epsilon, bool relu,
                                    column_grid grid) {
  column_place at = column_place_of(grid, V);
  if (at.idle)
    return;
  float mean[V], scale[V], shift[V];
  load_apart(mean, statistics + at.column);
  load_apart(scale, statistics + grid.c + at.column);
  load(shift, gamma + at.column);
#pragma unroll
  for (int v = 0; v < V; ++v)
    scale[v] = shift[v] * (epsilon < 0.0f ? scale[v] : 1.0f / sqrtf(scale[v] + epsilon));
  load(shift, beta + at.column);
  for (int64_t row = at.begin; row < at.end; row += grid.height) {
    int64_t offset = row * grid.c + at.column;
    float value[V], more[V];
    load(value, x + offset);
    if (residual)
      load(more, residual + offset);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      value[v] = (value[v] - mean[v]) * scale[v] + shift[v];
      value[v] = residual ? value[v] + more[v] : value[v];
      value[v] = relu ? relu_of(value[v]) : value[v];
    }
    store(y + offset, value);
  }
}

template <typename Element, int V>
static cudaError_t apply_wide(void *y, const void *x, const float *gamma, const float *beta,
                              const void *residual, const float *statistics, float epsilon,
                              bool relu, int64_t n_rows, int64_t c, cudaStream_t stream) {
  column_grid grid = apply_grid(n_rows, c, V);
  return VANE_LAUNCH((k_norm_apply<Element, V>), column_blocks(grid), BLOCK, stream, (Element *)y,
                     (const Element *)x, gamma, beta, (const Element *)residual, statistics,
                     epsilon, relu, grid);
}

template <typename Element>
static cudaError_t launch_apply(void *y, const void *x, const float *gamma, const float *beta,
                                const void *residual, const float *statistics, float epsilon,
                                bool relu, int64_t n_rows, int64_t c, cudaStream_t stream) {
  constexpr int V = vector_of<Element>;
  return c % V == 0 ? apply_wide<Element, V>(y, x, gamma, beta, residual, statistics, epsilon, relu,
                                             n_rows, c, stream)
                    : apply_wide<Element, 1>(y, x, gamma, beta, residual, statistics, epsilon, relu,
                                             n_rows, c, stream);
}

cudaError_t vane_launch_norm_apply(void *y, const void *x, vane_number number, const float *gamma,
                                   const float *beta, const void *residual, const float *statistics,
                                   bool relu, int64_t n_rows, int64_t c, cudaStream_t stream) {
  if (n_rows < 1 || c < 1)
    return cudaErrorInvalidValue;
  return VANE_WITH_NUMBER(number, launch_apply, y, x, gamma, beta, residual, statistics, -1.0f,
                          relu, n_rows, c, stream);
}

cudaError_t vane_launch_norm_infer(void *y, const void *x, vane_number number, const float *gamma,
                                   const float *beta, const void *residual, const float *running,
                                   double epsilon, bool relu, int64_t n_rows, int64_t c,
                                   cudaStream_t stream) {
  if (n_rows < 1 || c < 1 || !(epsilon >= 0.0))
    return cudaErrorInvalidValue;
  return VANE_WITH_NUMBER(number, launch_apply, y, x, gamma, beta, residual, running,
                          (float)epsilon, relu, n_rows, c, stream);
}

// ---- Gradients ----

// Sums of dz and dz (x - mean); the latter becomes dgamma with 1/std.
template <typename Element, int V> struct gradient_sums {
  static constexpr int N_SUMS = 2;
  float *dgamma, *dbeta;
  const Element *x, *dz;
  const float *saved;
  int64_t c;
  float mean[V];

  __device__ void begin(int64_t, int64_t column) {
    load(mean, saved + column);
  }
  __device__ void add(int64_t offset, float (&run)[2][V]) {
    float value[V], gradient[V];
    load(value, x + offset);
    load(gradient, dz + offset);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      run[0][v] += gradient[v];
      run[1][v] += gradient[v] * (value[v] - mean[v]);
    }
  }
  __device__ void end(int64_t, int64_t, double (&)[2][V]) {
  }
  __device__ void finish(int64_t column, const double (&sum)[2]) const {
    dbeta[column] = (float)sum[0];
    dgamma[column] = (float)(sum[1] * (double)saved[c + column]);
  }
};

template <typename Element, int V>
static __global__ void __launch_bounds__(BLOCK, COLUMN_PER_SM)
    k_norm_sums(float *dgamma, float *dbeta, const Element *x, const Element *dz,
                const float *saved, column_grid grid, vane_scratch scratch) {
  sum_columns<V>(gradient_sums<Element, V>{dgamma, dbeta, x, dz, saved, grid.c, {}}, grid, scratch);
}

template <typename Element, int V>
static cudaError_t sums_wide(float *dgamma, float *dbeta, const void *x, const void *dz,
                             const float *saved, int64_t n_rows, int64_t c, vane_scratch scratch,
                             cudaStream_t stream) {
  column_grid grid = column_grid_of_sums(n_rows, c, V, sizeof(Element), 2);
  return VANE_LAUNCH_MEETING((k_norm_sums<Element, V>), column_blocks(grid), BLOCK, stream, dgamma,
                             dbeta, (const Element *)x, (const Element *)dz, saved, grid, scratch);
}

template <typename Element>
static cudaError_t launch_sums(float *dgamma, float *dbeta, const void *x, const void *dz,
                               const float *saved, int64_t n_rows, int64_t c, vane_scratch scratch,
                               cudaStream_t stream) {
  return c % 4 == 0
             ? sums_wide<Element, 4>(dgamma, dbeta, x, dz, saved, n_rows, c, scratch, stream)
             : sums_wide<Element, 1>(dgamma, dbeta, x, dz, saved, n_rows, c, scratch, stream);
}

cudaError_t vane_launch_norm_sums(float *dgamma, float *dbeta, const void *x, const void *dz,
                                  vane_number number, const float *saved, int64_t n_rows, int64_t c,
                                  vane_scratch scratch, cudaStream_t stream) {
  if (n_rows < 1 || c < 1)
    return cudaErrorInvalidValue;
  return VANE_WITH_NUMBER(number, launch_sums, dgamma, dbeta, x, dz, saved, n_rows, c, scratch,
                          stream);
}

// dx = gamma a (dz - dbeta/M - (x - mean) a dgamma/M).
template <typename Element, int V>
static __global__ void k_norm_backward(Element *dx, const Element *x, const Element *dz,
                                       const float *gamma, const float *saved, const float *dgamma,
                                       const float *dbeta, float inv_rows, column_grid grid) {
  column_place at = column_place_of(grid, V);
  if (at.idle)
    return;
  float mean[V], scale[V], mean_gradient[V], slope[V], factor[V];
  load(mean, saved + at.column);
  load(scale, saved + grid.c + at.column);
  load(mean_gradient, dbeta + at.column);
  load(slope, dgamma + at.column);
  load(factor, gamma + at.column);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    mean_gradient[v] *= inv_rows;
    slope[v] *= inv_rows * scale[v];
    scale[v] *= factor[v];
  }
  for (int64_t row = at.begin; row < at.end; row += grid.height) {
    int64_t offset = row * grid.c + at.column;
    float value[V], gradient[V];
    load(value, x + offset);
    load(gradient, dz + offset);
#pragma unroll
    for (int v = 0; v < V; ++v)
      gradient[v] = scale[v] * (gradient[v] - mean_gradient[v] - (value[v] - mean[v]) * slope[v]);
    store(dx + offset, gradient);
  }
}

template <typename Element, int V>
static cudaError_t backward_wide(void *dx, const void *x, const void *dz, const float *gamma,
                                 const float *saved, const float *dgamma, const float *dbeta,
                                 int64_t n_rows, int64_t c, cudaStream_t stream) {
  column_grid grid = apply_grid(n_rows, c, V);
  return VANE_LAUNCH((k_norm_backward<Element, V>), column_blocks(grid), BLOCK, stream,
                     (Element *)dx, (const Element *)x, (const Element *)dz, gamma, saved, dgamma,
                     dbeta, (float)(1.0 / (double)n_rows), grid);
}

template <typename Element>
static cudaError_t launch_backward(void *dx, const void *x, const void *dz, const float *gamma,
                                   const float *saved, const float *dgamma, const float *dbeta,
                                   int64_t n_rows, int64_t c, cudaStream_t stream) {
  constexpr int V = vector_of<Element>;
  return c % V == 0
             ? backward_wide<Element, V>(dx, x, dz, gamma, saved, dgamma, dbeta, n_rows, c, stream)
             : backward_wide<Element, 1>(dx, x, dz, gamma, saved, dgamma, dbeta, n_rows, c, stream);
}

cudaError_t vane_launch_norm_backward(void *dx, const void *x, const void *dz, vane_number number,
                                      const float *gamma, const float *saved, const float *dgamma,
                                      const float *dbeta, int64_t n_rows, int64_t c,
                                      cudaStream_t stream) {
  if (n_rows < 1 || c < 1)
    return cudaErrorInvalidValue;
  return VANE_WITH_NUMBER(number, launch_backward, dx, x, dz, gamma, saved, dgamma, dbeta, n_rows,
                          c, stream);
}

// ---- Running statistics ----

static __global__ void k_norm_track(float *pending, const float *saved, double keep, double share,
                                    double epsilon, double unbiased, int64_t c) {
  for (int64_t i = grid_thread(); i < 2 * c; i += grid_threads()) {
    double statistic = (double)saved[i];
    if (i >= c)
      statistic = (1.0 / (statistic * statistic) - epsilon) * unbiased;
    double held = keep > 0.0 ? keep * (double)pending[i] : 0.0;
    pending[i] = (float)(held + share * statistic);
  }
}

cudaError_t vane_launch_norm_track(float *pending, const float *saved, double keep, double share,
                                   double epsilon, int64_t n_rows, int64_t c, cudaStream_t stream) {
  if (n_rows < 1 || c < 1)
    return cudaErrorInvalidValue;
  double n = (double)n_rows, unbiased = n_rows > 1 ? n / (n - 1.0) : 1.0;
  return VANE_LAUNCH(k_norm_track, blocks_for(2 * c, BLOCK, APPLY_BLOCKS), BLOCK, stream, pending,
                     saved, keep, share, epsilon, unbiased, c);
}
