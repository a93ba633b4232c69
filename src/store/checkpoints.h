/* The numbered checkpoints of a run, and the two names that move among them. */
#ifndef VANE_STORE_CHECKPOINTS_H
#define VANE_STORE_CHECKPOINTS_H

#include <stdint.h>

#include "format/safetensors.h"

/* Writes FOLDER/step-STEP.safetensors atomically. */
VANE_CHECKED
vane_status vane_checkpoints_write(const char *folder, int64_t step, const vane_safetensor *tensors,
                                   int64_t n_tensors, const vane_safetensors_text *metadata,
                                   int64_t n_metadata);

/* FOLDER/step-STEP.safetensors, a fresh string that the caller frees. */
VANE_CHECKED
vane_status vane_checkpoints_path(const char *folder, int64_t step, char **path);

/* Makes FOLDER/NAME.safetensors ("last", "best") a hard link to the checkpoint of `step`. At any
 * moment, also after a crash, the name is there and complete: it is what it was or what it
 * becomes. */
VANE_CHECKED
vane_status vane_checkpoints_point(const char *folder, const char *name, int64_t step);

/* Removes numbered checkpoints before the newest `keep` of those up to `step`. Later ones stay:
 * they are leftovers of a run that was killed, and will be written anew. */
VANE_CHECKED
vane_status vane_checkpoints_rotate(const char *folder, int64_t step, int64_t keep);

/* The step of the newest numbered checkpoint up to `most`; -1: there is none. */
VANE_CHECKED
vane_status vane_checkpoints_find(const char *folder, int64_t most, int64_t *step);

/* Removes numbered checkpoints behind `step`. */
VANE_CHECKED
vane_status vane_checkpoints_cut(const char *folder, int64_t step);

/* Removes half-written files that a killed process left. */
VANE_CHECKED
vane_status vane_checkpoints_sweep(const char *folder);

#endif
