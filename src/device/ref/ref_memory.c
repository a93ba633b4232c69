/* Memory of the reference backend: the host's. Everything is done when a call returns. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/ref/real.h"
#include "device/ref/ref.h"

#define ALIGNMENT 256 /* bytes; what memory.create promises */

static vane_status ref_create(vane_device *device, size_t bytes, void **memory) {
  (void)device;
  size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (rounded == 0)
    rounded = ALIGNMENT;
  *memory = rounded < bytes ? NULL : aligned_alloc(ALIGNMENT, rounded);
  if (!*memory)
    return vane_fail(VANE_ERR_MEMORY, "no %zu bytes of memory left; use smaller batches", bytes);
  memset(*memory, 0, rounded);
  return VANE_OK;
}

static void ref_destroy(vane_device *device, void *memory) {
  (void)device;
  free(memory);
}

static vane_status ref_available(vane_device *device, size_t *bytes) {
  (void)device;
  *bytes = SIZE_MAX;
  return VANE_OK;
}

static vane_status ref_copy(vane_device *device, void *to, const void *from, size_t bytes) {
  (void)device;
  if (bytes > 0)
    memcpy(to, from, bytes);
  return VANE_OK;
}

static vane_status ref_clear(vane_device *device, void *memory, size_t bytes) {
  (void)device;
  if (bytes > 0)
    memset(memory, 0, bytes);
  return VANE_OK;
}

static vane_status ref_synchronize(vane_device *device) {
  (void)device;
  return VANE_OK;
}

static vane_status ref_put(vane_device *device, void *reals, const float *from_host,
                           int64_t count) {
  (void)device;
  real *to = reals;
  for (int64_t i = 0; i < count; ++i)
    to[i] = (real)from_host[i];
  return VANE_OK;
}

static vane_status ref_get(vane_device *device, float *to_host, const void *reals, int64_t count) {
  (void)device;
  const real *from = reals;
  for (int64_t i = 0; i < count; ++i)
    to_host[i] = (float)from[i];
  return VANE_OK;
}

static vane_status ref_describe(vane_device *device, int64_t n, int64_t h, int64_t w, int64_t c,
                                vane_tensor *tensor, size_t *bytes) {
  (void)device;
  *tensor = (vane_tensor){.n = n, .h = h, .w = w, .c = c};
  *bytes = (size_t)count_of(tensor) * sizeof(real);
  return VANE_OK;
}

static vane_status ref_put_tensor(vane_device *device, const vane_tensor *tensor,
                                  const float *from_host) {
  return ref_put(device, tensor->data, from_host, count_of(tensor));
}

static vane_status ref_get_tensor(vane_device *device, float *to_host, const vane_tensor *tensor) {
  return ref_get(device, to_host, tensor->data, count_of(tensor));
}

/* No reference plan asks for a workspace. */
static void ref_bind_workspace(vane_device *device, void *workspace, size_t bytes) {
  (void)device;
  (void)workspace;
  (void)bytes;
}

void REF_NAME(vane_ref_fill_memory)(vane_memory_ops *ops) {
  *ops = (vane_memory_ops){
      .create = ref_create,
      .destroy = ref_destroy,
      .available = ref_available,
      .upload = ref_copy,
      .download = ref_copy,
      .clear = ref_clear,
      .copy = ref_copy,
      .synchronize = ref_synchronize,
      .put = ref_put,
      .get = ref_get,
      .describe = ref_describe,
      .put_tensor = ref_put_tensor,
      .get_tensor = ref_get_tensor,
      .bind_workspace = ref_bind_workspace,
  };
}
