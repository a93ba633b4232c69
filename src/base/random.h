/* Counter-based random numbers: a draw is a function of (seed, stream, step, index) and of nothing
 * else, so that no result depends on thread timing and a resumed run repeats its draws.
 * Philox4x32-10 (Salmon et al. 2011, as in Random123). */
#ifndef VANE_BASE_RANDOM_H
#define VANE_BASE_RANDOM_H

#include <stdint.h>

/* Who draws. Streams never share a counter; numbers are part of every run's reproducibility, so
 * they are never changed or reused. */
typedef enum vane_random_stream {
  VANE_RANDOM_INIT = 1,       /* step: parameter segment, index: element */
  VANE_RANDOM_FILES = 2,      /* step: epoch, index: swap */
  VANE_RANDOM_WINDOW = 3,     /* step: epoch, index: draw from the window */
  VANE_RANDOM_AUGMENT = 4,    /* step: example number in the run, index: draw */
  VANE_RANDOM_SOURCE = 5,     /* step: example number, index: draw (RotFashion, scenes) */
  VANE_RANDOM_REPLACE = 6,    /* step: position, index: attempt (bad records) */
  VANE_RANDOM_PROJECTION = 7, /* step: training step, index: PCGrad's order */
  VANE_RANDOM_BENCH = 8,      /* step: array, index: four of its values */
  VANE_RANDOM_ADVISOR = 9     /* index: parameter, of the start of an iteration */
} vane_random_stream;

/* Four independent words at once. */
void vane_random_words(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                       uint32_t words[4]);

/* Uniform in [0, 1), 53 bits. */
double vane_random_uniform(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index);

/* (N50). Four independent floats at once, uniform in [low, high) in steps of 2^-24 of the range;
 * what a device draws (elementwise.draw), four reals per index. low < high, both and their
 * difference finite. */
void vane_random_floats(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                        float low, float high, float values[4]);

/* Standard normal (Box-Muller on one counter's words). */
double vane_random_normal(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index);

/* Uniform in 0 .. bound-1; bound > 0. Multiply-shift on 64 bits: bias below bound/2^64. */
uint64_t vane_random_below(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                           uint64_t bound);

#endif
