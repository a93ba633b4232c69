// What there is to know about the simulated GPU, its driver and its errors.
#include "simgpu/inside.h"

#include <cstdio>
#include <cstring>

namespace simgpu {

static cudaError_t no_device() {
  return settings.n_devices ? cudaSuccess : cudaErrorNoDevice;
}

struct error_text {
  cudaError_t code;
  const char *name, *text;
};
#define ERROR(code, text)                                                                          \
  { code, #code, text }
static const error_text error_texts[] = {
    ERROR(cudaSuccess, "no error"),
    ERROR(cudaErrorInvalidValue, "invalid argument"),
    ERROR(cudaErrorMemoryAllocation, "out of memory"),
    ERROR(cudaErrorInitializationError, "initialization error"),
    ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR(cudaErrorInsufficientDriver,
          "CUDA driver version is insufficient for CUDA runtime version"),
    ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    ERROR(cudaErrorNotReady, "device not ready"),
    ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR(cudaErrorNotSupported, "operation not supported"),
    ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR(cudaErrorStreamCaptureInvalidated,
          "operation failed due to a previous error during capture"),
    ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate captures"),
    ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    ERROR(cudaErrorStreamCaptureIsolation,
          "dependency created on uncaptured work in another stream"),
    ERROR(cudaErrorStreamCaptureImplicit,
          "operation would make the legacy stream depend on a capturing blocking stream"),
    ERROR(cudaErrorCapturedEvent,
          "operation not permitted on an event last recorded in a capturing stream"),
    ERROR(cudaErrorStreamCaptureWrongThread,
          "attempt to terminate a thread-local capture sequence from another thread"),
    ERROR(cudaErrorUnknown, "unknown error"),
};

} // namespace simgpu

using namespace simgpu;

extern "C" {

const char *cudaGetErrorName(cudaError_t code) {
  for (const error_text &e : error_texts)
    if (e.code == code)
      return e.name;
  return "cudaErrorThatNobodyNamed";
}

const char *cudaGetErrorString(cudaError_t code) {
  for (const error_text &e : error_texts)
    if (e.code == code)
      return e.text;
  return "unrecognized error code";
}

cudaError_t cudaGetDeviceCount(int *n) {
  SIMGPU_CALL;
  if (!n)
    return remember(cudaErrorInvalidValue);
  *n = settings.n_devices;
  return remember(no_device());
}

cudaError_t cudaGetDevice(int *device) {
  SIMGPU_CALL;
  if (!device)
    return remember(cudaErrorInvalidValue);
  *device = 0;
  return remember(no_device());
}

cudaError_t cudaSetDevice(int device) {
  SIMGPU_CALL;
  if (const cudaError_t code = no_device())
    return remember(code);
  return remember(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
  SIMGPU_CALL;
  if (const cudaError_t code = no_device())
    return remember(code);
  if (!p)
    return remember(cudaErrorInvalidValue);
  if (device)
    return remember(cudaErrorInvalidDevice);
  memset(p, 0, sizeof *p);
  snprintf(p->name, sizeof p->name, "simulated GPU");
  p->totalGlobalMem = settings.device_bytes;
  p->sharedMemPerBlock = 48 << 10;
  p->regsPerBlock = 64 << 10;
  p->warpSize = 32;
  p->memPitch = 0x7fffffff;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7fffffff;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 64 << 10;
  p->major = settings.major;
  p->minor = settings.minor;
  p->textureAlignment = 512;
  p->multiProcessorCount = settings.multiprocessors;
  p->concurrentKernels = 1;
  p->asyncEngineCount = 2;
  p->unifiedAddressing = 1;
  p->memoryBusWidth = 256;
  p->l2CacheSize = 4 << 20;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  p->sharedMemPerMultiprocessor = 100 << 10;
  p->regsPerMultiprocessor = 64 << 10;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
  SIMGPU_CALL;
  if (const cudaError_t code = no_device())
    return remember(code);
  if (!value)
    return remember(cudaErrorInvalidValue);
  if (device)
    return remember(cudaErrorInvalidDevice);
  switch (attribute) {
  case cudaDevAttrMaxThreadsPerBlock:
    *value = 1024;
    break;
  case cudaDevAttrWarpSize:
    *value = 32;
    break;
  case cudaDevAttrMaxGridDimX:
    *value = 0x7fffffff;
    break;
  case cudaDevAttrMultiProcessorCount:
    *value = settings.multiprocessors;
    break;
  case cudaDevAttrComputeCapabilityMajor:
    *value = settings.major;
    break;
  case cudaDevAttrComputeCapabilityMinor:
    *value = settings.minor;
    break;
  case cudaDevAttrMaxSharedMemoryPerBlock:
    *value = 48 << 10;
    break;
  case cudaDevAttrMaxThreadsPerMultiProcessor:
    *value = 2048;
    break;
  case cudaDevAttrL2CacheSize:
    *value = 4 << 20;
    break;
  case cudaDevAttrClockRate:
    *value = 1000000; // kHz
    break;
  case cudaDevAttrMemoryClockRate:
    *value = 1000000; // kHz
    break;
  case cudaDevAttrGlobalMemoryBusWidth:
    *value = 256;
    break;
  case cudaDevAttrAsyncEngineCount:
    *value = 2;
    break;
  default:
    blame("cudaDeviceGetAttribute: the simulated GPU does not know attribute %d",
          static_cast<int>(attribute));
    return remember(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  SIMGPU_CALL;
  if (!version)
    return remember(cudaErrorInvalidValue);
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  SIMGPU_CALL;
  if (!version)
    return remember(cudaErrorInvalidValue);
  *version = CUDART_VERSION;
  return cudaSuccess;
}
}
