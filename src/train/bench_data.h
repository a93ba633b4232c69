/* How fast the loader makes batches out of the training source. */
#ifndef VANE_TRAIN_BENCH_DATA_H
#define VANE_TRAIN_BENCH_DATA_H

#include "base/log.h"
#include "config/config.h"

typedef struct vane_bench_data_result {
  int64_t batches, images;
  double seconds;
  double images_per_s;
  double waited_s; /* of these seconds, inside vane_loader_take */
} vane_bench_data_result;

/* Takes `batches` (at least 1) batches as fast as they come, after as many as the loader may have
 * prepared before the clock started. */
VANE_CHECKED
vane_status vane_bench_data(const vane_config *config, int64_t batches, const vane_log *log,
                            vane_bench_data_result *result);

#endif
