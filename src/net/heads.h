/* The four heads: dense layers from the trunk's features to what each task asks for.
 *
 * Heads see the whole batch at once, also when the trunk works through it in micro-batches: losses,
 * masks and gradients per loss then need no special case.
 *
 * The first layers of the heads read the same features, so where they can they are one joint layer:
 * its output is theirs side by side, [N, sum of their widths], and one product makes it. Its
 * weights are still theirs, a parameter each; the parameters lie back to back in the block. */
#ifndef VANE_NET_HEADS_H
#define VANE_NET_HEADS_H

#include "base/arena.h"
#include "net/parameters.h"
#include "net/tasks.h"

#define VANE_HEAD_MAX_LAYERS 5 /* four hidden and the output */

/* Addresses are device memory. */
typedef struct vane_head_layer {
  int64_t f_in, f_out;
  vane_dense_plan *plan;
  int64_t weights, biases; /* parameters; of the joint layer: the first of several */
  int64_t output_item, gradient_item;
  void *output;   /* [N, f_out] */
  void *gradient; /* of it; the last layer's is where the loss puts its seed */
} vane_head_layer;

/* Array index: VANE_LOSS_PRESENCE .. VANE_LOSS_POSITION. */
typedef struct vane_head {
  const char *name; /* "presence", "angle", "magnitude", "position" */
  int n_layers;
  vane_head_layer layers[VANE_HEAD_MAX_LAYERS];
  bool joined;    /* its first layer is a part of the joint one, its plan for dfeatures alone */
  int64_t column; /* of the joint layer's output, where that part begins */
  int64_t n_outputs;
} vane_head;

typedef struct vane_heads {
  vane_device *device; /* borrowed */
  int64_t n, features;
  bool training;
  vane_head head[VANE_N_HEADS];
  vane_head_layer joint; /* f_out 0: there is none */
  size_t workspace_bytes;
} vane_heads;

/* Plans all heads for N images with F features each and adds their parameters. `heads` is zeroed by
 * the caller; finish works on any state of it. */
VANE_CHECKED
vane_status vane_heads_init(vane_heads *heads, vane_device *device, const vane_config *config,
                            int64_t n, int64_t features, bool training,
                            vane_parameters *parameters);
void vane_heads_finish(vane_heads *heads);

VANE_CHECKED
vane_status vane_heads_reserve(vane_heads *heads, vane_arena *activations);
void vane_heads_bind(vane_heads *heads, const vane_arena *activations);

/* The head's answer [N, n_outputs], and the place for the loss's gradient with respect to it. */
void *vane_heads_output(const vane_heads *heads, int k);
void *vane_heads_seed(const vane_heads *heads, int k);

/* features [N, F] to all outputs. */
VANE_CHECKED
vane_status vane_heads_forward(vane_heads *heads, const vane_parameters *parameters, void *weights,
                               const void *features);

/* From the seeds to dfeatures[k] [N, F], one per loss, and the heads' own gradients at their
 * offsets in `gradients`. dfeatures[k] is NULL where the loss is switched off (vane_loss_active):
 * that head has no backward pass. Hidden gradients are overwritten. */
VANE_CHECKED
vane_status vane_heads_backward(vane_heads *heads, const vane_parameters *parameters, void *weights,
                                const void *features, void *const dfeatures[VANE_N_HEADS],
                                void *gradients);

#endif
