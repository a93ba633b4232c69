// Kernels with and without faults, for the simulated GPU's own tests; and shapes of code that the
// language must take.
#include "simgpu/test_kernels.h"

#ifdef __CUDACC__
#define VANE_LAUNCH(kernel, n_blocks, n_threads, stream, ...)                                      \
  (kernel<<<(n_blocks), (n_threads), 0, (stream)>>>(__VA_ARGS__), cudaGetLastError())
#define VANE_LAUNCH_MEETING VANE_LAUNCH
#else
#include "simgpu/language.h"
#endif

// ---- a sum in two stages ----

template <int fault>
static __global__ void k_sum(const float *x, int64_t n, double *parts, unsigned *arrived,
                             double *sum) {
  __shared__ double warp_sums[8];
  __shared__ bool last;
  double mine = 0;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < n;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x)
    mine += x[i];
#pragma unroll
  for (int d = 16; d; d >>= 1)
    mine += __shfl_down_sync(~0u, mine, d);
  if (threadIdx.x % 32 == 0)
    warp_sums[threadIdx.x / 32] = mine;
  if (fault != SUM_NO_BARRIER)
    __syncthreads();
  if (threadIdx.x == 0) {
    double block = 0;
    for (unsigned w = 0; w < blockDim.x / 32; w++)
      block += warp_sums[w];
    parts[blockIdx.x] = block;
    if (fault != SUM_NO_FENCE)
      __threadfence();
    last = fault == SUM_NO_ATOMIC ? blockIdx.x == gridDim.x - 1
                                  : atomicAdd(arrived, 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    double all = 0;
    for (unsigned b = 0; b < gridDim.x; b++)
      all += parts[b];
    *sum = all;
    *arrived = 0;
  }
}

cudaError_t launch_sum(int fault, const float *x, int64_t n, double *parts, unsigned *arrived,
                       double *sum, int n_blocks, cudaStream_t stream) {
  switch (fault) {
  case SUM_NO_BARRIER:
    return VANE_LAUNCH_MEETING(k_sum<SUM_NO_BARRIER>, n_blocks, 256, stream, x, n, parts, arrived,
                               sum);
  case SUM_NO_FENCE:
    return VANE_LAUNCH_MEETING(k_sum<SUM_NO_FENCE>, n_blocks, 256, stream, x, n, parts, arrived,
                               sum);
  case SUM_NO_ATOMIC:
    return VANE_LAUNCH_MEETING(k_sum<SUM_NO_ATOMIC>, n_blocks, 256, stream, x, n, parts, arrived,
                               sum);
  default:
    return VANE_LAUNCH_MEETING(k_sum<SUM_RIGHT>, n_blocks, 256, stream, x, n, parts, arrived, sum);
  }
}

// ---- y = scale * x, four at a time ----

static __global__ void k_scale(float scale, const float *x, float *y, int64_t n) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (i * 4 + 3 < n) {
    float4 v = reinterpret_cast<const float4 *>(x)[i];
    v.x *= scale;
    v.y *= scale;
    v.z *= scale;
    v.w *= scale;
    reinterpret_cast<float4 *>(y)[i] = v;
  } else
    for (int64_t k = i * 4; k < n; k++)
      y[k] = scale * x[k];
}

cudaError_t launch_scale(float scale, const float *x, float *y, int64_t n, cudaStream_t stream) {
  const int64_t n_threads = (n + 3) / 4;
  return VANE_LAUNCH(k_scale, (n_threads + 127) / 128, 128, stream, scale, x, y, n);
}

// ---- one fault each ----

static __global__ void k_fault(int fault, float *x, int64_t n, const float *host) {
  __shared__ float s[64];
  __shared__ float t[1];
  const int i = static_cast<int>(threadIdx.x);
  switch (fault) {
  case FAULT_SHARED_UNWRITTEN:
    x[i] = s[i];
    break;
  case FAULT_SHARED_RACE:
    t[0] = static_cast<float>(i);
    __syncthreads();
    x[i] = t[0];
    break;
  case FAULT_DIVERGED:
    if (i % 2)
      __syncthreads();
    break;
  case FAULT_TWO_BARRIERS:
    if (i % 2)
      __syncthreads();
    else
      __syncthreads();
    break;
  case FAULT_RETURNED:
    if (i == 5)
      return;
    __syncthreads();
    break;
  case FAULT_WARP_LANE_GONE:
    if (i == 5)
      return;
    x[i] = __shfl_xor_sync(~0u, static_cast<float>(i), 1);
    break;
  case FAULT_MASK_WITHOUT_SOURCE:
    if (i < 16)
      x[i] = __shfl_sync(0xffffu, static_cast<float>(i), 20);
    break;
  case FAULT_NOT_ALL_LANES_COME:
    if (i < 16)
      __syncwarp();
    break;
  case FAULT_HOST_POINTER:
    x[i] = host[i];
    break;
  case FAULT_WARP_NOT_SYNCED:
    s[i] = static_cast<float>(i);
    x[i] = s[i ^ 1];
    break;
  case FAULT_NONE_WARP_SYNCED:
    s[i] = static_cast<float>(i);
    __syncwarp();
    x[i] = s[i ^ 1];
    break;
  case FAULT_NONE_PREDICATES:
    x[i] = static_cast<float>(__syncthreads_count(i % 3 == 0) + 100 * __syncthreads_or(i == 7) +
                              1000 * __syncthreads_and(i != 7));
    break;
  case FAULT_NONE_BALLOT:
    x[i] = static_cast<float>(__popc(__ballot_sync(~0u, i % 2)) + 100 * __any_sync(~0u, i == 3) +
                              1000 * __all_sync(~0u, i == 3));
    break;
  case FAULT_NONE_HALF_WARPS: {
    const unsigned mask = i % 32 < 16 ? 0xffffu : 0xffff0000u;
    float v = static_cast<float>(i);
    if (i % 32 < 16)
      for (int d = 8; d; d >>= 1)
        v += __shfl_down_sync(mask, v, d, 16);
    else
      v = __shfl_up_sync(mask, v, 1, 16);
    x[i] = v;
    break;
  }
  case FAULT_READ_NEXT:
    if (i < n)
      x[i] = x[i + 1];
    break;
  }
}

cudaError_t launch_fault(int fault, float *x, int64_t n, const float *host, cudaStream_t stream) {
  return VANE_LAUNCH_MEETING(k_fault, 1, 64, stream, fault, x, n, host);
}

// ---- the same memory from several blocks or threads, never meeting ----

static __global__ void k_apart(int fault, unsigned char *x, int64_t n) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  switch (fault) {
  case APART_RIGHT: // neighbouring bytes
    if (i < n)
      x[i] = static_cast<unsigned char>(i);
    break;
  case APART_BLOCKS_WRITE:
    if (threadIdx.x == 0)
      x[0] = 1;
    break;
  case APART_BLOCKS_READ_WRITE:
    if (i == 0)
      x[0] = 1;
    if (i == blockDim.x)
      x[1] = x[0];
    break;
  case APART_THREADS_WRITE:
    if (i < 2)
      x[i] = x[0];
    break;
  case APART_BARRIER:
    __syncthreads();
    break;
  case APART_BEHIND:
    if (i <= n)
      x[i] = 0;
    break;
  }
}

cudaError_t launch_apart(int fault, unsigned char *x, int64_t n, int n_blocks,
                         cudaStream_t stream) {
  return VANE_LAUNCH(k_apart, n_blocks, 64, stream, fault, x, n);
}
