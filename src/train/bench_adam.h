/* The device's Adam beside what the memory at hand can do in the same moments, and beside the
 * formulas in double. */
#ifndef VANE_TRAIN_BENCH_ADAM_H
#define VANE_TRAIN_BENCH_ADAM_H

#include "train/bench_arrays.h"

typedef struct vane_bench_adam_case {
  vane_bench_size size;
  vane_adam_desc adam;
  bool watch;     /* steps keep telemetry, as those that are logged do */
  bool cold;      /* no call finds its arrays in a cache: many sets of them take turns */
  double seconds; /* to measure for; a hint */
} vane_bench_adam_case;

typedef struct vane_bench_adam_result {
  double ms, fastest_ms;  /* of one step, the median of the rounds and the best of them */
  int64_t model_bytes;    /* that a step must move: 28 per parameter, 36 with AMSGrad */
  double gb_per_s;        /* model_bytes at the median, 1e9 bytes */
  double stream_gb_per_s; /* of elementwise.stream over as many parameters, in the same turns */
  double stream_past_caches_gb_per_s; /* the same with stores that bypass the caches */
  double share;     /* of the faster of these two: the median of the ratios within the rounds */
  int64_t launches; /* kernels of a recorded step; 0: the device does not tell */
  int64_t rounds;
} vane_bench_adam_result;

/* VANE_ERR_ARGUMENT for a size without parameters or with more tensors than parameters;
 * VANE_ERR_MEMORY where the arrays do not fit. */
VANE_CHECKED
vane_status vane_bench_adam(vane_device *device, const vane_bench_adam_case *what,
                            vane_bench_adam_result *result);

/* Device memory that vane_bench_adam takes. */
int64_t vane_bench_adam_bytes(const vane_device *device, const vane_bench_adam_case *what);

/* Whether one set of arrays is so much larger than caches that `cold` changes nothing. */
bool vane_bench_adam_is_large(const vane_device *device, const vane_bench_adam_case *what);

/* What one step is off in the worst of its results, from the same formulas in double on the same
 * values. A result is a sum, and its error is counted in ULP of the larger operand, as in
 * tests/golden: m, of b1 m and what is added to it; v alike; theta, of theta and its update. The
 * update is a quotient with roundings of its own, so a ULP of it counts too (it matters where theta
 * is smaller than its update), and it is judged from the moments as the device has stored them. */
typedef struct vane_bench_ulp {
  double theta, m, v;
} vane_bench_ulp;

/* Over the case's first VANE_BENCH_ULP_COUNT parameters at most, in as many tensors. */
enum { VANE_BENCH_ULP_COUNT = 1 << 18 };
VANE_CHECKED
vane_status vane_bench_adam_error(vane_device *device, const vane_bench_adam_case *what,
                                  vane_bench_ulp *ulp);

#endif
