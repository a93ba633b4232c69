#include "data/open_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

typedef struct file_entry {
  int descriptor; /* -1: closed */
  int64_t n_users;
  int64_t newer, older; /* neighbours among the open files without users; -1: none */
} file_entry;

struct vane_open_files {
  pthread_mutex_t lock;
  char *const *paths;
  file_entry *entries; /* [n_paths] */
  int64_t n_paths, capacity, n_open;
  int64_t newest, oldest; /* ends of the list of open files without users */
};

vane_status vane_open_files_create(char *const *paths, int64_t n_paths, int64_t capacity,
                                   vane_open_files **files_out) {
  vane_open_files *files = calloc(1, sizeof *files);
  file_entry *entries = calloc((size_t)n_paths, sizeof *entries);
  if (!files || !entries) {
    free(entries);
    free(files);
    return vane_fail(VANE_ERR_MEMORY, "no memory for a table of files");
  }
  for (int64_t f = 0; f < n_paths; f++)
    entries[f] = (file_entry){.descriptor = -1, .newer = -1, .older = -1};
  files->paths = paths;
  files->entries = entries;
  files->n_paths = n_paths;
  files->capacity = capacity;
  files->newest = files->oldest = -1;
  pthread_mutex_init(&files->lock, NULL);
  *files_out = files;
  return VANE_OK;
}

void vane_open_files_destroy(vane_open_files *files) {
  if (!files)
    return;
  for (int64_t f = 0; f < files->n_paths; f++)
    if (files->entries[f].descriptor >= 0)
      close(files->entries[f].descriptor);
  pthread_mutex_destroy(&files->lock);
  free(files->entries);
  free(files);
}

static void list_remove(vane_open_files *files, int64_t f) {
  file_entry *entry = &files->entries[f];
  if (entry->newer >= 0)
    files->entries[entry->newer].older = entry->older;
  else
    files->newest = entry->older;
  if (entry->older >= 0)
    files->entries[entry->older].newer = entry->newer;
  else
    files->oldest = entry->newer;
  entry->newer = entry->older = -1;
}

static void list_add_newest(vane_open_files *files, int64_t f) {
  file_entry *entry = &files->entries[f];
  entry->older = files->newest;
  if (files->newest >= 0)
    files->entries[files->newest].newer = f;
  else
    files->oldest = f;
  files->newest = f;
}

static vane_status open_entry(vane_open_files *files, int64_t f) {
  if (files->n_open >= files->capacity && files->oldest >= 0) {
    int64_t victim = files->oldest;
    list_remove(files, victim);
    close(files->entries[victim].descriptor);
    files->entries[victim].descriptor = -1;
    files->n_open--;
  }
  int descriptor = open(files->paths[f], O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot open it",
                             files->paths[f]);
  files->entries[f].descriptor = descriptor;
  files->n_open++;
  return VANE_OK;
}

vane_status vane_open_files_take(vane_open_files *files, int64_t f, int *descriptor) {
  file_entry *entry = &files->entries[f];
  vane_status status = VANE_OK;
  pthread_mutex_lock(&files->lock);
  if (entry->descriptor < 0)
    status = open_entry(files, f);
  else if (entry->n_users == 0)
    list_remove(files, f);
  if (status == VANE_OK) {
    entry->n_users++;
    *descriptor = entry->descriptor;
  }
  pthread_mutex_unlock(&files->lock);
  return status;
}

void vane_open_files_give_back(vane_open_files *files, int64_t f) {
  pthread_mutex_lock(&files->lock);
  if (--files->entries[f].n_users == 0)
    list_add_newest(files, f);
  pthread_mutex_unlock(&files->lock);
}
