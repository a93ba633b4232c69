#include "format/events.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "event.pb-c.h"
#include "format/tfrecord.h"

#define FILE_VERSION "brain.Event:2" /* what TensorBoard looks for in the first record */
#define FRAME_BYTES  (VANE_TFRECORD_HEADER_BYTES + VANE_TFRECORD_FOOTER_BYTES)
#define FULL_BYTES   65536 /* pending records are written out beyond this many bytes */

struct vane_events_file {
  char *path;
  int descriptor;
  int64_t end;            /* of the last whole record in the file */
  unsigned char *pending; /* whole records */
  size_t n_pending, capacity;
};

static vane_status fail_to(const char *action, const char *path) {
  int code = errno;
  return vane_fail_foreign(VANE_ERR_IO, code, strerror(code), "%s: cannot %s", path, action);
}

static vane_status make_room(vane_events_file *file, size_t n_bytes) {
  if (n_bytes <= file->capacity - file->n_pending)
    return VANE_OK;
  size_t capacity = 2 * (file->n_pending + n_bytes);
  unsigned char *larger = realloc(file->pending, capacity);
  if (!larger)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory for an event", file->path);
  file->pending = larger;
  file->capacity = capacity;
  return VANE_OK;
}

static vane_status append(vane_events_file *file, const Vane__Event *event) {
  size_t n_bytes = vane__event__get_packed_size(event);
  VANE_TRY(make_room(file, n_bytes + FRAME_BYTES));
  unsigned char *header = file->pending + file->n_pending;
  unsigned char *data = header + VANE_TFRECORD_HEADER_BYTES;
  vane__event__pack(event, data);
  vane_tfrecord_frame(data, n_bytes, header, data + n_bytes);
  file->n_pending += n_bytes + FRAME_BYTES;
  return file->n_pending < FULL_BYTES ? VANE_OK : vane_events_flush(file);
}

static vane_status append_version(vane_events_file *file) {
  static char version[] = FILE_VERSION;
  Vane__Event event = VANE__EVENT__INIT;
  event.has_wall_time = 1;
  event.wall_time = (double)time(NULL);
  event.file_version = version;
  VANE_TRY(append(file, &event));
  return vane_events_flush(file);
}

/* Finds the end of the last whole record and cuts off what a crash left behind it: readers stop at
 * a torn record and would never see what is appended after it. */
static vane_status cut_torn_end(vane_events_file *file, int64_t size) {
  vane_record_span *spans;
  int64_t n_spans;
  vane_status status = vane_tfrecord_index(file->path, &spans, &n_spans);
  if (n_spans > 0)
    file->end = spans[n_spans - 1].offset + FRAME_BYTES + spans[n_spans - 1].bytes;
  free(spans);
  /* Where not even the first record is whole, this may be another kind of file: hands off. */
  if (status != VANE_OK && (status != VANE_ERR_FORMAT || n_spans == 0))
    return status;
  if (file->end < size && ftruncate(file->descriptor, (off_t)file->end) != 0)
    return fail_to("cut off its torn last record", file->path);
  return VANE_OK;
}

static vane_status open_file(vane_events_file *file) {
  file->descriptor = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  struct stat facts;
  if (file->descriptor < 0 || fstat(file->descriptor, &facts) != 0)
    return fail_to("open it", file->path);
  return facts.st_size > 0 ? cut_torn_end(file, facts.st_size) : append_version(file);
}

/* Drops what is pending. */
static void destroy(vane_events_file *file) {
  if (file->descriptor >= 0)
    close(file->descriptor);
  free(file->pending);
  free(file->path);
  free(file);
}

vane_status vane_events_open(const char *path, vane_events_file **file) {
  *file = NULL;
  vane_events_file *fresh = calloc(1, sizeof *fresh);
  if (!fresh)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory to open it", path);
  fresh->descriptor = -1;
  fresh->path = strdup(path);
  vane_status status =
      fresh->path ? open_file(fresh) : vane_fail(VANE_ERR_MEMORY, "%s: no memory to open it", path);
  if (status != VANE_OK) {
    destroy(fresh);
    return status;
  }
  *file = fresh;
  return VANE_OK;
}

vane_status vane_events_write(vane_events_file *file, double wall_time, int64_t step,
                              const vane_event_scalar *scalars, int64_t n_scalars) {
  size_t n = (size_t)n_scalars;
  /* At least one of each, for calloc may answer NULL to a request for nothing. */
  Vane__SummaryValue *values = calloc(n + 1, sizeof *values);
  Vane__SummaryValue **list = calloc(n + 1, sizeof(Vane__SummaryValue *));
  vane_status status;
  if (values && list) {
    for (size_t i = 0; i < n; i++) {
      vane__summary_value__init(&values[i]);
      values[i].tag = (char *)(uintptr_t)scalars[i].tag; /* protobuf-c only reads it */
      values[i].has_simple_value = 1;
      values[i].simple_value = scalars[i].value;
      list[i] = &values[i];
    }
    Vane__Summary summary = VANE__SUMMARY__INIT;
    summary.n_value = n;
    summary.value = list;
    Vane__Event event = VANE__EVENT__INIT;
    event.has_wall_time = event.has_step = 1;
    event.wall_time = wall_time;
    event.step = step;
    event.summary = &summary;
    status = append(file, &event);
  } else {
    status = vane_fail(VANE_ERR_MEMORY, "%s: no memory for an event", file->path);
  }
  free(list);
  free(values);
  return status;
}

vane_status vane_events_flush(vane_events_file *file) {
  size_t n_written = 0;
  while (n_written < file->n_pending) {
    ssize_t n = pwrite(file->descriptor, file->pending + n_written, file->n_pending - n_written,
                       (off_t)(file->end + (int64_t)n_written));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail_to("write it", file->path); /* the next flush writes over the torn part */
    n_written += (size_t)n;
  }
  file->end += (int64_t)file->n_pending;
  file->n_pending = 0;
  return VANE_OK;
}

void vane_events_close(vane_events_file *file) {
  if (!file)
    return;
  /* Whoever must know whether the last events arrived flushes before closing. */
  vane_status ignored = vane_events_flush(file);
  (void)ignored;
  destroy(file);
}

vane_status vane_events_parse(const void *data, size_t n_bytes,
                              void (*visit)(void *user, int64_t step, const char *tag, float value),
                              void *user) {
  Vane__Event *event = vane__event__unpack(NULL, n_bytes, data);
  if (!event)
    return vane_fail(VANE_ERR_FORMAT, "the record's %zu bytes are no TensorBoard event", n_bytes);
  for (size_t i = 0; event->summary && i < event->summary->n_value; i++) {
    const Vane__SummaryValue *value = event->summary->value[i];
    if (value->tag && value->has_simple_value)
      visit(user, event->step, value->tag, value->simple_value);
  }
  vane__event__free_unpacked(event, NULL);
  return VANE_OK;
}
