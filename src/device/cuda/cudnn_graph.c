#include "device/cuda/cudnn_graph.h"

#include <stdlib.h>

/* What is under construction: the operations so far, and the tensor that the last one wrote. */
typedef struct builder {
  cudnn_graph *graph;
  const vane_conv_plan *shape;
  cudnnDataType_t number; /* of x, w and y */
  cudnnBackendDescriptor_t operations[4], last;
  int n_operations;
  int64_t next_virtual;
} builder;

static cudnnDataType_t number_of(const cudnn_planner *planner) {
  return planner->precision == VANE_PRECISION_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* ---- Tensors ---- */

/* cuDNN names the axes n, c, h, w, whatever their order in memory. */
static vane_status add_tensor(builder *b, int64_t id, cudnnDataType_t number, int64_t n, int64_t c,
                              int64_t h, int64_t w, cudnnBackendDescriptor_t *tensor) {
  const int64_t sizes[] = {n, c, h, w}, strides[] = {h * w * c, 1, w * c, c};
  VANE_TRY(vane_cudnn_create(&b->graph->owned, CUDNN_BACKEND_TENSOR_DESCRIPTOR, tensor));
  VANE_TRY(vane_cudnn_set(*tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &number));
  VANE_TRY(vane_cudnn_set(*tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes));
  VANE_TRY(vane_cudnn_set(*tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides));
  VANE_TRY(vane_cudnn_set_int64(*tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, id));
  VANE_TRY(vane_cudnn_set_int64(*tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_ALIGNMENT));
  if (id >= CUDNN_VIRTUAL) {
    const bool is_virtual = true;
    VANE_TRY(
        vane_cudnn_set(*tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual));
  } else {
    b->graph->tensors[b->graph->n_tensors++] = id;
  }
  return vane_cudnn_finalize(*tensor);
}

static vane_status add_x(builder *b, cudnnBackendDescriptor_t *tensor) {
  const vane_conv_desc *d = &b->shape->desc;
  return add_tensor(b, CUDNN_X, b->number, d->n, d->c_in, d->h, d->w, tensor);
}

static vane_status add_weights(builder *b, cudnnBackendDescriptor_t *tensor) {
  const vane_conv_desc *d = &b->shape->desc;
  return add_tensor(b, CUDNN_W, b->number, d->c_out, d->c_in, d->kernel, d->kernel, tensor);
}

/* Like y. What is virtual stays float until it is rounded once, into y. */
static vane_status add_output(builder *b, int64_t id, cudnnBackendDescriptor_t *tensor) {
  const vane_conv_plan *s = b->shape;
  return add_tensor(b, id, id >= CUDNN_VIRTUAL ? CUDNN_DATA_FLOAT : b->number, s->desc.n,
                    s->desc.c_out, s->h_out, s->w_out, tensor);
}

static vane_status add_bias(builder *b, cudnnBackendDescriptor_t *tensor) {
  return add_tensor(b, CUDNN_BIAS, CUDNN_DATA_FLOAT, 1, b->shape->desc.c_out, 1, 1, tensor);
}

/* ---- Operations ---- */

typedef struct convolution_names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
} convolution_names;

static const convolution_names names_of[CUDA_N_DIRECTIONS] = {
    [CUDA_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [CUDA_BACKWARD_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [CUDA_BACKWARD_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

static vane_status describe_convolution(builder *b, cudnnBackendDescriptor_t *made) {
  const vane_conv_desc *d = &b->shape->desc;
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const int64_t padding[] = {d->padding, d->padding}, stride[] = {d->stride, d->stride};
  const int64_t dilation[] = {1, 1};
  VANE_TRY(vane_cudnn_create(&b->graph->owned, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, made));
  VANE_TRY(vane_cudnn_set(*made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums));
  VANE_TRY(vane_cudnn_set(*made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1,
                          &mode));
  VANE_TRY(vane_cudnn_set_int64(*made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2));
  VANE_TRY(
      vane_cudnn_set(*made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding));
  VANE_TRY(
      vane_cudnn_set(*made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding));
  VANE_TRY(
      vane_cudnn_set(*made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride));
  VANE_TRY(vane_cudnn_set(*made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation));
  return vane_cudnn_finalize(*made);
}

static vane_status add_convolution(builder *b, cuda_direction direction, bool to_memory) {
  const convolution_names *names = &names_of[direction];
  const float alpha = 1.0f, beta = 0.0f;
  cudnnBackendDescriptor_t x, w, convolution, operation;
  VANE_TRY(add_x(b, &x));
  VANE_TRY(add_weights(b, &w));
  VANE_TRY(add_output(b, to_memory ? CUDNN_Y : b->next_virtual++, &b->last));
  VANE_TRY(describe_convolution(b, &convolution));
  VANE_TRY(vane_cudnn_create(&b->graph->owned, names->type, &operation));
  VANE_TRY(vane_cudnn_set_descriptor(operation, names->x, x));
  VANE_TRY(vane_cudnn_set_descriptor(operation, names->w, w));
  VANE_TRY(vane_cudnn_set_descriptor(operation, names->y, b->last));
  VANE_TRY(vane_cudnn_set_descriptor(operation, names->convolution, convolution));
  VANE_TRY(vane_cudnn_set(operation, names->alpha, CUDNN_TYPE_FLOAT, 1, &alpha));
  VANE_TRY(vane_cudnn_set(operation, names->beta, CUDNN_TYPE_FLOAT, 1, &beta));
  b->operations[b->n_operations++] = operation;
  return vane_cudnn_finalize(operation);
}

static vane_status describe_pointwise(builder *b, cudnnPointwiseMode_t mode,
                                      cudnnBackendDescriptor_t *made) {
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN; /* so that a loss can be blamed for it */
  VANE_TRY(vane_cudnn_create(&b->graph->owned, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, made));
  VANE_TRY(vane_cudnn_set(*made, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode));
  VANE_TRY(vane_cudnn_set(*made, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums));
  if (mode == CUDNN_POINTWISE_RELU_FWD)
    VANE_TRY(vane_cudnn_set(*made, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION,
                            1, &nan));
  return vane_cudnn_finalize(*made);
}

/* The next operation on b->last: + `other`, or ReLU where that is NULL. */
static vane_status add_pointwise(builder *b, cudnnPointwiseMode_t mode,
                                 cudnnBackendDescriptor_t other, bool to_memory) {
  cudnnBackendDescriptor_t pointwise, operation, y;
  VANE_TRY(add_output(b, to_memory ? CUDNN_Y : b->next_virtual++, &y));
  VANE_TRY(describe_pointwise(b, mode, &pointwise));
  VANE_TRY(vane_cudnn_create(&b->graph->owned, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
                             &operation));
  VANE_TRY(vane_cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                                     pointwise));
  VANE_TRY(vane_cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, b->last));
  if (other != NULL)
    VANE_TRY(vane_cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, other));
  VANE_TRY(vane_cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y));
  b->last = y;
  b->operations[b->n_operations++] = operation;
  return vane_cudnn_finalize(operation);
}

static vane_status add_fused(builder *b) {
  const vane_conv_desc *d = &b->shape->desc;
  cudnnBackendDescriptor_t other;
  VANE_TRY(add_convolution(b, CUDA_FORWARD, !d->residual && !d->bias && !d->relu));
  if (d->residual) {
    VANE_TRY(add_output(b, CUDNN_RESIDUAL, &other));
    VANE_TRY(add_pointwise(b, CUDNN_POINTWISE_ADD, other, !d->bias && !d->relu));
  }
  if (d->bias) {
    VANE_TRY(add_bias(b, &other));
    VANE_TRY(add_pointwise(b, CUDNN_POINTWISE_ADD, other, !d->relu));
  }
  if (d->relu)
    VANE_TRY(add_pointwise(b, CUDNN_POINTWISE_RELU_FWD, NULL, true));
  return VANE_OK;
}

static vane_status build(const cudnn_planner *planner, cuda_direction direction, bool fused,
                         builder *b) {
  cudnn_graph *graph = b->graph;
  VANE_TRY(fused ? add_fused(b) : add_convolution(b, direction, true));
  VANE_TRY(vane_cudnn_create(&graph->owned, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
                             &graph->descriptor));
  VANE_TRY(vane_cudnn_set_planner(graph->descriptor, planner, CUDNN_ATTR_OPERATIONGRAPH_HANDLE,
                                  CUDNN_NOT_NEEDED));
  VANE_TRY(vane_cudnn_set(graph->descriptor, CUDNN_ATTR_OPERATIONGRAPH_OPS,
                          CUDNN_TYPE_BACKEND_DESCRIPTOR, b->n_operations, b->operations));
  return vane_cudnn_finalize(graph->descriptor);
}

vane_status vane_cudnn_graph_create(const cudnn_planner *planner, const vane_conv_plan *shape,
                                    cuda_direction direction, bool fused, cudnn_graph **made) {
  *made = NULL;
  cudnn_graph *graph = calloc(1, sizeof *graph);
  if (graph == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a convolution's graph");
  builder b = {
      .graph = graph, .shape = shape, .number = number_of(planner), .next_virtual = CUDNN_VIRTUAL};
  vane_status status = build(planner, direction, fused, &b);
  if (status != VANE_OK) {
    vane_cudnn_graph_destroy(graph);
    return status;
  }
  *made = graph;
  return VANE_OK;
}

void vane_cudnn_graph_destroy(cudnn_graph *graph) {
  if (graph == NULL)
    return;
  vane_cudnn_destroy(&graph->owned);
  free(graph);
}
