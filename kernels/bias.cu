// The gradient of a bias: the sum of a layer's gradient over all positions (N3).
#include "columns.cuh"

template <typename Element, int V> struct bias_terms {
  static constexpr int N_SUMS = 1;
  float *dbias;
  const Element *dz;

  __device__ void begin(int64_t, int64_t) {
  }
  __device__ void add(int64_t offset, float (&run)[1][V]) {
    float value[V];
    load(value, dz + offset);
#pragma unroll
    for (int v = 0; v < V; ++v)
      run[0][v] += value[v];
  }
  __device__ void end(int64_t, int64_t, double (&)[1][V]) {
  }
  __device__ void finish(int64_t column, const double (&sum)[1]) const {
    dbias[column] = (float)sum[0];
  }
};

template <typename Element, int V>
static __global__ void __launch_bounds__(BLOCK, COLUMN_PER_SM)
    k_bias_gradient(float *dbias, const Element *dz, column_grid grid, vane_scratch scratch) {
  sum_columns<V>(bias_terms<Element, V>{dbias, dz}, grid, scratch);
}

template <typename Element, int V>
static cudaError_t launch_wide(float *dbias, const void *dz, int64_t n_rows, int64_t c,
                               vane_scratch scratch, cudaStream_t stream) {
  column_grid grid = column_grid_of_sums(n_rows, c, V, sizeof(Element), 1);
  return VANE_LAUNCH_MEETING((k_bias_gradient<Element, V>), column_blocks(grid), BLOCK, stream,
                             dbias, (const Element *)dz, grid, scratch);
}

template <typename Element>
static cudaError_t launch_bias(float *dbias, const void *dz, int64_t n_rows, int64_t c,
                               vane_scratch scratch, cudaStream_t stream) {
  return c % 4 == 0 ? launch_wide<Element, 4>(dbias, dz, n_rows, c, scratch, stream)
                    : launch_wide<Element, 1>(dbias, dz, n_rows, c, scratch, stream);
}

cudaError_t vane_launch_bias_gradient(float *dbias, const void *dz, vane_number number,
                                      int64_t n_rows, int64_t c, vane_scratch scratch,
                                      cudaStream_t stream) {
  if (n_rows < 0 || c < 0)
    return cudaErrorInvalidValue;
  if (c == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_bias, dbias, dz, n_rows, c, scratch, stream);
}
