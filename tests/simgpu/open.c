/* Where vane_core loads the module with the CUDA backend, a test that links this one has it. */
#include "device/cuda/cuda.h"

vane_status vane_cuda_open(const vane_device_options *options, vane_device **device) {
  return vane_cuda_device_open(options, device);
}
