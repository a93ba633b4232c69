/* What the benchmark's Adam works on: parameters, gradients and moments as in the midst of
 * training, in one set of arrays or in many that take turns. */
#ifndef VANE_TRAIN_BENCH_ARRAYS_H
#define VANE_TRAIN_BENCH_ARRAYS_H

#include "device/device.h"

enum {
  VANE_BENCH_THETA,
  VANE_BENCH_GRADIENT,
  VANE_BENCH_M,
  VANE_BENCH_V,
  VANE_BENCH_V_MAX, /* with AMSGrad alone */
  VANE_BENCH_N_ARRAYS
};

typedef struct vane_bench_size {
  int64_t n_parameters;
  int64_t n_tensors; /* of equal size, but for the remainder, which the last one takes */
} vane_bench_size;

typedef struct vane_bench_arrays {
  vane_device *device;
  const vane_adam_desc *adam; /* borrowed */
  vane_block *block;
  int64_t stride; /* reals from one set to the next, padding included */
  int64_t n_sets, next_set;
  void *reals[VANE_BENCH_N_ARRAYS];
  vane_step_record *record; /* on the device: step 1,000, nothing clipped or skipped */
  void *telemetry;          /* of all sets together; NULL: the step is not watched */
} vane_bench_arrays;

/* Bytes of device memory that one set takes, padding included; 0 where there is no tensor. */
int64_t vane_bench_set_bytes(const vane_device *device, const vane_bench_size *size, bool amsgrad);

/* Draws the same values on every device, in every set. `watch`: steps keep telemetry (N40).
 * VANE_ERR_ARGUMENT for a size without parameters or with more tensors than parameters;
 * VANE_ERR_MEMORY where they do not fit. To be finished, also after a failure. */
VANE_CHECKED
vane_status vane_bench_arrays_init(vane_bench_arrays *arrays, vane_device *device,
                                   const vane_bench_size *size, const vane_adam_desc *adam,
                                   bool watch, int64_t n_sets);
void vane_bench_arrays_finish(vane_bench_arrays *arrays);

/* The next set in turn. */
vane_adam_memory vane_bench_arrays_take(vane_bench_arrays *arrays);

/* One step of Adam on the next set. */
vane_status vane_bench_arrays_step(vane_bench_arrays *arrays);

#endif
