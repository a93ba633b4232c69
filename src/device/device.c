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

/* Only a GPU has numbers narrower than fp32. */
static vane_status check_fp32(const vane_device_options *options, const char *name) {
  if (options->precision == VANE_PRECISION_FP32)
    return VANE_OK;
  return vane_fail(
      VANE_ERR_UNSUPPORTED,
      "device.precision: the %s device computes in fp32 only; tf32 and bf16 need a GPU", name);
}

static vane_status open_cpu(const vane_device_options *options, vane_device **device) {
  VANE_TRY(check_fp32(options, "cpu"));
  return vane_cpu_open(options, device);
}

static vane_status open_ref(const vane_device_options *options, vane_device **device) {
  VANE_TRY(check_fp32(options, "ref"));
  return vane_ref_open(false, device);
}

static vane_status open_best(const vane_device_options *options, vane_device **device) {
  vane_status status = vane_cuda_open(options, device);
  return status == VANE_ERR_UNSUPPORTED ? open_cpu(options, device) : status;
}

vane_status vane_device_open(const vane_device_options *options, vane_device **device) {
  *device = NULL;
  switch (options->kind) {
  case VANE_DEVICE_AUTO:
    return open_best(options, device);
  case VANE_DEVICE_CPU:
    return open_cpu(options, device);
  case VANE_DEVICE_REF:
    return open_ref(options, device);
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
