/* A thread's share of the block of parameters, and the segments it crosses. */
#ifndef VANE_DEVICE_CPU_CPU_SHARE_H
#define VANE_DEVICE_CPU_CPU_SHARE_H

#include "device/device.h"

typedef struct cpu_share {
  int64_t begin, end; /* in reals */
} cpu_share;

/* Shares begin on whole cache lines of 16 reals: no line belongs to two threads, and what falls
 * into a vector loop and what into its tail does not depend on the number of threads. */
static inline int64_t cpu_share_edge(int64_t count, int64_t thread, int64_t n_threads) {
  int64_t lines = (count + 15) / 16;
  int64_t edge = (lines / n_threads * thread + lines % n_threads * thread / n_threads) * 16;
  return edge < count ? edge : count;
}

static inline cpu_share cpu_share_of(int64_t count, int64_t thread, int64_t n_threads) {
  return (cpu_share){cpu_share_edge(count, thread, n_threads),
                     cpu_share_edge(count, thread + 1, n_threads)};
}

/* Where the block's last segment ends: shares are counted from its first real. */
static inline int64_t cpu_block_end(const vane_block *block) {
  return block->n_segments ? block->segments[0].offset + block->count : 0;
}

/* The part of a segment inside a share; empty (begin >= end) where they do not meet. */
static inline cpu_share cpu_share_meet(cpu_share share, const vane_segment *segment) {
  int64_t begin = segment->offset, end = segment->offset + segment->count;
  return (cpu_share){begin > share.begin ? begin : share.begin, end < share.end ? end : share.end};
}

#endif
