/* One direction of a convolution with one algorithm: prepared, sized, run. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "device/cpu/conv.h"

size_t vane_cpu_conv_x_count(const cpu_conv_plan *plan) {
  const vane_conv_desc *desc = &plan->base.desc;
  return (size_t)(desc->n * plan->c_in * desc->h * desc->w);
}

size_t vane_cpu_conv_y_count(const cpu_conv_plan *plan) {
  return (size_t)(plan->base.desc.n * plan->c_out * plan->base.h_out * plan->base.w_out);
}

static cpu_array activation(const cpu_device *device, int64_t n, int64_t c, int64_t stored,
                            int64_t h, int64_t w) {
  dnnl_format_tag_t blocked = device->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
  bool plain = vane_cpu_layout(device, c) == CPU_PLAIN;
  return (cpu_array){.n_dims = 4, .dims = {n, stored, h, w}, .tag = plain ? dnnl_nchw : blocked};
}

vane_status vane_cpu_conv_prepare(const cpu_device *device, const cpu_conv_plan *plan,
                                  cpu_direction direction, bool winograd, cpu_path *path) {
  const vane_conv_desc *d = &plan->base.desc;
  bool forward = direction == CPU_FORWARD;
  cpu_conv_spec spec = {
      .direction = direction,
      .winograd = winograd,
      .x = activation(device, d->n, d->c_in, plan->c_in, d->h, d->w),
      .y = activation(device, d->n, d->c_out, plan->c_out, plan->base.h_out, plan->base.w_out),
      .weights = {.n_dims = 4,
                  .dims = {plan->c_out, plan->c_in, d->kernel, d->kernel},
                  .tag = vane_cpu_conv_weights_tag(device, plan)},
      .stride = d->stride,
      .padding = d->padding,
      .bias = d->bias && direction != CPU_BACKWARD_DATA,
      .residual = forward && d->residual,
      .relu = forward && d->relu,
  };
  *path = (cpu_path){.winograd = winograd};
  VANE_TRY(vane_cpu_convolution_create(&device->onednn, &spec, &path->primitive));
  if (path->primitive == NULL && spec.residual) { /* Winograd's have no such post-operation */
    spec.residual = spec.relu = false;
    path->residual_after = true;
    VANE_TRY(vane_cpu_convolution_create(&device->onednn, &spec, &path->primitive));
  }
  return VANE_OK;
}

/* Bytes at the workspace's begin that hold the bias with its padding; 0 where it needs none. */
static size_t padded_bias_bytes(const cpu_conv_plan *plan) {
  const vane_conv_desc *desc = &plan->base.desc;
  return desc->bias && plan->c_out != desc->c_out
             ? (size_t)(plan->c_out + 15) / 16 * 16 * sizeof(float) /* keeps 64-byte alignment */
             : 0;
}

size_t vane_cpu_conv_workspace_bytes(const cpu_conv_plan *plan, const cpu_path *path) {
  return padded_bias_bytes(plan) + vane_cpu_primitive_workspace_bytes(path->primitive);
}

/* y = act(y + residual) */
static void add_residual(const cpu_device *device, const cpu_conv_plan *plan, float *y,
                         const float *residual) {
  int64_t count = (int64_t)vane_cpu_conv_y_count(plan);
  const float lowest = plan->base.desc.relu ? 0.0F : -INFINITY;
#pragma omp parallel for simd num_threads(device->n_threads) schedule(static)
  for (int64_t i = 0; i < count; i++) {
    float sum = y[i] + residual[i];
    y[i] = sum < lowest ? lowest : sum; /* a NaN stays one */
  }
}

vane_status vane_cpu_conv_run(const cpu_device *device, const cpu_conv_plan *plan,
                              cpu_direction direction, const cpu_path *path,
                              const cpu_conv_buffers *b, void *workspace) {
  size_t bias_bytes = padded_bias_bytes(plan), c_out = (size_t)plan->base.desc.c_out;
  float *padded = workspace;
  const float *bias = bias_bytes > 0 ? padded : b->bias;
  unsigned char *scratch = (unsigned char *)workspace + bias_bytes;
  if (direction == CPU_BACKWARD_DATA) {
    const void *buffers[] = {b->y, b->weights, b->x};
    return vane_cpu_primitive_run(&device->onednn, path->primitive, buffers, scratch);
  }
  if (direction == CPU_BACKWARD_WEIGHTS) {
    const void *buffers[] = {b->x, b->y, b->weights, bias};
    VANE_TRY(vane_cpu_primitive_run(&device->onednn, path->primitive, buffers, scratch));
    if (bias_bytes > 0)
      memcpy((float *)(uintptr_t)b->bias, padded, c_out * sizeof(float));
    return VANE_OK;
  }
  if (bias_bytes > 0) {
    memset(padded, 0, bias_bytes);
    memcpy(padded, b->bias, c_out * sizeof(float));
  }
  const void *buffers[5] = {b->x, b->weights, b->y};
  int n = 3;
  if (plan->base.desc.bias)
    buffers[n++] = bias;
  buffers[n] = b->residual;
  VANE_TRY(vane_cpu_primitive_run(&device->onednn, path->primitive, buffers, scratch));
  if (path->residual_after)
    add_residual(device, plan, (float *)(uintptr_t)b->y, b->residual);
  return VANE_OK;
}
