/* Dense layers (N9): three matrix products by oneDNN, bias and ReLU inside the first. */
#include <stdlib.h>

#include "base/error.h"
#include "device/cpu/cpu.h"

typedef struct cpu_dense_plan {
  vane_dense_plan base;
  cpu_primitive *y;        /* [n, f_out] = x [n, f_in] w^T [f_in, f_out] */
  cpu_primitive *dx;       /* [n, f_in] = dy [n, f_out] w [f_out, f_in] */
  cpu_primitive *dweights; /* [f_out, f_in] = dy^T [f_out, n] x [n, f_in] */
} cpu_dense_plan;

static void cpu_dense_destroy(vane_device *base, vane_dense_plan *plan_base) {
  cpu_dense_plan *plan = (cpu_dense_plan *)plan_base;
  (void)base;
  if (plan == NULL)
    return;
  vane_cpu_primitive_destroy(plan->dweights);
  vane_cpu_primitive_destroy(plan->dx);
  vane_cpu_primitive_destroy(plan->y);
  free(plan);
}

/* A row-major matrix, or the transposed view of one. */
static cpu_array matrix(int64_t rows, int64_t columns, bool transposed) {
  return (cpu_array){2, {rows, columns}, transposed ? dnnl_ba : dnnl_ab};
}

static vane_status make_products(const cpu_device *device, cpu_dense_plan *plan) {
  const vane_dense_desc *d = &plan->base.desc;
  const cpu_array x = matrix(d->n, d->f_in, false), y = matrix(d->n, d->f_out, false);
  const cpu_array y_t = matrix(d->f_out, d->n, true);
  const cpu_array w = matrix(d->f_out, d->f_in, false), w_t = matrix(d->f_in, d->f_out, true);
  const cpu_onednn *onednn = &device->onednn;
  VANE_TRY(vane_cpu_product_create(onednn, &x, &w_t, &y, true, d->relu, &plan->y));
  VANE_TRY(vane_cpu_product_create(onednn, &y, &w, &x, false, false, &plan->dx));
  VANE_TRY(vane_cpu_product_create(onednn, &y_t, &x, &w, false, false, &plan->dweights));
  const cpu_primitive *products[] = {plan->y, plan->dx, plan->dweights};
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
    if (products[i] == NULL)
      return vane_fail(VANE_ERR_UNSUPPORTED, "oneDNN has no matrix product for a dense layer");
    size_t bytes = vane_cpu_primitive_workspace_bytes(products[i]);
    if (bytes > plan->base.workspace_bytes)
      plan->base.workspace_bytes = bytes;
  }
  return VANE_OK;
}

static vane_status cpu_dense_plan_make(vane_device *base, const vane_dense_desc *desc,
                                       vane_dense_plan **made) {
  *made = NULL;
  if (desc->n < 1 || desc->f_in < 1 || desc->f_out < 1)
    return vane_fail(VANE_ERR_ARGUMENT, "dense: sizes must be positive");
  cpu_dense_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a dense layer's plan");
  plan->base.desc = *desc;
  vane_status status = make_products((const cpu_device *)base, plan);
  if (status != VANE_OK) {
    cpu_dense_destroy(base, &plan->base);
    return status;
  }
  *made = &plan->base;
  return VANE_OK;
}

static vane_status cpu_dense_forward(vane_device *base, const vane_dense_plan *plan_base,
                                     const void *x, const void *weights, const void *bias,
                                     void *y) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_dense_plan *plan = (const cpu_dense_plan *)plan_base;
  const void *buffers[] = {x, weights, y, bias};
  return vane_cpu_primitive_run(&device->onednn, plan->y, buffers, device->workspace);
}

enum { STRIP = 16 }; /* columns: a cache line */

/* Masks one strip of columns of dy by the ReLU (y NULL: none) and sums them, samples in order. */
static void mask_and_sum_strip(const vane_dense_desc *desc, int64_t strip, float *dy,
                               const float *y, float *dbias) {
  int64_t begin = strip * STRIP;
  int64_t width = desc->f_out - begin < STRIP ? desc->f_out - begin : STRIP;
  double sum[STRIP] = {0};
  for (int64_t sample = 0; sample < desc->n; sample++) {
    float *row = dy + sample * desc->f_out + begin;
    const float *kept = y != NULL ? y + sample * desc->f_out + begin : NULL;
    for (int64_t i = 0; i < width; i++) {
      if (kept != NULL)
        row[i] = kept[i] > 0.0F ? row[i] : 0.0F;
      sum[i] += (double)row[i];
    }
  }
  for (int64_t i = 0; i < width; i++)
    dbias[begin + i] = (float)sum[i];
}

static void mask_and_sum(const cpu_device *device, const vane_dense_desc *desc, float *dy,
                         const float *y, float *dbias) {
  /* Below so many values (some ten microseconds) a parallel region costs more than it saves. */
  const int64_t worth_threads = 32768;
  int64_t n_strips = (desc->f_out + STRIP - 1) / STRIP;
  if (desc->n * desc->f_out < worth_threads) {
    for (int64_t strip = 0; strip < n_strips; strip++)
      mask_and_sum_strip(desc, strip, dy, y, dbias);
    return;
  }
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t strip = 0; strip < n_strips; strip++)
    mask_and_sum_strip(desc, strip, dy, y, dbias);
}

static vane_status cpu_dense_backward(vane_device *base, const vane_dense_plan *plan_base,
                                      const void *x, const void *weights, const void *y, void *dy,
                                      void *dx, void *dweights, void *dbias) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_dense_plan *plan = (const cpu_dense_plan *)plan_base;
  mask_and_sum(device, &plan_base->desc, dy, plan_base->desc.relu ? y : NULL, dbias);
  const void *for_weights[] = {dy, x, dweights};
  VANE_TRY(vane_cpu_primitive_run(&device->onednn, plan->dweights, for_weights, device->workspace));
  if (dx == NULL)
    return VANE_OK;
  const void *for_x[] = {dy, weights, dx};
  return vane_cpu_primitive_run(&device->onednn, plan->dx, for_x, device->workspace);
}

void vane_cpu_fill_dense(vane_dense_ops *ops) {
  *ops = (vane_dense_ops){
      .plan = cpu_dense_plan_make,
      .destroy = cpu_dense_destroy,
      .forward = cpu_dense_forward,
      .backward = cpu_dense_backward,
  };
}
