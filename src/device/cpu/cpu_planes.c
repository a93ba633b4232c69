#include "device/cpu/cpu.h"

/* Images have one to three channels; blocks of 16 would be mostly padding. oneDNN's first-layer
 * kernels read up to three plain channels. */
enum { MAX_PLAIN_CHANNELS = 3 };

int32_t vane_cpu_layout(const cpu_device *device, int64_t c) {
  (void)device;
  return c <= MAX_PLAIN_CHANNELS ? CPU_PLAIN : CPU_BLOCKED;
}

int64_t vane_cpu_stored_channels(const cpu_device *device, int64_t c) {
  if (vane_cpu_layout(device, c) == CPU_PLAIN)
    return c;
  return (c + device->block - 1) / device->block * device->block;
}

cpu_planes vane_cpu_planes(const cpu_device *device, const vane_tensor *tensor) {
  int64_t lanes = tensor->layout == CPU_PLAIN ? 1 : device->block;
  int64_t stored = vane_cpu_stored_channels(device, tensor->c);
  return (cpu_planes){.n_images = tensor->n,
                      .n_blocks = stored / lanes,
                      .n_pixels = tensor->h * tensor->w,
                      .lanes = lanes,
                      .n_channels = tensor->c,
                      .count = tensor->n * stored * tensor->h * tensor->w};
}
