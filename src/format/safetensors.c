#include "format/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

#define LENGTH_BYTES     8         /* in front of the header: its length, little-endian */
#define DATA_ALIGNMENT   64        /* a cache line, and more than any dtype asks for */
#define MAX_HEADER_BYTES 100000000 /* the limit of the format's own reader */
#define METADATA_KEY     "__metadata__"

typedef struct dtype_width {
  const char *name;
  int64_t bytes;
} dtype_width;

static const dtype_width dtype_widths[] = {
    {"F32", 4}, {"F64", 8}, {"F16", 2},     {"BF16", 2},    {"BOOL", 1},   {"I8", 1},
    {"U8", 1},  {"I16", 2}, {"U16", 2},     {"I32", 4},     {"U32", 4},    {"I64", 8},
    {"U64", 8}, {"C64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};

/* 0 for a dtype that is not known; its tensors can be listed, but their sizes not checked. */
static int64_t width_of(const char *dtype) {
  for (size_t i = 0; i < sizeof dtype_widths / sizeof dtype_widths[0]; i++)
    if (strcmp(dtype, dtype_widths[i].name) == 0)
      return dtype_widths[i].bytes;
  return 0;
}

/* False where the product does not fit; `width` > 0. */
static bool count_bytes(const vane_safetensor *tensor, int64_t width, size_t *bytes) {
  int64_t product = width;
  bool empty = false;
  for (int64_t d = 0; d < tensor->n_dims; d++) {
    int64_t dim = tensor->dims[d];
    empty = empty || dim == 0;
    if (dim < 0 || (dim > 0 && product > INT64_MAX / dim))
      return false;
    product *= dim > 0 ? dim : 1;
  }
  *bytes = empty ? 0 : (size_t)product;
  return true;
}

/* Writing. */

static vane_status check_tensor(const vane_safetensor *tensor) {
  if (strcmp(tensor->dtype, "F32") != 0 && strcmp(tensor->dtype, "F64") != 0)
    return vane_fail(VANE_ERR_ARGUMENT, "tensor %s: only F32 and F64 are written, not %s",
                     tensor->name, tensor->dtype);
  size_t bytes;
  if (tensor->n_dims < 0 || tensor->n_dims > VANE_SAFETENSORS_MAX_DIMS ||
      !count_bytes(tensor, width_of(tensor->dtype), &bytes) || bytes != tensor->bytes)
    return vane_fail(VANE_ERR_ARGUMENT, "tensor %s: its shape does not make up its %zu bytes",
                     tensor->name, tensor->bytes);
  return VANE_OK;
}

/* NULL without memory. */
static json_t *describe_tensor(const vane_safetensor *tensor, size_t offset) {
  json_t *shape = json_array();
  int failed = 0;
  for (int64_t d = 0; d < tensor->n_dims; d++)
    failed |= json_array_append_new(shape, json_integer(tensor->dims[d]));
  if (failed) {
    json_decref(shape);
    return NULL;
  }
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->dtype, "shape", shape, "data_offsets",
                   (json_int_t)offset, (json_int_t)(offset + tensor->bytes));
}

/* Takes ownership of `value`, which may be NULL. */
static vane_status add_entry(json_t *object, const char *key, json_t *value) {
  bool taken = json_object_get(object, key) || strcmp(key, METADATA_KEY) == 0;
  if (taken)
    json_decref(value);
  if (taken)
    return vane_fail(VANE_ERR_ARGUMENT, "the name %s is given twice, or reserved", key);
  if (json_object_set_new(object, key, value) != 0)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "the name or text of %s is not UTF-8, or there is no memory", key);
  return VANE_OK;
}

static vane_status describe_metadata(json_t *header, const vane_safetensors_text *metadata,
                                     int64_t n_metadata) {
  json_t *texts = json_object();
  if (json_object_set_new(header, METADATA_KEY, texts) != 0)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the header");
  for (int64_t i = 0; i < n_metadata; i++)
    VANE_TRY(add_entry(texts, metadata[i].key, json_string(metadata[i].text)));
  return VANE_OK;
}

/* Doubles first, so that every tensor is aligned for its type. */
static const char *const write_order[] = {"F64", "F32"};
#define N_WRITE_ORDER (sizeof write_order / sizeof write_order[0])

static vane_status describe_tensors(json_t *header, const vane_safetensor *tensors,
                                    int64_t n_tensors) {
  size_t offset = 0;
  for (size_t pass = 0; pass < N_WRITE_ORDER; pass++)
    for (int64_t i = 0; i < n_tensors; i++) {
      if (strcmp(tensors[i].dtype, write_order[pass]) != 0)
        continue;
      VANE_TRY(add_entry(header, tensors[i].name, describe_tensor(&tensors[i], offset)));
      offset += tensors[i].bytes;
    }
  return VANE_OK;
}

static vane_status write_header(vane_atomic_file *file, const json_t *header) {
  char *text = json_dumps(header, JSON_COMPACT);
  if (!text)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the header");
  size_t n_text = strlen(text);
  size_t n_padding = -(LENGTH_BYTES + n_text) % DATA_ALIGNMENT;
  uint64_t length = n_text + n_padding;
  unsigned char prefix[LENGTH_BYTES];
  for (int i = 0; i < LENGTH_BYTES; i++)
    prefix[i] = (unsigned char)(length >> (8 * i));
  char padding[DATA_ALIGNMENT];
  memset(padding, ' ', sizeof padding);
  vane_status status = vane_atomic_file_write(file, prefix, sizeof prefix);
  if (status == VANE_OK)
    status = vane_atomic_file_write(file, text, n_text);
  if (status == VANE_OK)
    status = vane_atomic_file_write(file, padding, n_padding);
  free(text);
  return status;
}

static vane_status write_all(vane_atomic_file *file, const json_t *header,
                             const vane_safetensor *tensors, int64_t n_tensors) {
  VANE_TRY(write_header(file, header));
  for (size_t pass = 0; pass < N_WRITE_ORDER; pass++)
    for (int64_t i = 0; i < n_tensors; i++)
      if (strcmp(tensors[i].dtype, write_order[pass]) == 0)
        VANE_TRY(vane_atomic_file_write(file, tensors[i].data, tensors[i].bytes));
  return VANE_OK;
}

static vane_status write_file(const char *path, const json_t *header,
                              const vane_safetensor *tensors, int64_t n_tensors) {
  vane_atomic_file *file;
  VANE_TRY(vane_atomic_file_open(path, &file));
  vane_status status = write_all(file, header, tensors, n_tensors);
  if (status == VANE_OK)
    return vane_atomic_file_commit(file);
  vane_atomic_file_discard(file);
  return status;
}

vane_status vane_safetensors_write(const char *path, const vane_safetensor *tensors,
                                   int64_t n_tensors, const vane_safetensors_text *metadata,
                                   int64_t n_metadata) {
  for (int64_t i = 0; i < n_tensors; i++)
    if (check_tensor(&tensors[i]) != VANE_OK)
      return vane_error_add_context("%s", path);
  json_t *header = json_object();
  vane_status status = describe_metadata(header, metadata, n_metadata);
  if (status == VANE_OK)
    status = describe_tensors(header, tensors, n_tensors);
  if (status == VANE_OK)
    status = write_file(path, header, tensors, n_tensors);
  else
    status = vane_error_add_context("%s", path);
  json_decref(header);
  return status;
}

/* Reading. */

struct vane_safetensors_file {
  unsigned char *contents;
  size_t n_contents;
  json_t *header; /* keeps the names and texts */
  vane_safetensor *tensors;
  int64_t n_tensors;
};

static vane_status parse_header(vane_safetensors_file *file, size_t *n_header) {
  if (file->n_contents < LENGTH_BYTES)
    return vane_fail(VANE_ERR_FORMAT, "%zu bytes are too few for a safetensors file",
                     file->n_contents);
  uint64_t length = 0;
  for (int i = 0; i < LENGTH_BYTES; i++)
    length |= (uint64_t)file->contents[i] << (8 * i);
  if (length > MAX_HEADER_BYTES)
    return vane_fail(VANE_ERR_FORMAT,
                     "a header of %" PRIu64 " bytes: damaged, or no safetensors file", length);
  if (length > file->n_contents - LENGTH_BYTES)
    return vane_fail(VANE_ERR_FORMAT,
                     "the file ends inside its header of %" PRIu64 " bytes; it was cut short",
                     length);
  *n_header = (size_t)length;
  json_error_t error;
  file->header = json_loadb((const char *)file->contents + LENGTH_BYTES, *n_header,
                            JSON_REJECT_DUPLICATES, &error);
  if (!file->header)
    return vane_fail_foreign(VANE_ERR_FORMAT, error.position, error.text,
                             "its header is no JSON: %s", error.text);
  if (!json_is_object(file->header))
    return vane_fail(VANE_ERR_FORMAT, "its header is no JSON object");
  return VANE_OK;
}

static vane_status check_metadata(const json_t *header) {
  json_t *metadata = json_object_get(header, METADATA_KEY);
  if (!metadata)
    return VANE_OK;
  if (!json_is_object(metadata))
    return vane_fail(VANE_ERR_FORMAT, METADATA_KEY " is no JSON object");
  const char *key;
  json_t *text;
  json_object_foreach(metadata, key, text) {
    if (!json_is_string(text))
      return vane_fail(VANE_ERR_FORMAT, METADATA_KEY ": %s is no text", key);
  }
  return VANE_OK;
}

static vane_status parse_shape(const json_t *shape, vane_safetensor *tensor) {
  if (!json_is_array(shape) || json_array_size(shape) > VANE_SAFETENSORS_MAX_DIMS)
    return vane_fail(VANE_ERR_FORMAT, "tensor %s: its shape is no list of at most %d sizes",
                     tensor->name, VANE_SAFETENSORS_MAX_DIMS);
  tensor->n_dims = (int64_t)json_array_size(shape);
  for (int64_t d = 0; d < tensor->n_dims; d++) {
    const json_t *dim = json_array_get(shape, (size_t)d);
    if (!json_is_integer(dim) || json_integer_value(dim) < 0)
      return vane_fail(VANE_ERR_FORMAT, "tensor %s: size %" PRId64 " of its shape is no count",
                       tensor->name, d);
    tensor->dims[d] = json_integer_value(dim);
  }
  return VANE_OK;
}

static vane_status parse_offsets(const json_t *offsets, const unsigned char *data, size_t n_data,
                                 vane_safetensor *tensor) {
  const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
    return vane_fail(VANE_ERR_FORMAT, "tensor %s: its data_offsets are no two integers",
                     tensor->name);
  json_int_t begin = json_integer_value(first), end = json_integer_value(last);
  if (begin < 0 || begin > end || (uint64_t)end > n_data)
    return vane_fail(VANE_ERR_FORMAT,
                     "tensor %s: its data_offsets %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
                     " lie outside the file's %zu bytes of data",
                     tensor->name, begin, end, n_data);
  tensor->data = data + begin;
  tensor->bytes = (size_t)(end - begin);
  return VANE_OK;
}

static vane_status parse_tensor(const char *name, const json_t *entry, const unsigned char *data,
                                size_t n_data, vane_safetensor *tensor) {
  tensor->name = name;
  tensor->dtype = json_string_value(json_object_get(entry, "dtype"));
  if (!tensor->dtype)
    return vane_fail(VANE_ERR_FORMAT, "tensor %s: it has no dtype", name);
  VANE_TRY(parse_shape(json_object_get(entry, "shape"), tensor));
  VANE_TRY(parse_offsets(json_object_get(entry, "data_offsets"), data, n_data, tensor));
  int64_t width = width_of(tensor->dtype);
  size_t bytes;
  if (width > 0 && (!count_bytes(tensor, width, &bytes) || bytes != tensor->bytes))
    return vane_fail(VANE_ERR_FORMAT, "tensor %s: its shape does not make up its %zu bytes of %s",
                     name, tensor->bytes, tensor->dtype);
  return VANE_OK;
}

static int compare_places(const void *a, const void *b) {
  const vane_safetensor *left = a, *right = b;
  const unsigned char *left_data = left->data, *right_data = right->data;
  if (left_data != right_data)
    return left_data < right_data ? -1 : 1;
  return (left->bytes > right->bytes) - (left->bytes < right->bytes); /* empty ones first */
}

/* Sorts the tensors by their place; together they must be the data, without overlap or gap. */
static vane_status check_cover(vane_safetensors_file *file, const unsigned char *data,
                               size_t n_data) {
  if (file->n_tensors > 0)
    qsort(file->tensors, (size_t)file->n_tensors, sizeof *file->tensors, compare_places);
  const unsigned char *end = data;
  for (int64_t i = 0; i < file->n_tensors; i++) {
    const unsigned char *begin = file->tensors[i].data;
    if (begin != end)
      return vane_fail(VANE_ERR_FORMAT, "tensor %s: its data %s", file->tensors[i].name,
                       begin < end ? "overlap those of another" : "leave a gap before them");
    end = begin + file->tensors[i].bytes;
  }
  if (end != data + n_data)
    return vane_fail(VANE_ERR_FORMAT, "%zu bytes at its end belong to no tensor",
                     (size_t)(data + n_data - end));
  return VANE_OK;
}

static vane_status parse_file(vane_safetensors_file *file) {
  size_t n_header;
  VANE_TRY(parse_header(file, &n_header));
  VANE_TRY(check_metadata(file->header));
  const unsigned char *data = file->contents + LENGTH_BYTES + n_header;
  size_t n_data = file->n_contents - LENGTH_BYTES - n_header;
  /* At least one, for calloc may answer NULL to a request for nothing. */
  file->tensors = calloc(json_object_size(file->header) + 1, sizeof *file->tensors);
  if (!file->tensors)
    return vane_fail(VANE_ERR_MEMORY, "no memory for its list of tensors");
  const char *name;
  json_t *entry;
  json_object_foreach(file->header, name, entry) {
    if (strcmp(name, METADATA_KEY) == 0)
      continue;
    VANE_TRY(parse_tensor(name, entry, data, n_data, &file->tensors[file->n_tensors]));
    file->n_tensors++;
  }
  return check_cover(file, data, n_data);
}

vane_status vane_safetensors_open(const char *path, vane_safetensors_file **file) {
  *file = NULL;
  vane_safetensors_file *fresh = calloc(1, sizeof *fresh);
  if (!fresh)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory to read it", path);
  vane_status status = vane_file_read(path, &fresh->contents, &fresh->n_contents);
  if (status == VANE_OK) {
    status = parse_file(fresh);
    if (status != VANE_OK)
      status = vane_error_add_context("%s", path);
  }
  if (status != VANE_OK) {
    vane_safetensors_close(fresh);
    return status;
  }
  *file = fresh;
  return VANE_OK;
}

void vane_safetensors_close(vane_safetensors_file *file) {
  if (!file)
    return;
  free(file->tensors);
  json_decref(file->header);
  free(file->contents);
  free(file);
}

int64_t vane_safetensors_count(const vane_safetensors_file *file) {
  return file->n_tensors;
}

const vane_safetensor *vane_safetensors_at(const vane_safetensors_file *file, int64_t i) {
  return &file->tensors[i];
}

const vane_safetensor *vane_safetensors_find(const vane_safetensors_file *file, const char *name) {
  for (int64_t i = 0; i < file->n_tensors; i++)
    if (strcmp(file->tensors[i].name, name) == 0)
      return &file->tensors[i];
  return NULL;
}

const char *vane_safetensors_text_of(const vane_safetensors_file *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, METADATA_KEY), key));
}

int64_t vane_safetensors_n_texts(const vane_safetensors_file *file) {
  return (int64_t)json_object_size(json_object_get(file->header, METADATA_KEY));
}

vane_safetensors_text vane_safetensors_text_at(const vane_safetensors_file *file, int64_t i) {
  json_t *metadata = json_object_get(file->header, METADATA_KEY);
  void *entry = json_object_iter(metadata);
  while (i-- > 0)
    entry = json_object_iter_next(metadata, entry);
  return (vane_safetensors_text){.key = json_object_iter_key(entry),
                                 .text = json_string_value(json_object_iter_value(entry))};
}
