#include "store/checkpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "store/files.h"

static const char step_prefix[] = "step-";
static const char suffix[] = ".safetensors";
static const char unfinished[] = ".safetensors.tmp-"; /* base/file.h: PATH.tmp-PID */

static vane_status fail_to(const char *action, const char *path) {
  int code = errno;
  return vane_fail_foreign(VANE_ERR_IO, code, strerror(code), "%s: cannot %s", path, action);
}

vane_status vane_checkpoints_path(const char *folder, int64_t step, char **path) {
  return vane_path_make(path, "%s/%s%08" PRId64 "%s", folder, step_prefix, step, suffix);
}

vane_status vane_checkpoints_write(const char *folder, int64_t step, const vane_safetensor *tensors,
                                   int64_t n_tensors, const vane_safetensors_text *metadata,
                                   int64_t n_metadata) {
  char *path;
  VANE_TRY(vane_checkpoints_path(folder, step, &path));
  vane_status status = vane_safetensors_write(path, tensors, n_tensors, metadata, n_metadata);
  free(path);
  return status;
}

/* link() does not replace, rename() does: so the link is made beside the name and moved over it. */
static vane_status link_over(const char *target, const char *path, const char *temporary) {
  unlink(temporary); /* of an earlier process with this number */
  if (link(target, temporary) != 0)
    return fail_to("make a hard link to it", target);
  vane_status status = VANE_OK;
  if (rename(temporary, path) != 0)
    status = fail_to("replace it", path);
  /* Where both names were links to one file already, rename leaves both (POSIX). */
  unlink(temporary);
  return status;
}

vane_status vane_checkpoints_point(const char *folder, const char *name, int64_t step) {
  char *target = NULL, *path = NULL, *temporary = NULL;
  vane_status status = vane_checkpoints_path(folder, step, &target);
  if (status == VANE_OK)
    status = vane_path_make(&path, "%s/%s%s", folder, name, suffix);
  if (status == VANE_OK)
    status = vane_path_make(&temporary, "%s/%s%s%ld", folder, name, unfinished, (long)getpid());
  if (status == VANE_OK)
    status = link_over(target, path, temporary);
  free(temporary);
  free(path);
  free(target);
  /* A link has no contents of its own to flush: its folder's entry is all there is. */
  return status == VANE_OK ? vane_folder_flush(folder) : status;
}

/* The step in "step-00001000.safetensors"; -1 for any other name. */
static int64_t step_of(const char *name) {
  size_t n_prefix = sizeof step_prefix - 1;
  if (strncmp(name, step_prefix, n_prefix) != 0)
    return -1;
  const char *digits = name + n_prefix;
  size_t n_digits = strspn(digits, "0123456789");
  if (n_digits == 0 || n_digits > 18 || strcmp(digits + n_digits, suffix) != 0)
    return -1;
  return strtoll(digits, NULL, 10);
}

/* How many numbered checkpoints there are from `first` to `last`. */
static int64_t count_steps(const vane_path_list *list, int64_t first, int64_t last) {
  int64_t count = 0;
  for (size_t i = 0; i < list->n_paths; i++) {
    int64_t step = step_of(vane_path_name(list->paths[i]));
    count += step >= first && step <= last;
  }
  return count;
}

vane_status vane_checkpoints_rotate(const char *folder, int64_t step, int64_t keep) {
  vane_path_list list;
  VANE_TRY(vane_path_list_match(folder, &list));
  vane_status status = VANE_OK;
  for (size_t i = 0; i < list.n_paths && status == VANE_OK; i++) {
    int64_t its_step = step_of(vane_path_name(list.paths[i]));
    bool old = its_step >= 0 && count_steps(&list, its_step, step) > keep;
    if (old && unlink(list.paths[i]) != 0 && errno != ENOENT)
      status = fail_to("remove this old checkpoint", list.paths[i]);
  }
  vane_path_list_finish(&list);
  return status;
}

vane_status vane_checkpoints_find(const char *folder, int64_t most, int64_t *step) {
  vane_path_list list;
  *step = -1;
  VANE_TRY(vane_path_list_match(folder, &list));
  for (size_t i = 0; i < list.n_paths; i++) {
    int64_t its_step = step_of(vane_path_name(list.paths[i]));
    if (its_step <= most && its_step > *step)
      *step = its_step;
  }
  vane_path_list_finish(&list);
  return VANE_OK;
}

vane_status vane_checkpoints_cut(const char *folder, int64_t step) {
  vane_path_list list;
  VANE_TRY(vane_path_list_match(folder, &list));
  vane_status status = VANE_OK;
  for (size_t i = 0; i < list.n_paths && status == VANE_OK; i++)
    if (step_of(vane_path_name(list.paths[i])) > step && unlink(list.paths[i]) != 0 &&
        errno != ENOENT)
      status = fail_to("remove this checkpoint of an undone step", list.paths[i]);
  vane_path_list_finish(&list);
  return status;
}

vane_status vane_checkpoints_sweep(const char *folder) {
  vane_path_list list;
  VANE_TRY(vane_path_list_match(folder, &list));
  vane_status status = VANE_OK;
  for (size_t i = 0; i < list.n_paths && status == VANE_OK; i++)
    if (strstr(vane_path_name(list.paths[i]), unfinished) && unlink(list.paths[i]) != 0)
      status = fail_to("remove this half-written checkpoint", list.paths[i]);
  vane_path_list_finish(&list);
  return status;
}
