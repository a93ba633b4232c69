/* Where examples come from: a numbered set that can be read in any order by any thread. */
#ifndef VANE_DATA_SOURCE_H
#define VANE_DATA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "config/config.h"
#include "data/example.h"

typedef struct vane_source vane_source;

/* Opens data.train.* or data.test.* of `config`: finds the files, indexes them, fails with
 * VANE_ERR_DATA when nothing is there. */
VANE_CHECKED
vane_status vane_source_open(const vane_config *config, bool test, const vane_log *log,
                             vane_source **source);
void vane_source_close(vane_source *source); /* takes NULL */

/* Examples in the source. */
int64_t vane_source_count(const vane_source *source);

/* Files, and the examples that lie in file `f`: [first, first + count). Sources without files have
 * one. The shuffle uses it: files first, then a window. */
int64_t vane_source_n_files(const vane_source *source);
void vane_source_file_span(const vane_source *source, int64_t f, int64_t *first, int64_t *count);

/* Files whose end could not be read: named in the log when the source was opened, their records
 * before the damage are in use. A test source with such a file does not open. */
int64_t vane_source_n_damaged(const vane_source *source);

/* True where `origin.draw` changes what an example looks like. */
bool vane_source_is_drawn(const vane_source *source);

/* Reads example `origin.index` into pixels [H, W, C] (model.input) and labels. Drawn sources
 * (RotFashion, scenes) use `origin.draw` for their random draws, so that training sees fresh ones
 * every epoch; with data.train.fresh: false they ignore it and draw each example once from the
 * seed; test parts ignore it and give every example one fixed draw (seed 777). With
 * data.train.cache an example is kept and only copied from the second time on. Thread-safe. A
 * record that cannot be read is VANE_ERR_FORMAT or VANE_ERR_DATA, message with file, record number
 * and byte offset. */
VANE_CHECKED
vane_status vane_source_read(vane_source *source, vane_origin origin, uint8_t *pixels,
                             vane_labels *labels);

/* "shards/a-00003.tfrecord, record 17 at byte 40213" or "train-images-idx3-ubyte.gz, image 17". */
void vane_source_describe(const vane_source *source, vane_origin origin, char *text,
                          size_t n_bytes);

#endif
