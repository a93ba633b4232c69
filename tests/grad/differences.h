/* Gradient checks: what the reference backend in double computes against central differences.
 * Its memory is the host's, so a check moves the operations' own inputs. */
#ifndef VANE_TESTS_GRAD_DIFFERENCES_H
#define VANE_TESTS_GRAD_DIFFERENCES_H

#include "ops/side.h"

/* The scalar whose gradient is checked, from what lies in memory now. */
typedef double objective(void *user);

/* Compares `analytic` [count] with central differences of `f` along each of `x`. */
void differences_check(const char *what, objective *f, void *user, double *x, int64_t count,
                       const double *analytic);

/* A piecewise function is smooth where no value is close to a `kink`. */
void differences_stay_away(const char *what, const double *values, int64_t count, double kink);

/* Standard normal values in the memory of a double device; one sequence per `draw`. */
double *differences_normal(side *s, uint64_t draw, int64_t count);
/* The same as an activation, or NaN for an output. */
vane_tensor differences_normal_tensor(side *s, uint64_t draw, int64_t n, int64_t h, int64_t w,
                                      int64_t c);

double differences_dot(const double *a, const double *b, int64_t count);
int64_t differences_count(const vane_tensor *tensor);

/* cmocka: a double ref device as the group's state. */
int differences_open(void **state);
int differences_close(void **state);

#endif
