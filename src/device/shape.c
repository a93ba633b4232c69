#include "device/shape.h"

#include <inttypes.h>

#include "base/error.h"

static vane_status check_conv(const vane_conv_desc *d) {
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

static vane_status check_pool(const vane_pool_desc *d) {
  if (d->n < 1 || d->h < 1 || d->w < 1 || d->c < 1 || d->kernel < 1 || d->stride < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "pooling: sizes, kernel and stride must be positive");
  if (d->padding < 0 || d->padding >= d->kernel) /* else a window could miss the image */
    return vane_fail(VANE_ERR_ARGUMENT,
                     "pooling: padding %" PRId64 " must be smaller than the kernel, %" PRId64,
                     d->padding, d->kernel);
  if (d->h + 2 * d->padding < d->kernel || d->w + 2 * d->padding < d->kernel)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "pooling: a kernel of %" PRId64 " does not fit into %" PRId64 " x %" PRId64
                     " with padding %" PRId64,
                     d->kernel, d->h, d->w, d->padding);
  return VANE_OK;
}

vane_status vane_conv_shape(vane_conv_plan *plan) {
  const vane_conv_desc *d = &plan->desc;
  VANE_TRY(check_conv(d));
  plan->h_out = (d->h + 2 * d->padding - d->kernel) / d->stride + 1;
  plan->w_out = (d->w + 2 * d->padding - d->kernel) / d->stride + 1;
  return VANE_OK;
}

vane_status vane_pool_shape(vane_pool_plan *plan) {
  const vane_pool_desc *d = &plan->desc;
  VANE_TRY(check_pool(d));
  plan->h_out = (d->h + 2 * d->padding - d->kernel) / d->stride + 1;
  plan->w_out = (d->w + 2 * d->padding - d->kernel) / d->stride + 1;
  return VANE_OK;
}

vane_status vane_norm_shape(const vane_norm_desc *desc) {
  if (desc->n < 1 || desc->h < 1 || desc->w < 1 || desc->c < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "batch norm: sizes must be positive");
  return VANE_OK;
}

vane_status vane_dense_shape(vane_dense_plan *plan) {
  vane_dense_desc *d = &plan->desc;
  if (d->n < 1 || d->f_in < 1 || d->f_out < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "dense layer: sizes must be positive");
  if (d->x_stride == 0)
    d->x_stride = d->f_in;
  if (d->y_stride == 0)
    d->y_stride = d->f_out;
  if (d->x_stride < d->f_in || d->y_stride < d->f_out)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "dense layer: rows of %" PRId64 " and %" PRId64 " reals cannot begin %" PRId64
                     " and %" PRId64 " reals apart",
                     d->f_in, d->f_out, d->x_stride, d->y_stride);
  if ((d->x_stride != d->f_in && d->x_relu) ||
      (d->y_stride != d->f_out && (d->forward || d->backward_weights)))
    return vane_fail(VANE_ERR_ARGUMENT, "dense layer: rows must lie back to back here");
  return VANE_OK;
}
