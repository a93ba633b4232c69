#include "lab/outcome.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Summed anew each time: a running sum would keep the rounding of a spike long after it. */
double vane_lab_epoch_mean(const double *loss, int64_t i, int64_t first, int64_t window) {
  int64_t end = (first + i + 1) / window * window - first;
  if (end <= 0)
    end = i + 1;
  int64_t count = end < window ? end : window;
  double sum = 0;
  for (int64_t j = end - count; j < end; j++)
    sum += loss[j];
  return isfinite(sum) ? sum / (double)count : (double)INFINITY;
}

static int compare(const void *a, const void *b) {
  double one = *(const double *)a, other = *(const double *)b;
  return one < other ? -1 : one > other;
}

double vane_lab_median(double *values, int64_t n) {
  qsort(values, (size_t)n, sizeof *values, compare);
  return values[(n - 1) / 2];
}

/* NaN without memory for a copy. */
static double median_of_copy(const double *values, int64_t n) {
  double *copy = malloc((size_t)n * sizeof *copy);
  if (!copy)
    return (double)NAN;
  memcpy(copy, values, (size_t)n * sizeof *copy);
  double median = vane_lab_median(copy, n);
  free(copy);
  return median;
}

static void note_levels(double mean, int64_t step, double scale, vane_lab_outcome *outcome) {
  double level = scale;
  for (int i = 0; i < VANE_LAB_LEVELS; i++) {
    level /= 10;
    if (!outcome->reached[i] && mean <= level)
      outcome->reached[i] = step;
  }
}

void vane_lab_judge(const double *means, int64_t n, int64_t first, double scale,
                    vane_lab_outcome *outcome) {
  *outcome = (vane_lab_outcome){.steps = n, .best = (double)INFINITY};
  int64_t late = 3 * n / 4;
  bool thrown_back = false;
  for (int64_t i = 0; i < n; i++) {
    int64_t step = first + i + 1;
    if (means[i] < outcome->best) {
      outcome->best = means[i];
      outcome->best_step = step;
    }
    note_levels(means[i], step, scale, outcome);
    double lowest = fmax(outcome->best, VANE_LAB_ROUNDING);
    if (thrown_back) {
      thrown_back = !(means[i] < VANE_LAB_RECOVERED * lowest);
    } else if (means[i] > VANE_LAB_SPIKE * lowest) {
      thrown_back = true;
      outcome->spikes++;
      outcome->late_spikes += i >= n / 4;
      if (!outcome->first_spike)
        outcome->first_spike = step;
    }
    if (i < late)
      continue;
    outcome->late_worst = fmax(outcome->late_worst, means[i]);
    /* Infinite from the first loss on is no better. */
    double ratio = isfinite(means[i]) ? means[i] / lowest : (double)INFINITY;
    outcome->setback = fmax(outcome->setback, ratio);
  }
  outcome->late = median_of_copy(means + late, n - late);
}
