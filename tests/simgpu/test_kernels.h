// Launchers of test_kernels.cu.
#ifndef VANE_TESTS_SIMGPU_TEST_KERNELS_H
#define VANE_TESTS_SIMGPU_TEST_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdint.h>

enum { SUM_RIGHT, SUM_NO_BARRIER, SUM_NO_FENCE, SUM_NO_ATOMIC };
enum {
  FAULT_NONE_WARP_SYNCED,
  FAULT_NONE_PREDICATES,
  FAULT_NONE_BALLOT,
  FAULT_NONE_HALF_WARPS,
  FAULT_SHARED_UNWRITTEN,
  FAULT_SHARED_RACE,
  FAULT_DIVERGED,
  FAULT_TWO_BARRIERS,
  FAULT_RETURNED,
  FAULT_WARP_LANE_GONE,
  FAULT_MASK_WITHOUT_SOURCE,
  FAULT_NOT_ALL_LANES_COME,
  FAULT_HOST_POINTER,
  FAULT_WARP_NOT_SYNCED,
  FAULT_READ_NEXT,
};
enum {
  APART_RIGHT,
  APART_BLOCKS_WRITE,
  APART_BLOCKS_READ_WRITE,
  APART_THREADS_WRITE,
  APART_BARRIER,
  APART_BEHIND,
};

// parts [n_blocks], arrived [1] zero, sum [1].
cudaError_t launch_sum(int fault, const float *x, int64_t n, double *parts, unsigned *arrived,
                       double *sum, int n_blocks, cudaStream_t stream);
cudaError_t launch_scale(float scale, const float *x, float *y, int64_t n, cudaStream_t stream);
cudaError_t launch_fault(int fault, float *x, int64_t n, const float *host, cudaStream_t stream);
cudaError_t launch_apart(int fault, unsigned char *x, int64_t n, int n_blocks, cudaStream_t stream);

#endif
