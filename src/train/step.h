/* One training step. */
#ifndef VANE_TRAIN_STEP_H
#define VANE_TRAIN_STEP_H

#include "train/trainer.h"

/* Trains on one batch of config.train_batch examples: step number trainer->step + 1. Enqueues its
 * work; allocates nothing, waits for nothing. Afterwards trainer->step counts it, whether or not
 * the device had to skip it (record->skip). */
VANE_CHECKED
vane_status vane_step_run(vane_trainer *trainer, const vane_batch *batch);

/* Its parts, for those who take a gradient without a step. The record's input goes to `record`. */
VANE_CHECKED
vane_status vane_step_upload(vane_trainer *trainer, const vane_batch *batch,
                             vane_step_record *record);
/* The losses of the uploaded batch at the current weights into the record, and each loss's gradient
 * at the trunk's output into slots->features. */
VANE_CHECKED
vane_status vane_step_forward(vane_network *network, vane_slots *slots, vane_step_record *record);
/* From there to the trunk's gradients. `pending`: where the batch's statistics go, or NULL. */
VANE_CHECKED
vane_status vane_step_backward(vane_network *network, vane_slots *slots, void *pending);
/* Both, and what lies between and behind: the losses' gradients measured, weighed and joined into
 * slots->gradients, and the decision whether the step counts. */
VANE_CHECKED
vane_status vane_step_gradient(vane_network *network, vane_slots *slots, vane_step_record *record,
                               void *pending);

#endif
