#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "device/block.h"
#include "device/cpu/conv.h"
#include "device/graph.h"
#include "device/ref/ref.h"

static void cpu_close(vane_device *base) {
  cpu_device *device = (cpu_device *)base;
  vane_cpu_conv_forget(device);
  vane_cpu_onednn_close(&device->onednn);
  free(device->partials);
  free(device);
}

static vane_status cpu_open(const vane_device_options *options, cpu_device *device) {
  device->n_threads = options->threads > 0 ? (int)options->threads : omp_get_num_procs();
  device->convolution = options->convolution;
  device->block = vane_cpu_onednn_avx512() ? 16 : 8;
  device->partials =
      calloc((size_t)device->n_threads, CPU_PARTIALS_PER_THREAD * sizeof *device->partials);
  if (device->partials == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the CPU device of %d threads",
                     device->n_threads);
  VANE_TRY(vane_cpu_onednn_open(&device->onednn, device->n_threads));
  const dnnl_version_t *version = dnnl_version();
  snprintf(device->base.description, sizeof device->base.description,
           "oneDNN %d.%d.%d, %s, %d thread%s", version->major, version->minor, version->patch,
           device->block == 16 ? "AVX-512" : "without AVX-512", device->n_threads,
           device->n_threads == 1 ? "" : "s");
  return VANE_OK;
}

vane_status vane_cpu_open(const vane_device_options *options, vane_device **opened) {
  cpu_device *device = calloc(1, sizeof *device);
  *opened = NULL;
  if (device == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the CPU device");
  device->base.name = "cpu";
  device->base.real_bytes = sizeof(float);
  device->base.close = cpu_close;
  vane_cpu_fill_memory(&device->base.memory);
  vane_block_fill(&device->base.block);
  vane_graph_fill(&device->base.graph);
  vane_cpu_fill_conv(&device->base.conv);
  vane_cpu_fill_norm(&device->base.norm);
  vane_cpu_fill_pool(&device->base.pool);
  vane_cpu_fill_dense(&device->base.dense);
  vane_cpu_fill_elementwise(&device->base.elementwise);
  vane_ref_fill_loss_float(&device->base.loss);
  vane_cpu_fill_reduce(&device->base.reduce);
  vane_cpu_fill_optim(&device->base.optim);
  vane_status status = cpu_open(options, device);
  if (status != VANE_OK) {
    cpu_close(&device->base);
    return status;
  }
  *opened = &device->base;
  return VANE_OK;
}
