/* Dense layers (N9): three matrix products by oneDNN, bias and ReLU inside the first. */
#include <stdlib.h>

#include "base/error.h"
#include "device/cpu/cpu.h"
#include "device/shape.h"

typedef struct cpu_dense_plan {
  vane_dense_plan base;
  /* NULL where they will not run. */
  cpu_primitive *y;        /* [n, f_out] = x [n, f_in] w^T [f_in, f_out] */
  cpu_primitive *dx;       /* [n, f_in] = dz [n, f_out] w [f_out, f_in] */
  cpu_primitive *dweights; /* [f_out, f_in] = dz^T [f_out, n] x [n, f_in] */
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

/* A matrix whose rows begin `stride` floats apart, and the transposed view of one. */
static cpu_array matrix(int64_t rows, int64_t columns, int64_t stride) {
  return (cpu_array){2, {rows, columns}, dnnl_format_tag_undef, {stride, 1}};
}

static cpu_array transposed(const cpu_array *m) {
  return (cpu_array){
      2, {m->dims[1], m->dims[0]}, dnnl_format_tag_undef, {m->strides[1], m->strides[0]}};
}

static vane_status make_product(const cpu_device *device, cpu_dense_plan *plan, const cpu_array *a,
                                const cpu_array *b, const cpu_array *c, bool forward,
                                cpu_primitive **product) {
  VANE_TRY(vane_cpu_product_create(&device->onednn, a, b, c, forward,
                                   forward && plan->base.desc.relu, product));
  if (*product == NULL)
    return vane_fail(VANE_ERR_UNSUPPORTED, "oneDNN has no matrix product for a dense layer");
  size_t bytes = vane_cpu_primitive_workspace_bytes(*product);
  if (bytes > plan->base.workspace_bytes)
    plan->base.workspace_bytes = bytes;
  return VANE_OK;
}

static vane_status make_products(const cpu_device *device, cpu_dense_plan *plan) {
  const vane_dense_desc *d = &plan->base.desc;
  const cpu_array x = matrix(d->n, d->f_in, d->x_stride), y = matrix(d->n, d->f_out, d->y_stride);
  const cpu_array w = matrix(d->f_out, d->f_in, d->f_in);
  const cpu_array y_t = transposed(&y), w_t = transposed(&w);
  if (d->forward)
    VANE_TRY(make_product(device, plan, &x, &w_t, &y, true, &plan->y));
  if (d->backward_data)
    VANE_TRY(make_product(device, plan, &y, &w, &x, false, &plan->dx));
  if (d->backward_weights)
    VANE_TRY(make_product(device, plan, &y_t, &x, &w, false, &plan->dweights));
  return VANE_OK;
}

static vane_status cpu_dense_plan_make(vane_device *base, const vane_dense_desc *desc,
                                       vane_dense_plan **made) {
  *made = NULL;
  cpu_dense_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a dense layer's plan");
  plan->base.desc = *desc;
  vane_status status = vane_dense_shape(&plan->base);
  if (status == VANE_OK)
    status = make_products((const cpu_device *)base, plan);
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

/* Below so many values (some ten microseconds) a parallel region costs more than it saves. */
enum { WORTH_THREADS = 32768 };

/* gradient [count] = 0 where y is not > 0. */
static void mask(const cpu_device *device, float *gradient, const float *y, int64_t count) {
  if (count < WORTH_THREADS) {
    for (int64_t i = 0; i < count; i++)
      gradient[i] = y[i] > 0.0F ? gradient[i] : 0.0F;
    return;
  }
#pragma omp parallel for simd num_threads(device->n_threads) schedule(static)
  for (int64_t i = 0; i < count; i++)
    gradient[i] = y[i] > 0.0F ? gradient[i] : 0.0F;
}

static vane_status cpu_dense_backward_data(vane_device *base, const vane_dense_plan *plan_base,
                                           const void *weights, const void *dz, const void *x,
                                           void *dx) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_dense_plan *plan = (const cpu_dense_plan *)plan_base;
  const vane_dense_desc *d = &plan_base->desc;
  const void *buffers[] = {dz, weights, dx};
  VANE_TRY(vane_cpu_primitive_run(&device->onednn, plan->dx, buffers, device->workspace));
  if (d->x_relu)
    mask(device, dx, x, d->n * d->f_in);
  return VANE_OK;
}

enum { STRIP = 16 }; /* columns: a cache line */

/* Sums one strip of columns of dz, samples in order. */
static void sum_strip(const vane_dense_desc *desc, int64_t strip, const float *dz, float *dbias) {
  int64_t begin = strip * STRIP;
  int64_t width = desc->f_out - begin < STRIP ? desc->f_out - begin : STRIP;
  double sum[STRIP] = {0};
  for (int64_t sample = 0; sample < desc->n; sample++) {
    const float *row = dz + sample * desc->f_out + begin;
    for (int64_t i = 0; i < width; i++)
      sum[i] += (double)row[i];
  }
  for (int64_t i = 0; i < width; i++)
    dbias[begin + i] = (float)sum[i];
}

static void sum_columns(const cpu_device *device, const vane_dense_desc *desc, const float *dz,
                        float *dbias) {
  int64_t n_strips = (desc->f_out + STRIP - 1) / STRIP;
  if (desc->n * desc->f_out < WORTH_THREADS) {
    for (int64_t strip = 0; strip < n_strips; strip++)
      sum_strip(desc, strip, dz, dbias);
    return;
  }
#pragma omp parallel for num_threads(device->n_threads) schedule(static)
  for (int64_t strip = 0; strip < n_strips; strip++)
    sum_strip(desc, strip, dz, dbias);
}

static vane_status cpu_dense_backward_weights(vane_device *base, const vane_dense_plan *plan_base,
                                              const void *x, const void *dz, void *dweights,
                                              void *dbias) {
  const cpu_device *device = (const cpu_device *)base;
  const cpu_dense_plan *plan = (const cpu_dense_plan *)plan_base;
  sum_columns(device, &plan_base->desc, dz, dbias);
  const void *buffers[] = {dz, x, dweights};
  return vane_cpu_primitive_run(&device->onednn, plan->dweights, buffers, device->workspace);
}

static vane_status cpu_dense_mask(vane_device *base, const vane_dense_plan *plan, const void *y,
                                  void *dz) {
  mask((const cpu_device *)base, dz, y, plan->desc.n * plan->desc.f_out);
  return VANE_OK;
}

void vane_cpu_fill_dense(vane_dense_ops *ops) {
  *ops = (vane_dense_ops){
      .plan = cpu_dense_plan_make,
      .destroy = cpu_dense_destroy,
      .forward = cpu_dense_forward,
      .backward_data = cpu_dense_backward_data,
      .backward_weights = cpu_dense_backward_weights,
      .mask = cpu_dense_mask,
  };
}
