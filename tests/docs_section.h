/* A part of a page of docs/ that a test writes: what stands between <!-- NAME: begin --> and
 * <!-- NAME: end -->. The test fails where the page says something else; with VANE_WRITE_DOCS=1 in
 * the environment it writes the page instead. */
#ifndef TESTS_DOCS_SECTION_H
#define TESTS_DOCS_SECTION_H

#include <stdbool.h>

#include "scratch.h"

#include "base/file.h"

/* Replaces bytes begin..end of a page by `text`. */
static inline void docs_section_write(const char *path, const char *contents, size_t begin,
                                      size_t end, const char *text) {
  vane_atomic_file *file;
  assert_ok(vane_atomic_file_open(path, &file));
  assert_ok(vane_atomic_file_write(file, contents, begin));
  assert_ok(vane_atomic_file_write(file, text, strlen(text)));
  assert_ok(vane_atomic_file_write(file, contents + end, strlen(contents + end)));
  assert_ok(vane_atomic_file_commit(file));
}

static inline void docs_section_check(const char *page, const char *name, const char *text) {
  char path[512], mark[64];
  unsigned char *contents;
  size_t bytes;
  snprintf(path, sizeof path, "%s/docs/%s", VANE_SOURCE_FOLDER, page);
  assert_ok(vane_file_read(path, &contents, &bytes));
  const char *whole = (const char *)contents;
  snprintf(mark, sizeof mark, "<!-- %s: begin -->\n", name);
  const char *begin = strstr(whole, mark);
  if (!begin)
    fail_msg("%s has no section %s", path, name);
  begin += strlen(mark);
  snprintf(mark, sizeof mark, "<!-- %s: end -->", name);
  const char *end = strstr(begin, mark);
  if (!end)
    fail_msg("%s: the section %s has no end", path, name);
  size_t length = (size_t)(end - begin);
  bool same = length == strlen(text) && memcmp(begin, text, length) == 0;
  if (!same && getenv("VANE_WRITE_DOCS"))
    docs_section_write(path, whole, (size_t)(begin - whole), (size_t)(end - whole), text);
  else if (!same)
    fail_msg("%s, section %s is out of date; it should say:\n%s(VANE_WRITE_DOCS=1 writes it)", path,
             name, text);
  free(contents);
}

#endif
