/* Convolutions (N1..N3) by cuDNN. */
#include "device/cuda/cuda_conv.h"

#include <stdlib.h>

#include "device/cuda/cuda_shadow.h"
#include "device/shape.h"

#define ALIGNMENT 256 /* of the engine's part of the workspace */

static void cuda_conv_destroy(vane_device *base, vane_conv_plan *plan_base) {
  cuda_conv_plan *plan = (cuda_conv_plan *)plan_base;
  (void)base;
  if (plan == NULL)
    return;
  for (int direction = 0; direction < CUDA_N_DIRECTIONS; direction++)
    vane_cuda_path_destroy(&plan->paths[direction]);
  free(plan);
}

static vane_status fill_plan(cuda_device *device, const vane_conv_desc *desc, const char *choice,
                             cuda_conv_plan *plan) {
  plan->base.desc = *desc;
  VANE_TRY(vane_conv_shape(&plan->base));
  plan->base.weight_count = desc->c_out * desc->c_in * desc->kernel * desc->kernel;
  if (vane_cuda_number(device) == VANE_NUMBER_BF16)
    plan->narrow_bytes =
        ((size_t)plan->base.weight_count * 2 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  VANE_TRY(vane_cuda_conv_choose(device, plan, choice));
  for (int direction = 0; direction < CUDA_N_DIRECTIONS; direction++)
    if (plan->paths[direction].plan != NULL) {
      size_t bytes = plan->narrow_bytes + plan->paths[direction].plan->workspace_bytes;
      if (bytes > plan->base.workspace_bytes)
        plan->base.workspace_bytes = bytes;
    }
  return VANE_OK;
}

static vane_status cuda_conv_plan_make(vane_device *base, const vane_conv_desc *desc,
                                       const char *choice, vane_conv_plan **made) {
  *made = NULL;
  cuda_conv_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a convolution's plan");
  vane_status status = fill_plan(vane_cuda_of(base), desc, choice, plan);
  if (status != VANE_OK) {
    cuda_conv_destroy(base, &plan->base);
    return status;
  }
  *made = &plan->base;
  return VANE_OK;
}

/* ---- Weights: [c_out, c_in, kernel, kernel] for people, [c_out, kernel, kernel, c_in] stored ----
 */

/* Turns [n, rows, columns] into [n, columns, rows]. */
static void transpose(float *to, const float *from, int64_t n, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < n; i++, to += rows * columns, from += rows * columns)
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < columns; c++)
        to[c * rows + r] = from[r * columns + c];
}

static vane_status make_host(const vane_conv_plan *plan, float **host) {
  *host = malloc((size_t)plan->weight_count * sizeof **host);
  if (*host == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory to reorder a convolution's weights");
  return VANE_OK;
}

static vane_status cuda_conv_put_weights(vane_device *device, const vane_conv_plan *plan,
                                         void *weights, const float *from_host) {
  const vane_conv_desc *d = &plan->desc;
  float *stored;
  VANE_TRY(make_host(plan, &stored));
  transpose(stored, from_host, d->c_out, d->c_in, d->kernel * d->kernel);
  vane_status status = device->memory.put(device, weights, stored, plan->weight_count);
  free(stored);
  return status;
}

static vane_status cuda_conv_get_weights(vane_device *device, const vane_conv_plan *plan,
                                         float *to_host, const void *weights) {
  const vane_conv_desc *d = &plan->desc;
  float *stored;
  VANE_TRY(make_host(plan, &stored));
  vane_status status = device->memory.get(device, stored, weights, plan->weight_count);
  if (status == VANE_OK)
    transpose(to_host, stored, d->c_out, d->kernel * d->kernel, d->c_in);
  free(stored);
  return status;
}

/* ---- Runs ---- */

/* The engine's part of the workspace. */
static void *engine_workspace(const cuda_device *device, const cuda_conv_plan *plan) {
  return device->workspace == NULL ? NULL : (char *)device->workspace + plan->narrow_bytes;
}

/* The weights as an engine reads them: where they lie, or in bf16 their shadow, or, of no bound
 * block, rounded in the workspace. */
static vane_status engine_weights(const cuda_device *device, const cuda_conv_plan *plan,
                                  const void *weights, const void **as_read) {
  *as_read = weights;
  if (plan->narrow_bytes == 0)
    return VANE_OK;
  *as_read = vane_cuda_shadow_of(device, weights, plan->base.weight_count);
  if (*as_read != NULL)
    return VANE_OK;
  *as_read = device->workspace;
  CUDA_TRY(vane_launch_from_float(device->workspace, weights, VANE_NUMBER_BF16,
                                  plan->base.weight_count, device->compute));
  return VANE_OK;
}

static int64_t rows_of(const vane_tensor *tensor) {
  return tensor->n * tensor->h * tensor->w;
}

static vane_status cuda_conv_forward(vane_device *base, const vane_conv_plan *plan_base,
                                     const vane_tensor *x, const void *weights, const void *bias,
                                     const vane_tensor *residual, const vane_tensor *y) {
  const cuda_device *device = vane_cuda_of(base);
  const cuda_conv_plan *plan = (const cuda_conv_plan *)plan_base;
  const cuda_path *path = &plan->paths[CUDA_FORWARD];
  const void *added = residual != NULL ? residual->data : NULL, *as_read;
  VANE_TRY(engine_weights(device, plan, weights, &as_read));
  const void *const pointers[CUDNN_MOST_TENSORS] = {[CUDNN_X - 1] = x->data,
                                                    [CUDNN_W - 1] = as_read,
                                                    [CUDNN_Y - 1] = y->data,
                                                    [CUDNN_BIAS - 1] = bias,
                                                    [CUDNN_RESIDUAL - 1] = added};
  VANE_TRY(vane_cudnn_run(device->cudnn, path->graph, path->plan, pointers,
                          engine_workspace(device, plan)));
  if (path->epilogue)
    CUDA_TRY(vane_launch_conv_epilogue(y->data, bias, added, plan->base.desc.relu,
                                       vane_cuda_number(device), rows_of(y), y->c,
                                       device->compute));
  return VANE_OK;
}

static vane_status cuda_conv_backward_data(vane_device *base, const vane_conv_plan *plan_base,
                                           const void *weights, const vane_tensor *dz,
                                           const vane_tensor *dx) {
  const cuda_device *device = vane_cuda_of(base);
  const cuda_conv_plan *plan = (const cuda_conv_plan *)plan_base;
  const cuda_path *path = &plan->paths[CUDA_BACKWARD_DATA];
  const void *as_read;
  VANE_TRY(engine_weights(device, plan, weights, &as_read));
  const void *const pointers[CUDNN_MOST_TENSORS] = {
      [CUDNN_X - 1] = dx->data, [CUDNN_W - 1] = as_read, [CUDNN_Y - 1] = dz->data};
  return vane_cudnn_run(device->cudnn, path->graph, path->plan, pointers,
                        engine_workspace(device, plan));
}

static vane_status cuda_conv_backward_weights(vane_device *base, const vane_conv_plan *plan_base,
                                              const vane_tensor *x, const vane_tensor *dz,
                                              void *dweights, void *dbias) {
  const cuda_device *device = vane_cuda_of(base);
  const cuda_conv_plan *plan = (const cuda_conv_plan *)plan_base;
  const cuda_path *path = &plan->paths[CUDA_BACKWARD_WEIGHTS];
  const bool narrow = plan->narrow_bytes > 0; /* no engine sums bf16 into float weights */
  const void *const pointers[CUDNN_MOST_TENSORS] = {[CUDNN_X - 1] = x->data,
                                                    [CUDNN_W - 1] =
                                                        narrow ? device->workspace : dweights,
                                                    [CUDNN_Y - 1] = dz->data};
  VANE_TRY(vane_cudnn_run(device->cudnn, path->graph, path->plan, pointers,
                          engine_workspace(device, plan)));
  if (narrow)
    CUDA_TRY(vane_launch_to_float(dweights, device->workspace, VANE_NUMBER_BF16,
                                  plan->base.weight_count, device->compute));
  if (plan->base.desc.bias)
    CUDA_TRY(vane_launch_bias_gradient(dbias, dz->data, vane_cuda_number(device), rows_of(dz),
                                       dz->c, device->scratch, device->compute));
  return VANE_OK;
}

void vane_cuda_fill_conv(vane_conv_ops *ops) {
  *ops = (vane_conv_ops){
      .plan = cuda_conv_plan_make,
      .destroy = cuda_conv_destroy,
      .put_weights = cuda_conv_put_weights,
      .get_weights = cuda_conv_get_weights,
      .forward = cuda_conv_forward,
      .backward_data = cuda_conv_backward_data,
      .backward_weights = cuda_conv_backward_weights,
  };
}
