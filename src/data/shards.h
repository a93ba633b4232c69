/* Writing what a source yields as TFRecord files: `vane data make`. */
#ifndef VANE_DATA_SHARDS_H
#define VANE_DATA_SHARDS_H

#include <stdbool.h>

#include "base/log.h"
#include "config/config.h"

#define VANE_SHARD_EXAMPLES 1000

/* Writes examples 0 .. count - 1 of data.train.* (or data.test.*), unshuffled and not augmented, to
 * FOLDER/NAME-00000-of-00060.tfrecord, ..., VANE_SHARD_EXAMPLES a file, each file whole or not at
 * all, by data.threads threads; the bytes do not depend on their number. Features are named and
 * angles measured as data.features.* and data.angle_unit say (record.h). `count` 0 means every
 * example once; a drawn training source goes on with fresh draws beyond that, any other one is
 * VANE_ERR_ARGUMENT there. The folder is created; one that holds shards of this name out of another
 * number is VANE_ERR_ARGUMENT, for a pattern would match both sets. */
VANE_CHECKED
vane_status vane_shards_write(const vane_config *config, bool test, int64_t count,
                              const char *folder, const char *name, const vane_log *log,
                              int64_t *n_examples, int64_t *n_files);

#endif
