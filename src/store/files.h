/* File names of any length, and small files. */
#ifndef VANE_STORE_FILES_H
#define VANE_STORE_FILES_H

#include <stddef.h>

#include "vane/status.h"

/* A fresh string that the caller frees; NULL on failure, which is VANE_ERR_MEMORY. */
VANE_CHECKED
vane_status vane_path_make(char **path, const char *format, ...) VANE_PRINTF(2, 3);

/* The part behind the last slash. */
const char *vane_path_name(const char *path);

/* Writes the file anew, atomically. */
VANE_CHECKED
vane_status vane_file_replace(const char *path, const void *contents, size_t n_bytes);

#endif
