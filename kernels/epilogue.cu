// What follows a convolution (N1) where no engine of cuDNN does it at once: + residual, + bias,
// ReLU, in one pass over y. Bound by memory: each thread moves 128 bits of y at a time.
#include "common.cuh"

enum { MOST_BLOCKS = 1 << 16 }; // the loop over the grid takes what is beyond

template <int V, typename Element>
static inline __device__ void epilogue_at(Element *y, const float *bias, const Element *residual,
                                          bool relu, int64_t at, int64_t c) {
  float value[V], added[V];
  load(value, y + at);
  if (residual)
    load(added, residual + at);
  int64_t before = at, channel = take(&before, c);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    value[i] = residual ? value[i] + added[i] : value[i];
    value[i] = bias ? value[i] + bias[channel] : value[i];
    value[i] = relu ? relu_of(value[i]) : value[i];
    channel = channel + 1 == c ? 0 : channel + 1;
  }
  store(y + at, value);
}

template <typename Element>
static __global__ void k_conv_epilogue(Element *y, const float *bias, const Element *residual,
                                       bool relu, int64_t count, int64_t c) {
  constexpr int V = vector_of<Element>;
  for (int64_t at = grid_thread() * V; at < count; at += grid_threads() * V)
    if (at + V <= count)
      epilogue_at<V>(y, bias, residual, relu, at, c);
    else
      for (int64_t i = at; i < count; ++i)
        epilogue_at<1>(y, bias, residual, relu, i, c);
}

template <typename Element>
static cudaError_t launch_epilogue(void *y, const float *bias, const void *residual, bool relu,
                                   int64_t count, int64_t c, cudaStream_t stream) {
  return VANE_LAUNCH(k_conv_epilogue<Element>,
                     blocks_for(count, (int64_t)BLOCK * vector_of<Element>, MOST_BLOCKS), BLOCK,
                     stream, (Element *)y, bias, (const Element *)residual, relu, count, c);
}

cudaError_t vane_launch_conv_epilogue(void *y, const float *bias, const void *residual, bool relu,
                                      vane_number number, int64_t n_rows, int64_t c,
                                      cudaStream_t stream) {
  if (n_rows < 0 || c < 1)
    return cudaErrorInvalidValue;
  if (n_rows == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_epilogue, y, bias, residual, relu, n_rows * c, c, stream);
}
