/* The random draws of one example, one after the other: a counter-based stream with a position. */
#ifndef VANE_DATA_DRAWS_H
#define VANE_DATA_DRAWS_H

#include <stdint.h>

#include "base/random.h"

/* Test parts draw once and for all, whatever the run's seed. Their step numbers carry a bit that no
 * training position reaches (steps have 56 bits), so that a run with this very seed does not train
 * on the scenes that it is tested on. */
#define VANE_DRAWS_FIXED_SEED 777u
#define VANE_DRAWS_FIXED_STEP ((uint64_t)1 << 55)

typedef struct vane_draws {
  uint64_t seed, step, next;
  vane_random_stream stream;
} vane_draws;

/* Uniform in [low, high). */
static inline double vane_draws_uniform(vane_draws *draws, double low, double high) {
  double share = vane_random_uniform(draws->seed, draws->stream, draws->step, draws->next++);
  return low + (high - low) * share;
}

/* Uniform in 0 .. bound-1; bound > 0. */
static inline uint64_t vane_draws_below(vane_draws *draws, uint64_t bound) {
  return vane_random_below(draws->seed, draws->stream, draws->step, draws->next++, bound);
}

#endif
