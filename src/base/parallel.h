/* The same work on many numbered items, by several threads. */
#ifndef VANE_BASE_PARALLEL_H
#define VANE_BASE_PARALLEL_H

#include <stdint.h>

#include "vane/status.h"

typedef struct vane_parallel {
  /* Does one item, on any thread, at the same time as others. */
  vane_status (*work)(void *user, int64_t item);
  /* Called when item's work is done, for one item after the other in their order, never two at a
   * time; not for an item whose work failed, nor after it. May be NULL. */
  vane_status (*finish)(void *user, int64_t item);
  void *user; /* borrowed */
} vane_parallel;

/* Does items 0 .. n_items - 1 on up to `n_threads` threads, the caller's included. Items are begun
 * in order; after a failure no further one is begun. Returns the failure of the lowest item, which
 * is the one that a single thread would have met. */
VANE_CHECKED
vane_status vane_parallel_run(const vane_parallel *parallel, int64_t n_items, int64_t n_threads);

#endif
