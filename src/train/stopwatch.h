/* Times of repeated work, for the benchmarks. */
#ifndef VANE_TRAIN_STOPWATCH_H
#define VANE_TRAIN_STOPWATCH_H

#include <stdint.h>

/* Milliseconds since some moment in the past, never set back. */
double vane_stopwatch_ms(void);

/* Median and least of `ms` [n], n at least 1, which it sorts. */
void vane_stopwatch_sum_up(double *ms, int64_t n, double *median_ms, double *fastest_ms);

#endif
