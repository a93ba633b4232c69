// One value at a time: pixels, ReLU and its gradient, micro-batches, running statistics (N7), and
// activations from and to plain float. Bound by memory: each thread moves 128 bits of elements at a
// time.
#include "common.cuh"

enum { MOST_BLOCKS = 1 << 16 }; // the loop over the grid takes what is beyond

template <typename Element> static unsigned blocks_of(int64_t count) {
  return blocks_for(count, (int64_t)BLOCK * vector_of<Element>, MOST_BLOCKS);
}

// ---- Pixels ----

// Byte by byte: the images of a micro-batch begin anywhere, and this is the lesser part of the
// traffic.
template <int V, typename Element>
static inline __device__ void input_at(Element *x, const uint8_t *bytes, const float *mean,
                                       const float *inv_std, int64_t at, int64_t c) {
  float value[V];
  int64_t before = at, channel = take(&before, c);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    value[i] = ((float)bytes[at + i] / 255.0f - mean[channel]) * inv_std[channel];
    channel = channel + 1 == c ? 0 : channel + 1;
  }
  store(x + at, value);
}

template <typename Element>
static __global__ void k_input(Element *x, const uint8_t *bytes, const float *mean,
                               const float *inv_std, int64_t count, int64_t c) {
  constexpr int V = vector_of<Element>;
  for (int64_t at = grid_thread() * V; at < count; at += grid_threads() * V)
    if (at + V <= count)
      input_at<V>(x, bytes, mean, inv_std, at, c);
    else
      for (int64_t i = at; i < count; ++i)
        input_at<1>(x, bytes, mean, inv_std, i, c);
}

template <typename Element>
static cudaError_t launch_input(void *x, const uint8_t *bytes, const float *mean,
                                const float *inv_std, int64_t count, int64_t c,
                                cudaStream_t stream) {
  return VANE_LAUNCH(k_input<Element>, blocks_of<Element>(count), BLOCK, stream, (Element *)x,
                     bytes, mean, inv_std, count, c);
}

cudaError_t vane_launch_input(void *x, vane_number number, const uint8_t *bytes, const float *mean,
                              const float *inv_std, int64_t n_pixels, int64_t c,
                              cudaStream_t stream) {
  if (n_pixels < 0 || c < 1)
    return cudaErrorInvalidValue;
  if (n_pixels == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_input, x, bytes, mean, inv_std, n_pixels * c, c, stream);
}

// ---- ReLU ----

template <int V, typename Element>
static inline __device__ void relu_at(Element *y, const Element *x, int64_t at) {
  float value[V];
  load(value, x + at);
#pragma unroll
  for (int i = 0; i < V; ++i)
    value[i] = relu_of(value[i]);
  store(y + at, value);
}

template <typename Element>
static __global__ void k_relu(Element *y, const Element *x, int64_t count) {
  constexpr int V = vector_of<Element>;
  for (int64_t at = grid_thread() * V; at < count; at += grid_threads() * V)
    if (at + V <= count)
      relu_at<V>(y, x, at);
    else
      for (int64_t i = at; i < count; ++i)
        relu_at<1>(y, x, i);
}

template <typename Element>
static cudaError_t launch_relu(void *y, const void *x, int64_t count, cudaStream_t stream) {
  return VANE_LAUNCH(k_relu<Element>, blocks_of<Element>(count), BLOCK, stream, (Element *)y,
                     (const Element *)x, count);
}

cudaError_t vane_launch_relu(void *y, const void *x, vane_number number, int64_t count,
                             cudaStream_t stream) {
  if (count < 0)
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_relu, y, x, count, stream);
}

// ---- Gradients that meet ----

template <int V, typename Element>
static inline __device__ void merge_at(Element *dz, const Element *y, const Element *a,
                                       const Element *b, int64_t at) {
  float sum[V], other[V], kept[V];
  load(sum, a + at);
  if (b)
    load(other, b + at);
  if (y)
    load(kept, y + at);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    sum[i] = b ? sum[i] + other[i] : sum[i];
    sum[i] = !y || kept[i] > 0.0f ? sum[i] : 0.0f;
  }
  store(dz + at, sum);
}

template <typename Element>
static __global__ void k_merge(Element *dz, const Element *y, const Element *a, const Element *b,
                               int64_t count) {
  constexpr int V = vector_of<Element>;
  for (int64_t at = grid_thread() * V; at < count; at += grid_threads() * V)
    if (at + V <= count)
      merge_at<V>(dz, y, a, b, at);
    else
      for (int64_t i = at; i < count; ++i)
        merge_at<1>(dz, y, a, b, i);
}

template <typename Element>
static cudaError_t launch_merge(void *dz, const void *y, const void *a, const void *b,
                                int64_t count, cudaStream_t stream) {
  return VANE_LAUNCH(k_merge<Element>, blocks_of<Element>(count), BLOCK, stream, (Element *)dz,
                     (const Element *)y, (const Element *)a, (const Element *)b, count);
}

cudaError_t vane_launch_merge(void *dz, const void *y, const void *a, const void *b,
                              vane_number number, int64_t count, cudaStream_t stream) {
  if (count < 0)
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_merge, dz, y, a, b, count, stream);
}

// ---- Micro-batches ----

template <int V>
static inline __device__ void accumulate_at(float *to, const float *from, int64_t at) {
  float sum[V], more[V];
  load(sum, to + at);
  load(more, from + at);
#pragma unroll
  for (int i = 0; i < V; ++i)
    sum[i] += more[i];
  store(to + at, sum);
}

static __global__ void k_accumulate(float *to, const float *from, int64_t count) {
  constexpr int V = vector_of<float>;
  for (int64_t at = grid_thread() * V; at < count; at += grid_threads() * V)
    if (at + V <= count)
      accumulate_at<V>(to, from, at);
    else
      for (int64_t i = at; i < count; ++i)
        accumulate_at<1>(to, from, i);
}

cudaError_t vane_launch_accumulate(float *to, const float *from, int64_t count,
                                   cudaStream_t stream) {
  if (count < 0 || (uintptr_t)to % 16 != 0 || (uintptr_t)from % 16 != 0)
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  return VANE_LAUNCH(k_accumulate, blocks_of<float>(count), BLOCK, stream, to, from, count);
}

// ---- What memory can do ----

template <bool PAST_CACHES> static inline __device__ void stream_to(float *to, float4 sum) {
  if (PAST_CACHES)
    __stcs(reinterpret_cast<float4 *>(to), sum);
  else
    *reinterpret_cast<float4 *>(to) = sum;
}

template <bool PAST_CACHES>
static inline __device__ void stream_at(float *to, float4 sum, float4 from, float scale) {
  sum.x = fmaf(scale, from.x, sum.x), sum.y = fmaf(scale, from.y, sum.y);
  sum.z = fmaf(scale, from.z, sum.z), sum.w = fmaf(scale, from.w, sum.w);
  stream_to<PAST_CACHES>(to, sum);
}

template <bool PAST_CACHES>
static __global__ void k_stream(float *a, float *b, float *c, const float *from, float scale,
                                int64_t count) {
  for (int64_t at = grid_thread() * 4; at < count; at += grid_threads() * 4)
    if (at + 4 <= count) {
      const float4 old_a = *reinterpret_cast<const float4 *>(a + at);
      const float4 old_b = *reinterpret_cast<const float4 *>(b + at);
      const float4 old_c = *reinterpret_cast<const float4 *>(c + at);
      const float4 more = *reinterpret_cast<const float4 *>(from + at);
      stream_at<PAST_CACHES>(a + at, old_a, more, scale);
      stream_at<PAST_CACHES>(b + at, old_b, more, scale);
      stream_at<PAST_CACHES>(c + at, old_c, more, scale);
    } else {
      for (int64_t i = at; i < count; ++i) {
        a[i] = fmaf(scale, from[i], a[i]);
        b[i] = fmaf(scale, from[i], b[i]);
        c[i] = fmaf(scale, from[i], c[i]);
      }
    }
}

cudaError_t vane_launch_stream(float *a, float *b, float *c, const float *from, float scale,
                               int64_t count, bool past_caches, cudaStream_t stream) {
  if (count < 0 || (uintptr_t)a % 16 != 0 || (uintptr_t)b % 16 != 0 || (uintptr_t)c % 16 != 0 ||
      (uintptr_t)from % 16 != 0)
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  const unsigned n_blocks = blocks_of<float>(count);
  if (past_caches)
    return VANE_LAUNCH(k_stream<true>, n_blocks, BLOCK, stream, a, b, c, from, scale, count);
  return VANE_LAUNCH(k_stream<false>, n_blocks, BLOCK, stream, a, b, c, from, scale, count);
}

// ---- Running statistics ----

static __global__ void k_follow(float *to, const float *from, double share, int64_t count,
                                const vane_step_record *record) {
  if (record->skip)
    return;
  for (int64_t i = grid_thread(); i < count; i += grid_threads())
    to[i] = (float)((1.0 - share) * (double)to[i] + share * (double)from[i]);
}

cudaError_t vane_launch_follow(float *to, const float *from, double share, int64_t count,
                               const vane_step_record *record, cudaStream_t stream) {
  if (count < 0)
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  return VANE_LAUNCH(k_follow, blocks_for(count, BLOCK, MOST_BLOCKS), BLOCK, stream, to, from,
                     share, count, record);
}

// ---- Plain float ----

template <int V, typename To, typename From>
static inline __device__ void convert_at(To *to, const From *from, int64_t at) {
  float value[V];
  load(value, from + at);
  store(to + at, value);
}

template <int V, typename To, typename From>
static __global__ void k_convert(To *to, const From *from, int64_t count) {
  for (int64_t at = grid_thread() * V; at < count; at += grid_threads() * V)
    if (at + V <= count)
      convert_at<V>(to, from, at);
    else
      for (int64_t i = at; i < count; ++i)
        convert_at<1>(to, from, i);
}

// Features of a micro-batch begin anywhere; the whole batch's, and activations, at 128 bits.
template <typename Element, typename To, typename From>
static cudaError_t convert(To *to, const From *from, const float *plain, int64_t count,
                           cudaStream_t stream) {
  constexpr int V = vector_of<Element>;
  if ((uintptr_t)plain % 16 != 0)
    return VANE_LAUNCH((k_convert<1, To, From>), blocks_for(count, BLOCK, MOST_BLOCKS), BLOCK,
                       stream, to, from, count);
  return VANE_LAUNCH((k_convert<V, To, From>), blocks_of<Element>(count), BLOCK, stream, to, from,
                     count);
}

template <typename Element>
static cudaError_t launch_to_float(float *to, const void *from, int64_t count,
                                   cudaStream_t stream) {
  return convert<Element>(to, (const Element *)from, to, count, stream);
}

template <typename Element>
static cudaError_t launch_from_float(void *to, const float *from, int64_t count,
                                     cudaStream_t stream) {
  return convert<Element>((Element *)to, from, from, count, stream);
}

cudaError_t vane_launch_to_float(float *to, const void *from, vane_number number, int64_t count,
                                 cudaStream_t stream) {
  if (count < 0)
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_to_float, to, from, count, stream);
}

cudaError_t vane_launch_from_float(void *to, const float *from, vane_number number, int64_t count,
                                   cudaStream_t stream) {
  if (count < 0)
    return cudaErrorInvalidValue;
  if (count == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_from_float, to, from, count, stream);
}
