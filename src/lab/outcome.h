/* What a curve of losses says: how low, how it ended, how often it was thrown back.
 *
 * All of it is about means over whole epochs (with a full batch, about the losses themselves): the
 * loss of a single minibatch may be low or high because of its examples, and as many minibatches of
 * two epochs may lack an example that is hard, or have it twice. The last quarter of a run is what
 * is called late. */
#ifndef VANE_LAB_OUTCOME_H
#define VANE_LAB_OUTCOME_H

#include <stdint.h>

#define VANE_LAB_LEVELS 6 /* 1e-1 .. 1e-6 of the problem's scale */

/* The loss is thrown back when it passes so many times the lowest so far, which counts as one spike
 * until it is below the second number times the lowest again. */
#define VANE_LAB_SPIKE     10.0
#define VANE_LAB_RECOVERED 3.0
/* Where outputs are off by the rounding of floats: a loss below it counts as this high, or every
 * last bit would be a spike. */
#define VANE_LAB_ROUNDING 1e-12

typedef struct vane_lab_outcome {
  int64_t steps;
  double best;       /* the lowest */
  int64_t best_step; /* steps count from 1 */
  double late;       /* median of the last quarter */
  double late_worst; /* highest there; infinity where it was not finite */
  double setback;    /* the most that a loss there was above the lowest before it, as a ratio: 100
                        is a failure by any measure, 1 or less a run that only gets better */
  int64_t spikes;
  int64_t late_spikes;              /* those that began after the first quarter */
  int64_t first_spike;              /* the step where the first one began; 0: none */
  int64_t reached[VANE_LAB_LEVELS]; /* first step at 10^-(i+1) of the scale or below; 0: never */
  /* Filled in by whoever measured them. */
  double us_per_step;
  double strain; /* the largest curvature relative to its limit at that step; 0: not measured */
} vane_lab_outcome;

/* The mean of the losses of the last whole epoch up to loss[i]; before the first one is over, of
 * what there is. `first` steps were taken before loss[0], and every `window` steps an epoch ends.
 * Infinity where one of them is not finite. */
double vane_lab_epoch_mean(const double *loss, int64_t i, int64_t first, int64_t window);

/* The lower one of the two in the middle of an even number of `values` [n], n at least 1, which it
 * sorts. */
double vane_lab_median(double *values, int64_t n);

/* Judges `means` [n], n at least 1. `first` steps were taken before the first of them. */
void vane_lab_judge(const double *means, int64_t n, int64_t first, double scale,
                    vane_lab_outcome *outcome);

#endif
