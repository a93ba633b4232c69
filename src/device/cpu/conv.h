/* A convolution's plan on the CPU, shared by cpu_conv.c (the slots of the table), cpu_conv_choose.c
 * (which picks the algorithms), cpu_conv_path.c (one direction with one algorithm) and
 * cpu_conv_weights.c (the order in which weights are stored). */
#ifndef VANE_DEVICE_CPU_CONV_H
#define VANE_DEVICE_CPU_CONV_H

#include "device/cpu/cpu.h"

typedef struct cpu_path {
  cpu_primitive *primitive; /* NULL: this direction never runs */
  bool winograd;
  bool residual_after; /* the primitive cannot add it: a pass of our own does, with the ReLU */
} cpu_path;

typedef struct cpu_conv_plan {
  vane_conv_plan base;
  int64_t c_in, c_out; /* as stored */
  cpu_path paths[CPU_N_DIRECTIONS];
} cpu_conv_plan;

static inline bool vane_cpu_conv_needs(const vane_conv_desc *desc, cpu_direction direction) {
  if (direction == CPU_BACKWARD_DATA)
    return desc->training && desc->data_gradient;
  return direction == CPU_FORWARD || desc->training;
}

/* conv.put_weights and conv.get_weights of the table, and oneDNN's name for the order. */
vane_status vane_cpu_conv_put_weights(vane_device *device, const vane_conv_plan *plan,
                                      void *weights, const float *from_host);
vane_status vane_cpu_conv_get_weights(vane_device *device, const vane_conv_plan *plan,
                                      float *to_host, const void *weights);
dnnl_format_tag_t vane_cpu_conv_weights_tag(const cpu_device *device, const cpu_conv_plan *plan);

/* Floats of x and of y, as stored. */
size_t vane_cpu_conv_x_count(const cpu_conv_plan *plan);
size_t vane_cpu_conv_y_count(const cpu_conv_plan *plan);

/* Prepares one direction with one algorithm; path->primitive is NULL where oneDNN lacks it. */
VANE_CHECKED
vane_status vane_cpu_conv_prepare(const cpu_device *device, const cpu_conv_plan *plan,
                                  cpu_direction direction, bool winograd, cpu_path *path);

/* Scratch of one direction. */
size_t vane_cpu_conv_workspace_bytes(const cpu_conv_plan *plan, const cpu_path *path);

/* Runs one direction. `x`, `y`, `residual` are activations of the plan's shape or their gradients;
 * weights and bias are read or, backward, written. */
typedef struct cpu_conv_buffers {
  const float *x, *y, *residual, *weights, *bias;
} cpu_conv_buffers;
VANE_CHECKED
vane_status vane_cpu_conv_run(const cpu_device *device, const cpu_conv_plan *plan,
                              cpu_direction direction, const cpu_path *path,
                              const cpu_conv_buffers *buffers, void *workspace);

/* Fills plan->paths and base.choice, following `choice` where it is not NULL. */
VANE_CHECKED
vane_status vane_cpu_conv_choose(cpu_device *device, cpu_conv_plan *plan, const char *choice);
void vane_cpu_conv_forget(cpu_device *device); /* frees the measurements */

#endif
