/* Memory and the layout of activations. Everything happens at once: there is nothing to wait for.
 */
#define _DEFAULT_SOURCE /* madvise is no part of POSIX */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/error.h"
#include "device/cpu/cpu.h"

/* What a block of parameters or activations is read through: with pages of 4 KiB the processor
 * looks up addresses all the time, and Adam is a tenth slower. Only a request, which a system may
 * turn down. */
#define HUGE_PAGE ((size_t)2 << 20)

static vane_status cpu_create(vane_device *base, size_t bytes, void **memory) {
  (void)base;
  *memory = NULL;
  if (bytes < SIZE_MAX - HUGE_PAGE) {
    size_t alignment = bytes < HUGE_PAGE ? VANE_ARENA_ALIGNMENT : HUGE_PAGE;
    size_t rounded = (bytes / alignment + 1) * alignment;
    *memory = aligned_alloc(alignment, rounded);
    if (*memory != NULL && alignment == HUGE_PAGE)
      madvise(*memory, rounded, MADV_HUGEPAGE);
    if (*memory != NULL)
      memset(*memory, 0, rounded);
  }
  if (*memory == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no %zu bytes of memory; lower train.batch", bytes);
  return VANE_OK;
}

static void cpu_destroy(vane_device *base, void *memory) {
  (void)base;
  free(memory);
}

/* An operating system promises more than it has. */
static vane_status cpu_available(vane_device *base, size_t *bytes) {
  (void)base;
  *bytes = SIZE_MAX;
  return VANE_OK;
}

static vane_status cpu_copy(vane_device *base, void *to, const void *from, size_t bytes) {
  (void)base;
  if (bytes > 0)
    memcpy(to, from, bytes);
  return VANE_OK;
}

static vane_status cpu_clear(vane_device *base, void *memory, size_t bytes) {
  (void)base;
  if (bytes > 0)
    memset(memory, 0, bytes);
  return VANE_OK;
}

static vane_status cpu_synchronize(vane_device *base) {
  (void)base;
  return VANE_OK;
}

static vane_status cpu_put(vane_device *base, void *reals, const float *from_host, int64_t count) {
  return cpu_copy(base, reals, from_host, (size_t)count * sizeof(float));
}

static vane_status cpu_get(vane_device *base, float *to_host, const void *reals, int64_t count) {
  return cpu_copy(base, to_host, reals, (size_t)count * sizeof(float));
}

static vane_status cpu_describe(vane_device *base, int64_t n, int64_t h, int64_t w, int64_t c,
                                vane_tensor *tensor, size_t *bytes) {
  const cpu_device *device = (const cpu_device *)base;
  *tensor = (vane_tensor){.n = n, .h = h, .w = w, .c = c, .layout = vane_cpu_layout(device, c)};
  *bytes = (size_t)(n * h * w * vane_cpu_stored_channels(device, c)) * sizeof(float);
  return VANE_OK;
}

static vane_status cpu_put_tensor(vane_device *base, const vane_tensor *tensor,
                                  const float *from_host) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, tensor);
  float *to = tensor->data;
  memset(to, 0, (size_t)planes.count * sizeof(float));
  for (int64_t image = 0; image < tensor->n; image++)
    for (int64_t pixel = 0; pixel < planes.n_pixels; pixel++)
      for (int64_t c = 0; c < tensor->c; c++)
        to[vane_cpu_index(&planes, image, pixel, c)] =
            from_host[(image * planes.n_pixels + pixel) * tensor->c + c];
  return VANE_OK;
}

static vane_status cpu_get_tensor(vane_device *base, float *to_host, const vane_tensor *tensor) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_planes planes = vane_cpu_planes(device, tensor);
  const float *from = tensor->data;
  for (int64_t image = 0; image < tensor->n; image++)
    for (int64_t pixel = 0; pixel < planes.n_pixels; pixel++)
      for (int64_t c = 0; c < tensor->c; c++)
        to_host[(image * planes.n_pixels + pixel) * tensor->c + c] =
            from[vane_cpu_index(&planes, image, pixel, c)];
  return VANE_OK;
}

static void cpu_bind_workspace(vane_device *base, void *workspace, size_t bytes) {
  cpu_device *device = (cpu_device *)base;
  device->workspace = workspace;
  device->workspace_bytes = bytes;
}

void vane_cpu_fill_memory(vane_memory_ops *ops) {
  ops->create = cpu_create;
  ops->destroy = cpu_destroy;
  ops->available = cpu_available;
  ops->upload = cpu_copy;
  ops->download = cpu_copy;
  ops->clear = cpu_clear;
  ops->copy = cpu_copy;
  ops->synchronize = cpu_synchronize;
  ops->put = cpu_put;
  ops->get = cpu_get;
  ops->describe = cpu_describe;
  ops->put_tensor = cpu_put_tensor;
  ops->get_tensor = cpu_get_tensor;
  ops->bind_workspace = cpu_bind_workspace;
}
