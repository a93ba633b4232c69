/* Labels to targets: from what a data set says to what the losses compare with. */
#ifndef VANE_TRAIN_TARGETS_H
#define VANE_TRAIN_TARGETS_H

#include "data/example.h"
#include "net/losses.h"

/* Fills `targets` [VANE_N_TARGET_ROWS, capacity] from `n` <= capacity labels, the rest masked, and
 * counts the samples of each loss. Angle, magnitude and position count only where the object is
 * present; a loss that is switched off counts nowhere unless `all` (evaluation reports it). */
void vane_targets_fill(const vane_config *config, const vane_labels *labels, int64_t n,
                       int64_t capacity, bool all, float *targets, int64_t counted[VANE_N_HEADS]);

#endif
