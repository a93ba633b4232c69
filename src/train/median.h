/* Times of repeated work, for the benchmarks. */
#ifndef VANE_TRAIN_MEDIAN_H
#define VANE_TRAIN_MEDIAN_H

#include <stdint.h>

/* Median and least of `ms` [n], n at least 1, which it sorts. */
void vane_median_of(double *ms, int64_t n, double *median_ms, double *fastest_ms);

#endif
