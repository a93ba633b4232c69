#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static vane_status fail_to(const char *action, const char *path) {
  int code = errno;
  return vane_fail_foreign(VANE_ERR_IO, code, strerror(code), "%s: cannot %s", path, action);
}

static vane_status fail_for_memory(const char *path) {
  return vane_fail(VANE_ERR_MEMORY, "%s: no memory to read or write it", path);
}

/* The size a file reports is only where to start: a pipe or a file of /proc reports 0. */
static vane_status read_to_end(int descriptor, const char *path, size_t capacity,
                               unsigned char **contents, size_t *bytes) {
  unsigned char *buffer = malloc(capacity);
  size_t used = 0;
  while (buffer) {
    ssize_t n = read(descriptor, buffer + used, capacity - 1 - used);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      vane_status status = fail_to("read it", path);
      free(buffer);
      return status;
    }
    used += (size_t)n;
    if (n == 0) {
      buffer[used] = 0;
      *contents = buffer;
      *bytes = used;
      return VANE_OK;
    }
    if (used + 1 == capacity) {
      unsigned char *larger = capacity > SIZE_MAX / 2 ? NULL : realloc(buffer, 2 * capacity);
      if (!larger)
        free(buffer);
      buffer = larger;
      capacity *= 2;
    }
  }
  return fail_for_memory(path);
}

vane_status vane_file_read(const char *path, unsigned char **contents, size_t *bytes) {
  *contents = NULL;
  *bytes = 0;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail_to("open it", path);
  struct stat facts;
  vane_status status;
  if (fstat(descriptor, &facts) != 0)
    status = fail_to("look at it", path);
  else /* one byte to see the end of the file, one for the zero */
    status = read_to_end(descriptor, path, (size_t)facts.st_size + 2, contents, bytes);
  close(descriptor);
  return status;
}

struct vane_atomic_file {
  FILE *stream;
  char *path, *temporary;
};

static void atomic_file_free(vane_atomic_file *file) {
  free(file->temporary);
  free(file->path);
  free(file);
}

vane_status vane_atomic_file_open(const char *path, vane_atomic_file **file) {
  *file = NULL;
  vane_atomic_file *fresh = calloc(1, sizeof *fresh);
  if (!fresh)
    return fail_for_memory(path);
  size_t n_bytes = strlen(path) + 32; /* ".tmp-" and the digits of a process number */
  fresh->path = strdup(path);
  fresh->temporary = malloc(n_bytes);
  if (!fresh->path || !fresh->temporary) {
    atomic_file_free(fresh);
    return fail_for_memory(path);
  }
  snprintf(fresh->temporary, n_bytes, "%s.tmp-%ld", path, (long)getpid());
  fresh->stream = fopen(fresh->temporary, "wbe");
  if (!fresh->stream) {
    vane_status status = fail_to("create it", fresh->temporary);
    atomic_file_free(fresh);
    return status;
  }
  *file = fresh;
  return VANE_OK;
}

vane_status vane_atomic_file_write(vane_atomic_file *file, const void *bytes, size_t n_bytes) {
  if (fwrite(bytes, 1, n_bytes, file->stream) != n_bytes)
    return fail_to("write it", file->temporary);
  return VANE_OK;
}

vane_status vane_folder_flush(const char *path) {
  vane_status status = VANE_OK;
  int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* EINVAL: a file system that cannot flush folders, and needs no telling. */
  if (descriptor < 0 || (fsync(descriptor) != 0 && errno != EINVAL))
    status = fail_to("flush it to the disk", path);
  if (descriptor >= 0)
    close(descriptor);
  return status;
}

/* Makes the renamed entry itself durable. */
static vane_status flush_folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
  if (!folder)
    return fail_for_memory(path);
  vane_status status = vane_folder_flush(folder);
  free(folder);
  return status;
}

vane_status vane_atomic_file_commit(vane_atomic_file *file) {
  vane_status status = VANE_OK;
  if (fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0)
    status = fail_to("write it", file->temporary);
  if (fclose(file->stream) != 0 && status == VANE_OK)
    status = fail_to("write it", file->temporary);
  if (status == VANE_OK && rename(file->temporary, file->path) != 0)
    status = fail_to("put the finished file in its place", file->path);
  if (status == VANE_OK)
    status = flush_folder_of(file->path);
  else
    unlink(file->temporary);
  atomic_file_free(file);
  return status;
}

void vane_atomic_file_discard(vane_atomic_file *file) {
  if (!file)
    return;
  fclose(file->stream);
  unlink(file->temporary);
  atomic_file_free(file);
}

vane_status vane_folder_create(const char *path) {
  char *part = strdup(path);
  if (!part)
    return fail_for_memory(path);
  vane_status status = VANE_OK;
  /* Each prefix that ends at a slash, and at last the whole; a leading slash is no folder to make.
   */
  const size_t n = strlen(path);
  for (size_t i = n > 0; status == VANE_OK && i <= n; i++) {
    if (i < n && path[i] != '/')
      continue;
    part[i] = 0;
    if (mkdir(part, 0777) != 0 && !vane_folder_exists(part))
      status = fail_to("create this folder", part);
    part[i] = path[i];
  }
  free(part);
  return status;
}

bool vane_file_exists(const char *path) {
  struct stat facts;
  return stat(path, &facts) == 0 && !S_ISDIR(facts.st_mode);
}

bool vane_folder_exists(const char *path) {
  struct stat facts;
  return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* Takes ownership of `path`, which may be NULL. */
static vane_status path_list_add(vane_path_list *list, char *path) {
  char **paths = path ? realloc(list->paths, (list->n_paths + 1) * sizeof *paths) : NULL;
  if (!paths) {
    free(path);
    return vane_fail(VANE_ERR_MEMORY, "no memory for a list of files");
  }
  list->paths = paths;
  paths[list->n_paths++] = path;
  return VANE_OK;
}

static vane_status add_files_in_folder(const char *folder, vane_path_list *list) {
  DIR *entries = opendir(folder);
  if (!entries)
    return fail_to("read this folder", folder);
  vane_status status = VANE_OK;
  size_t n_folder = strlen(folder);
  const char *separator = folder[n_folder - 1] == '/' ? "" : "/";
  for (struct dirent *entry; status == VANE_OK && (entry = readdir(entries));) {
    if (entry->d_name[0] == '.')
      continue;
    size_t n_bytes = n_folder + strlen(entry->d_name) + 2;
    char *path = malloc(n_bytes);
    if (path) {
      snprintf(path, n_bytes, "%s%s%s", folder, separator, entry->d_name);
      if (!vane_file_exists(path)) {
        free(path);
        continue;
      }
    }
    status = path_list_add(list, path);
  }
  closedir(entries);
  return status;
}

static vane_status add_files_matching(const char *pattern, vane_path_list *list) {
  glob_t matches;
  int result = glob(pattern, GLOB_NOSORT, NULL, &matches);
  vane_status status = VANE_OK;
  if (result == GLOB_NOSPACE)
    status = vane_fail(VANE_ERR_MEMORY, "no memory for a list of files");
  for (size_t i = 0; status == VANE_OK && result == 0 && i < matches.gl_pathc; i++)
    if (vane_file_exists(matches.gl_pathv[i]))
      status = path_list_add(list, strdup(matches.gl_pathv[i]));
  globfree(&matches);
  return status;
}

/* By bytes: glob's own order depends on the locale. */
static int compare_paths(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

vane_status vane_path_list_match(const char *pattern, vane_path_list *list) {
  memset(list, 0, sizeof *list);
  vane_status status;
  if (vane_folder_exists(pattern))
    status = add_files_in_folder(pattern, list);
  else if (vane_file_exists(pattern)) /* a name as it stands may hold pattern characters */
    status = path_list_add(list, strdup(pattern));
  else
    status = add_files_matching(pattern, list);
  if (status == VANE_OK && list->n_paths == 0)
    status = vane_fail(VANE_ERR_IO, "%s: no such file, and no file matches it", pattern);
  if (status != VANE_OK) {
    vane_path_list_finish(list);
    return status;
  }
  qsort(list->paths, list->n_paths, sizeof *list->paths, compare_paths);
  return VANE_OK;
}

void vane_path_list_finish(vane_path_list *list) {
  for (size_t i = 0; i < list->n_paths; i++)
    free(list->paths[i]);
  free(list->paths);
  memset(list, 0, sizeof *list);
}
