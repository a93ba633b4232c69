/* TensorBoard event files: TFRecords of tensorflow.Event messages, here with scalars only. */
#ifndef VANE_FORMAT_EVENTS_H
#define VANE_FORMAT_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "vane/status.h"

typedef struct vane_event_scalar {
  const char *tag;
  float value;
} vane_event_scalar;

/* A file that grows: open appends to an existing file or starts one with its version record; every
 * write is one framed record, so a reader never sees half an event. */
typedef struct vane_events_file vane_events_file;
VANE_CHECKED
vane_status vane_events_open(const char *path, vane_events_file **file);
/* `wall_time` in seconds since 1970. */
VANE_CHECKED
vane_status vane_events_write(vane_events_file *file, double wall_time, int64_t step,
                              const vane_event_scalar *scalars, int64_t n_scalars);
VANE_CHECKED
vane_status vane_events_flush(vane_events_file *file);
void vane_events_close(vane_events_file *file); /* takes NULL; flushes */

/* Parses one record's data; calls `visit` for each scalar. For `vane inspect` and the tests. */
VANE_CHECKED
vane_status vane_events_parse(const void *data, size_t n_bytes,
                              void (*visit)(void *user, int64_t step, const char *tag, float value),
                              void *user);

#endif
