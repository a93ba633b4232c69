#include "store/files.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

vane_status vane_path_make(char **path, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  *path = n < 0 ? NULL : malloc((size_t)n + 1);
  if (!*path)
    return vane_fail(VANE_ERR_MEMORY, "no memory left for the name of a file");
  va_start(arguments, format);
  vsnprintf(*path, (size_t)n + 1, format, arguments);
  va_end(arguments);
  return VANE_OK;
}

const char *vane_path_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

vane_status vane_file_replace(const char *path, const void *contents, size_t n_bytes) {
  vane_atomic_file *file;
  VANE_TRY(vane_atomic_file_open(path, &file));
  vane_status status = vane_atomic_file_write(file, contents, n_bytes);
  if (status == VANE_OK)
    return vane_atomic_file_commit(file);
  vane_atomic_file_discard(file);
  return status;
}
