/* The losses: labels in head units on the device, and one call that turns head outputs into loss
 * values and seeds (N10..N17). */
#ifndef VANE_NET_LOSSES_H
#define VANE_NET_LOSSES_H

#include "base/arena.h"
#include "net/heads.h"

/* What the heads are trained on, for a whole batch, as it is uploaded: one block of rows of N
 * reals. A mask is 1 where the sample counts for the loss, else 0 (and the target is then 0). */
enum {
  VANE_TARGET_PRESENCE,
  VANE_TARGET_PRESENCE_MASK,
  VANE_TARGET_PHASE,
  VANE_TARGET_ANGLE_MASK,
  VANE_TARGET_MAGNITUDE,
  VANE_TARGET_MAGNITUDE_MASK,
  VANE_TARGET_POSITION, /* two rows' worth: [N, 2] */
  VANE_TARGET_POSITION_MASK = VANE_TARGET_POSITION + 2,
  VANE_N_TARGET_ROWS
};

typedef struct vane_losses {
  vane_device *device; /* borrowed */
  int64_t n;
  vane_angle_desc angle;
  vane_regression_desc magnitude, position;
  double clip_average; /* limit of clip_by_average_norm, 0: none */
  int64_t targets_item, samples_item;
  void *targets; /* [VANE_N_TARGET_ROWS, N] */
  void *samples; /* [VANE_N_HEADS, N]: each sample's loss value, to name bad examples */
} vane_losses;

void vane_losses_init(vane_losses *losses, vane_device *device, const vane_config *config,
                      int64_t n);
VANE_CHECKED
vane_status vane_losses_reserve(vane_losses *losses, vane_arena *staging, vane_arena *activations);
void vane_losses_bind(vane_losses *losses, const vane_arena *staging,
                      const vane_arena *activations);

/* Head outputs and targets to record->loss and the seeds in the heads. `block`: of the weights.
 * `clip` false leaves clip_by_average_norm out: it belongs to the training batch, not to the
 * network. */
VANE_CHECKED
vane_status vane_losses_run(vane_losses *losses, const vane_heads *heads, const vane_block *block,
                            const void *weights, bool clip, vane_step_record *record);

#endif
