/* CUDA's, cuDNN's and cuBLAS's failures in vane's words. */
#include <string.h>

#include "device/cuda/cuda.h"

/* How much of the source text `call` is the function's name. */
static int name_length(const char *call) {
  return (int)strcspn(call, "(");
}

vane_status vane_cuda_failed(cudaError_t code, const char *call, const char *file, int line) {
  const vane_status status = code == cudaErrorMemoryAllocation ? VANE_ERR_MEMORY : VANE_ERR_DEVICE;
  return vane_error_record(status, file, line, code, cudaGetErrorString(code), "%.*s failed: %s",
                           name_length(call), call, cudaGetErrorString(code));
}

vane_status vane_cudnn_failed(cudnnStatus_t code, const char *call, const char *file, int line) {
  char reason[200] = "";
  cudnnGetLastErrorString(reason, sizeof reason);
  return vane_error_record(VANE_ERR_DEVICE, file, line, code, reason, "%.*s failed: %s",
                           name_length(call), call, cudnnGetErrorString(code));
}

vane_status vane_cublas_failed(cublasStatus_t code, const char *call, const char *file, int line) {
  return vane_error_record(VANE_ERR_DEVICE, file, line, code, cublasLtGetStatusString(code),
                           "%.*s failed: %s", name_length(call), call,
                           cublasLtGetStatusString(code));
}
