#include "cli/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/record.h"
#include "format/png.h"

/* --- finding them --- */

static vane_status reserve_one(vane_inputs *inputs) {
  if (inputs->n < inputs->capacity)
    return VANE_OK;
  int64_t capacity = inputs->capacity ? 2 * inputs->capacity : 64;
  vane_input *items = realloc(inputs->items, (size_t)capacity * sizeof *items);
  if (!items)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a list of %" PRId64 " images", capacity);
  inputs->items = items;
  inputs->capacity = capacity;
  return VANE_OK;
}

/* `record` -1: a PNG file, which has no span. */
static vane_status add(vane_inputs *inputs, const char *path, int64_t record,
                       const vane_record_span *span) {
  VANE_TRY(reserve_one(inputs));
  size_t n_bytes = strlen(path) + 24;
  vane_input item = {.name = malloc(n_bytes), .path = path, .is_record = record >= 0};
  if (!item.name)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the name of an image");
  if (item.is_record) {
    item.span = *span;
    snprintf(item.name, n_bytes, "%s#%" PRId64, path, record);
  } else {
    snprintf(item.name, n_bytes, "%s", path);
  }
  inputs->items[inputs->n++] = item;
  return VANE_OK;
}

static vane_status add_records(vane_inputs *inputs, const char *path, int64_t limit) {
  vane_record_span *spans;
  int64_t n_spans;
  vane_status status = vane_tfrecord_index(path, &spans, &n_spans);
  /* A file that breaks off later than the last record asked for is good enough. */
  if (status == VANE_ERR_FORMAT && limit > 0 && n_spans >= limit)
    status = VANE_OK;
  if (limit > 0 && n_spans > limit)
    n_spans = limit;
  for (int64_t i = 0; status == VANE_OK && i < n_spans; i++)
    status = add(inputs, path, i, &spans[i]);
  free(spans);
  return status;
}

/* The first bytes of a file, as many as tell its kind. */
static vane_status peek(const char *path, unsigned char bytes[16], size_t *n_bytes) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot open it", path);
  *n_bytes = fread(bytes, 1, 16, file);
  fclose(file);
  return VANE_OK;
}

static vane_status add_file(vane_inputs *inputs, const char *path, int64_t limit,
                            bool skip_others) {
  unsigned char bytes[16];
  size_t n_bytes = 0;
  VANE_TRY(peek(path, bytes, &n_bytes));
  if (vane_png_detect(bytes, n_bytes))
    return add(inputs, path, -1, NULL);
  if (vane_tfrecord_detect(bytes, n_bytes))
    return add_records(inputs, path, limit);
  if (skip_others)
    return VANE_OK;
  return vane_fail(VANE_ERR_FORMAT, "%s: neither a PNG image nor a TFRecord file", path);
}

vane_status inputs_find(char *const *arguments, int n_arguments, int64_t limit,
                        vane_inputs *inputs) {
  memset(inputs, 0, sizeof *inputs);
  inputs->files = calloc((size_t)n_arguments + 1, sizeof *inputs->files);
  if (!inputs->files)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a list of files");
  for (int i = 0; i < n_arguments; i++) {
    vane_path_list *list = &inputs->files[i];
    VANE_TRY(vane_path_list_match(arguments[i], list));
    inputs->n_lists++;
    int64_t n_before = inputs->n;
    for (size_t f = 0; f < list->n_paths; f++)
      VANE_TRY(add_file(inputs, list->paths[f], limit, vane_folder_exists(arguments[i])));
    if (inputs->n == n_before)
      return vane_fail(VANE_ERR_DATA, "%s: no image in it", arguments[i]);
  }
  return VANE_OK;
}

void inputs_finish(vane_inputs *inputs) {
  for (int64_t i = 0; i < inputs->n; i++)
    free(inputs->items[i].name);
  for (int i = 0; i < inputs->n_lists; i++)
    vane_path_list_finish(&inputs->files[i]);
  free(inputs->items);
  free(inputs->files);
  memset(inputs, 0, sizeof *inputs);
}

/* --- reading one --- */

static vane_status read_png(const vane_input *input, const vane_config *config, uint8_t *pixels,
                            vane_labels *labels) {
  const int64_t *size = config->model_input;
  unsigned char *png;
  size_t n_bytes;
  *labels = (vane_labels){0};
  VANE_TRY(vane_file_read(input->path, &png, &n_bytes));
  vane_status status = vane_png_decode(png, n_bytes, size[0], size[1], size[2], pixels);
  free(png);
  return status == VANE_OK ? VANE_OK : vane_error_add_context("%s", input->name);
}

static vane_status decode_record(const void *data, size_t n_bytes, const vane_config *config,
                                 uint8_t *pixels, vane_labels *labels) {
  const int64_t *size = config->model_input;
  const void *image;
  size_t image_bytes;
  vane_example_message *message;
  VANE_TRY(vane_example_parse(data, n_bytes, &message));
  vane_status status = vane_record_labels(config, message, labels);
  if (status == VANE_OK)
    status = vane_record_image(config, message, &image, &image_bytes);
  if (status == VANE_OK)
    status = vane_record_pixels(image, image_bytes, size[0], size[1], size[2], pixels);
  vane_example_destroy(message);
  return status;
}

static vane_status read_span(const vane_input *input, void *data) {
  int descriptor = open(input->path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot open the file");
  vane_status status = vane_tfrecord_read(descriptor, &input->span, data);
  close(descriptor);
  return status;
}

static vane_status read_record(const vane_input *input, const vane_config *config, uint8_t *pixels,
                               vane_labels *labels) {
  size_t n_bytes = (size_t)input->span.bytes;
  void *data = malloc(n_bytes + 1); /* an empty record is a record too */
  if (!data)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a record of %zu bytes", n_bytes);
  vane_status status = read_span(input, data);
  if (status == VANE_OK)
    status = decode_record(data, n_bytes, config, pixels, labels);
  free(data);
  return status == VANE_OK ? VANE_OK : vane_error_add_context("%s", input->name);
}

vane_status inputs_read(const vane_input *input, const vane_config *config, uint8_t *pixels,
                        vane_labels *labels) {
  return input->is_record ? read_record(input, config, pixels, labels)
                          : read_png(input, config, pixels, labels);
}
