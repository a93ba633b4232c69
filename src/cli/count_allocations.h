/* How often memory is asked for, by anyone in the process: the proof that a step allocates nothing.
 */
#ifndef VANE_CLI_COUNT_ALLOCATIONS_H
#define VANE_CLI_COUNT_ALLOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Calls of malloc, calloc, realloc, aligned_alloc, memalign, posix_memalign and mmap. */
typedef struct vane_allocations {
  int64_t own;    /* by vane and everything it calls, but for the next */
  int64_t onednn; /* by oneDNN, which builds a list of arguments whenever a primitive runs */
} vane_allocations;

/* Counts from now on, on all threads. */
void allocations_begin(void);

/* False where this build cannot count: another C library than glibc, or a sanitizer that has these
 * functions for itself. */
bool allocations_end(vane_allocations *counts);

#endif
