#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "device/ref/ref.h"

vane_status vane_device_open(const vane_device_options *options, vane_device **device) {
  *device = NULL;
  switch (options->kind) {
  case VANE_DEVICE_AUTO: /* without a GPU backend in the build, the CPU is what there is */
  case VANE_DEVICE_CPU:
    return vane_cpu_open(options, device);
  case VANE_DEVICE_REF:
    return vane_ref_open(false, device);
  case VANE_DEVICE_CUDA:
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "device.kind: this build of vane has no cuda device; choose cpu or auto");
  default:
    return vane_fail(VANE_ERR_ARGUMENT, "device.kind: %d is no kind of device", options->kind);
  }
}

void vane_device_close(vane_device *device) {
  if (device)
    device->close(device);
}

static void fill_float(vane_device *device) {
  vane_ref_fill_memory_float(&device->memory);
  vane_ref_fill_conv_float(&device->conv);
  vane_ref_fill_norm_float(&device->norm);
  vane_ref_fill_pool_float(&device->pool);
  vane_ref_fill_dense_float(&device->dense);
  vane_ref_fill_elementwise_float(&device->elementwise);
  vane_ref_fill_loss_float(&device->loss);
  vane_ref_fill_reduce_float(&device->reduce);
  vane_ref_fill_optim_float(&device->optim);
}

static void fill_double(vane_device *device) {
  vane_ref_fill_memory_double(&device->memory);
  vane_ref_fill_conv_double(&device->conv);
  vane_ref_fill_norm_double(&device->norm);
  vane_ref_fill_pool_double(&device->pool);
  vane_ref_fill_dense_double(&device->dense);
  vane_ref_fill_elementwise_double(&device->elementwise);
  vane_ref_fill_loss_double(&device->loss);
  vane_ref_fill_reduce_double(&device->reduce);
  vane_ref_fill_optim_double(&device->optim);
}

static void close_ref(vane_device *device) {
  free(device);
}

vane_status vane_ref_open(bool double_precision, vane_device **device) {
  *device = calloc(1, sizeof **device);
  if (!*device)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the ref device");
  (*device)->name = "ref";
  (*device)->real_bytes = double_precision ? sizeof(double) : sizeof(float);
  (*device)->close = close_ref;
  snprintf((*device)->description, sizeof(*device)->description,
           "plain loops on one thread, %s, sums in double", double_precision ? "double" : "float");
  if (double_precision)
    fill_double(*device);
  else
    fill_float(*device);
  return VANE_OK;
}
