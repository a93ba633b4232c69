/* One training step. */
#ifndef VANE_TRAIN_STEP_H
#define VANE_TRAIN_STEP_H

#include "train/trainer.h"

/* Trains on one batch of config.train_batch examples: step number trainer->step + 1. Enqueues its
 * work; allocates nothing, waits for nothing. Afterwards trainer->step counts it, whether or not
 * the device had to skip it (record->skip). */
VANE_CHECKED
vane_status vane_step_run(vane_trainer *trainer, const vane_batch *batch);

#endif
