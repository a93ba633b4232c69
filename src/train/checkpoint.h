/* Checkpoints: all that a run needs to go on with the same bits.
 *
 * Tensors (F32, plain order): `trunk.3.conv1.weight`, `heads.angle.0.bias`, ...; running statistics
 * `trunk.3.norm1.running_mean`; moments `adam.m.NAME`, `adam.v.NAME`, `adam.v_max.NAME`.
 * What the step record hands from step to step: `step.losses`, `step.notes`, `step.numbers`.
 * Metadata: `vane.step`, `vane.config` (YAML), `vane.device`, `vane.best_total`, `vane.best_step`,
 * `vane.rollbacks`, `vane.convolution.NAME` (the algorithms chosen). The data position and all
 * draws follow from the step, the seed and data.train.passed_over. */
#ifndef VANE_TRAIN_CHECKPOINT_H
#define VANE_TRAIN_CHECKPOINT_H

#include "store/run.h"
#include "train/trainer.h"

/* The best evaluation so far: its weighted loss, and its step; step 0: none yet. */
typedef struct vane_best {
  double total;
  int64_t step;
} vane_best;

/* A checkpoint file that was opened and understood. */
typedef struct vane_checkpoint vane_checkpoint;

VANE_CHECKED
vane_status vane_checkpoint_open(const char *path, vane_checkpoint **checkpoint);
void vane_checkpoint_close(vane_checkpoint *checkpoint); /* takes NULL */

/* Borrowed; its configuration as it was when the checkpoint was written. */
const vane_config *vane_checkpoint_config(const vane_checkpoint *checkpoint);
int64_t vane_checkpoint_step(const vane_checkpoint *checkpoint);
vane_best vane_checkpoint_best(const vane_checkpoint *checkpoint);

/* The recorded algorithms and the kind of device they belong to. Borrowed. */
const vane_choices *vane_checkpoint_choices(const vane_checkpoint *checkpoint);

/* Weights and running statistics. A tensor that is missing or has another shape is VANE_ERR_STATE
 * and is named; nothing is guessed. */
VANE_CHECKED
vane_status vane_checkpoint_restore_network(const vane_checkpoint *checkpoint,
                                            vane_network *network);

/* The same, moments, step and what the step record hands on too. */
VANE_CHECKED
vane_status vane_checkpoint_restore(const vane_checkpoint *checkpoint, vane_trainer *trainer);

/* Writes the trainer's state into the run. Blocks. `is_best`: also as best. */
VANE_CHECKED
vane_status vane_checkpoint_save(vane_trainer *trainer, vane_run *run, vane_best best,
                                 bool is_best);

#endif
