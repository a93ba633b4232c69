/* Dense layers (N9) by cuBLASLt: three products, with bias, ReLU and their gradients as epilogues.
 *
 * cuBLASLt's matrices are column-major, so it sees the transpose of everything here: x [n, f_in] is
 * its f_in x n, w [f_out, f_in] its f_in x f_out. The distance between our rows is its leading
 * dimension.
 *
 *                op(A)        op(B)        D               epilogue
 *   forward      w^T          x            y  f_out x n    BIAS, RELU_BIAS
 *   data         w            dz           dx f_in x n
 *   weights      x            dz^T         dw f_in x f_out BGRADB: the sums of dz over the samples
 *
 * A ReLU's gradient is a kernel of our own. cuBLASLt has an epilogue for it, DRELU, which takes the
 * bits that RELU_AUX_BIAS leaves; but those let a zero through (an H200, cuBLAS 13.0), where N9 and
 * all other devices say that y > 0 counts.
 *
 * Which epilogues a GPU has for which shapes is known to cuBLASLt's heuristics alone. Without
 * BGRADB, dbias is summed by the kernel of convolutions.
 *
 * Everything is float in every precision, bf16 too: the products are small. tf32 lets them round
 * their inputs. */
#include <stdlib.h>

#include "device/cuda/cuda.h"
#include "device/shape.h"

enum {
  WORKSPACE_LIMIT = 32 << 20, /* bytes, what NVIDIA recommends for Hopper; others need less */
  ALIGNMENT = 64              /* bytes, of all matrices (device.h) */
};

/* A prepared product; empty (desc NULL) where none is wanted or none exists. */
typedef struct cuda_product {
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, d;
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace_bytes;
} cuda_product;

typedef struct cuda_dense_plan {
  vane_dense_plan base;
  cuda_product y, dx, dweights;
  bool dbias_summed; /* by the product of dweights */
} cuda_dense_plan;

/* One of cuBLASLt's matrices, as it is stored. */
typedef struct cuda_matrix {
  int64_t rows, columns, leading;
} cuda_matrix;

typedef struct cuda_product_spec {
  cuda_matrix a, b, d;
  bool transpose_a, transpose_b;
  cublasLtEpilogue_t epilogue;
} cuda_product_spec;

static void destroy_product(cuda_product *product) {
  if (product->d)
    cublasLtMatrixLayoutDestroy(product->d);
  if (product->b)
    cublasLtMatrixLayoutDestroy(product->b);
  if (product->a)
    cublasLtMatrixLayoutDestroy(product->a);
  if (product->desc)
    cublasLtMatmulDescDestroy(product->desc);
  *product = (cuda_product){0};
}

static void cuda_dense_destroy(vane_device *base, vane_dense_plan *plan_base) {
  cuda_dense_plan *plan = (cuda_dense_plan *)plan_base;
  (void)base;
  if (!plan)
    return;
  destroy_product(&plan->dweights);
  destroy_product(&plan->dx);
  destroy_product(&plan->y);
  free(plan);
}

static vane_status set(const cuda_product *product, cublasLtMatmulDescAttributes_t attribute,
                       const void *value, size_t bytes) {
  CUBLAS_TRY(cublasLtMatmulDescSetAttribute(product->desc, attribute, value, bytes));
  return VANE_OK;
}

/* The epilogue's vector: the bias, or where its gradient goes. */
static vane_status set_bias(const cuda_product *product, const void *bias) {
  return set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

/* The heuristics never follow the epilogue's pointer, but take its alignment from it. */
static vane_status describe_epilogue(const cuda_product *product, const cuda_product_spec *spec) {
  const uint32_t epilogue = spec->epilogue;
  VANE_TRY(set(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
  return set_bias(product, (const void *)(uintptr_t)ALIGNMENT);
}

static vane_status describe_matrix(const cuda_matrix *m, cublasLtMatrixLayout_t *layout) {
  CUBLAS_TRY(cublasLtMatrixLayoutCreate(layout, CUDA_R_32F, (uint64_t)m->rows, (uint64_t)m->columns,
                                        m->leading));
  return VANE_OK;
}

static vane_status describe_product(const cuda_device *device, const cuda_product_spec *spec,
                                    cuda_product *product) {
  const cublasComputeType_t compute =
      device->precision == VANE_PRECISION_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  const int32_t op_a = spec->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  const int32_t op_b = spec->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  CUBLAS_TRY(cublasLtMatmulDescCreate(&product->desc, compute, CUDA_R_32F));
  VANE_TRY(set(product, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a));
  VANE_TRY(set(product, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b));
  if (spec->epilogue != CUBLASLT_EPILOGUE_DEFAULT)
    VANE_TRY(describe_epilogue(product, spec));
  VANE_TRY(describe_matrix(&spec->a, &product->a));
  VANE_TRY(describe_matrix(&spec->b, &product->b));
  return describe_matrix(&spec->d, &product->d);
}

static vane_status prefer(cublasLtMatmulPreference_t preference,
                          cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                          size_t bytes) {
  CUBLAS_TRY(cublasLtMatmulPreferenceSetAttribute(preference, attribute, value, bytes));
  return VANE_OK;
}

static vane_status set_preference(const cuda_device *device,
                                  cublasLtMatmulPreference_t preference) {
  static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
  const uint64_t workspace = WORKSPACE_LIMIT;
  const uint32_t alignment = ALIGNMENT;
  /* A sum may be split where its parts meet in the workspace, in a step of its own: that order is
   * fixed. In place, parts are added to D as they come. */
  const uint32_t reductions = device->deterministic ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE
                                                    : CUBLASLT_REDUCTION_SCHEME_MASK;
  VANE_TRY(
      prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
  VANE_TRY(prefer(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
                  sizeof reductions));
  for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++)
    VANE_TRY(prefer(preference, alignments[i], &alignment, sizeof alignment));
  return VANE_OK;
}

static vane_status ask(const cuda_device *device, cublasLtMatmulPreference_t preference,
                       cuda_product *product, bool *found) {
  cublasLtMatmulHeuristicResult_t result;
  int n_results = 0;
  VANE_TRY(set_preference(device, preference));
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(device->cublas, product->desc, product->a, product->b,
                                     product->d, product->d, preference, 1, &result, &n_results);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED && status != CUBLAS_STATUS_SUCCESS)
    return vane_cublas_failed(status, "cublasLtMatmulAlgoGetHeuristic", __FILE__, __LINE__);
  *found =
      status == CUBLAS_STATUS_SUCCESS && n_results > 0 && result.state == CUBLAS_STATUS_SUCCESS;
  if (*found) {
    product->algorithm = result.algo;
    product->workspace_bytes = result.workspaceSize;
  }
  return VANE_OK;
}

/* `found` false: this GPU has no such product, and it is empty. */
static vane_status try_product(const cuda_device *device, const cuda_product_spec *spec,
                               cuda_dense_plan *plan, cuda_product *product, bool *found) {
  cublasLtMatmulPreference_t preference = NULL;
  *found = false;
  VANE_TRY(describe_product(device, spec, product));
  CUBLAS_TRY(cublasLtMatmulPreferenceCreate(&preference));
  const vane_status status = ask(device, preference, product, found);
  cublasLtMatmulPreferenceDestroy(preference);
  if (status == VANE_OK && !*found)
    destroy_product(product);
  if (product->workspace_bytes > plan->base.workspace_bytes)
    plan->base.workspace_bytes = product->workspace_bytes;
  return status;
}

static vane_status plan_product(const cuda_device *device, const cuda_product_spec *spec,
                                cuda_dense_plan *plan, cuda_product *product) {
  const vane_dense_desc *d = &plan->base.desc;
  bool found;
  VANE_TRY(try_product(device, spec, plan, product, &found));
  if (!found)
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "cuBLASLt has no product for a dense layer of %lld x %lld to %lld",
                     (long long)d->n, (long long)d->f_in, (long long)d->f_out);
  return VANE_OK;
}

static vane_status plan_forward(const cuda_device *device, cuda_dense_plan *plan) {
  const vane_dense_desc *d = &plan->base.desc;
  const cuda_product_spec spec = {.a = {d->f_in, d->f_out, d->f_in},
                                  .b = {d->f_in, d->n, d->x_stride},
                                  .d = {d->f_out, d->n, d->f_out},
                                  .transpose_a = true,
                                  .epilogue = d->relu ? CUBLASLT_EPILOGUE_RELU_BIAS
                                                      : CUBLASLT_EPILOGUE_BIAS};
  return plan_product(device, &spec, plan, &plan->y);
}

static vane_status plan_data(const cuda_device *device, cuda_dense_plan *plan) {
  const vane_dense_desc *d = &plan->base.desc;
  const cuda_product_spec spec = {.a = {d->f_in, d->f_out, d->f_in},
                                  .b = {d->f_out, d->n, d->y_stride},
                                  .d = {d->f_in, d->n, d->x_stride},
                                  .epilogue = CUBLASLT_EPILOGUE_DEFAULT};
  return plan_product(device, &spec, plan, &plan->dx);
}

static vane_status plan_weights(const cuda_device *device, cuda_dense_plan *plan) {
  const vane_dense_desc *d = &plan->base.desc;
  cuda_product_spec spec = {.a = {d->f_in, d->n, d->x_stride},
                            .b = {d->f_out, d->n, d->f_out},
                            .d = {d->f_in, d->f_out, d->f_in},
                            .transpose_b = true,
                            .epilogue = CUBLASLT_EPILOGUE_BGRADB};
  VANE_TRY(try_product(device, &spec, plan, &plan->dweights, &plan->dbias_summed));
  if (plan->dbias_summed)
    return VANE_OK;
  spec.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  return plan_product(device, &spec, plan, &plan->dweights);
}

static vane_status plan_products(const cuda_device *device, cuda_dense_plan *plan) {
  VANE_TRY(vane_dense_shape(&plan->base));
  if (plan->base.desc.forward)
    VANE_TRY(plan_forward(device, plan));
  if (plan->base.desc.backward_data)
    VANE_TRY(plan_data(device, plan));
  if (plan->base.desc.backward_weights)
    VANE_TRY(plan_weights(device, plan));
  return VANE_OK;
}

static vane_status cuda_dense_plan_make(vane_device *base, const vane_dense_desc *desc,
                                        vane_dense_plan **made) {
  *made = NULL;
  cuda_dense_plan *plan = calloc(1, sizeof *plan);
  if (!plan)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a dense layer's plan");
  plan->base.desc = *desc;
  const vane_status status = plan_products(vane_cuda_of(base), plan);
  if (status != VANE_OK) {
    cuda_dense_destroy(base, &plan->base);
    return status;
  }
  *made = &plan->base;
  return VANE_OK;
}

static vane_status run_product(const cuda_device *device, const cuda_product *product,
                               const void *a, const void *b, void *d) {
  const float one = 1, zero = 0; /* D = one * op(A) op(B) + zero * D: D is not read */
  CUBLAS_TRY(cublasLtMatmul(device->cublas, product->desc, &one, a, product->a, b, product->b,
                            &zero, d, product->d, d, product->d, &product->algorithm,
                            device->workspace, product->workspace_bytes, device->compute));
  return VANE_OK;
}

static vane_status cuda_dense_forward(vane_device *base, const vane_dense_plan *plan_base,
                                      const void *x, const void *weights, const void *bias,
                                      void *y) {
  const cuda_dense_plan *plan = (const cuda_dense_plan *)plan_base;
  VANE_TRY(set_bias(&plan->y, bias));
  return run_product(vane_cuda_of(base), &plan->y, weights, x, y);
}

/* gradient [count] = 0 where y is not > 0. */
static vane_status mask(const cuda_device *device, void *gradient, const void *y, int64_t count) {
  CUDA_TRY(
      vane_launch_merge(gradient, y, gradient, NULL, VANE_NUMBER_FP32, count, device->compute));
  return VANE_OK;
}

static vane_status cuda_dense_backward_data(vane_device *base, const vane_dense_plan *plan_base,
                                            const void *weights, const void *dz, const void *x,
                                            void *dx) {
  const cuda_device *device = vane_cuda_of(base);
  const cuda_dense_plan *plan = (const cuda_dense_plan *)plan_base;
  const vane_dense_desc *d = &plan_base->desc;
  VANE_TRY(run_product(device, &plan->dx, weights, dz, dx));
  return d->x_relu ? mask(device, dx, x, d->n * d->f_in) : VANE_OK;
}

static vane_status cuda_dense_backward_weights(vane_device *base, const vane_dense_plan *plan_base,
                                               const void *x, const void *dz, void *dweights,
                                               void *dbias) {
  const cuda_device *device = vane_cuda_of(base);
  const cuda_dense_plan *plan = (const cuda_dense_plan *)plan_base;
  const vane_dense_desc *d = &plan_base->desc;
  if (plan->dbias_summed)
    VANE_TRY(set_bias(&plan->dweights, dbias));
  VANE_TRY(run_product(device, &plan->dweights, x, dz, dweights));
  if (!plan->dbias_summed)
    CUDA_TRY(vane_launch_bias_gradient(dbias, dz, VANE_NUMBER_FP32, d->n, d->f_out, device->scratch,
                                       device->compute));
  return VANE_OK;
}

static vane_status cuda_dense_mask(vane_device *base, const vane_dense_plan *plan, const void *y,
                                   void *dz) {
  return mask(vane_cuda_of(base), dz, y, plan->desc.n * plan->desc.f_out);
}

void vane_cuda_fill_dense(vane_dense_ops *ops) {
  *ops = (vane_dense_ops){
      .plan = cuda_dense_plan_make,
      .destroy = cuda_dense_destroy,
      .forward = cuda_dense_forward,
      .backward_data = cuda_dense_backward_data,
      .backward_weights = cuda_dense_backward_weights,
      .mask = cuda_dense_mask,
  };
}
