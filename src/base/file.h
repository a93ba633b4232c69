/* Files and folders: whole reads, atomic writes, patterns. */
#ifndef VANE_BASE_FILE_H
#define VANE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "vane/status.h"

/* Reads the whole of `path` into fresh memory that the caller frees. A zero byte follows the
 * contents (not counted in `bytes`), so that text can be used as a string. */
VANE_CHECKED
vane_status vane_file_read(const char *path, unsigned char **contents, size_t *bytes);

/* A file that comes into being whole or not at all: writing goes to `PATH.tmp-PID` in the same
 * folder; commit flushes it to the disk (fsync), renames it over PATH and flushes the folder. */
typedef struct vane_atomic_file vane_atomic_file;
VANE_CHECKED
vane_status vane_atomic_file_open(const char *path, vane_atomic_file **file);
VANE_CHECKED
vane_status vane_atomic_file_write(vane_atomic_file *file, const void *bytes, size_t n_bytes);
/* Both end the file's life, also on failure; discard takes NULL and leaves PATH as it was. */
VANE_CHECKED
vane_status vane_atomic_file_commit(vane_atomic_file *file);
void vane_atomic_file_discard(vane_atomic_file *file);

/* Creates `path` and its missing parents. An existing folder is fine. */
VANE_CHECKED
vane_status vane_folder_create(const char *path);

/* Makes entries of a folder that were made, renamed or removed durable; commit does it by itself.
 */
VANE_CHECKED
vane_status vane_folder_flush(const char *path);

bool vane_file_exists(const char *path);
bool vane_folder_exists(const char *path);

/* A sorted list of paths; owned, freed with vane_path_list_finish (which takes a zeroed struct). */
typedef struct vane_path_list {
  char **paths;
  size_t n_paths;
} vane_path_list;

/* All files that match a shell pattern (`shards/x-*.tfrecord`), sorted by name. A pattern that is a
 * folder stands for the files in it. No match is VANE_ERR_IO, and the message shows the pattern. */
VANE_CHECKED
vane_status vane_path_list_match(const char *pattern, vane_path_list *list);
void vane_path_list_finish(vane_path_list *list);

#endif
