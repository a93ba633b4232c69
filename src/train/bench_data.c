#include "train/bench_data.h"

#include "base/clock.h"
#include "base/error.h"
#include "data/loader.h"

static vane_status take(vane_loader *loader, int64_t batches, int64_t *images) {
  for (int64_t b = 0; b < batches; b++) {
    const vane_batch *batch;
    VANE_TRY(vane_loader_take(loader, &batch));
    *images += batch->n;
    vane_loader_give_back(loader, batch);
  }
  return VANE_OK;
}

static vane_status measure(vane_loader *loader, int64_t n_prepared, int64_t batches,
                           vane_bench_data_result *result) {
  int64_t ignored = 0;
  VANE_TRY(take(loader, n_prepared, &ignored));
  *result = (vane_bench_data_result){.batches = batches};
  double waited_s = vane_loader_waited_s(loader), begin_s = vane_clock_s();
  VANE_TRY(take(loader, batches, &result->images));
  result->seconds = vane_clock_s() - begin_s;
  result->waited_s = vane_loader_waited_s(loader) - waited_s;
  result->images_per_s = (double)result->images / result->seconds;
  return VANE_OK;
}

vane_status vane_bench_data(const vane_config *config, int64_t batches, const vane_log *log,
                            vane_bench_data_result *result) {
  if (batches < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "bench data: at least one batch is needed");
  vane_loader *loader;
  VANE_TRY(vane_loader_open(config, false, config->train_batch, 0, log, &loader));
  vane_status status = measure(loader, config->data_prefetch, batches, result);
  vane_loader_close(loader);
  return status;
}
