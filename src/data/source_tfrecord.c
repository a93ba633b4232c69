/* TFRecord files of tf.Examples. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "data/open_files.h"
#include "data/record.h"
#include "data/source_kind.h"
#include "format/tfrecord.h"

/* Descriptors kept open, well below the usual limit of 1,024 per process; one per loader thread can
 * come on top. */
#define OPEN_FILES 256

typedef struct tfrecord_source {
  vane_config config;
  int64_t height, width, channels;
  vane_path_list files;
  vane_open_files *open_files;
  vane_record_span *spans; /* of all files, one after the other */
  int64_t n_spans;
  int64_t *file_first; /* [n_files + 1]: the first span of each */
} tfrecord_source;

static void close_tfrecord(void *state) {
  tfrecord_source *set = state;
  if (!set)
    return;
  vane_open_files_destroy(set->open_files);
  vane_path_list_finish(&set->files);
  free(set->file_first);
  free(set->spans);
  free(set);
}

/* The file that holds record `index`: the last one that begins at or before it. */
static int64_t find_file(const tfrecord_source *set, int64_t index) {
  int64_t low = 0, high = (int64_t)set->files.n_paths;
  while (high - low > 1) {
    int64_t middle = low + (high - low) / 2;
    if (set->file_first[middle] <= index)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static void describe_tfrecord(const void *state, vane_origin origin, char *text, size_t n_bytes) {
  const tfrecord_source *set = state;
  int64_t f = find_file(set, origin.index);
  snprintf(text, n_bytes, "%s, record %" PRId64 " at byte %" PRId64, set->files.paths[f],
           origin.index - set->file_first[f], set->spans[origin.index].offset);
}

static vane_status decode(const tfrecord_source *set, const void *data, size_t n_bytes,
                          uint8_t *pixels, vane_labels *labels) {
  vane_example_message *message;
  VANE_TRY(vane_example_parse(data, n_bytes, &message));
  const void *image = NULL;
  size_t image_bytes = 0;
  vane_status status = vane_record_labels(&set->config, message, labels);
  if (status == VANE_OK)
    status = vane_record_image(&set->config, message, &image, &image_bytes);
  if (status == VANE_OK)
    status = vane_record_pixels(image, image_bytes, set->height, set->width, set->channels, pixels);
  vane_example_destroy(message);
  return status;
}

static vane_status read_span(const tfrecord_source *set, int64_t index, void *data) {
  int64_t f = find_file(set, index);
  int descriptor;
  VANE_TRY(vane_open_files_take(set->open_files, f, &descriptor));
  vane_status status = vane_tfrecord_read(descriptor, &set->spans[index], data);
  vane_open_files_give_back(set->open_files, f);
  return status;
}

static vane_status read_tfrecord(void *state, vane_origin origin, uint8_t *pixels,
                                 vane_labels *labels) {
  const tfrecord_source *set = state;
  size_t n_bytes = (size_t)set->spans[origin.index].bytes;
  void *data = malloc(n_bytes + 1); /* an empty record is a record too */
  if (!data)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a record of %zu bytes", n_bytes);
  vane_status status = read_span(set, origin.index, data);
  if (status == VANE_OK)
    status = decode(set, data, n_bytes, pixels, labels);
  free(data);
  if (status != VANE_OK) {
    char place[VANE_CONFIG_TEXT_BYTES];
    describe_tfrecord(set, origin, place, sizeof place);
    vane_error_add_context("%s", place);
  }
  return status;
}

static vane_status append_spans(tfrecord_source *set, const vane_record_span *spans,
                                int64_t n_spans) {
  if (n_spans == 0)
    return VANE_OK;
  size_t n = (size_t)(set->n_spans + n_spans);
  vane_record_span *all = realloc(set->spans, n * sizeof *all);
  if (!all)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the places of %zu records", n);
  memcpy(all + set->n_spans, spans, (size_t)n_spans * sizeof *spans);
  set->spans = all;
  set->n_spans += n_spans;
  return VANE_OK;
}

/* A file whose end cannot be framed still gives the records before the damage to a training run.
 * An evaluation over fewer images would be another figure. */
static vane_status index_file(const vane_source_request *request, tfrecord_source *set,
                              const char *path, int64_t *n_damaged) {
  vane_record_span *spans;
  int64_t n_spans;
  vane_status status = vane_tfrecord_index(path, &spans, &n_spans);
  if (status == VANE_ERR_FORMAT && !request->test) {
    vane_log_warning(request->log,
                     "%s; the file counts as one bad record, the %" PRId64
                     " records before the damage are used",
                     vane_error_get()->message, n_spans);
    ++*n_damaged;
    status = VANE_OK;
  }
  if (status == VANE_OK)
    status = append_spans(set, spans, n_spans);
  free(spans);
  return status;
}

static vane_status index_files(const vane_source_request *request, tfrecord_source *set,
                               vane_source *source) {
  int64_t n_files = (int64_t)set->files.n_paths;
  set->file_first = calloc((size_t)(n_files + 1), sizeof *set->file_first);
  if (!set->file_first)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the places of %" PRId64 " files", n_files);
  for (int64_t f = 0; f < n_files; f++) {
    VANE_TRY(index_file(request, set, set->files.paths[f], &source->n_damaged));
    set->file_first[f + 1] = set->n_spans;
  }
  return vane_source_lay_out(request, set->file_first, n_files, source);
}

vane_status vane_source_open_tfrecord(const vane_source_request *request, vane_source *source) {
  static const vane_source_operations operations = {read_tfrecord, describe_tfrecord,
                                                    close_tfrecord};
  if (!request->path[0])
    return vane_fail(VANE_ERR_CONFIG, "%s.path: name the TFRecord files, as in shards/*.tfrecord",
                     request->key);
  tfrecord_source *set = calloc(1, sizeof *set);
  if (!set)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %s", request->path);
  source->operations = &operations;
  source->state = set;
  set->config = *request->config;
  set->height = request->height;
  set->width = request->width;
  set->channels = request->channels;
  VANE_TRY(vane_path_list_match(request->path, &set->files));
  VANE_TRY(vane_open_files_create(set->files.paths, (int64_t)set->files.n_paths, OPEN_FILES,
                                  &set->open_files));
  return index_files(request, set, source);
}
