#include "store/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "store/boxes.h"
#include "store/checkpoints.h"
#include "store/files.h"
#include "store/metrics.h"

struct vane_run {
  char *folder, *config, *checkpoints, *last, *best, *boxes;
  int64_t keep;
  vane_metrics_log *metrics;
};

static vane_status make_paths(vane_run *run, const char *folder) {
  VANE_TRY(vane_path_make(&run->folder, "%s", folder));
  VANE_TRY(vane_path_make(&run->config, "%s/config.yaml", folder));
  VANE_TRY(vane_path_make(&run->checkpoints, "%s/checkpoints", folder));
  VANE_TRY(vane_path_make(&run->best, "%s/checkpoints/best.safetensors", folder));
  VANE_TRY(vane_path_make(&run->boxes, "%s/boxes", folder));
  return vane_path_make(&run->last, "%s/checkpoints/last.safetensors", folder);
}

/* Leaves a run that `finish` ends, also on failure. */
static vane_status start(const char *folder, int64_t keep, vane_run **run) {
  *run = calloc(1, sizeof **run);
  if (!*run)
    return vane_fail(VANE_ERR_MEMORY, "no memory left for the run %s", folder);
  (*run)->keep = keep;
  return make_paths(*run, folder);
}

/* Gives `run` to the caller, or closes it where anything went wrong. */
static vane_status finish(vane_status status, vane_run *fresh, vane_run **run) {
  if (status == VANE_OK)
    *run = fresh;
  else
    vane_run_close(fresh);
  return status;
}

static vane_status check_empty(const vane_run *run) {
  if (vane_file_exists(run->last))
    return vane_fail(VANE_ERR_ARGUMENT,
                     "%s: holds a run already; go on with it by --resume %s, or choose another "
                     "folder with --out",
                     run->folder, run->folder);
  if (vane_file_exists(run->config))
    return vane_fail(VANE_ERR_ARGUMENT,
                     "%s: holds a run that ended before its first checkpoint; remove the folder, "
                     "or choose another with --out",
                     run->folder);
  return VANE_OK;
}

/* config.yaml comes last: it makes the folder a run, and a crash before it leaves none. */
static vane_status create(vane_run *run, const char *config_text) {
  VANE_TRY(check_empty(run));
  VANE_TRY(vane_folder_create(run->checkpoints));
  VANE_TRY(vane_metrics_open(run->folder, false, &run->metrics));
  return vane_file_replace(run->config, config_text, strlen(config_text));
}

vane_status vane_run_create(const char *folder, const char *config_text, int64_t keep,
                            vane_run **run) {
  vane_run *fresh;
  vane_status status = start(folder, keep, &fresh);
  if (status == VANE_OK)
    status = create(fresh, config_text);
  return finish(status, fresh, run);
}

static vane_status resume(vane_run *run, int64_t step) {
  if (!vane_file_exists(run->config) || !vane_file_exists(run->last))
    return vane_fail(VANE_ERR_ARGUMENT,
                     "%s: holds no run to go on with (config.yaml and "
                     "checkpoints/last.safetensors); start one with --out",
                     run->folder);
  VANE_TRY(vane_checkpoints_sweep(run->checkpoints));
  VANE_TRY(vane_metrics_cut(run->folder, step));
  return vane_metrics_open(run->folder, true, &run->metrics);
}

vane_status vane_run_resume(const char *folder, int64_t step, int64_t keep, vane_run **run) {
  vane_run *fresh;
  vane_status status = start(folder, keep, &fresh);
  if (status == VANE_OK)
    status = resume(fresh, step);
  return finish(status, fresh, run);
}

void vane_run_close(vane_run *run) {
  if (!run)
    return;
  vane_metrics_close(run->metrics);
  free(run->boxes);
  free(run->best);
  free(run->last);
  free(run->checkpoints);
  free(run->config);
  free(run->folder);
  free(run);
}

const char *vane_run_folder(const vane_run *run) {
  return run->folder;
}

vane_status vane_run_log(vane_run *run, int64_t step, const vane_metric *metrics,
                         int64_t n_metrics) {
  return vane_metrics_write(run->metrics, step, metrics, n_metrics);
}

/* The order is what makes a crash harmless. Metrics reach the disk before the checkpoint that will
 * not compute them again. The numbered file is whole before a name points to it. `best` moves
 * before `last`: a run that resumes from an older `last` comes back to this step and moves `best`
 * again, while the other order would resume behind this step with an older `best`. Old files go at
 * the end; what `best` and `last` share with them stays. */
vane_status vane_run_save(vane_run *run, int64_t step, bool best, const vane_safetensor *tensors,
                          int64_t n_tensors, const vane_safetensors_text *metadata,
                          int64_t n_metadata) {
  VANE_TRY(vane_metrics_flush(run->metrics));
  VANE_TRY(
      vane_checkpoints_write(run->checkpoints, step, tensors, n_tensors, metadata, n_metadata));
  if (best)
    VANE_TRY(vane_checkpoints_point(run->checkpoints, "best", step));
  VANE_TRY(vane_checkpoints_point(run->checkpoints, "last", step));
  return vane_checkpoints_rotate(run->checkpoints, step, run->keep);
}

vane_status vane_run_mark_best(vane_run *run, int64_t step) {
  return vane_checkpoints_point(run->checkpoints, "best", step);
}

vane_status vane_run_find_step(const vane_run *run, int64_t most, int64_t *step) {
  return vane_checkpoints_find(run->checkpoints, most, step);
}

vane_status vane_run_step_path(const vane_run *run, int64_t step, char **path) {
  return vane_checkpoints_path(run->checkpoints, step, path);
}

static vane_status move_best_back(vane_run *run, int64_t best_step) {
  if (best_step == 0) {
    unlink(run->best); /* there may be none */
    return VANE_OK;
  }
  int64_t found;
  VANE_TRY(vane_checkpoints_find(run->checkpoints, best_step, &found));
  return found == best_step ? vane_run_mark_best(run, best_step) : VANE_OK;
}

vane_status vane_run_roll_back(vane_run *run, int64_t step, int64_t best_step) {
  vane_metrics_close(run->metrics);
  run->metrics = NULL;
  VANE_TRY(vane_metrics_cut(run->folder, step));
  VANE_TRY(vane_metrics_open(run->folder, true, &run->metrics));
  VANE_TRY(vane_checkpoints_cut(run->checkpoints, step));
  return move_best_back(run, best_step);
}

vane_status vane_run_write_box(vane_run *run, const char *name, int64_t step, const char *facts,
                               int64_t keep) {
  char *checkpoint = NULL;
  vane_status status = step < 0 ? VANE_OK : vane_run_step_path(run, step, &checkpoint);
  if (status == VANE_OK)
    status = vane_boxes_write(run->boxes, name, checkpoint, facts, keep);
  free(checkpoint);
  return status;
}

vane_status vane_run_find_checkpoint(const char *path, bool prefer_best, char *checkpoint,
                                     size_t n_bytes) {
  static const char best[] = "/checkpoints/best.safetensors";
  static const char last[] = "/checkpoints/last.safetensors"; /* as long as best */
  if (strlen(path) + sizeof last > n_bytes)
    return vane_fail(VANE_ERR_ARGUMENT, "%.200s...: the name is too long", path);
  if (!vane_folder_exists(path)) {
    snprintf(checkpoint, n_bytes, "%s", path);
    return vane_file_exists(path) ? VANE_OK
                                  : vane_fail(VANE_ERR_IO, "%s: no such run or checkpoint", path);
  }
  snprintf(checkpoint, n_bytes, "%s%s", path, best);
  if (prefer_best && vane_file_exists(checkpoint))
    return VANE_OK;
  snprintf(checkpoint, n_bytes, "%s%s", path, last);
  return vane_file_exists(checkpoint)
             ? VANE_OK
             : vane_fail(VANE_ERR_IO, "%s: no checkpoint in this folder; is it a run's?", path);
}
