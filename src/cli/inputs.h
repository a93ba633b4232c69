/* What `vane predict` looks at: PNG files and the records of TFRecord files. */
#ifndef VANE_CLI_INPUTS_H
#define VANE_CLI_INPUTS_H

#include "base/file.h"
#include "config/config.h"
#include "data/example.h"
#include "format/tfrecord.h"

typedef struct vane_input {
  char *name;            /* PATH, or PATH#RECORD; owned */
  const char *path;      /* borrowed from the list of files */
  bool is_record;        /* else a PNG file */
  vane_record_span span; /* of a record */
} vane_input;

/* Freed with inputs_finish, which takes a zeroed struct. */
typedef struct vane_inputs {
  vane_path_list *files; /* one list per argument */
  int n_lists;
  vane_input *items;
  int64_t n, capacity;
} vane_inputs;

/* All images that `arguments` [n_arguments] mean: files, patterns, folders of files. Of a TFRecord
 * file only the first `limit` records (0: all). What a file is its bytes tell; in a folder, files
 * of other kinds are left out. */
VANE_CHECKED
vane_status inputs_find(char *const *arguments, int n_arguments, int64_t limit,
                        vane_inputs *inputs);
void inputs_finish(vane_inputs *inputs);

/* Pixels [H, W, C] of model.input, and the labels of a record; a PNG file has none. An image of
 * another size is VANE_ERR_FORMAT naming the image and both sizes. */
VANE_CHECKED
vane_status inputs_read(const vane_input *input, const vane_config *config, uint8_t *pixels,
                        vane_labels *labels);

#endif
