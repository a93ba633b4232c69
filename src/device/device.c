#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "device/block.h"
#include "device/graph.h"
#include "device/ref/ref.h"

vane_device_options vane_device_options_from_config(const vane_config *config) {
  return (vane_device_options){.kind = config->device_kind,
                               .convolution = config->device_convolution,
                               .precision = config->device_precision,
                               .deterministic = config->device_deterministic,
                               .benchmark = config->device_benchmark,
                               .graphs = config->device_graphs,
                               .threads = config->device_threads};
}

static vane_status open_best(const vane_device_options *options, vane_device **device) {
  vane_status status = vane_cuda_open(options, device);
  return status == VANE_ERR_UNSUPPORTED ? vane_cpu_open(options, device) : status;
}

vane_status vane_device_open(const vane_device_options *options, vane_device **device) {
  *device = NULL;
  switch (options->kind) {
  case VANE_DEVICE_AUTO:
    return open_best(options, device);
  case VANE_DEVICE_CPU:
    return vane_cpu_open(options, device);
  case VANE_DEVICE_REF:
    return vane_ref_open(false, device);
  case VANE_DEVICE_CUDA:
    return vane_cuda_open(options, device);
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
  vane_block_fill(&(*device)->block);
  vane_graph_fill(&(*device)->graph);
  snprintf((*device)->description, sizeof(*device)->description,
           "plain loops on one thread, %s, sums in double", double_precision ? "double" : "float");
  if (double_precision)
    fill_double(*device);
  else
    fill_float(*device);
  return VANE_OK;
}
