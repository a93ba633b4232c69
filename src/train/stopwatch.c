#include "train/stopwatch.h"

#include <stdlib.h>
#include <time.h>

double vane_stopwatch_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

static int compare_ms(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

void vane_stopwatch_sum_up(double *ms, int64_t n, double *median_ms, double *fastest_ms) {
  qsort(ms, (size_t)n, sizeof *ms, compare_ms);
  *median_ms = 0.5 * (ms[(n - 1) / 2] + ms[n / 2]);
  *fastest_ms = ms[0];
}
