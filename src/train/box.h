/* The black box of a bad step: what it said, what the steps around it said, which records it saw,
 * and the settings, as JSON beside the checkpoint before it. `vane lab replay` computes it again.
 *
 * Numbers that are not finite are null; `loss_bits` has the losses to the bit. */
#ifndef VANE_TRAIN_BOX_H
#define VANE_TRAIN_BOX_H

#include "data/loader.h"
#include "store/run.h"
#include "train/report.h"

/* What a rollback passes over, in places of the stream of examples; count 0: nothing. */
typedef struct vane_box_gap {
  int64_t first, count;
} vane_box_gap;

typedef struct vane_box { /* all borrowed */
  const vane_trainer *trainer;
  vane_loader *examples;
  const vane_step_record *record;
  const vane_bad_step *bad;    /* one of the record */
  const vane_origin *origins;  /* [train.batch]: the step's examples */
  const vane_report *interval; /* metrics since the last report, telemetry among them */
  vane_box_gap gap;
} vane_box;

/* Writes RUN/boxes/step-00000123, or step-00000123-r2 once two rollbacks are behind the run. */
VANE_CHECKED
vane_status vane_box_write(vane_run *run, const vane_box *box);

/* A double's bits, as a box holds them: "0x3ff0000000000000". */
void vane_box_print_bits(double value, char text[19]);

#endif
