#include "base/random.h"

#include <Random123/philox.h>
#include <math.h>

void vane_random_words(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                       uint32_t words[4]) {
  /* Key: the seed. Counter: 64 bits of index, 56 of step, 8 of stream. */
  philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
  philox4x32_ctr_t counter = {{(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)step,
                               (uint32_t)((step >> 32) & 0xffffff) | (uint32_t)stream << 24}};
  philox4x32_ctr_t result = philox4x32(counter, key);
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

uint64_t vane_random_below(uint64_t seed, vane_random_stream stream, uint64_t step, uint64_t index,
                           uint64_t bound) {
  uint32_t words[4];
  vane_random_words(seed, stream, step, index, words);
  uint64_t bits = (uint64_t)words[0] << 32 | words[1];
  return (uint64_t)(((wide)bits * bound) >> 64);
}
