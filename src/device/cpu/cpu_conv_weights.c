/* The stored order of a convolution's weights: [c_out/o, c_in/i, k, k, i, o], o output channels and
 * i input channels side by side. That is oneDNN's OIhw16i16o for blocked activations, Ohwi16o for
 * the layer that reads the image, and plain oihw where y is plain. It depends on channels and
 * kernel alone, so that all plans of a layer share its weights. */
#include <string.h>

#include "device/cpu/conv.h"

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

vane_status vane_cpu_conv_put_weights(vane_device *base, const vane_conv_plan *plan_base,
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

vane_status vane_cpu_conv_get_weights(vane_device *base, const vane_conv_plan *plan_base,
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

dnnl_format_tag_t vane_cpu_conv_weights_tag(const cpu_device *device, const cpu_conv_plan *plan) {
  return order_of(device, plan).tag;
}
