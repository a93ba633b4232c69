/* Convolutions (N1..N3) by oneDNN, on blocked activations.
 *
 * oneDNN sees whole blocks of channels only: activations and weights are stored with zeros in the
 * padding channels, so no primitive has to mind a tail. Only the bias is a plain [c_out] and goes
 * through the workspace where c_out is not a whole number of blocks.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
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

/* ---- The stored order of weights: [c_out/o, c_in/i, k, k, i, o], o output channels and i input
 * channels side by side. That is oneDNN's OIhw16i16o for blocked activations, Ohwi16o for the
 * layer that reads the image, and plain oihw where y is plain. ---- */

typedef struct weight_order {
  int64_t in_lanes, out_lanes;
  dnnl_format_tag_t tag;
} weight_order;

static weight_order order_of(const cpu_device *device, const cpu_conv_plan *plan) {
  const vane_conv_desc *desc = &plan->base.desc;
  bool wide = device->block == 16;
  if (vane_cpu_layout(device, desc->c_out) == CPU_PLAIN)
    return (weight_order){1, 1, dnnl_oihw};
  if (vane_cpu_layout(device, desc->c_in) == CPU_PLAIN)
    return (weight_order){plan->c_in, device->block, wide ? dnnl_Ohwi16o : dnnl_Ohwi8o};
  return (weight_order){device->block, device->block, wide ? dnnl_OIhw16i16o : dnnl_OIhw8i8o};
}

static int64_t weight_index(const cpu_conv_plan *plan, const weight_order *order, int64_t out,
                            int64_t in, int64_t tap) {
  int64_t taps = plan->base.desc.kernel * plan->base.desc.kernel;
  int64_t i = order->in_lanes, o = order->out_lanes;
  return ((((out / o) * (plan->c_in / i) + in / i) * taps + tap) * i + in % i) * o + out % o;
}

static vane_status cpu_put_weights(vane_device *base, const vane_conv_plan *plan_base,
                                   void *weights, const float *from_host) {
  const cpu_conv_plan *plan = (const cpu_conv_plan *)plan_base;
  const weight_order order = order_of((const cpu_device *)base, plan);
  const vane_conv_desc *desc = &plan_base->desc;
  int64_t taps = desc->kernel * desc->kernel;
  float *to = weights;
  memset(to, 0, (size_t)plan_base->weight_count * sizeof(float));
  for (int64_t out = 0; out < desc->c_out; out++)
    for (int64_t in = 0; in < desc->c_in; in++)
      for (int64_t tap = 0; tap < taps; tap++)
        to[weight_index(plan, &order, out, in, tap)] =
            from_host[(out * desc->c_in + in) * taps + tap];
  return VANE_OK;
}

static vane_status cpu_get_weights(vane_device *base, const vane_conv_plan *plan_base,
                                   float *to_host, const void *weights) {
  const cpu_conv_plan *plan = (const cpu_conv_plan *)plan_base;
  const weight_order order = order_of((const cpu_device *)base, plan);
  const vane_conv_desc *desc = &plan_base->desc;
  int64_t taps = desc->kernel * desc->kernel;
  const float *from = weights;
  for (int64_t out = 0; out < desc->c_out; out++)
    for (int64_t in = 0; in < desc->c_in; in++)
      for (int64_t tap = 0; tap < taps; tap++)
        to_host[(out * desc->c_in + in) * taps + tap] =
            from[weight_index(plan, &order, out, in, tap)];
  return VANE_OK;
}

/* ---- One direction with one algorithm ---- */

static cpu_array activation(const cpu_device *device, int64_t n, int64_t c, int64_t stored,
                            int64_t h, int64_t w) {
  dnnl_format_tag_t blocked = device->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
  bool plain = vane_cpu_layout(device, c) == CPU_PLAIN;
  return (cpu_array){4, {n, stored, h, w}, plain ? dnnl_nchw : blocked};
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
      .weights = {4, {plan->c_out, plan->c_in, d->kernel, d->kernel}, order_of(device, plan).tag},
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

/* ---- The slots ---- */

static void cpu_conv_destroy(vane_device *base, vane_conv_plan *plan_base) {
  cpu_conv_plan *plan = (cpu_conv_plan *)plan_base;
  (void)base;
  if (plan == NULL)
    return;
  for (int direction = 0; direction < CPU_N_DIRECTIONS; direction++)
    vane_cpu_primitive_destroy(plan->paths[direction].primitive);
  free(plan);
}

static vane_status check_shape(const vane_conv_desc *d) {
  if (d->n < 1 || d->h < 1 || d->w < 1 || d->c_in < 1 || d->c_out < 1 || d->kernel < 1 ||
      d->stride < 1 || d->padding < 0)
    return vane_fail(
        VANE_ERR_ARGUMENT,
        "convolution: sizes, kernel and stride must be positive, padding not negative");
  if (d->h + 2 * d->padding < d->kernel || d->w + 2 * d->padding < d->kernel)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "convolution: a kernel of %" PRId64 " does not fit into %" PRId64 " x %" PRId64
                     " with padding %" PRId64,
                     d->kernel, d->h, d->w, d->padding);
  return VANE_OK;
}

static vane_status fill_plan(cpu_device *device, const vane_conv_desc *desc, const char *choice,
                             cpu_conv_plan *plan) {
  plan->base.desc = *desc;
  plan->base.h_out = (desc->h + 2 * desc->padding - desc->kernel) / desc->stride + 1;
  plan->base.w_out = (desc->w + 2 * desc->padding - desc->kernel) / desc->stride + 1;
  plan->c_in = vane_cpu_stored_channels(device, desc->c_in);
  plan->c_out = vane_cpu_stored_channels(device, desc->c_out);
  plan->base.weight_count = plan->c_out * plan->c_in * desc->kernel * desc->kernel;
  VANE_TRY(vane_cpu_conv_choose(device, plan, choice));
  for (int direction = 0; direction < CPU_N_DIRECTIONS; direction++)
    if (plan->paths[direction].primitive != NULL) {
      size_t bytes = vane_cpu_conv_workspace_bytes(plan, &plan->paths[direction]);
      if (bytes > plan->base.workspace_bytes)
        plan->base.workspace_bytes = bytes;
    }
  return VANE_OK;
}

static vane_status cpu_conv_plan_make(vane_device *base, const vane_conv_desc *desc,
                                      const char *choice, vane_conv_plan **made) {
  *made = NULL;
  VANE_TRY(check_shape(desc));
  cpu_conv_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a convolution's plan");
  vane_status status = fill_plan((cpu_device *)base, desc, choice, plan);
  if (status != VANE_OK) {
    cpu_conv_destroy(base, &plan->base);
    return status;
  }
  *made = &plan->base;
  return VANE_OK;
}

static vane_status run(vane_device *base, const vane_conv_plan *plan_base, cpu_direction direction,
                       const cpu_conv_buffers *buffers) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_conv_plan *plan = (const cpu_conv_plan *)plan_base;
  return vane_cpu_conv_run(device, plan, direction, &plan->paths[direction], buffers,
                           device->workspace);
}

static vane_status cpu_conv_forward(vane_device *base, const vane_conv_plan *plan,
                                    const vane_tensor *x, const void *weights, const void *bias,
                                    const vane_tensor *residual, const vane_tensor *y) {
  const cpu_conv_buffers buffers = {.x = x->data,
                                    .y = y->data,
                                    .residual = residual != NULL ? residual->data : NULL,
                                    .weights = weights,
                                    .bias = bias};
  return run(base, plan, CPU_FORWARD, &buffers);
}

static vane_status cpu_conv_backward_data(vane_device *base, const vane_conv_plan *plan,
                                          const void *weights, const vane_tensor *dz,
                                          const vane_tensor *dx) {
  const cpu_conv_buffers buffers = {.x = dx->data, .y = dz->data, .weights = weights};
  return run(base, plan, CPU_BACKWARD_DATA, &buffers);
}

static vane_status cpu_conv_backward_weights(vane_device *base, const vane_conv_plan *plan,
                                             const vane_tensor *x, const vane_tensor *dz,
                                             void *dweights, void *dbias) {
  const cpu_conv_buffers buffers = {
      .x = x->data, .y = dz->data, .weights = dweights, .bias = dbias};
  return run(base, plan, CPU_BACKWARD_WEIGHTS, &buffers);
}

void vane_cpu_fill_conv(vane_conv_ops *ops) {
  *ops = (vane_conv_ops){
      .plan = cpu_conv_plan_make,
      .destroy = cpu_conv_destroy,
      .put_weights = cpu_put_weights,
      .get_weights = cpu_get_weights,
      .forward = cpu_conv_forward,
      .backward_data = cpu_conv_backward_data,
      .backward_weights = cpu_conv_backward_weights,
  };
}
