#include "optim/eigenvalue.h"

#include <arpack.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Basis vectors between restarts. Each costs a product before the first look at how far the
 * iteration is, so fewer than ARPACK advises: ten mostly suffice for one percent. */
#define BASIS 10

/* What dsaupd keeps between products. Its numbers of an array's places count from one. */
typedef struct lanczos {
  a_int n, basis;
  a_int control[11], at[11];
  double *residual; /* [n]; holds the start vector at first */
  double *vectors;  /* [basis][n] */
  double *work;     /* [3][n] */
  double *small;    /* [basis (basis + 8)] */
} lanczos;

static void finish(lanczos *state) {
  free(state->residual);
  free(state->vectors);
  free(state->work);
  free(state->small);
}

static vane_status begin(lanczos *state, int64_t n, const double *start) {
  size_t rows = (size_t)n, basis = n < BASIS ? (size_t)n : BASIS;
  *state = (lanczos){.n = (a_int)n, .basis = (a_int)basis};
  state->residual = malloc(rows * sizeof(double));
  state->vectors = calloc(basis * rows, sizeof(double));
  state->work = calloc(3 * rows, sizeof(double));
  state->small = calloc(basis * (basis + 8), sizeof(double));
  if (!state->residual || !state->vectors || !state->work || !state->small)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %zu vectors of %lld parameters", basis + 4,
                     (long long)n);
  memcpy(state->residual, start, rows * sizeof(double));
  return VANE_OK;
}

static vane_status multiply_checked(const vane_symmetric *matrix, const double *x, double *y) {
  VANE_TRY(matrix->multiply(matrix->user, x, y));
  for (int64_t i = 0; i < matrix->n; i++)
    if (!isfinite(y[i]))
      return vane_fail(VANE_ERR_NUMERIC, "a product with the matrix is not finite");
  return VANE_OK;
}

/* ARPACK asks for one product after the other until it has converged or its restarts are used up.
 */
static vane_status iterate(lanczos *state, const vane_symmetric *matrix, double tolerance,
                           int64_t most_products) {
  const a_int first = 1, product = -1, next_product = 1, converged = 99;
  a_int task = 0, info = 1; /* 1: the residual is the start */
  state->control[0] = first;
  state->control[2] = (a_int)(most_products / state->basis + 1); /* restarts */
  state->control[3] = 1;
  state->control[6] = 1; /* A x = lambda x */
  for (;;) {
    dsaupd_c(&task, "I", state->n, "LA", 1, tolerance, state->residual, state->basis,
             state->vectors, state->n, state->control, state->at, state->work, state->small,
             state->basis * (state->basis + 8), &info);
    if (task != product && task != next_product)
      break;
    if (most_products-- == 0)
      return vane_fail(VANE_ERR_NUMERIC, "the largest eigenvalue was not found to %g", tolerance);
    VANE_TRY(
        multiply_checked(matrix, state->work + state->at[0] - 1, state->work + state->at[1] - 1));
  }
  if (task != converged || info != 0)
    return vane_fail_foreign(VANE_ERR_NUMERIC, info, "dsaupd",
                             "the largest eigenvalue was not found to %g", tolerance);
  return VANE_OK;
}

static vane_status extract(lanczos *state, double tolerance, double *value) {
  a_int info = 0;
  a_int select[BASIS] = {0};
  dseupd_c(false, "A", select, value, NULL, state->n, 0, "I", state->n, "LA", 1, tolerance,
           state->residual, state->basis, state->vectors, state->n, state->control, state->at,
           state->work, state->small, state->basis * (state->basis + 8), &info);
  if (info != 0)
    return vane_fail_foreign(VANE_ERR_NUMERIC, info, "dseupd", "no eigenvalue came out");
  return VANE_OK;
}

vane_status vane_largest_eigenvalue(const vane_symmetric *matrix, const double *start,
                                    double tolerance, int64_t most_products, double *value) {
  if (matrix->n < 1 || matrix->n > INT32_MAX)
    return vane_fail(VANE_ERR_ARGUMENT, "a matrix of %lld rows is none", (long long)matrix->n);
  if (matrix->n == 1) /* ARPACK wants at least two */
    return multiply_checked(matrix, &(double){1}, value);
  lanczos state;
  vane_status status = begin(&state, matrix->n, start);
  if (status == VANE_OK)
    status = iterate(&state, matrix, tolerance, most_products);
  if (status == VANE_OK)
    status = extract(&state, tolerance, value);
  finish(&state);
  return status;
}
