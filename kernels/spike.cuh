// What a step's loss is judged by: median and spread of the losses before (N27), by one block of
// threads that together count who lies before whom. The losses are floats, since many cards compare
// doubles at a 32nd of the speed; the results have the bits of the host's (device/robust.c).
#ifndef VANE_KERNELS_SPIKE_CUH
#define VANE_KERNELS_SPIKE_CUH

#include <math.h>

#include "common.cuh"

struct spike_window {
  bool ratio;
  int n; // 0: too few losses to judge by
  double median, deviation;
};

// Of the first n threads' values the one with (n-1)/2 before it, equal ones in the order of their
// threads; for all threads. n is 1 to BLOCK.
static inline __device__ float block_median(float mine, int n) {
  __shared__ float values[BLOCK];
  __shared__ float median;
  int thread = (int)threadIdx.x;
  __syncthreads(); // who called before has read
  values[thread] = mine;
  __syncthreads();
  if (thread < n) {
    int before = 0;
    for (int other = 0; other < n; ++other)
      before += values[other] < mine || (values[other] == mine && other < thread) ? 1 : 0;
    if (before == (n - 1) / 2)
      median = mine;
  }
  __syncthreads();
  return median;
}

static inline __device__ int window_length(vane_decide_desc desc, const vane_spike_state *spike) {
  int64_t window = desc.spike_window;
  int64_t least = VANE_SPIKE_ENOUGH, enough = window < least ? window : least;
  if (desc.spike_mode == VANE_SPIKE_OFF || spike->n_accepted < enough)
    return 0;
  return (int)(spike->n_accepted < window ? spike->n_accepted : window);
}

// What `spike` holds, into shared memory, where one thread will look at it; by all threads of the
// block, BLOCK of them.
static inline __device__ void judge_window(vane_decide_desc desc, const vane_spike_state *spike,
                                           spike_window *window) {
  static_assert((int)VANE_SPIKE_LONGEST_WINDOW <= BLOCK, "a thread for each loss of the window");
  int n = window_length(desc, spike);
  if (threadIdx.x == 0)
    window->n = n;
  if (n > 0) {
    bool inside = (int)threadIdx.x < n;
    int64_t at = spike->n_accepted - 1 - (int64_t)threadIdx.x;
    float mine = inside ? spike->recent[at % VANE_SPIKE_LONGEST_WINDOW] : 1.0f;
    bool ratio = __syncthreads_and(mine > 0.0f);
    float median = block_median(mine, n), distance = fabsf(mine - median);
    if (ratio)
      distance = mine > median ? mine / median : median / mine;
    distance = block_median(distance, n);
    if (threadIdx.x == 0) {
      double deviation = 1.4826 * (ratio ? log((double)distance) : (double)distance);
      double least = VANE_SPIKE_FLOOR * (ratio ? 1.0 : fabs((double)median));
      window->ratio = ratio;
      window->median = (double)median;
      window->deviation = deviation > least ? deviation : least;
    }
  }
  __syncthreads(); // all have read what one of them will change
}

// Deviations from the median up to `value`; below zero where it lies below, or nothing is known.
static inline __device__ double distance_of(const spike_window *window, double value) {
  if (window->n == 0 || window->deviation <= 0.0 || value <= window->median)
    return -1.0;
  double distance = window->ratio ? log(value / window->median) : value - window->median;
  return distance / window->deviation;
}

#endif
