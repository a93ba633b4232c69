/* Images of one IDX file, taken as upright pictures: with augmentation that turns, they teach a
 * network what upright is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/source_kind.h"
#include "format/idx.h"

typedef struct idx_source {
  vane_idx images; /* [N, H, W] or [N, H, W, C] */
  int64_t height, width, channels;
  int64_t stored_channels;
  char name[VANE_CONFIG_TEXT_BYTES];
} idx_source;

static void close_idx(void *state) {
  idx_source *set = state;
  if (!set)
    return;
  vane_idx_finish(&set->images);
  free(set);
}

static void describe_idx(const void *state, vane_origin origin, char *text, size_t n_bytes) {
  const idx_source *set = state;
  snprintf(text, n_bytes, "%s, image %" PRId64, set->name, origin.index);
}

static vane_status read_idx(void *state, vane_origin origin, uint8_t *pixels, vane_labels *labels) {
  const idx_source *set = state;
  int64_t n_pixels = set->height * set->width;
  int64_t n_bytes = n_pixels * set->stored_channels;
  memcpy(pixels, set->images.values + origin.index * n_bytes, (size_t)n_bytes);
  if (set->stored_channels == 1)
    vane_source_spread_grey(pixels, n_pixels, set->channels);
  *labels = vane_source_upright_labels(set->height, set->width);
  return VANE_OK;
}

static vane_status check_shape(const vane_source_request *request, idx_source *set) {
  const vane_idx *images = &set->images;
  set->stored_channels = images->n_dims == 4 ? images->dims[3] : 1;
  bool is_list = images->n_dims == 3 || images->n_dims == 4;
  if (is_list && images->dims[1] == request->height && images->dims[2] == request->width &&
      (set->stored_channels == 1 || set->stored_channels == request->channels))
    return VANE_OK;
  if (!is_list)
    return vane_fail(VANE_ERR_DATA, "%s: %" PRId64 " dimensions; images have 3 or 4", set->name,
                     images->n_dims);
  return vane_fail(VANE_ERR_DATA,
                   "%s: images of %" PRId64 " x %" PRId64 " x %" PRId64
                   ", but model.input is [%" PRId64 ", %" PRId64 ", %" PRId64 "]",
                   set->name, images->dims[1], images->dims[2], set->stored_channels,
                   request->height, request->width, request->channels);
}

vane_status vane_source_open_idx(const vane_source_request *request, vane_source *source) {
  static const vane_source_operations operations = {read_idx, describe_idx, close_idx};
  if (!request->path[0])
    return vane_fail(VANE_ERR_CONFIG, "%s.path: name the IDX file of images", request->key);
  idx_source *set = calloc(1, sizeof *set);
  if (!set)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %s", request->path);
  source->operations = &operations;
  source->state = set;
  set->height = request->height;
  set->width = request->width;
  set->channels = request->channels;
  snprintf(set->name, sizeof set->name, "%s", request->path);
  VANE_TRY(vane_idx_read(request->path, &set->images));
  VANE_TRY(check_shape(request, set));
  const int64_t file_first[2] = {0, set->images.dims[0]};
  return vane_source_lay_out(request, file_first, 1, source);
}
