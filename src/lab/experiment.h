/* One run of a problem through the real trainer, every step's loss read. */
#ifndef VANE_LAB_EXPERIMENT_H
#define VANE_LAB_EXPERIMENT_H

#include "base/log.h"
#include "config/config.h"
#include "lab/outcome.h"
#include "store/run.h"

/* How a run is going, for whoever watches. `curvature` is NaN where nobody measures it. */
typedef struct vane_lab_point {
  int64_t step, steps;
  double loss, best;       /* means over an epoch */
  double curvature, limit; /* in Adam's metric; where Adam loses its balance */
} vane_lab_point;

typedef struct vane_lab_options {
  const char *checkpoint; /* go on from this file; NULL: from step 0 */
  vane_run *run;          /* gets a checkpoint every `save_every` steps; NULL: none */
  int64_t save_every;
  /* Called a few times a second; may be NULL. A failure ends the run. */
  vane_status (*tell)(void *user, const vane_lab_point *point);
  void *user;
} vane_lab_options;

/* What was read. The loss is the weighted sum of the four heads' losses at the weights before the
 * step: without the regularisation, which would be a floor under it. */
typedef struct vane_lab_curve {
  int64_t first, n;   /* steps before it, and in it */
  int64_t window;     /* steps of an epoch */
  double *loss;       /* [n]; infinity from the first value that is not finite */
  double *mean;       /* [n], over an epoch */
  double *curvature;  /* [n], NaN until the guard has measured it */
  double *limit;      /* [n] */
  double us_per_step; /* of the training thread's own processor time, median over blocks of
                         steps; problems compute on this one thread */
} vane_lab_curve;

/* Trains to config->train_steps. finish takes a zeroed curve. */
VANE_CHECKED
vane_status vane_lab_experiment(const vane_config *config, const vane_lab_options *options,
                                const vane_log *log, vane_lab_curve *curve);
void vane_lab_curve_finish(vane_lab_curve *curve);

/* vane_lab_judge of the curve, with its time. */
void vane_lab_curve_judge(const vane_lab_curve *curve, double scale, vane_lab_outcome *outcome);

/* A CSV file: step, loss, mean, curvature, limit; all digits, so that equal bits are equal text. A
 * number that is not there is an empty field. */
VANE_CHECKED
vane_status vane_lab_curve_write(const vane_lab_curve *curve, const char *path);

#endif
