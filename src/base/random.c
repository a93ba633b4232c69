#include "base/random.h"

#include <math.h>

#include "base/philox.h"

void vane_random_words(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                       uint32_t words[4]) {
  philox4x32_ctr_t result = vane_philox(seed, stream, step, index);
  for (int i = 0; i < 4; i++)
    words[i] = result.v[i];
}

__extension__ typedef unsigned __int128 wide;

static double unit_interval(uint32_t high, uint32_t low) {
  uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
  return (double)bits * 0x1p-53;
}

double vane_random_uniform(uint64_t seed, vane_random_stream stream, uint64_t step,
                           uint64_t index) {
  uint32_t words[4];
  vane_random_words(seed, stream, step, index, words);
  return unit_interval(words[0], words[1]);
}

double vane_random_normal(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index) {
  uint32_t words[4];
  vane_random_words(seed, stream, step, index, words);
  const double two_pi = 6.283185307179586476925286766559;
  double radius = sqrt(-2.0 * log1p(-unit_interval(words[0], words[1])));
  return radius * cos(two_pi * unit_interval(words[2], words[3]));
}

void vane_random_floats(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                        float low, float high, float values[4]) {
  uint32_t words[4];
  vane_random_words(seed, stream, step, index, words);
  for (int i = 0; i < 4; i++)
    values[i] = vane_uniform_of(vane_range_of(low, high), words[i]);
}

uint64_t vane_random_below(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                           uint64_t bound) {
  uint32_t words[4];
  vane_random_words(seed, stream, step, index, words);
  uint64_t bits = (uint64_t)words[0] << 32 | words[1];
  return (uint64_t)(((wide)bits * bound) >> 64);
}
