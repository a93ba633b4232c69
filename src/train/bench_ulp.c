/* How far one step is from the formulas in double: ref in double takes the same step from the same
 * values, which are drawn by counter. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "train/bench_adam.h"

/* An array before the step, after it, and after it in double; all owned. */
typedef struct array_read {
  float *before, *after;
  double *exact;
} array_read;

typedef struct ulp_run {
  vane_bench_arrays subject, oracle;
  int64_t count; /* reals of each array */
  array_read read[VANE_BENCH_N_ARRAYS];
} ulp_run;

/* What an array keeps of itself: the rest of its new value was added. */
static double keep_of(const ulp_run *run, int array) {
  const vane_adam_desc *adam = run->subject.adam;
  return array == VANE_BENCH_M ? adam->beta1 : array == VANE_BENCH_V ? adam->beta2 : 1;
}

/* Of a sum of two operands, of which the larger is `size`. */
static double ulp_of(double size) {
  return size > 0 ? ldexp(1, ilogb(size) - 23) : ldexp(1, -149);
}

static double worst_ulp(const ulp_run *run, int array) {
  const vane_block *block = run->subject.block;
  const array_read *read = &run->read[array];
  const double keep = keep_of(run, array);
  const bool is_quotient = array == VANE_BENCH_THETA; /* what is added to it */
  double worst = 0;
  for (int64_t s = 0; s < block->n_segments; s++) {
    const vane_segment *segment = &block->segments[s];
    for (int64_t i = segment->offset; i < segment->offset + segment->count; i++) {
      double kept = keep * (double)read->before[i], added = read->exact[i] - kept;
      double error = fabs((double)read->after[i] - read->exact[i]);
      double unit = ulp_of(fmax(fabs(kept), fabs(added)));
      double ulps = error / (is_quotient ? unit + ulp_of(fabs(added)) : unit);
      worst = ulps <= worst ? worst : ulps; /* a NaN is the worst */
    }
  }
  return worst;
}

static vane_status read_exact(ulp_run *run, int array) {
  vane_device *oracle = run->oracle.device;
  VANE_TRY(oracle->memory.download(oracle, run->read[array].exact, run->oracle.reals[array],
                                   (size_t)run->count * sizeof(double)));
  return oracle->memory.synchronize(oracle);
}

/* The oracle takes the step again from moments that become, to a double's accuracy, those which the
 * subject has stored: theta is then judged by its own roundings. */
static vane_status step_from_stored_moments(ulp_run *run) {
  static const int all[] = {VANE_BENCH_THETA, VANE_BENCH_M, VANE_BENCH_V, VANE_BENCH_V_MAX};
  vane_device *oracle = run->oracle.device;
  const int n = run->subject.adam->amsgrad ? 4 : 3;
  for (int k = 0; k < n; k++) {
    const array_read *read = &run->read[all[k]];
    const bool moment = all[k] == VANE_BENCH_M || all[k] == VANE_BENCH_V;
    for (int64_t i = 0; i < run->count; i++) {
      double off = moment ? (double)read->after[i] - read->exact[i] : 0;
      read->exact[i] = (double)read->before[i] + off / keep_of(run, all[k]);
    }
    VANE_TRY(oracle->memory.upload(oracle, run->oracle.reals[all[k]], read->exact,
                                   (size_t)run->count * sizeof(double)));
  }
  return vane_bench_arrays_step(&run->oracle);
}

static vane_status read_subject(ulp_run *run, bool after) {
  vane_device *subject = run->subject.device;
  for (int i = 0; i < VANE_BENCH_N_ARRAYS; i++)
    if (run->subject.reals[i])
      VANE_TRY(subject->memory.get(subject, after ? run->read[i].after : run->read[i].before,
                                   run->subject.reals[i], run->count));
  return VANE_OK;
}

static vane_status step_and_compare(ulp_run *run, vane_bench_ulp *ulp) {
  VANE_TRY(read_subject(run, false));
  VANE_TRY(vane_bench_arrays_step(&run->subject));
  VANE_TRY(read_subject(run, true));
  VANE_TRY(vane_bench_arrays_step(&run->oracle));
  VANE_TRY(read_exact(run, VANE_BENCH_M));
  VANE_TRY(read_exact(run, VANE_BENCH_V));
  ulp->m = worst_ulp(run, VANE_BENCH_M);
  ulp->v = worst_ulp(run, VANE_BENCH_V);
  VANE_TRY(step_from_stored_moments(run));
  VANE_TRY(read_exact(run, VANE_BENCH_THETA));
  ulp->theta = worst_ulp(run, VANE_BENCH_THETA);
  return VANE_OK;
}

/* ---- The two sides --------------------------------------------------------------------------- */

static vane_status run_both(ulp_run *run, vane_bench_ulp *ulp) {
  run->count = run->subject.block->count;
  const size_t count = (size_t)run->count;
  bool all = true;
  for (int i = 0; i < VANE_BENCH_N_ARRAYS; i++) {
    array_read *read = &run->read[i];
    *read = (array_read){calloc(count, sizeof(float)), calloc(count, sizeof(float)),
                         calloc(count, sizeof(double))};
    all = all && read->before && read->after && read->exact;
  }
  vane_status status =
      all ? step_and_compare(run, ulp)
          : vane_fail(VANE_ERR_MEMORY, "no memory to compare %zu parameters", count);
  for (int i = 0; i < VANE_BENCH_N_ARRAYS; i++) {
    free(run->read[i].before);
    free(run->read[i].after);
    free(run->read[i].exact);
  }
  return status;
}

static vane_status run_with(vane_device *oracle, vane_device *device,
                            const vane_bench_adam_case *what, vane_bench_ulp *ulp) {
  ulp_run run = {0};
  vane_bench_size size = what->size;
  if (size.n_parameters > VANE_BENCH_ULP_COUNT) {
    size.n_parameters = VANE_BENCH_ULP_COUNT;
    if (size.n_tensors > VANE_BENCH_ULP_COUNT)
      size.n_tensors = VANE_BENCH_ULP_COUNT;
  }
  vane_status status =
      vane_bench_arrays_init(&run.subject, device, &size, &what->adam, what->watch, 1);
  if (status == VANE_OK) {
    status = vane_bench_arrays_init(&run.oracle, oracle, &size, &what->adam, what->watch, 1);
    if (status == VANE_OK)
      status = run_both(&run, ulp);
    vane_bench_arrays_finish(&run.oracle);
  }
  vane_bench_arrays_finish(&run.subject);
  return status;
}

vane_status vane_bench_adam_error(vane_device *device, const vane_bench_adam_case *what,
                                  vane_bench_ulp *ulp) {
  vane_device *oracle;
  VANE_TRY(vane_ref_open(true, &oracle));
  vane_status status = run_with(oracle, device, what, ulp);
  vane_device_close(oracle);
  return status;
}
