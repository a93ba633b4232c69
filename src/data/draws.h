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

/* Where an example is drawn once from the run's seed, its step number is this and its place in the
 * source: apart from the positions of training and from the fixed draws. */
#define VANE_DRAWS_ONCE_STEP ((uint64_t)1 << 54)

typedef enum vane_draws_rule {
  VANE_DRAWS_FRESH, /* anew at every position of the run */
  VANE_DRAWS_ONCE,  /* once per example and seed (data.train.fresh: false) */
  VANE_DRAWS_FIXED  /* once per example, whatever the seed: test and validation parts */
} vane_draws_rule;

typedef struct vane_draws {
  uint64_t seed, step, next;
  vane_random_stream stream;
} vane_draws;

/* The draws of example `number` of a drawn source at position `draw` of a run. */
static inline vane_draws vane_draws_begin(vane_draws_rule rule, uint64_t seed, uint64_t draw,
                                          int64_t number) {
  vane_draws draws = {seed, draw, 0, VANE_RANDOM_SOURCE};
  if (rule == VANE_DRAWS_ONCE)
    draws.step = VANE_DRAWS_ONCE_STEP + (uint64_t)number;
  if (rule == VANE_DRAWS_FIXED) {
    draws.seed = VANE_DRAWS_FIXED_SEED;
    draws.step = VANE_DRAWS_FIXED_STEP + (uint64_t)number;
  }
  return draws;
}

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
