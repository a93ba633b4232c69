/* What a kind of source is made of; only the files source_*.c see it. */
#ifndef VANE_DATA_SOURCE_KIND_H
#define VANE_DATA_SOURCE_KIND_H

#include "data/cache.h"
#include "data/draws.h"
#include "data/source.h"

typedef struct vane_source_operations {
  /* The three of source.h; `state` is the kind's own. read and describe are thread-safe. */
  vane_status (*read)(void *state, vane_origin origin, uint8_t *pixels, vane_labels *labels);
  void (*describe)(const void *state, vane_origin origin, char *text, size_t n_bytes);
  void (*close)(void *state); /* takes a half-opened state */
} vane_source_operations;

struct vane_source {
  const vane_source_operations *operations;
  void *state;
  int64_t count;       /* examples */
  int64_t *file_first; /* [n_files + 1]; file f holds file_first[f] .. file_first[f + 1] - 1 */
  int64_t n_files;
  int64_t n_damaged;
  bool is_drawn;
  vane_example_cache *cache; /* owned; NULL without data.train.cache */
};

/* The settings of one of the two sources, data.train.* or data.test.*. */
typedef struct vane_source_request {
  const vane_config *config;
  bool test;
  const char *key;  /* "data.train" or "data.test", for messages */
  const char *path; /* may be empty */
  int64_t count;    /* use only the first so many; 0: all */
  int part;         /* VANE_PART_*, the default resolved */
  vane_draws_rule draws;
  int64_t height, width, channels;
  const vane_log *log;
} vane_source_request;

/* Each opens one kind. It gives `source` operations and state as soon as there is something to
 * close, for the caller closes the source after a failure too. */
VANE_CHECKED
vane_status vane_source_open_tfrecord(const vane_source_request *request, vane_source *source);
VANE_CHECKED
vane_status vane_source_open_images(const vane_source_request *request, vane_source *source);
VANE_CHECKED
vane_status vane_source_open_idx(const vane_source_request *request, vane_source *source);
VANE_CHECKED
vane_status vane_source_open_rotfashion(const vane_source_request *request, vane_source *source);
VANE_CHECKED
vane_status vane_source_open_scenes(const vane_source_request *request, vane_source *source);

/* Says that the source's examples lie in `n_files` files, file f from file_first[f] on (copied;
 * [n_files + 1]), and cuts it off after `request->count` examples. */
VANE_CHECKED
vane_status vane_source_lay_out(const vane_source_request *request, const int64_t *file_first,
                                int64_t n_files, vane_source *source);

/* The labels of an upright picture that nobody labelled: an object of size 1 in the middle. */
vane_labels vane_source_upright_labels(int64_t height, int64_t width);

/* Turns a grey image [n_pixels] at the start of `pixels` into [n_pixels, channels] in place. */
void vane_source_spread_grey(uint8_t *pixels, int64_t n_pixels, int64_t channels);

#endif
