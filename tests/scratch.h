/* A folder for a test's files, and what tests of files and formats check again and again. */
#ifndef VANE_TESTS_SCRATCH_H
#define VANE_TESTS_SCRATCH_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vane/status.h"

/* Checks that `call` fails with `expected` and that its message contains `text`. */
#define assert_fails(call, expected, text)                                                         \
  do {                                                                                             \
    assert_int_equal((call), (expected));                                                          \
    assert_message_contains(text);                                                                 \
  } while (0)

#define assert_ok(call) assert_message_ok(call)

static inline void assert_message_ok(vane_status status) {
  if (status != VANE_OK)
    fail_msg("%s: %s", vane_status_name(status), vane_error_get()->message);
}

static inline void assert_message_contains(const char *text) {
  if (!strstr(vane_error_get()->message, text))
    fail_msg("\"%s\" is not in the message \"%s\"", text, vane_error_get()->message);
}

typedef struct scratch {
  char folder[64];
  char path[512]; /* the last one asked for */
} scratch;

/* The full path of `name` in the folder; valid until the next call. */
static inline const char *scratch_path(scratch *area, const char *name) {
  snprintf(area->path, sizeof area->path, "%s/%s", area->folder, name);
  return area->path;
}

static inline const char *scratch_put(scratch *area, const char *name, const void *bytes,
                                      size_t n_bytes) {
  /* A fresh file each time: some file systems flush one that is written over. */
  unlink(scratch_path(area, name));
  FILE *file = fopen(area->path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n_bytes, file), n_bytes);
  assert_int_equal(fclose(file), 0);
  return area->path;
}

static inline void scratch_remove(const char *path) {
  DIR *entries = opendir(path);
  if (!entries) {
    assert_int_equal(unlink(path), 0);
    return;
  }
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    size_t n_bytes = strlen(path) + strlen(entry->d_name) + 2;
    char *inner = malloc(n_bytes);
    assert_non_null(inner);
    snprintf(inner, n_bytes, "%s/%s", path, entry->d_name);
    scratch_remove(inner);
    free(inner);
  }
  closedir(entries);
  assert_int_equal(rmdir(path), 0);
}

/* For cmocka: a fresh folder before each test, none after it. */
static inline int scratch_setup(void **state) {
  scratch *area = calloc(1, sizeof *area);
  if (!area)
    return -1;
  snprintf(area->folder, sizeof area->folder, "/tmp/vane-test-XXXXXX");
  *state = area;
  return mkdtemp(area->folder) ? 0 : -1;
}

static inline int scratch_teardown(void **state) {
  scratch *area = *state;
  scratch_remove(area->folder);
  free(area);
  return 0;
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

#endif
