/* The conformance harness: an operation runs with the same inputs on the device under test and on
 * the oracle, ref in double, and what they wrote is compared.
 *
 * A check is a function of one device; check_run runs a file's checks for every device of the
 * program: ref in float, cpu with direct convolutions on one thread, cpu with measured ones on
 * three (more threads than some of the arrays have values). Compiled with VANE_SIMULATED it is cuda
 * on the simulated GPU, in three orders of threads and streams; with VANE_CHECK_CUDA, cuda on the
 * GPU at hand. Both also in tf32 and bf16. Host values are doubles that a float can hold.
 *
 * In bf16 the oracle's activations are rounded to bf16 when they are put and when they are read
 * (side.h): both devices begin with the same values, and differ by what the operation does. */
#ifndef VANE_TESTS_OPS_CHECK_H
#define VANE_TESTS_OPS_CHECK_H

#include <setjmp.h> /* cmocka.h needs these four before it */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>

#include "device/device.h"

#define CHECK_MAX_OPS 64

/* C's own are floats. */
#define CHECK_NAN      ((double)NAN)
#define CHECK_INFINITY ((double)INFINITY)

typedef struct check {
  const char *name; /* of the device under test */
  int precision;    /* VANE_PRECISION_*, its own */
  bool transforms;  /* its convolutions may be Winograd's or FFT's, and their choice does not say */
  vane_device *subject, *oracle;
  char label[256];              /* the case at hand, for messages */
  uint64_t n_draws;             /* arrays drawn so far: each has random numbers of its own */
  void **pool;                  /* host arrays of the running check ... */
  size_t n_pool, pool_capacity; /* ... freed when it is over */
  double worst[CHECK_MAX_OPS];  /* largest error of each row of the tolerance table */
  bool compared[CHECK_MAX_OPS];
} check;

typedef struct check_entry {
  const char *name;
  void (*run)(check *c);
} check_entry;

#define CHECK(function)                                                                            \
  { #function, function }

/* Runs all entries on all devices; returns the number of failures, for main. */
int check_run(const char *suite, const check_entry *entries, size_t n_entries);

/* Names the case that the next comparisons belong to. */
void check_label(check *c, const char *format, ...) VANE_PRINTF(2, 3);

/* Fails the test when a call did not return VANE_OK, with the recorded message. */
#define check_ok(call) check_status((call), #call, __FILE__, __LINE__)
void check_status(vane_status status, const char *call, const char *file, int line);

/* Host arrays that live until the check is over. */
double *check_array(check *c, int64_t count); /* zeros */
double *check_normal(check *c, int64_t count);
/* Zero, or a power of two between 1/4 and 2 of either sign: sums and products of these are exact in
 * float, so a correct result is equal to the last bit whatever the order of its sum. */
double *check_powers(check *c, int64_t count);
static inline double *check_inputs(check *c, int64_t count, bool exact) {
  return exact ? check_powers(c, count) : check_normal(c, count);
}
/* Rounds to what the subject's activations, and its convolutions' weights, can hold; returns the
 * values. */
double *check_narrow(const check *c, double *values, int64_t count);
/* The same for one value and VANE_PRECISION_*. */
double check_narrowed(int precision, double value);
/* Ones and zeros: all ones, none, or about half. */
typedef enum check_mask_kind { CHECK_MASK_ALL, CHECK_MASK_NONE, CHECK_MASK_SOME } check_mask_kind;
double *check_mask(check *c, int64_t count, check_mask_kind kind);

/* Compares what `op` wrote: |actual - expected| <= tolerance of `op` (tolerance.c) times a scale:
 * scale[i], or where it is NULL the largest |expected|. A NaN must meet a NaN, an infinity its
 * like. `what` names the output. */
void check_compare(check *c, const char *op, const char *what, const double *actual,
                   const double *expected, const double *scale, int64_t count);
/* The same without any tolerance. */
void check_equal(check *c, const char *op, const char *what, const double *actual,
                 const double *expected, int64_t count);
static inline void check_match(check *c, bool exact, const char *op, const char *what,
                               const double *actual, const double *expected, int64_t count) {
  if (exact)
    check_equal(c, op, what, actual, expected, count);
  else
    check_compare(c, op, what, actual, expected, NULL, count);
}
static inline void check_scalar(check *c, const char *op, const char *what, double actual,
                                double expected) {
  check_compare(c, op, what, &actual, &expected, NULL, 1);
}

/* tolerance.c: a row's number, or -1; its name, and its limit in VANE_PRECISION_*. */
int tolerance_row(const char *op);
const char *tolerance_name(int row);
double tolerance_limit(int row, int precision);
int tolerance_n_rows(void);

#endif
