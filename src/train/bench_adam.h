/* How fast the device's Adam is, beside how fast memory is at the same moment. */
#ifndef VANE_TRAIN_BENCH_ADAM_H
#define VANE_TRAIN_BENCH_ADAM_H

#include "device/device.h"

typedef struct vane_bench_adam_size {
  int64_t n_parameters;
  int64_t n_tensors; /* of equal size, but for the remainder, which the last one takes */
} vane_bench_adam_size;

typedef struct vane_bench_result {
  double ms;           /* median of one call */
  double fastest_ms;   /* the best one */
  int64_t model_bytes; /* that one call must move */
  double gb_per_s;     /* model_bytes at the median, 1e9 bytes */
} vane_bench_result;

/* On a device whose operations return early (device->asynchronous), calls are timed in batches: one
 * after the other without a wait, so many that a batch takes 20 ms, then one synchronisation. A
 * time is then a batch's, divided by its calls. */

/* Times `repeats` steps, or batches of them (at least 1), after three that warm caches and pages
 * up. Moved per parameter: 28 bytes (theta, gradient, m, v read; theta, m, v written), 36 with
 * AMSGrad (v_max read and written). VANE_ERR_ARGUMENT for a size without parameters or with more
 * tensors than parameters; VANE_ERR_MEMORY where they do not fit. */
VANE_CHECKED
vane_status vane_bench_adam(vane_device *device, const vane_bench_adam_size *size, bool amsgrad,
                            int64_t repeats, vane_bench_result *result);

/* The speed of the device's own memory: a copy in it that moves `bytes` (at least 2), half of them
 * read, half of them written. */
VANE_CHECKED
vane_status vane_bench_copy(vane_device *device, int64_t bytes, int64_t repeats,
                            vane_bench_result *result);

/* The speed of the host's memory: a[i] = b[i] + s c[i] over three host arrays of `count` floats on
 * `n_threads` threads (0: one per core). Counted are 12 bytes per element, as in STREAM's triad; a
 * processor that fetches a line before it overwrites it moves 16, Adam's arrays are free of that.
 */
VANE_CHECKED
vane_status vane_bench_triad(int64_t count, int64_t n_threads, int64_t repeats,
                             vane_bench_result *result);

#endif
