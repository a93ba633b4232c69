#include "store/boxes.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "store/files.h"

static vane_status fail_to(const char *action, const char *path) {
  int code = errno;
  return vane_fail_foreign(VANE_ERR_IO, code, strerror(code), "%s: cannot %s", path, action);
}

/* The files of one box; owned. */
typedef struct box_paths {
  char *folder, *facts, *checkpoint;
} box_paths;

static vane_status name_paths(box_paths *paths, const char *folder, const char *name) {
  VANE_TRY(vane_path_make(&paths->folder, "%s/%s", folder, name));
  VANE_TRY(vane_path_make(&paths->facts, "%s/" VANE_BOX_FACTS, paths->folder));
  return vane_path_make(&paths->checkpoint, "%s/" VANE_BOX_CHECKPOINT, paths->folder);
}

static void free_paths(box_paths *paths) {
  free(paths->folder);
  free(paths->facts);
  free(paths->checkpoint);
}

static vane_status remove_file(const char *path) {
  return unlink(path) == 0 || errno == ENOENT ? VANE_OK : fail_to("remove it", path);
}

/* Facts first: what is left of a box that was being removed is none. */
static vane_status empty(const box_paths *paths) {
  VANE_TRY(remove_file(paths->facts));
  return remove_file(paths->checkpoint);
}

static vane_status fill(const box_paths *paths, const char *checkpoint, const char *facts) {
  VANE_TRY(vane_folder_create(paths->folder));
  VANE_TRY(empty(paths));
  if (checkpoint && link(checkpoint, paths->checkpoint) != 0)
    return fail_to("make a hard link to it", checkpoint);
  return vane_file_replace(paths->facts, facts, strlen(facts));
}

static vane_status remove_box(const char *folder, const char *name) {
  box_paths paths = {NULL, NULL, NULL};
  vane_status status = name_paths(&paths, folder, name);
  if (status == VANE_OK)
    status = empty(&paths);
  if (status == VANE_OK && rmdir(paths.folder) != 0)
    status = fail_to("remove this black box", paths.folder);
  free_paths(&paths);
  return status;
}

static int is_box(const struct dirent *entry) {
  return strncmp(entry->d_name, "step-", 5) == 0;
}

/* By bytes, whatever the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static vane_status rotate(const char *folder, const char *newest, int64_t keep) {
  struct dirent **entries;
  int n = scandir(folder, &entries, is_box, compare_names);
  if (n < 0)
    return fail_to("read this folder", folder);
  vane_status status = VANE_OK;
  int64_t left = n;
  for (int i = 0; i < n; i++) {
    bool goes = left > keep && strcmp(entries[i]->d_name, newest) != 0;
    if (goes && status == VANE_OK)
      status = remove_box(folder, entries[i]->d_name);
    left -= goes;
    free(entries[i]);
  }
  free(entries);
  return status;
}

vane_status vane_boxes_write(const char *folder, const char *name, const char *checkpoint,
                             const char *facts, int64_t keep) {
  box_paths paths = {NULL, NULL, NULL};
  vane_status status = name_paths(&paths, folder, name);
  if (status == VANE_OK)
    status = fill(&paths, checkpoint, facts);
  free_paths(&paths);
  return status == VANE_OK ? rotate(folder, name, keep) : status;
}
