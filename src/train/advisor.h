/* How far a run is from Adam's limit of stability, and which epsilon or learning rate would keep it
 * below: what `vane doctor epsilon` says. */
#ifndef VANE_TRAIN_ADVISOR_H
#define VANE_TRAIN_ADVISOR_H

#include "train/trainer.h"

typedef struct vane_advice {
  int64_t step, images;  /* of the checkpoint; over which the curvature was taken */
  double lr, epsilon;    /* in force at that step */
  double limit;          /* 2 (1 + b1) / ((1 - b1)): what lr times curvature may reach (N39) */
  double curvature;      /* largest eigenvalue of H, the Hessian of the weighted loss */
  double adam_curvature; /* and of D^-1/2 H D^-1/2, D = sqrt(vhat) + epsilon */
  double margin;         /* limit / (lr adam_curvature): below 1 the step is unstable */
  double lr_now;         /* the largest learning rate that is stable with v as it is */
  double lr_always;      /* and however far v decays, at this epsilon */
  double epsilon_always; /* the smallest epsilon that is, at this learning rate */
} vane_advice;

/* What the advice may cost, and who wants to see how far it is. */
typedef struct vane_advice_effort {
  int64_t most_gradients;
  void (*progress)(void *user, int64_t gradients); /* after each; NULL: nobody */
  void *user;
} vane_advice_effort;

/* Of a trainer that was restored from a checkpoint and created with the guard in mode `watch`. The
 * batch is the trainer's; the largest eigenvalues are found to 1 percent, by differences of
 * gradients, effort->most_gradients at most (VANE_ERR_NUMERIC when those did not suffice). Blocks.
 * A checkpoint of step 0 has no v: VANE_ERR_STATE. The parameters are put back. Curvatures that are
 * not positive leave nothing to be advised: the fields that follow from them are infinite or 0. */
VANE_CHECKED
vane_status vane_advise(vane_trainer *trainer, const vane_batch *batch,
                        const vane_advice_effort *effort, vane_advice *advice);

#endif
