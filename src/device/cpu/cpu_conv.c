/* Convolutions (N1..N3) by oneDNN, on blocked activations.
 *
 * oneDNN sees whole blocks of channels only: activations and weights are stored with zeros in the
 * padding channels, so no primitive has to mind a tail. Only the bias is a plain [c_out] and goes
 * through the workspace where c_out is not a whole number of blocks.
 */
#include <stdlib.h>

#include "base/error.h"
#include "device/cpu/conv.h"
#include "device/shape.h"

static void cpu_conv_destroy(vane_device *base, vane_conv_plan *plan_base) {
  cpu_conv_plan *plan = (cpu_conv_plan *)plan_base;
  (void)base;
  if (plan == NULL)
    return;
  for (int direction = 0; direction < CPU_N_DIRECTIONS; direction++)
    vane_cpu_primitive_destroy(plan->paths[direction].primitive);
  free(plan);
}

static vane_status fill_plan(cpu_device *device, const vane_conv_desc *desc, const char *choice,
                             cpu_conv_plan *plan) {
  plan->base.desc = *desc;
  VANE_TRY(vane_conv_shape(&plan->base));
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
      .put_weights = vane_cpu_conv_put_weights,
      .get_weights = vane_cpu_conv_get_weights,
      .forward = cpu_conv_forward,
      .backward_data = cpu_conv_backward_data,
      .backward_weights = cpu_conv_backward_weights,
  };
}
