/* A bad step computed again from its black box: the same losses to the bit, on the same kind of
 * device with the same number of threads, and which examples they come from. */
#ifndef VANE_TRAIN_REPLAY_H
#define VANE_TRAIN_REPLAY_H

#include "base/log.h"
#include "device/device.h"

enum { VANE_REPLAY_EXAMPLES = 8 };

typedef struct vane_replayed_example {
  int64_t place;       /* in the batch */
  double contribution; /* to the weighted total of the heads' losses */
  char text[512];      /* file and record */
} vane_replayed_example;

typedef struct vane_replay {
  int64_t from, step;         /* the checkpoint's, the bad one */
  double loss[VANE_N_LOSSES]; /* as computed now */
  bool same[VANE_N_LOSSES];   /* to the bit as in the box */
  bool all_same;
  double total; /* weighted, of the heads */
  char device[16], boxed_device[16];
  int64_t n_examples;
  vane_replayed_example examples[VANE_REPLAY_EXAMPLES]; /* the largest contributions first; what is
                                                           not finite before all others */
} vane_replay;

/* `box` is a folder RUN/boxes/step-... Files that the configuration names by relative paths are
 * found from the same folder as in the run. VANE_ERR_FORMAT: the box cannot be read, or has no
 * checkpoint. */
VANE_CHECKED
vane_status vane_replay_box(const char *box, const vane_log *log, vane_replay *replay);

#endif
