/* Stands in for the CUDA backend's module: built as it is, out of vane's functions in the
 * executable. options->threads says what the machine is like. */
#include "unit/module/stand_in.h"
#include "base/error.h"
#include "device/block.h"
#include "device/device.h"

static vane_status plan(vane_device *device, const vane_segment *segments, int64_t n_segments,
                        vane_block **block) {
  static vane_block planned;
  (void)device;
  *block = &planned;
  return vane_block_init(&planned, segments, n_segments);
}

static void destroy(vane_device *device, vane_block *block) {
  (void)device;
  vane_block_finish(block);
}

static void close_device(vane_device *device) {
  (void)device;
}

/* As the module of the real backend exports it. */
__attribute__((visibility("default"))) vane_status
vane_cuda_device_open(const vane_device_options *options, vane_device **device);

vane_status vane_cuda_device_open(const vane_device_options *options, vane_device **device) {
  static vane_device opened = {
      .name = "cuda", .block = {.plan = plan, .destroy = destroy}, .close = close_device};
  if (options->threads == STAND_IN_WITHOUT_GPU)
    return vane_fail(VANE_ERR_UNSUPPORTED, "this machine has no GPU");
  if (options->threads == STAND_IN_BROKEN)
    return vane_fail(VANE_ERR_DEVICE, "the GPU is broken");
  *device = &opened;
  return VANE_OK;
}
