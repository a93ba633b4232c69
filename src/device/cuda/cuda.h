/* The CUDA backend's own header: its device, its errors, and who fills which sub-table.
 *
 * Layout. Activations are dense [N, H, W, C]; convolution weights [c_out, kernel, kernel, c_in], as
 * cuDNN's tensor cores want them.
 *
 * Streams. All work runs in the order of the calls on `compute`. Uploads cross to the GPU on `copy`
 * through pinned staging (cuda_memory.c), so that they hide behind the step before.
 */
#ifndef VANE_DEVICE_CUDA_CUDA_H
#define VANE_DEVICE_CUDA_CUDA_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "base/error.h"
#include "device/device.h"
#include "kernels/kernels.h"

typedef struct cuda_staging cuda_staging; /* cuda_staging.c */

typedef struct cuda_device {
  vane_device base;
  int precision; /* VANE_PRECISION_* */
  bool deterministic, benchmark, graphs;
  int convolution; /* VANE_CONVOLUTION_* */
  cudaStream_t compute, copy;
  cudnnHandle_t cudnn;
  cublasLtHandle_t cublas;
  cuda_staging *staging;
  struct cuda_conv_memory *conv_memory; /* cuda_conv_choose.c */
  struct cuda_block *bound;             /* cuda_shadow.c: blocks with a shadow, borrowed */
  vane_scratch scratch;                 /* owned */
  void *workspace; /* borrowed: scratch of one operation, as large as the largest plan asked */
  size_t workspace_bytes;
} cuda_device;

static inline cuda_device *vane_cuda_of(vane_device *device) {
  return (cuda_device *)device;
}

/* What activations are made of on this device. */
static inline vane_number vane_cuda_number(const cuda_device *device) {
  return device->precision == VANE_PRECISION_BF16 ? VANE_NUMBER_BF16 : VANE_NUMBER_FP32;
}

static inline size_t vane_cuda_number_bytes(const cuda_device *device) {
  return vane_cuda_number(device) == VANE_NUMBER_BF16 ? 2 : sizeof(float);
}

static inline int64_t vane_cuda_count(const vane_tensor *tensor) {
  return tensor->n * tensor->h * tensor->w * tensor->c;
}

/* Return from the calling function when a call of the library failed, with an error that names the
 * call. A launcher of kernels/kernels.h is a call of CUDA's. */
#define CUDA_TRY(call)                                                                             \
  do {                                                                                             \
    cudaError_t cuda_try_code_ = (call);                                                           \
    if (cuda_try_code_ != cudaSuccess)                                                             \
      return vane_cuda_failed(cuda_try_code_, #call, __FILE__, __LINE__);                          \
  } while (0)
#define CUDNN_TRY(call)                                                                            \
  do {                                                                                             \
    cudnnStatus_t cudnn_try_code_ = (call);                                                        \
    if (cudnn_try_code_ != CUDNN_STATUS_SUCCESS)                                                   \
      return vane_cudnn_failed(cudnn_try_code_, #call, __FILE__, __LINE__);                        \
  } while (0)
#define CUBLAS_TRY(call)                                                                           \
  do {                                                                                             \
    cublasStatus_t cublas_try_code_ = (call);                                                      \
    if (cublas_try_code_ != CUBLAS_STATUS_SUCCESS)                                                 \
      return vane_cublas_failed(cublas_try_code_, #call, __FILE__, __LINE__);                      \
  } while (0)

/* Record the failure of `call` (its source text, of which the function's name is shown). */
vane_status vane_cuda_failed(cudaError_t code, const char *call, const char *file, int line);
vane_status vane_cudnn_failed(cudnnStatus_t code, const char *call, const char *file, int line);
vane_status vane_cublas_failed(cublasStatus_t code, const char *call, const char *file, int line);

/* Each names the file that holds the sub-table: cuda_memory.c, cuda_conv.c, ... */
void vane_cuda_fill_memory(vane_memory_ops *ops);
void vane_cuda_fill_block(vane_block_ops *ops);
void vane_cuda_fill_graph(vane_graph_ops *ops);
void vane_cuda_fill_conv(vane_conv_ops *ops);
void vane_cuda_fill_norm(vane_norm_ops *ops);
void vane_cuda_fill_pool(vane_pool_ops *ops);
void vane_cuda_fill_dense(vane_dense_ops *ops);
void vane_cuda_fill_elementwise(vane_elementwise_ops *ops);
void vane_cuda_fill_loss(vane_loss_ops *ops);
void vane_cuda_fill_reduce(vane_reduce_ops *ops);
void vane_cuda_fill_optim(vane_optim_ops *ops);

void vane_cuda_conv_forget(cuda_device *device); /* cuda_conv_choose.c: frees conv_memory */

/* What the module exports: opens the first GPU. */
VANE_MODULE_API
VANE_CHECKED
vane_status vane_cuda_device_open(const vane_device_options *options, vane_device **device);

#endif
