// Pooling (N8) and the mean over the image. Each thread owns V channels of one output: forward it
// reads its window, backward it gathers from the windows that cover it, so nothing is added
// atomically.
#include "common.cuh"

enum {
  MOST_BLOCKS = 1 << 16, // the loop over the grid takes what is beyond
  MEAN_RUN = 16          // positions summed in float, then in double
};

// Sizes of a pooling; the windows of output (i, j) begin at (i, j) * stride - padding.
typedef struct pool_shape {
  int64_t n, c;
  int h, w, h_out, w_out, kernel, stride, padding;
} pool_shape;

// The part [top, bottom) x [left, right) of a window that lies inside the image.
struct window {
  int corner_row, corner_column, top, bottom, left, right;
};

static inline __device__ window window_at(const pool_shape &s, int i, int j) {
  window in;
  in.corner_row = i * s.stride - s.padding;
  in.corner_column = j * s.stride - s.padding;
  in.top = in.corner_row > 0 ? in.corner_row : 0;
  in.left = in.corner_column > 0 ? in.corner_column : 0;
  in.bottom = in.corner_row + s.kernel < s.h ? in.corner_row + s.kernel : s.h;
  in.right = in.corner_column + s.kernel < s.w ? in.corner_column + s.kernel : s.w;
  return in;
}

static inline __device__ float area_of(const window &in) {
  return (float)((in.bottom - in.top) * (in.right - in.left));
}

static inline __device__ void store_index(int32_t *to, const int (&from)[1]) {
  *to = from[0];
}

template <int V> static inline __device__ void store_index(int32_t *to, const int (&from)[V]) {
  for (int i = 0; i < V; i += 4)
    *reinterpret_cast<int4 *>(to + i) = make_int4(from[i], from[i + 1], from[i + 2], from[i + 3]);
}

static inline __device__ void load_index(int (&to)[1], const int32_t *from) {
  to[0] = *from;
}

template <int V> static inline __device__ void load_index(int (&to)[V], const int32_t *from) {
  for (int i = 0; i < V; i += 4) {
    int4 four = *reinterpret_cast<const int4 *>(from + i);
    to[i] = four.x, to[i + 1] = four.y, to[i + 2] = four.z, to[i + 3] = four.w;
  }
}

// ---- Forward ----

// The first value of the window, then whatever is larger: a NaN in front stays, others lose.
template <int V, typename Element>
static inline __device__ void find_largest(float (&best)[V], int (&place)[V], const Element *image,
                                           const pool_shape &s, const window &in) {
  load(best, image + ((int64_t)in.top * s.w + in.left) * s.c);
  int first = (in.top - in.corner_row) * s.kernel + in.left - in.corner_column;
#pragma unroll
  for (int v = 0; v < V; ++v)
    place[v] = first;
  for (int a = in.top; a < in.bottom; ++a) {
    const Element *row = image + (int64_t)a * s.w * s.c;
    int here = (a - in.corner_row) * s.kernel - in.corner_column;
    for (int b = in.left; b < in.right; ++b) {
      float value[V];
      load(value, row + b * s.c);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        place[v] = value[v] > best[v] ? here + b : place[v];
        best[v] = value[v] > best[v] ? value[v] : best[v];
      }
    }
  }
}

template <int V, typename Element>
static inline __device__ void find_mean(float (&mean)[V], const Element *image, const pool_shape &s,
                                        const window &in) {
#pragma unroll
  for (int v = 0; v < V; ++v)
    mean[v] = 0.0f;
  for (int a = in.top; a < in.bottom; ++a) {
    const Element *row = image + (int64_t)a * s.w * s.c;
    for (int b = in.left; b < in.right; ++b) {
      float value[V];
      load(value, row + b * s.c);
#pragma unroll
      for (int v = 0; v < V; ++v)
        mean[v] += value[v];
    }
  }
#pragma unroll
  for (int v = 0; v < V; ++v)
    mean[v] /= area_of(in);
}

template <typename Element, int V, bool AVERAGE>
static __global__ void k_pool(Element *y, int32_t *index, const Element *x, pool_shape s) {
  int64_t n_vectors = s.c / V, count = s.n * s.h_out * s.w_out * n_vectors;
  for (int64_t t = grid_thread(); t < count; t += grid_threads()) {
    int64_t n = t, c = take(&n, n_vectors) * V;
    int j = (int)take(&n, s.w_out), i = (int)take(&n, s.h_out);
    window in = window_at(s, i, j);
    const Element *image = x + n * s.h * s.w * s.c + c;
    float value[V];
    if (AVERAGE) {
      find_mean(value, image, s, in);
    } else {
      int place[V];
      find_largest(value, place, image, s, in);
      store_index(index + t * V, place);
    }
    store(y + t * V, value);
  }
}

// ---- Backward ----

// The outputs [from, to) whose windows cover the row or column `at`.
static inline __device__ void covering(int at, int n_out, const pool_shape &s, int *from, int *to) {
  int behind = at + s.padding - s.kernel; // a window that begins here ends before `at`
  *from = behind < 0 ? 0 : behind / s.stride + 1;
  *to = (at + s.padding) / s.stride + 1;
  *to = *to < n_out ? *to : n_out;
}

// Adds to `sum` what the window at (i, j), whose first channel here lies at `from`, gives to (a,
// b).
template <bool AVERAGE, int V, typename Element>
static inline __device__ void add_share(float (&sum)[V], const Element *dz, const int32_t *index,
                                        int64_t from, const pool_shape &s, const window &in, int a,
                                        int b) {
  float gradient[V];
  load(gradient, dz + from);
  if (AVERAGE) {
#pragma unroll
    for (int v = 0; v < V; ++v)
      sum[v] += gradient[v] / area_of(in);
  } else {
    int place[V], here = (a - in.corner_row) * s.kernel + b - in.corner_column;
    load_index(place, index + from);
#pragma unroll
    for (int v = 0; v < V; ++v)
      sum[v] += place[v] == here ? gradient[v] : 0.0f;
  }
}

template <typename Element, int V, bool AVERAGE>
static __global__ void k_pool_backward(Element *dx, const Element *dz, const int32_t *index,
                                       pool_shape s) {
  int64_t n_vectors = s.c / V, count = s.n * s.h * s.w * n_vectors;
  for (int64_t t = grid_thread(); t < count; t += grid_threads()) {
    int64_t n = t, c = take(&n, n_vectors) * V;
    int b = (int)take(&n, s.w), a = (int)take(&n, s.h), top, bottom, left, right;
    covering(a, s.h_out, s, &top, &bottom);
    covering(b, s.w_out, s, &left, &right);
    float sum[V] = {};
    for (int i = top; i < bottom; ++i)
      for (int j = left; j < right; ++j)
        add_share<AVERAGE>(sum, dz, index, ((n * s.h_out + i) * s.w_out + j) * s.c + c, s,
                           window_at(s, i, j), a, b);
    store(dx + t * V, sum);
  }
}

// ---- Launchers ----

static bool shape_of(const vane_pool_plan *plan, pool_shape *s) {
  const vane_pool_desc *d = &plan->desc;
  // Places in a window, and rows and columns with their padding, are int.
  if (d->kernel < 1 || d->kernel > 1 << 15 || d->stride < 1 || d->stride > 1 << 15 ||
      d->padding < 0 || d->padding >= d->kernel || d->h > 1 << 30 || d->w > 1 << 30)
    return false;
  s->n = d->n;
  s->c = d->c;
  s->h = (int)d->h;
  s->w = (int)d->w;
  s->h_out = (int)plan->h_out;
  s->w_out = (int)plan->w_out;
  s->kernel = (int)d->kernel;
  s->stride = (int)d->stride;
  s->padding = (int)d->padding;
  return true;
}

template <typename Element, int V>
static cudaError_t pool_wide(void *y, int32_t *index, const void *x, const pool_shape &s,
                             cudaStream_t stream) {
  unsigned blocks = blocks_for(s.n * s.h_out * s.w_out * (s.c / V), BLOCK, MOST_BLOCKS);
  return index ? VANE_LAUNCH((k_pool<Element, V, false>), blocks, BLOCK, stream, (Element *)y,
                             index, (const Element *)x, s)
               : VANE_LAUNCH((k_pool<Element, V, true>), blocks, BLOCK, stream, (Element *)y, index,
                             (const Element *)x, s);
}

template <typename Element>
static cudaError_t launch_pool(void *y, int32_t *index, const void *x, const pool_shape &s,
                               cudaStream_t stream) {
  constexpr int V = vector_of<Element>;
  return s.c % V == 0 ? pool_wide<Element, V>(y, index, x, s, stream)
                      : pool_wide<Element, 1>(y, index, x, s, stream);
}

cudaError_t vane_launch_pool(void *y, int32_t *index, const void *x, vane_number number,
                             const vane_pool_plan *plan, cudaStream_t stream) {
  pool_shape s;
  if (!shape_of(plan, &s) || plan->desc.average != (index == NULL))
    return cudaErrorInvalidValue;
  return VANE_WITH_NUMBER(number, launch_pool, y, index, x, s, stream);
}

template <typename Element, int V>
static cudaError_t backward_wide(void *dx, const void *dz, const int32_t *index,
                                 const pool_shape &s, cudaStream_t stream) {
  unsigned blocks = blocks_for(s.n * s.h * s.w * (s.c / V), BLOCK, MOST_BLOCKS);
  return index ? VANE_LAUNCH((k_pool_backward<Element, V, false>), blocks, BLOCK, stream,
                             (Element *)dx, (const Element *)dz, index, s)
               : VANE_LAUNCH((k_pool_backward<Element, V, true>), blocks, BLOCK, stream,
                             (Element *)dx, (const Element *)dz, index, s);
}

template <typename Element>
static cudaError_t launch_backward(void *dx, const void *dz, const int32_t *index,
                                   const pool_shape &s, cudaStream_t stream) {
  constexpr int V = vector_of<Element>;
  return s.c % V == 0 ? backward_wide<Element, V>(dx, dz, index, s, stream)
                      : backward_wide<Element, 1>(dx, dz, index, s, stream);
}

cudaError_t vane_launch_pool_backward(void *dx, const void *dz, const int32_t *index,
                                      vane_number number, const vane_pool_plan *plan,
                                      cudaStream_t stream) {
  pool_shape s;
  if (!shape_of(plan, &s) || plan->desc.average != (index == NULL))
    return cudaErrorInvalidValue;
  return VANE_WITH_NUMBER(number, launch_backward, dx, dz, index, s, stream);
}

// ---- The mean over the image ----

// A thread per image and channel: neighbours read neighbouring channels.
template <typename Element>
static __global__ void k_pool_global(float *features, const Element *x, int64_t count,
                                     int64_t positions, int64_t c) {
  for (int64_t t = grid_thread(); t < count; t += grid_threads()) {
    int64_t n = t, channel = take(&n, c);
    const Element *from = x + n * positions * c + channel;
    double sum = 0.0;
    for (int64_t begin = 0; begin < positions; begin += MEAN_RUN) {
      int64_t end = begin + MEAN_RUN < positions ? begin + MEAN_RUN : positions;
      float run = 0.0f;
#pragma unroll 8
      for (int64_t position = begin; position < end; ++position)
        run += to_float(from[position * c]);
      sum += (double)run;
    }
    features[t] = (float)(sum / (double)positions);
  }
}

template <typename Element>
static cudaError_t launch_global(float *features, const void *x, int64_t n, int64_t positions,
                                 int64_t c, cudaStream_t stream) {
  return VANE_LAUNCH(k_pool_global<Element>, blocks_for(n * c, BLOCK, MOST_BLOCKS), BLOCK, stream,
                     features, (const Element *)x, n * c, positions, c);
}

cudaError_t vane_launch_pool_global(float *features, const void *x, vane_number number, int64_t n,
                                    int64_t positions, int64_t c, cudaStream_t stream) {
  if (n < 0 || positions < 1 || c < 1)
    return cudaErrorInvalidValue;
  if (n == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_global, features, x, n, positions, c, stream);
}

template <typename Element, int V>
static __global__ void k_pool_global_backward(Element *dx, const float *dfeatures, int64_t count,
                                              int64_t positions, int64_t n_vectors) {
  for (int64_t t = grid_thread(); t < count; t += grid_threads()) {
    int64_t n = t, vector = take(&n, n_vectors);
    take(&n, positions);
    float value[V];
    load(value, dfeatures + (n * n_vectors + vector) * V);
#pragma unroll
    for (int v = 0; v < V; ++v)
      value[v] /= (float)positions;
    store(dx + t * V, value);
  }
}

template <typename Element, int V>
static cudaError_t global_backward_wide(void *dx, const float *dfeatures, int64_t n,
                                        int64_t positions, int64_t c, cudaStream_t stream) {
  int64_t count = n * positions * (c / V);
  return VANE_LAUNCH((k_pool_global_backward<Element, V>), blocks_for(count, BLOCK, MOST_BLOCKS),
                     BLOCK, stream, (Element *)dx, dfeatures, count, positions, c / V);
}

template <typename Element>
static cudaError_t launch_global_backward(void *dx, const float *dfeatures, int64_t n,
                                          int64_t positions, int64_t c, cudaStream_t stream) {
  constexpr int V = vector_of<Element>;
  bool wide = c % V == 0 && (uintptr_t)dfeatures % 16 == 0; // a micro-batch's begin anywhere
  return wide ? global_backward_wide<Element, V>(dx, dfeatures, n, positions, c, stream)
              : global_backward_wide<Element, 1>(dx, dfeatures, n, positions, c, stream);
}

cudaError_t vane_launch_pool_global_backward(void *dx, const float *dfeatures, vane_number number,
                                             int64_t n, int64_t positions, int64_t c,
                                             cudaStream_t stream) {
  if (n < 0 || positions < 1 || c < 1)
    return cudaErrorInvalidValue;
  if (n == 0)
    return cudaSuccess;
  return VANE_WITH_NUMBER(number, launch_global_backward, dx, dfeatures, n, positions, c, stream);
}
