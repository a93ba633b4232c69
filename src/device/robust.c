#include "device/robust.h"

#include <math.h>
#include <string.h>

#include "device/device.h"

/* What a median distance is multiplied by to estimate the standard deviation of a normal
 * distribution: 1/0.6745, its upper quartile. */
#define DEVIATIONS_PER_DISTANCE 1.4826

/* The value with (n-1)/2 before it, by Hoare's selection: values are moved about. */
static float take_median(float *values, int64_t n) {
  int64_t wanted = (n - 1) / 2, low = 0, high = n - 1;
  while (low < high) {
    float pivot = values[low + (high - low) / 2];
    int64_t i = low, j = high;
    while (i <= j) {
      while (values[i] < pivot)
        i++;
      while (values[j] > pivot)
        j--;
      if (i <= j) {
        float held = values[i];
        values[i++] = values[j];
        values[j--] = held;
      }
    }
    if (wanted <= j)
      high = j;
    else if (wanted >= i)
      low = i;
    else
      break;
  }
  return values[wanted];
}

/* e to the distance of the logarithms. */
static float ratio_of(float a, float b) {
  return a > b ? a / b : b / a;
}

vane_robust vane_robust_of(const float *values, int64_t n) {
  if (n == 0)
    return (vane_robust){.ratio = false};
  float moved[VANE_SPIKE_LONGEST_WINDOW];
  memcpy(moved, values, (size_t)n * sizeof *moved);
  bool positive = true;
  for (int64_t i = 0; i < n; i++)
    positive = positive && values[i] > 0;
  float median = take_median(moved, n);
  for (int64_t i = 0; i < n; i++)
    moved[i] = positive ? ratio_of(values[i], median) : fabsf(values[i] - median);
  double distance = (double)take_median(moved, n);
  double deviation = DEVIATIONS_PER_DISTANCE * (positive ? log(distance) : distance);
  double floor = VANE_SPIKE_FLOOR * (positive ? 1 : fabs((double)median));
  return (vane_robust){.ratio = positive,
                       .median = (double)median,
                       .deviation = deviation > floor ? deviation : floor};
}

double vane_robust_distance(const vane_robust *window, double value) {
  if (window->deviation <= 0 || value <= window->median)
    return -1;
  double distance = window->ratio ? log(value / window->median) : value - window->median;
  return distance / window->deviation;
}

bool vane_robust_is_within(const float *values, int64_t n, double value, double threshold) {
  /* Less than the floor's worth of deviations below, with room for rounding. */
  float line = (float)(value * exp(-VANE_SPIKE_FLOOR * threshold) * (1 + 1e-6));
  int32_t below = 0, not_positive = 0;
  for (int64_t i = 0; i < n; i++) {
    below += values[i] < line;
    not_positive += !(values[i] > 0);
  }
  return not_positive == 0 && below <= (n - 1) / 2;
}
