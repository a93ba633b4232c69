#include "data/source.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "data/source_kind.h"

static vane_source_request request_from(const vane_config *config, bool test, const vane_log *log) {
  int part = test ? config->data_test_part : config->data_train_part;
  if (part == VANE_PART_DEFAULT)
    part = test ? VANE_PART_TEST : VANE_PART_TRAIN;
  vane_draws_rule draws = config->data_train_fresh ? VANE_DRAWS_FRESH : VANE_DRAWS_ONCE;
  if (test || part == VANE_PART_TEST || part == VANE_PART_VALIDATION)
    draws = VANE_DRAWS_FIXED;
  return (vane_source_request){
      .config = config,
      .test = test,
      .key = test ? "data.test" : "data.train",
      .path = test ? config->data_test_path : config->data_train_path,
      .count = test ? config->data_test_count : config->data_train_count,
      .part = part,
      .draws = draws,
      .height = config->model_input[0],
      .width = config->model_input[1],
      .channels = config->model_input[2],
      .log = log,
  };
}

static vane_status open_kind(const vane_source_request *request, int kind, vane_source *source) {
  switch (kind) {
  case VANE_SOURCE_TFRECORD:
    return vane_source_open_tfrecord(request, source);
  case VANE_SOURCE_IMAGES:
    return vane_source_open_images(request, source);
  case VANE_SOURCE_IDX:
    return vane_source_open_idx(request, source);
  case VANE_SOURCE_ROTFASHION:
    return vane_source_open_rotfashion(request, source);
  case VANE_SOURCE_SCENES:
    return vane_source_open_scenes(request, source);
  default:
    return vane_fail(VANE_ERR_CONFIG, "%s.source is not set; it says where examples come from",
                     request->key);
  }
}

static vane_status create_cache(const vane_config *config, vane_source *source) {
  if (source->is_drawn)
    return vane_fail(VANE_ERR_CONFIG, "data.train.cache: fresh draws are read only once; set "
                                      "data.train.fresh: false too, or leave the cache off");
  const int64_t *size = config->model_input;
  return vane_example_cache_create(source->count, (size_t)(size[0] * size[1] * size[2]),
                                   &source->cache);
}

vane_status vane_source_open(const vane_config *config, bool test, const vane_log *log,
                             vane_source **source_out) {
  vane_source_request request = request_from(config, test, log);
  if (config->n_model_input != 3 || (request.channels != 1 && request.channels != 3))
    return vane_fail(VANE_ERR_CONFIG,
                     "model.input: sources need [height, width, channels] with 1 or 3 channels");
  vane_source *source = calloc(1, sizeof *source);
  if (!source)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a source");
  int kind = test ? config->data_test_source : config->data_train_source;
  vane_status status = open_kind(&request, kind, source);
  if (status == VANE_OK && source->count == 0)
    status = vane_fail(VANE_ERR_DATA, "%s: the source holds no example", request.key);
  if (status == VANE_OK && !test && config->data_train_cache)
    status = create_cache(config, source);
  if (status != VANE_OK) {
    vane_source_close(source);
    return status;
  }
  *source_out = source;
  return VANE_OK;
}

void vane_source_close(vane_source *source) {
  if (!source)
    return;
  if (source->operations)
    source->operations->close(source->state);
  vane_example_cache_destroy(source->cache);
  free(source->file_first);
  free(source);
}

int64_t vane_source_count(const vane_source *source) {
  return source->count;
}

int64_t vane_source_n_files(const vane_source *source) {
  return source->n_files;
}

void vane_source_file_span(const vane_source *source, int64_t f, int64_t *first, int64_t *count) {
  *first = source->file_first[f];
  *count = source->file_first[f + 1] - source->file_first[f];
}

int64_t vane_source_n_damaged(const vane_source *source) {
  return source->n_damaged;
}

bool vane_source_is_drawn(const vane_source *source) {
  return source->is_drawn;
}

vane_status vane_source_read(vane_source *source, vane_origin origin, uint8_t *pixels,
                             vane_labels *labels) {
  if (origin.index < 0 || origin.index >= source->count)
    return vane_fail(VANE_ERR_ARGUMENT, "example %" PRId64 " of %" PRId64 " asked for",
                     origin.index, source->count);
  vane_example_cache *cache = source->cache;
  if (cache && vane_example_cache_find(cache, origin.index, pixels, labels))
    return VANE_OK;
  VANE_TRY(source->operations->read(source->state, origin, pixels, labels));
  if (cache)
    vane_example_cache_keep(cache, origin.index, pixels, labels);
  return VANE_OK;
}

void vane_source_describe(const vane_source *source, vane_origin origin, char *text,
                          size_t n_bytes) {
  source->operations->describe(source->state, origin, text, n_bytes);
}
