/* Pooling (N8), and the two ways from an image to features: kernels/pool.cu. Activations lie in the
 * order h, w, c, so flattening only turns them into float. */
#include <inttypes.h>
#include <stdlib.h>

#include "device/cuda/cuda.h"
#include "device/shape.h"

enum { MOST_IN_WINDOW = 1 << 15, MOST_PIXELS = 1 << 30 }; /* what the kernel's int indices hold */

static vane_status check_size(const vane_pool_desc *d) {
  if (d->kernel > MOST_IN_WINDOW || d->stride > MOST_IN_WINDOW || d->h > MOST_PIXELS ||
      d->w > MOST_PIXELS)
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "pooling: a kernel of %" PRId64 " with stride %" PRId64 " over %" PRId64
                     " x %" PRId64 " is too large for the cuda device",
                     d->kernel, d->stride, d->h, d->w);
  return VANE_OK;
}

static vane_status cuda_pool_plan(vane_device *base, const vane_pool_desc *desc,
                                  vane_pool_plan **plan) {
  (void)base;
  *plan = NULL;
  vane_pool_plan shaped = {.desc = *desc};
  VANE_TRY(vane_pool_shape(&shaped));
  VANE_TRY(check_size(desc));
  vane_pool_plan *p = calloc(1, sizeof *p);
  if (!p)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a pooling plan");
  *p = shaped;
  if (!desc->average)
    p->index_bytes = (size_t)(desc->n * p->h_out * p->w_out * desc->c) * sizeof(int32_t);
  *plan = p;
  return VANE_OK;
}

static void cuda_pool_destroy(vane_device *base, vane_pool_plan *plan) {
  (void)base;
  free(plan);
}

static vane_status cuda_pool_forward(vane_device *base, const vane_pool_plan *plan,
                                     const vane_tensor *x, const vane_tensor *y, void *index) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_pool(y->data, plan->desc.average ? NULL : index, x->data,
                            vane_cuda_number(device), plan, device->compute));
  return VANE_OK;
}

static vane_status cuda_pool_backward(vane_device *base, const vane_pool_plan *plan,
                                      const vane_tensor *dz, const void *index,
                                      const vane_tensor *dx) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_pool_backward(dx->data, dz->data, plan->desc.average ? NULL : index,
                                     vane_cuda_number(device), plan, device->compute));
  return VANE_OK;
}

static vane_status cuda_pool_global_forward(vane_device *base, const vane_tensor *x,
                                            void *features) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_pool_global(features, x->data, vane_cuda_number(device), x->n, x->h * x->w,
                                   x->c, device->compute));
  return VANE_OK;
}

static vane_status cuda_pool_global_backward(vane_device *base, const void *dfeatures,
                                             const vane_tensor *dx) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_pool_global_backward(dx->data, dfeatures, vane_cuda_number(device), dx->n,
                                            dx->h * dx->w, dx->c, device->compute));
  return VANE_OK;
}

static vane_status cuda_pool_flatten_forward(vane_device *base, const vane_tensor *x,
                                             void *features) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_to_float(features, x->data, vane_cuda_number(device), vane_cuda_count(x),
                                device->compute));
  return VANE_OK;
}

static vane_status cuda_pool_flatten_backward(vane_device *base, const void *dfeatures,
                                              const vane_tensor *dx) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_from_float(dx->data, dfeatures, vane_cuda_number(device),
                                  vane_cuda_count(dx), device->compute));
  return VANE_OK;
}

void vane_cuda_fill_pool(vane_pool_ops *ops) {
  *ops = (vane_pool_ops){
      .plan = cuda_pool_plan,
      .destroy = cuda_pool_destroy,
      .forward = cuda_pool_forward,
      .backward = cuda_pool_backward,
      .global_forward = cuda_pool_global_forward,
      .global_backward = cuda_pool_global_backward,
      .flatten_forward = cuda_pool_flatten_forward,
      .flatten_backward = cuda_pool_flatten_backward,
  };
}
