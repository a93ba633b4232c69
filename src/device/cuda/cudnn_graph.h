/* One direction of a convolution as cuDNN's operation graph (N1..N3).
 *
 * Tensors are dense NHWC of the planner's number; the bias is float. Forward is the convolution
 * alone or, fused, followed by + residual, + bias and ReLU, in the order for which cuDNN has
 * engines. What lies between two operations is virtual: float, and never in memory. */
#ifndef VANE_DEVICE_CUDA_CUDNN_GRAPH_H
#define VANE_DEVICE_CUDA_CUDNN_GRAPH_H

#include "device/cuda/cudnn_descriptors.h"

typedef enum cuda_direction {
  CUDA_FORWARD,
  CUDA_BACKWARD_DATA,
  CUDA_BACKWARD_WEIGHTS,
  CUDA_N_DIRECTIONS
} cuda_direction;

/* The tensors in memory, by their unique id. Backward, x, y and w are gradients where they are
 * written. */
typedef enum cudnn_tensor {
  CUDNN_X = 1,
  CUDNN_W,
  CUDNN_Y,
  CUDNN_BIAS,
  CUDNN_RESIDUAL,
  CUDNN_VIRTUAL /* the first of those that are not in memory */
} cudnn_tensor;
enum { CUDNN_MOST_TENSORS = CUDNN_VIRTUAL - 1 };

/* Every tensor's address is a multiple of so many bytes: the widest load of a GPU. */
enum { CUDNN_ALIGNMENT = 16 };

typedef struct cudnn_graph {
  cudnnBackendDescriptor_t descriptor;
  int64_t tensors[CUDNN_MOST_TENSORS]; /* cudnn_tensor: what a run has to bring */
  int n_tensors;
  cudnn_owned owned;
} cudnn_graph;

/* `shape` has desc, h_out and w_out. `fused` with CUDA_FORWARD alone. After a failure *graph is
 * NULL. */
VANE_CHECKED
vane_status vane_cudnn_graph_create(const cudnn_planner *planner, const vane_conv_plan *shape,
                                    cuda_direction direction, bool fused, cudnn_graph **graph);
void vane_cudnn_graph_destroy(cudnn_graph *graph); /* takes NULL */

#endif
