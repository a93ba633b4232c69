/* A convolution's plan on the GPU, shared by cuda_conv.c (the slots of the table),
 * cuda_conv_candidates.c (what cuDNN offers, with a GPU or without) and cuda_conv_choose.c (which
 * of it is taken, and remembered). */
#ifndef VANE_DEVICE_CUDA_CUDA_CONV_H
#define VANE_DEVICE_CUDA_CUDA_CONV_H

#include "device/cuda/cudnn_engines.h"

/* One direction with one engine. */
typedef struct cuda_path {
  cudnn_graph *graph;
  cudnn_plan *plan; /* NULL: this direction never runs */
  cudnn_engine engine;
  /* The graph is the convolution alone: a kernel of our own does residual, bias and ReLU, in one
   * pass. It would have to read and write y as often if a part of them were fused. */
  bool epilogue;
} cuda_path;

void vane_cuda_path_destroy(cuda_path *path);

static inline bool vane_cuda_conv_needs(const vane_conv_desc *desc, cuda_direction direction) {
  if (direction == CUDA_BACKWARD_DATA)
    return desc->training && desc->data_gradient;
  return direction == CUDA_FORWARD || desc->training;
}

/* The words of a choice: "forward", "data", "weights". */
const char *vane_cuda_direction_name(cuda_direction direction);

enum { CUDA_MOST_CANDIDATES = 10 }; /* as many as are worth timing: the heuristics rank them */

/* Engines for one direction that cuDNN has planned, best first, all for the same graph. */
typedef struct cuda_candidates {
  cudnn_graph *graph;
  bool epilogue;
  cudnn_engine engines[CUDA_MOST_CANDIDATES];
  cudnn_plan *plans[CUDA_MOST_CANDIDATES];
  int n;
  cudnn_engine passed_over; /* the best that device.deterministic ruled out and that would have
                               come first */
  int n_passed_over;
} cuda_candidates;

/* Plans up to `most` engines for the fused graph, or, where it has none, for the convolution alone.
 * n is 0 where cuDNN has no engine at all. `shape` has desc, h_out and w_out. */
VANE_CHECKED
vane_status vane_cuda_candidates_find(const cudnn_planner *planner, const vane_conv_plan *shape,
                                      cuda_direction direction, int most,
                                      cuda_candidates *candidates);
void vane_cuda_candidates_destroy(cuda_candidates *candidates);
/* Moves candidate i to `path`. */
void vane_cuda_candidates_take(cuda_candidates *candidates, int i, cuda_path *path);

/* "51/2=4,13=0", with "+epilogue" where a kernel of our own follows; and the path that such a word
 * describes. path->plan is NULL where this GPU or this cuDNN lacks it. */
enum { CUDA_PATH_TEXT = CUDNN_ENGINE_TEXT + 16 };
void vane_cuda_path_print(const cuda_path *path, char text[CUDA_PATH_TEXT]);
VANE_CHECKED
vane_status vane_cuda_path_follow(const cudnn_planner *planner, const vane_conv_plan *shape,
                                  cuda_direction direction, const char *word, cuda_path *path);

typedef struct cuda_conv_plan {
  vane_conv_plan base;
  cuda_path paths[CUDA_N_DIRECTIONS];
  size_t narrow_bytes; /* bf16: the workspace begins with the weights as the engines read them, or
                          their gradient as the engines write it; 0 in fp32 */
} cuda_conv_plan;

/* Fills plan->paths and base.choice, following `choice` where it is not NULL. */
VANE_CHECKED
vane_status vane_cuda_conv_choose(cuda_device *device, cuda_conv_plan *plan, const char *choice);

#endif
