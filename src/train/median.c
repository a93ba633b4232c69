#include "train/median.h"

#include <stdlib.h>

static int compare_ms(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

void vane_median_of(double *ms, int64_t n, double *median_ms, double *fastest_ms) {
  qsort(ms, (size_t)n, sizeof *ms, compare_ms);
  *median_ms = 0.5 * (ms[(n - 1) / 2] + ms[n / 2]);
  *fastest_ms = ms[0];
}
