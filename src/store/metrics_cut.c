/* What a killed run wrote after its last checkpoint will be computed and written again: without a
 * cut every such step would stand twice in its metrics. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "format/events.h"
#include "format/tfrecord.h"
#include "store/files.h"
#include "store/metrics.h"

/* Whether a line is a whole object of a step that stays. */
static bool line_stays(const char *line, size_t n_bytes, int64_t step) {
  json_t *object = json_loadb(line, n_bytes, 0, NULL);
  const json_t *its_step = json_object_get(object, "step"); /* NULL for what is no object */
  bool stays = json_is_integer(its_step) && json_integer_value(its_step) <= step;
  json_decref(object);
  return stays;
}

/* Moves the lines that stay together; returns their bytes. A last line without its end was torn. */
static size_t keep_lines(char *text, size_t n_bytes, int64_t step) {
  size_t kept = 0;
  for (char *line = text, *end; (end = memchr(line, '\n', n_bytes - (size_t)(line - text)));
       line = end + 1) {
    size_t n = (size_t)(end - line) + 1;
    if (line_stays(line, n, step)) {
      memmove(text + kept, line, n);
      kept += n;
    }
  }
  return kept;
}

static vane_status cut_lines(const char *path, int64_t step) {
  unsigned char *contents;
  size_t n_bytes;
  VANE_TRY(vane_file_read(path, &contents, &n_bytes));
  size_t kept = keep_lines((char *)contents, n_bytes, step);
  vane_status status = kept < n_bytes ? vane_file_replace(path, contents, kept) : VANE_OK;
  free(contents);
  return status;
}

static void note_step(void *user, int64_t step, const char *tag, float value) {
  (void)tag;
  (void)value;
  *(int64_t *)user = step;
}

/* The step of one event; -1 where it has no scalars (the file's version) or cannot be read. */
static int64_t read_event_step(int descriptor, const vane_record_span *span) {
  int64_t step = -1;
  unsigned char *data = malloc((size_t)span->bytes + 1); /* never 0 bytes */
  if (data && vane_tfrecord_read(descriptor, span, data) == VANE_OK &&
      vane_events_parse(data, (size_t)span->bytes, note_step, &step) != VANE_OK)
    step = -1;
  free(data);
  return step;
}

/* Steps rise within a file, so all that goes stands at its end. */
static vane_status cut_events_at(const char *path, int descriptor, int64_t step) {
  vane_record_span *spans;
  int64_t n_spans, i = 0;
  vane_status status = vane_tfrecord_index(path, &spans, &n_spans);
  while (i < n_spans && read_event_step(descriptor, &spans[i]) <= step)
    i++;
  if (i < n_spans) {
    status = VANE_OK;
    if (ftruncate(descriptor, (off_t)spans[i].offset) != 0)
      status =
          vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot shorten it", path);
  } else if (status == VANE_ERR_FORMAT) {
    status = VANE_OK; /* a torn end; TensorBoard stops there by itself */
  }
  free(spans);
  return status;
}

static vane_status cut_events(const char *path, int64_t step) {
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot open it", path);
  vane_status status = cut_events_at(path, descriptor, step);
  close(descriptor);
  return status;
}

vane_status vane_metrics_cut(const char *folder, int64_t step) {
  vane_path_list list;
  VANE_TRY(vane_path_list_match(folder, &list));
  vane_status status = VANE_OK;
  for (size_t i = 0; i < list.n_paths && status == VANE_OK; i++) {
    const char *name = vane_path_name(list.paths[i]);
    if (strcmp(name, VANE_METRICS_FILE) == 0)
      status = cut_lines(list.paths[i], step);
    else if (strncmp(name, VANE_EVENTS_PREFIX, strlen(VANE_EVENTS_PREFIX)) == 0)
      status = cut_events(list.paths[i], step);
  }
  vane_path_list_finish(&list);
  return status;
}
