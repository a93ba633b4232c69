/* Opens and closes the GPU: streams, library handles, staging, the scratch of reductions. */
#include <stdio.h>
#include <stdlib.h>

#include "device/cuda/cuda.h"
#include "device/cuda/staging.h"

static void close_streams(cuda_device *device) {
  if (device->copy)
    cudaStreamDestroy(device->copy);
  if (device->compute)
    cudaStreamDestroy(device->compute);
}

static void cuda_close(vane_device *base) {
  cuda_device *device = vane_cuda_of(base);
  if (device->compute)
    cudaStreamSynchronize(device->compute); /* nothing may still use what is freed now */
  vane_cuda_staging_destroy(device->staging);
  vane_cuda_conv_forget(device);
  if (device->cublas)
    cublasLtDestroy(device->cublas);
  if (device->cudnn)
    cudnnDestroy(device->cudnn);
  if (device->scratch.parts)
    cudaFree(device->scratch.parts);
  if (device->scratch.arrived)
    cudaFree(device->scratch.arrived);
  close_streams(device);
  free(device);
}

/* Whether there is a GPU at all; where not, one sentence that says why. */
static vane_status find_gpu(void) {
  int count = 0;
  cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && count > 0)
    return VANE_OK;
  (void)cudaGetLastError();
  const char *why = NULL;
  if (code == cudaErrorInsufficientDriver)
    why = "the NVIDIA driver is missing, or too old for this CUDA";
  else if (code == cudaErrorNoDevice || code == cudaSuccess)
    why = "the NVIDIA driver finds none";
  if (why)
    return vane_fail_foreign(VANE_ERR_UNSUPPORTED, code, cudaGetErrorString(code),
                             "no GPU can be used here: %s; choose --device cpu or auto", why);
  return vane_cuda_failed(code, "cudaGetDeviceCount", __FILE__, __LINE__);
}

/* device.precision, and of which compute capability a GPU must be for it: tensor cores take tf32
 * and bf16 from Ampere on. */
static const struct {
  const char *name;
  int major;
} precisions[] = {[VANE_PRECISION_FP32] = {"fp32", 0},
                  [VANE_PRECISION_TF32] = {"tf32", 8},
                  [VANE_PRECISION_BF16] = {"bf16", 8}};

static vane_status check_precision(const cuda_device *device, const struct cudaDeviceProp *gpu) {
  if (gpu->major >= precisions[device->precision].major)
    return VANE_OK;
  return vane_fail(VANE_ERR_UNSUPPORTED,
                   "device.precision: %s needs a GPU of compute capability %d.0, and %.100s has "
                   "%d.%d; choose fp32",
                   precisions[device->precision].name, precisions[device->precision].major,
                   gpu->name, gpu->major, gpu->minor);
}

/* Which GPU it is, and whether it does for what is asked. */
static vane_status look_at_gpu(cuda_device *device) {
  struct cudaDeviceProp gpu;
  int runtime = 0;
  CUDA_TRY(cudaGetDeviceProperties(&gpu, 0));
  VANE_TRY(check_precision(device, &gpu));
  CUDA_TRY(cudaRuntimeGetVersion(&runtime));
  const unsigned cudnn = (unsigned)cudnnGetVersion();
  snprintf(device->base.description, sizeof device->base.description,
           "%.100s, sm_%d%d, %.1f GiB, CUDA %d.%d, cuDNN %u.%u.%u, %s", gpu.name, gpu.major,
           gpu.minor, (double)gpu.totalGlobalMem / (1 << 30), runtime / 1000, runtime % 1000 / 10,
           cudnn / 10000, cudnn / 100 % 100, cudnn % 100, precisions[device->precision].name);
  return VANE_OK;
}

static vane_status open_gpu(cuda_device *device) {
  VANE_TRY(find_gpu());
  CUDA_TRY(cudaSetDevice(0));
  VANE_TRY(look_at_gpu(device));
  CUDA_TRY(cudaStreamCreateWithFlags(&device->compute, cudaStreamNonBlocking));
  CUDA_TRY(cudaStreamCreateWithFlags(&device->copy, cudaStreamNonBlocking));
  CUDNN_TRY(cudnnCreate(&device->cudnn));
  CUDNN_TRY(cudnnSetStream(device->cudnn, device->compute));
  CUBLAS_TRY(cublasLtCreate(&device->cublas));
  CUDA_TRY(cudaMalloc((void **)&device->scratch.parts, VANE_SCRATCH_PARTS * sizeof(double)));
  CUDA_TRY(cudaMalloc((void **)&device->scratch.arrived, sizeof(uint32_t)));
  CUDA_TRY(cudaMemsetAsync(device->scratch.arrived, 0, sizeof(uint32_t), device->compute));
  return vane_cuda_staging_create(&device->staging);
}

static void fill_table(vane_device *base) {
  base->name = "cuda";
  base->real_bytes = sizeof(float);
  base->asynchronous = true;
  base->close = cuda_close;
  vane_cuda_fill_memory(&base->memory);
  vane_cuda_fill_block(&base->block);
  vane_cuda_fill_graph(&base->graph);
  vane_cuda_fill_conv(&base->conv);
  vane_cuda_fill_norm(&base->norm);
  vane_cuda_fill_pool(&base->pool);
  vane_cuda_fill_dense(&base->dense);
  vane_cuda_fill_elementwise(&base->elementwise);
  vane_cuda_fill_loss(&base->loss);
  vane_cuda_fill_reduce(&base->reduce);
  vane_cuda_fill_optim(&base->optim);
}

vane_status vane_cuda_device_open(const vane_device_options *options, vane_device **opened) {
  *opened = NULL;
  cuda_device *device = calloc(1, sizeof *device);
  if (!device)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the CUDA device");
  device->precision = options->precision;
  device->deterministic = options->deterministic;
  device->benchmark = options->benchmark;
  device->graphs = options->graphs;
  device->convolution = options->convolution;
  fill_table(&device->base);
  vane_status status = open_gpu(device);
  if (status != VANE_OK) {
    cuda_close(&device->base);
    return status;
  }
  *opened = &device->base;
  return VANE_OK;
}
