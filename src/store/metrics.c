#include "store/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "format/events.h"
#include "store/files.h"

struct vane_metrics_log {
  char *path; /* of metrics.jsonl */
  int descriptor;
  vane_events_file *events;
};

static vane_status fail_to(const char *action, const char *path) {
  int code = errno;
  return vane_fail_foreign(VANE_ERR_IO, code, strerror(code), "%s: cannot %s", path, action);
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static vane_status open_events(vane_metrics_log *log, const char *folder) {
  /* Ten digits keep the files of later sessions behind earlier ones in TensorBoard's order. */
  char *path;
  VANE_TRY(vane_path_make(&path, "%s/" VANE_EVENTS_PREFIX "%010.0f.vane", folder, floor(now_s())));
  vane_status status = vane_events_open(path, &log->events);
  free(path);
  return status;
}

static vane_status open_both(vane_metrics_log *log, const char *folder, bool append) {
  VANE_TRY(vane_path_make(&log->path, "%s/" VANE_METRICS_FILE, folder));
  int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (append ? 0 : O_TRUNC);
  log->descriptor = open(log->path, flags, 0666);
  if (log->descriptor < 0)
    return fail_to("open it", log->path);
  return open_events(log, folder);
}

vane_status vane_metrics_open(const char *folder, bool append, vane_metrics_log **log) {
  vane_metrics_log *fresh = calloc(1, sizeof *fresh);
  if (!fresh)
    return vane_fail(VANE_ERR_MEMORY, "no memory left for the metrics of %s", folder);
  fresh->descriptor = -1;
  vane_status status = open_both(fresh, folder, append);
  if (status == VANE_OK)
    *log = fresh;
  else
    vane_metrics_close(fresh);
  return status;
}

void vane_metrics_close(vane_metrics_log *log) {
  if (!log)
    return;
  vane_events_close(log->events);
  if (log->descriptor >= 0)
    close(log->descriptor);
  free(log->path);
  free(log);
}

/* The object that holds `tag`'s last part: "a/b/c" lies in {"a": {"b": {...}}}. NULL where a part
 * of the way is a number already. */
static json_t *find_parent(json_t *root, const char *tag, const char **last) {
  json_t *parent = root;
  for (const char *slash; (slash = strchr(tag, '/')); tag = slash + 1) {
    char *part = strndup(tag, (size_t)(slash - tag));
    json_t *child = part ? json_object_get(parent, part) : NULL;
    if (part && !child && json_object_set_new(parent, part, json_object()) == 0)
      child = json_object_get(parent, part);
    free(part);
    if (!json_is_object(child))
      return NULL;
    parent = child;
  }
  *last = tag;
  return parent;
}

static vane_status add_metric(json_t *root, const vane_metric *metric) {
  const char *last = NULL;
  json_t *parent = find_parent(root, metric->tag, &last);
  if (!parent || json_object_get(parent, last))
    return vane_fail(VANE_ERR_ARGUMENT, "the metric %s is there already, or inside another",
                     metric->tag);
  json_t *value = isfinite(metric->value) ? json_real(metric->value) : json_null();
  if (json_object_set_new(parent, last, value) != 0)
    return vane_fail(VANE_ERR_ARGUMENT, "the metric %s has no name in UTF-8, or no memory is left",
                     metric->tag);
  return VANE_OK;
}

/* One write for the whole line: only a full disk or a power cut can tear it. */
static vane_status append_line(vane_metrics_log *log, json_t *root) {
  char *text = json_dumps(root, JSON_REAL_PRECISION(17));
  if (!text)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory left for a line", log->path);
  size_t n_bytes = strlen(text);
  text[n_bytes++] = '\n'; /* takes the place of the string's end */
  vane_status status = VANE_OK;
  for (size_t done = 0; done < n_bytes && status == VANE_OK;) {
    ssize_t n = write(log->descriptor, text + done, n_bytes - done);
    if (n >= 0)
      done += (size_t)n;
    else if (errno != EINTR)
      status = fail_to("write to it", log->path);
  }
  free(text);
  return status;
}

static vane_status write_line(vane_metrics_log *log, int64_t step, const vane_metric *metrics,
                              int64_t n_metrics) {
  json_t *root = json_pack("{s:I}", "step", (json_int_t)step);
  if (!root)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory left for a line", log->path);
  vane_status status = VANE_OK;
  for (int64_t i = 0; i < n_metrics && status == VANE_OK; i++)
    status = add_metric(root, &metrics[i]);
  if (status == VANE_OK)
    status = append_line(log, root);
  json_decref(root);
  return status;
}

static vane_status write_events(vane_metrics_log *log, int64_t step, const vane_metric *metrics,
                                int64_t n_metrics) {
  vane_event_scalar *scalars = calloc((size_t)n_metrics + 1, sizeof *scalars); /* never 0 bytes */
  if (!scalars)
    return vane_fail(VANE_ERR_MEMORY, "no memory left for %" PRId64 " events", n_metrics);
  for (int64_t i = 0; i < n_metrics; i++)
    scalars[i] = (vane_event_scalar){metrics[i].tag, (float)metrics[i].value};
  vane_status status = vane_events_write(log->events, now_s(), step, scalars, n_metrics);
  free(scalars);
  return status == VANE_OK ? vane_events_flush(log->events) : status;
}

vane_status vane_metrics_write(vane_metrics_log *log, int64_t step, const vane_metric *metrics,
                               int64_t n_metrics) {
  VANE_TRY(write_line(log, step, metrics, n_metrics));
  return write_events(log, step, metrics, n_metrics);
}

vane_status vane_metrics_flush(vane_metrics_log *log) {
  if (fsync(log->descriptor) != 0)
    return fail_to("flush it", log->path);
  return VANE_OK;
}
