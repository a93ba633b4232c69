#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/inspect.h"
#include "cli/json.h"
#include "format/events.h"
#include "format/example.h"
#include "format/tfrecord.h"

/* A record file that was indexed; `data` holds one record at a time. */
typedef struct records {
  const char *path;
  int descriptor;
  vane_record_span *spans;
  int64_t n;
  unsigned char *data;
} records;

static vane_status open_records(const char *path, records *file) {
  *file = (records){.path = path, .descriptor = -1};
  VANE_TRY(vane_tfrecord_index(path, &file->spans, &file->n));
  int64_t largest = 0;
  for (int64_t i = 0; i < file->n; i++)
    if (file->spans[i].bytes > largest)
      largest = file->spans[i].bytes;
  file->data = malloc((size_t)largest + 1);
  if (!file->data)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory for a record of %" PRId64 " bytes", path,
                     largest);
  file->descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (file->descriptor < 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot open it", path);
  return VANE_OK;
}

static void close_records(records *file) {
  if (file->descriptor >= 0)
    close(file->descriptor);
  free(file->spans);
  free(file->data);
}

static vane_status read_record(records *file, int64_t i) {
  vane_status status = vane_tfrecord_read(file->descriptor, &file->spans[i], file->data);
  return status == VANE_OK ? VANE_OK : vane_error_add_context("%s", file->path);
}

static int64_t total_bytes(const records *file) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < file->n; i++)
    bytes += file->spans[i].bytes;
  return bytes;
}

/* --- tf.Examples --- */

static void print_examples(const records *file, const vane_example_message *first) {
  printf("%s: TFRecord of tf.Examples, %" PRId64 " records, %" PRId64 " bytes\n\n", file->path,
         file->n, total_bytes(file));
  printf("%-24s  %-6s  %s\n", "feature of the first", "type", "length");
  for (int64_t i = 0; i < vane_example_count(first); i++) {
    const char *name, *type;
    int64_t length;
    vane_example_describe(first, i, &name, &type, &length);
    printf("%-24s  %-6s  %" PRId64 "\n", name, type, length);
  }
}

static void print_examples_json(const records *file, const vane_example_message *first) {
  json_t *features = json_array();
  for (int64_t i = 0; i < vane_example_count(first); i++) {
    const char *name, *type;
    int64_t length;
    vane_example_describe(first, i, &name, &type, &length);
    json_array_append_new(features, json_pack("{s:o, s:s, s:I}", "name", json_of_text(name), "type",
                                              type, "length", (json_int_t)length));
  }
  json_print(json_pack("{s:o, s:s, s:I, s:I, s:o}", "file", json_of_text(file->path), "kind",
                       "examples", "records", (json_int_t)file->n, "bytes",
                       (json_int_t)total_bytes(file), "features", features));
}

/* --- TensorBoard events --- */

typedef struct tag {
  char *name; /* owned */
  int64_t n, first_step, last_step;
  double first, last;
} tag;

typedef struct tags {
  tag *items;
  int64_t n;
  bool out_of_memory;
} tags;

static tag *find_tag(tags *all, const char *name, int64_t step, double value) {
  for (int64_t i = 0; i < all->n; i++)
    if (strcmp(all->items[i].name, name) == 0)
      return &all->items[i];
  char *copy = strdup(name);
  tag *items = copy ? realloc(all->items, (size_t)(all->n + 1) * sizeof *items) : NULL;
  if (!items) {
    free(copy);
    return NULL;
  }
  all->items = items;
  items[all->n] = (tag){.name = copy, .first_step = step, .first = value};
  return &items[all->n++];
}

static void note_scalar(void *user, int64_t step, const char *name, float value) {
  tags *all = user;
  tag *found = find_tag(all, name, step, (double)value);
  if (!found) {
    all->out_of_memory = true;
    return;
  }
  found->n++;
  found->last_step = step;
  found->last = (double)value;
}

static vane_status gather_tags(records *file, tags *all) {
  for (int64_t i = 0; i < file->n; i++) {
    VANE_TRY(read_record(file, i));
    if (vane_events_parse(file->data, (size_t)file->spans[i].bytes, note_scalar, all) != VANE_OK)
      return vane_error_add_context("%s: record %" PRId64, file->path, i);
  }
  if (all->out_of_memory)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory for its tags", file->path);
  return VANE_OK;
}

static void print_events(const records *file, const tags *all) {
  int width = 3;
  for (int64_t i = 0; i < all->n; i++)
    if ((int)strlen(all->items[i].name) > width)
      width = (int)strlen(all->items[i].name);
  printf("%s: TensorBoard events, %" PRId64 " records, %" PRId64 " tags\n\n", file->path, file->n,
         all->n);
  printf("%-*s  %8s  %21s  %21s\n", width, "tag", "values", "first (step)", "last (step)");
  for (int64_t i = 0; i < all->n; i++) {
    const tag *item = &all->items[i];
    printf("%-*s  %8" PRId64 "  %11.5g %9" PRId64 "  %11.5g %9" PRId64 "\n", width, item->name,
           item->n, item->first, item->first_step, item->last, item->last_step);
  }
}

static void print_events_json(const records *file, const tags *all) {
  json_t *list = json_array();
  for (int64_t i = 0; i < all->n; i++) {
    const tag *item = &all->items[i];
    json_array_append_new(
        list, json_pack("{s:o, s:I, s:I, s:o, s:I, s:o}", "tag", json_of_text(item->name), "values",
                        (json_int_t)item->n, "first_step", (json_int_t)item->first_step, "first",
                        json_of_number(item->first), "last_step", (json_int_t)item->last_step,
                        "last", json_of_number(item->last)));
  }
  json_print(json_pack("{s:o, s:s, s:I, s:o}", "file", json_of_text(file->path), "kind", "events",
                       "records", (json_int_t)file->n, "tags", list));
}

/* --- which of them --- */

static vane_status inspect_events(records *file, bool json) {
  tags all = {0};
  vane_status status = gather_tags(file, &all);
  if (status == VANE_OK && json)
    print_events_json(file, &all);
  else if (status == VANE_OK)
    print_events(file, &all);
  for (int64_t i = 0; i < all.n; i++)
    free(all.items[i].name);
  free(all.items);
  return status;
}

static vane_status inspect_opened(records *file, bool json) {
  VANE_TRY(read_record(file, 0)); /* there is one: its header told the file's kind */
  vane_example_message *first;
  /* An event begins with its time, a fixed64 where an Example has a message: none is both. */
  if (vane_example_parse(file->data, (size_t)file->spans[0].bytes, &first) != VANE_OK)
    return inspect_events(file, json);
  if (json)
    print_examples_json(file, first);
  else
    print_examples(file, first);
  vane_example_destroy(first);
  return VANE_OK;
}

vane_status inspect_records(const char *path, bool json) {
  records file;
  vane_status status = open_records(path, &file);
  if (status == VANE_OK)
    status = inspect_opened(&file, json);
  close_records(&file);
  return status;
}
