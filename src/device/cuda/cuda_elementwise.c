/* One value at a time: kernels/elementwise.cu, kernels/draw.cu. */
#include "device/cuda/cuda_shadow.h"

static vane_status cuda_input(vane_device *base, const uint8_t *bytes, const void *mean,
                              const void *inv_std, const vane_tensor *x) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_input(x->data, vane_cuda_number(device), bytes, mean, inv_std,
                             x->n * x->h * x->w, x->c, device->compute));
  return VANE_OK;
}

static vane_status cuda_relu(vane_device *base, const vane_tensor *x, const vane_tensor *y) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_relu(y->data, x->data, vane_cuda_number(device), vane_cuda_count(x),
                            device->compute));
  return VANE_OK;
}

static vane_status cuda_merge(vane_device *base, const vane_tensor *dz, const vane_tensor *y,
                              const vane_tensor *a, const vane_tensor *b) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_merge(dz->data, y ? y->data : NULL, a->data, b ? b->data : NULL,
                             vane_cuda_number(device), vane_cuda_count(dz), device->compute));
  return VANE_OK;
}

static vane_status cuda_accumulate(vane_device *base, void *to, const void *from, int64_t count) {
  CUDA_TRY(vane_launch_accumulate(to, from, count, vane_cuda_of(base)->compute));
  return VANE_OK;
}

static vane_status cuda_follow(vane_device *base, void *to, const void *from, double share,
                               int64_t count, const vane_step_record *record) {
  CUDA_TRY(vane_launch_follow(to, from, share, count, record, vane_cuda_of(base)->compute));
  return VANE_OK;
}

static vane_status cuda_draw(vane_device *base, void *to, int64_t count,
                             const vane_draw_desc *desc) {
  CUDA_TRY(vane_launch_draw(to, count, desc, vane_cuda_of(base)->compute));
  return vane_cuda_shadow_follow(base, to, (size_t)count * sizeof(float));
}

static vane_status cuda_stream(vane_device *base, void *const to[3], const void *from, double scale,
                               int64_t count, bool past_caches) {
  CUDA_TRY(vane_launch_stream(to[0], to[1], to[2], from, (float)scale, count, past_caches,
                              vane_cuda_of(base)->compute));
  return VANE_OK;
}

void vane_cuda_fill_elementwise(vane_elementwise_ops *ops) {
  *ops = (vane_elementwise_ops){
      .input = cuda_input,
      .relu = cuda_relu,
      .merge = cuda_merge,
      .accumulate = cuda_accumulate,
      .follow = cuda_follow,
      .draw = cuda_draw,
      .stream = cuda_stream,
  };
}
