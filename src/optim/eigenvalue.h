/* The largest eigenvalue of a symmetric operator that is known by its products alone, such as the
 * Hessian of a loss: ARPACK's restarted Lanczos iteration. */
#ifndef VANE_OPTIM_EIGENVALUE_H
#define VANE_OPTIM_EIGENVALUE_H

#include <stdint.h>

#include "vane/status.h"

typedef struct vane_symmetric {
  int64_t n; /* rows */
  /* y = A x, [n] each. */
  vane_status (*multiply)(void *user, const double *x, double *y);
  void *user;
} vane_symmetric;

/* The eigenvalue that is largest by its sign, not by its size, to a relative `tolerance`. The
 * iteration begins at `start` [n]; what `start` and all products leave at zero stays there. At most
 * `most_products` are taken: VANE_ERR_NUMERIC when they did not suffice, or gave values that are
 * not finite. One call at a time in a process: ARPACK keeps its state between products. */
VANE_CHECKED
vane_status vane_largest_eigenvalue(const vane_symmetric *matrix, const double *start,
                                    double tolerance, int64_t most_products, double *value);

#endif
