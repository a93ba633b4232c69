/* A run's folder: config.yaml, metrics.jsonl, TensorBoard events, checkpoints.
 *
 *   RUN/config.yaml                             the resolved configuration
 *   RUN/metrics.jsonl                           one object per log interval or evaluation
 *   RUN/events.out.tfevents.*                   the same numbers for TensorBoard
 *   RUN/checkpoints/step-00001000.safetensors   numbered; the newest `keep` stay
 *   RUN/checkpoints/last.safetensors            the newest (a hard link)
 *   RUN/checkpoints/best.safetensors            the best evaluation so far (a hard link)
 *   RUN/boxes/step-00000123/                    the black box of a bad step, boxes.h
 */
#ifndef VANE_STORE_RUN_H
#define VANE_STORE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/safetensors.h"
#include "vane/status.h"

typedef struct vane_run vane_run;

/* Starts a run in `folder` (created with its parents). A folder that already holds a run is
 * VANE_ERR_ARGUMENT: the message says how to resume it or to choose another. `config_text` is
 * written to config.yaml. */
VANE_CHECKED
vane_status vane_run_create(const char *folder, const char *config_text, int64_t keep,
                            vane_run **run);

/* Goes on with a run at `step`: metrics of later steps (written between the last checkpoint and a
 * kill) are cut from metrics.jsonl, so that it reads like an uninterrupted run's. */
VANE_CHECKED
vane_status vane_run_resume(const char *folder, int64_t step, int64_t keep, vane_run **run);
void vane_run_close(vane_run *run); /* takes NULL */

const char *vane_run_folder(const vane_run *run);

/* A named number; slashes nest it: "loss/angle" becomes {"loss": {"angle": ...}} in metrics.jsonl
 * and the tag in TensorBoard. */
typedef struct vane_metric {
  const char *tag;
  double value;
} vane_metric;

/* Appends one line {"step": step, ...} (doubles with all their digits, a non-finite one as null)
 * and one event per tag; both are flushed. */
VANE_CHECKED
vane_status vane_run_log(vane_run *run, int64_t step, const vane_metric *metrics,
                         int64_t n_metrics);

/* Writes a checkpoint of `step` atomically, moves `last` (and `best` if asked) to it, and removes
 * numbered ones beyond `keep`. A crash at any moment leaves a complete `last`. */
VANE_CHECKED
vane_status vane_run_save(vane_run *run, int64_t step, bool best, const vane_safetensor *tensors,
                          int64_t n_tensors, const vane_safetensors_text *metadata,
                          int64_t n_metadata);

/* Moves `best` to the already written checkpoint of `step`. */
VANE_CHECKED
vane_status vane_run_mark_best(vane_run *run, int64_t step);

/* The step of the newest numbered checkpoint up to `most`; -1: there is none. */
VANE_CHECKED
vane_status vane_run_find_step(const vane_run *run, int64_t most, int64_t *step);

/* The numbered checkpoint of `step`, a fresh string that the caller frees. */
VANE_CHECKED
vane_status vane_run_step_path(const vane_run *run, int64_t step, char **path);

/* Goes back to the numbered checkpoint of `step`, which is `last` already: what was written for
 * later steps is cut, as a resume does, checkpoints too, and `best` moves to that of `best_step`
 * (0: none; one that is numbered no more stays what it is). */
VANE_CHECKED
vane_status vane_run_roll_back(vane_run *run, int64_t step, int64_t best_step);

/* Writes the black box NAME with `facts` (JSON) and the numbered checkpoint of `step` (-1: none),
 * and keeps `keep` boxes; see boxes.h. */
VANE_CHECKED
vane_status vane_run_write_box(vane_run *run, const char *name, int64_t step, const char *facts,
                               int64_t keep);

/* The checkpoint that RUN|CHECKPOINT on the command line means: a .safetensors file itself, or in a
 * run's folder `best` where `prefer_best` and there is one, else `last`. */
VANE_CHECKED
vane_status vane_run_find_checkpoint(const char *path, bool prefer_best, char *checkpoint,
                                     size_t n_bytes);

#endif
