/* Going back: a run leaves a bad step behind by going on from an older checkpoint, past the records
 * that the step saw. It then ends in the bits of a run that was told from the start to pass over
 * them (data.train.passed_over). */
#ifndef VANE_TRAIN_ROLLBACK_H
#define VANE_TRAIN_ROLLBACK_H

#include "train/checkpoint.h"

typedef struct vane_rollback {
  int64_t to;           /* the checkpoint's step */
  int64_t first, count; /* places of the stream that will be passed over */
} vane_rollback;

/* Where a bad step leads: the newest checkpoint at least train.spike.rollback_steps before it (the
 * initial weights are old enough for any), the records that it and perhaps those before it saw, but
 * none that the checkpoint has seen too. VANE_ERR_NUMERIC, with what to do: the checkpoint is not
 * there any more, or train.spike.max_rollbacks are behind the run. */
VANE_CHECKED
vane_status vane_rollback_plan(const vane_trainer *trainer, const vane_run *run, int64_t bad_step,
                               vane_rollback *plan);

/* Does it: the trainer, its list of places passed over, the run's folder. `best` becomes what it
 * was at that step. Whoever reads examples starts again at trainer->step. */
VANE_CHECKED
vane_status vane_rollback_run(vane_trainer *trainer, vane_run *run, const vane_rollback *plan,
                              vane_best *best);

#endif
