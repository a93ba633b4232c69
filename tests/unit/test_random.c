/* Draws by counter: Random123's known answers, and floats that stay in their range. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/philox.h"
#include "base/random.h"

/* Lines philox4x32 10 of Random123's kat_vectors: counter, key, answer. */
static const uint32_t answers[][10] = {
    {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
    {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e,
     0xa20bc7c6, 0x6d5451fd},
    {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb,
     0x5001e420, 0x24126ea1},
};

static void test_known_answers(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    const uint32_t *a = answers[i];
    uint64_t index = a[0] | (uint64_t)a[1] << 32, seed = a[4] | (uint64_t)a[5] << 32;
    uint64_t step = a[2] | (uint64_t)(a[3] & 0xffffff) << 32;
    uint32_t words[4];
    vane_random_words(seed, (vane_random_stream)(a[3] >> 24), step, index, words);
    assert_memory_equal(words, a + 6, sizeof words);
  }
}

static void assert_float(float actual, float expected) {
  if (memcmp(&actual, &expected, sizeof actual) != 0)
    fail_msg("%a instead of %a", (double)actual, (double)expected);
}

static void test_words_become_floats(void **state) {
  (void)state;
  vane_range unit = vane_range_of(0, 1), wide = vane_range_of(-3, 1);
  assert_float(vane_uniform_of(unit, 0), 0);
  assert_float(vane_uniform_of(unit, 0xff), 0);
  assert_float(vane_uniform_of(unit, 0x100), 0x1p-24F);
  assert_float(vane_uniform_of(unit, 0x80000000), 0.5F);
  assert_float(vane_uniform_of(unit, 0xffffffff), 1 - 0x1p-24F);
  assert_float(vane_uniform_of(wide, 0), -3);
  assert_float(vane_uniform_of(wide, 0xc0000000), 0);
  assert_float(vane_uniform_of(wide, 0xffffffff), 1 - 0x1p-22F);
}

static void test_the_upper_end_is_not_reached(void **state) {
  (void)state;
  const float ends[][2] = {
      {1, 1 + 0x1p-23F}, {1, 1 + 0x1p-22F}, {-1, -1 + 0x1p-24F}, {0.1F, 0.3F}, {1000, 1001}};
  for (int i = 0; i < 5; i++) {
    vane_range range = vane_range_of(ends[i][0], ends[i][1]);
    for (uint64_t word = 0xffff0000; word <= 0xffffffff; word++)
      assert_true(vane_uniform_of(range, (uint32_t)word) < ends[i][1]);
    assert_float(vane_uniform_of(range, 0xffffffff), nextafterf(ends[i][1], ends[i][0]));
    assert_float(vane_uniform_of(range, 0), ends[i][0]);
  }
}

static void test_floats_are_those_of_the_words(void **state) {
  (void)state;
  double sum = 0, squares = 0;
  const int n = 25000;
  for (int i = 0; i < n; i++) {
    uint32_t words[4];
    float floats[4];
    vane_random_words(7, VANE_RANDOM_BENCH, 1, (uint64_t)i, words);
    vane_random_floats(7, VANE_RANDOM_BENCH, 1, (uint64_t)i, -1, 1, floats);
    for (int j = 0; j < 4; j++) {
      assert_float(floats[j], (float)((double)(words[j] >> 8) * 0x1p-23 - 1));
      sum += (double)floats[j];
      squares += (double)floats[j] * (double)floats[j];
    }
  }
  /* Mean 0 and variance 1/3, each within four standard deviations of its estimate. */
  assert_true(fabs(sum / (4.0 * n)) < 4 * sqrt(1.0 / 3 / (4.0 * n)));
  assert_true(fabs(squares / (4.0 * n) - 1.0 / 3) < 4 * sqrt(4.0 / 45 / (4.0 * n)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_answers),
      cmocka_unit_test(test_words_become_floats),
      cmocka_unit_test(test_the_upper_end_is_not_reached),
      cmocka_unit_test(test_floats_are_those_of_the_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
