/* Memory, and activations from and to the host. Uploads and downloads are in staging.c. */
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda_shadow.h"
#include "device/cuda/staging.h"

#define MIB(bytes) ((double)(bytes) / (1 << 20))

static vane_status cuda_available(vane_device *base, size_t *bytes) {
  (void)base;
  size_t all_bytes = 0;
  CUDA_TRY(cudaMemGetInfo(bytes, &all_bytes));
  return VANE_OK;
}

static vane_status cuda_create(vane_device *base, size_t bytes, void **memory) {
  size_t wanted = bytes ? bytes : 1, free_bytes = 0;
  *memory = NULL;
  cudaError_t code = cudaMalloc(memory, wanted);
  if (code == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError(); /* it would come back at the next launch */
    VANE_TRY(cuda_available(base, &free_bytes));
    return vane_fail_foreign(VANE_ERR_MEMORY, code, cudaGetErrorString(code),
                             "cudaMalloc failed: %.1f MiB asked for, %.1f MiB of the GPU's memory "
                             "are free; lower train.batch or raise train.accumulate",
                             MIB(wanted), MIB(free_bytes));
  }
  if (code != cudaSuccess)
    return vane_cuda_failed(code, "cudaMalloc", __FILE__, __LINE__);
  code = cudaMemsetAsync(*memory, 0, wanted, vane_cuda_of(base)->compute);
  if (code != cudaSuccess) {
    cudaFree(*memory);
    *memory = NULL;
    return vane_cuda_failed(code, "cudaMemsetAsync", __FILE__, __LINE__);
  }
  return VANE_OK;
}

static void cuda_destroy(vane_device *base, void *memory) {
  (void)base;
  if (memory)
    cudaFree(memory);
}

static vane_status cuda_clear(vane_device *base, void *memory, size_t bytes) {
  if (bytes > 0)
    CUDA_TRY(cudaMemsetAsync(memory, 0, bytes, vane_cuda_of(base)->compute));
  return vane_cuda_shadow_follow(base, memory, bytes);
}

static vane_status cuda_upload(vane_device *base, void *to, const void *from_host, size_t bytes) {
  VANE_TRY(vane_cuda_upload(base, to, from_host, bytes));
  return vane_cuda_shadow_follow(base, to, bytes);
}

static vane_status cuda_copy(vane_device *base, void *to, const void *from, size_t bytes) {
  if (bytes > 0)
    CUDA_TRY(
        cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, vane_cuda_of(base)->compute));
  return vane_cuda_shadow_follow(base, to, bytes);
}

/* To or from pageable memory, and wait. */
static vane_status copy_blocking(vane_device *base, void *to, const void *from, size_t bytes,
                                 enum cudaMemcpyKind kind) {
  cudaStream_t stream = vane_cuda_of(base)->compute;
  if (bytes == 0)
    return VANE_OK;
  CUDA_TRY(cudaMemcpyAsync(to, from, bytes, kind, stream));
  CUDA_TRY(cudaStreamSynchronize(stream));
  return VANE_OK;
}

static vane_status cuda_put(vane_device *base, void *reals, const float *from_host, int64_t count) {
  const size_t bytes = (size_t)count * sizeof(float);
  VANE_TRY(copy_blocking(base, reals, from_host, bytes, cudaMemcpyHostToDevice));
  return vane_cuda_shadow_follow(base, reals, bytes);
}

static vane_status cuda_get(vane_device *base, float *to_host, const void *reals, int64_t count) {
  return copy_blocking(base, to_host, reals, (size_t)count * sizeof(float), cudaMemcpyDeviceToHost);
}

static vane_status cuda_describe(vane_device *base, int64_t n, int64_t h, int64_t w, int64_t c,
                                 vane_tensor *tensor, size_t *bytes) {
  *tensor = (vane_tensor){.n = n, .h = h, .w = w, .c = c};
  *bytes = (size_t)vane_cuda_count(tensor) * vane_cuda_number_bytes(vane_cuda_of(base));
  return VANE_OK;
}

/* A float is rounded to the nearest number of 16 bits, ties to even; a NaN stays one. */
static uint16_t bf16_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float float_of(uint16_t bf16) {
  uint32_t bits = (uint32_t)bf16 << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static vane_status make_narrow(int64_t count, uint16_t **narrow) {
  *narrow = malloc((size_t)count * sizeof **narrow + 1);
  if (!*narrow)
    return vane_fail(VANE_ERR_MEMORY, "no memory to convert %lld activations", (long long)count);
  return VANE_OK;
}

static vane_status cuda_put_tensor(vane_device *base, const vane_tensor *tensor,
                                   const float *from_host) {
  int64_t count = vane_cuda_count(tensor);
  if (vane_cuda_number(vane_cuda_of(base)) == VANE_NUMBER_FP32)
    return cuda_put(base, tensor->data, from_host, count);
  uint16_t *narrow;
  VANE_TRY(make_narrow(count, &narrow));
  for (int64_t i = 0; i < count; i++)
    narrow[i] = bf16_of(from_host[i]);
  vane_status status = copy_blocking(base, tensor->data, narrow, (size_t)count * sizeof *narrow,
                                     cudaMemcpyHostToDevice);
  free(narrow);
  return status;
}

static vane_status cuda_get_tensor(vane_device *base, float *to_host, const vane_tensor *tensor) {
  int64_t count = vane_cuda_count(tensor);
  if (vane_cuda_number(vane_cuda_of(base)) == VANE_NUMBER_FP32)
    return cuda_get(base, to_host, tensor->data, count);
  uint16_t *narrow;
  VANE_TRY(make_narrow(count, &narrow));
  vane_status status = copy_blocking(base, narrow, tensor->data, (size_t)count * sizeof *narrow,
                                     cudaMemcpyDeviceToHost);
  for (int64_t i = 0; i < count && status == VANE_OK; i++)
    to_host[i] = float_of(narrow[i]);
  free(narrow);
  return status;
}

static void cuda_bind_workspace(vane_device *base, void *workspace, size_t bytes) {
  cuda_device *device = vane_cuda_of(base);
  device->workspace = workspace;
  device->workspace_bytes = bytes;
}

void vane_cuda_fill_memory(vane_memory_ops *ops) {
  *ops = (vane_memory_ops){
      .create = cuda_create,
      .destroy = cuda_destroy,
      .available = cuda_available,
      .upload = cuda_upload,
      .download = vane_cuda_download,
      .clear = cuda_clear,
      .copy = cuda_copy,
      .synchronize = vane_cuda_synchronize,
      .put = cuda_put,
      .get = cuda_get,
      .describe = cuda_describe,
      .put_tensor = cuda_put_tensor,
      .get_tensor = cuda_get_tensor,
      .bind_workspace = cuda_bind_workspace,
  };
}
