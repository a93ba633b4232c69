/* Median and spread of a window of losses, and how far a new one lies above them (N27). */
#ifndef VANE_DEVICE_ROBUST_H
#define VANE_DEVICE_ROBUST_H

#include <stdbool.h>
#include <stdint.h>

/* Of n numbers the one with (n-1)/2 before it is the median: a number of the window itself, so
 * that it does not matter whether the logarithm is taken before or after. */
typedef struct vane_robust {
  bool ratio;       /* all are positive: logarithms are compared */
  double median;    /* of the values themselves */
  double deviation; /* 1.4826 times the median distance, of the logarithms where `ratio`, and not
                       below VANE_SPIKE_FLOOR; 0: nothing is known of it */
} vane_robust;

/* `n` finite values, at most VANE_SPIKE_LONGEST_WINDOW; of none nothing is known. */
vane_robust vane_robust_of(const float *values, int64_t n);

/* Deviations from the median up to `value`; below zero where it lies below, or no deviation is
 * known. */
double vane_robust_distance(const vane_robust *window, double value);

/* True where `value` lies surely within `threshold` deviations: one pass that finds the median not
 * so far below it, without looking for the median. False says nothing. */
bool vane_robust_is_within(const float *values, int64_t n, double value, double threshold);

#endif
