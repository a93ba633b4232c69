/* The window's median and spread (N27) beside a sorted reference, for every length and for values
 * that make selection hard. */
#include <math.h>
#include <stdlib.h>

#include "scratch.h"

#include "base/random.h"
#include "device/device.h"
#include "device/robust.h"

enum { LONGEST = VANE_SPIKE_LONGEST_WINDOW };

static int compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static float median_by_sorting(const float *values, int64_t n) {
  float sorted[LONGEST];
  memcpy(sorted, values, (size_t)n * sizeof *values);
  qsort(sorted, (size_t)n, sizeof *sorted, compare);
  return sorted[(n - 1) / 2];
}

static void assert_as_sorted(const float *values, int64_t n) {
  float distances[LONGEST], median = median_by_sorting(values, n);
  bool ratio = true;
  for (int64_t i = 0; i < n; i++)
    ratio = ratio && values[i] > 0;
  for (int64_t i = 0; i < n; i++) {
    float up = values[i] / median, down = median / values[i];
    distances[i] = ratio ? (up > down ? up : down) : fabsf(values[i] - median);
  }
  double distance = (double)median_by_sorting(distances, n);
  double deviation = 1.4826 * (ratio ? log(distance) : distance);
  double least = VANE_SPIKE_FLOOR * (ratio ? 1 : fabs((double)median));
  vane_robust got = vane_robust_of(values, n);
  assert_true(got.ratio == ratio);
  assert_true(got.median == (double)median);
  assert_true(got.deviation == (deviation > least ? deviation : least));
}

/* Rising, falling, all the same, few different ones, drawn; positive and with both signs. */
static float value(int kind, int64_t i, int64_t n) {
  double drawn = vane_random_uniform(1, VANE_RANDOM_REPLACE, (uint64_t)n, (uint64_t)i);
  switch (kind) {
  case 0:
    return (float)(1 + i);
  case 1:
    return (float)(n - i);
  case 2:
    return 0.25f;
  case 3:
    return (float)(1 + (i * 7) % 3);
  case 4:
    return (float)exp(20 * drawn - 10);
  case 5:
    return (float)(drawn - 0.5);
  default:
    return (float)(i % 2 ? drawn : -drawn);
  }
}

static void every_length_is_as_sorted(void **state) {
  (void)state;
  for (int kind = 0; kind < 7; kind++)
    for (int64_t n = 1; n <= LONGEST; n++) {
      float values[LONGEST];
      for (int64_t i = 0; i < n; i++)
        values[i] = value(kind, i, n);
      assert_as_sorted(values, n);
    }
}

/* The quick look never lets a spike pass, and takes nearly all else. */
static void a_quick_look_agrees(void **state) {
  (void)state;
  int64_t let_pass = 0, good = 0;
  for (int kind = 0; kind < 7; kind++)
    for (int64_t n = 8; n <= LONGEST; n += 31) {
      float values[LONGEST];
      for (int64_t i = 0; i < n; i++)
        values[i] = value(kind, i, n);
      vane_robust window = vane_robust_of(values, n);
      double line = window.ratio ? window.median * exp(8 * window.deviation)
                                 : window.median + 8 * window.deviation;
      for (int i = -20; i <= 20; i++) {
        double at = line + fabs(line) * (i < 0 ? -1 : 1) * pow(2, -abs(i));
        bool spike = vane_robust_distance(&window, at) > 8;
        bool within = vane_robust_is_within(values, n, at, 8);
        assert_false(spike && within);
      }
      for (int64_t i = 0; window.ratio && i < n; i++) {
        good += (double)values[i] < 2 * window.median;
        let_pass += vane_robust_is_within(values, n, (double)values[i], 8);
      }
    }
  assert_true(let_pass >= good);
}

static void outliers_move_neither(void **state) {
  (void)state;
  float values[64];
  for (int64_t i = 0; i < 64; i++)
    values[i] = (float)exp(0.3 * sin((double)i));
  vane_robust clean = vane_robust_of(values, 64);
  for (int64_t i = 0; i < 64; i += 4)
    values[i] = 1e30f;
  vane_robust dirty = vane_robust_of(values, 64);
  assert_true(dirty.median < 1.3 * clean.median);
  assert_true(dirty.deviation < 2 * clean.deviation);
  assert_true(vane_robust_distance(&dirty, 1e12) > 50);
}

static void distances_are_in_deviations(void **state) {
  (void)state;
  const float positive[] = {1, 2, 4}, mixed[] = {-1, 0.5f, 3}, zeros[] = {0, 0, 0};
  vane_robust ratio = vane_robust_of(positive, 3), linear = vane_robust_of(mixed, 3);
  vane_robust unknown = vane_robust_of(zeros, 3), none = vane_robust_of(NULL, 0);
  assert_true(fabs(vane_robust_distance(&ratio, 16) - 3 / 1.4826) < 1e-9);
  assert_true(fabs(vane_robust_distance(&linear, 3.5) - 2 / 1.4826) < 1e-9);
  assert_true(vane_robust_distance(&ratio, 2) < 0 && vane_robust_distance(&ratio, -7) < 0);
  assert_true(vane_robust_distance(&unknown, 1e30) < 0 && vane_robust_distance(&none, 1e30) < 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_length_is_as_sorted),
      cmocka_unit_test(a_quick_look_agrees),
      cmocka_unit_test(outliers_move_neither),
      cmocka_unit_test(distances_are_in_deviations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
