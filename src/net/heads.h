/* The four heads: dense layers from the trunk's features to what each task asks for.
 *
 * Heads see the whole batch at once, also when the trunk works through it in micro-batches: losses,
 * masks and gradients per loss then need no special case. */
#ifndef VANE_NET_HEADS_H
#define VANE_NET_HEADS_H

#include "base/arena.h"
#include "net/parameters.h"

#define VANE_HEAD_MAX_LAYERS 5 /* four hidden and the output */

/* Array index: VANE_LOSS_PRESENCE .. VANE_LOSS_POSITION. Addresses are device memory. */
typedef struct vane_head {
  const char *name; /* "presence", "angle", "magnitude", "position" */
  int n_layers;
  vane_dense_plan *plans[VANE_HEAD_MAX_LAYERS];
  int64_t weights[VANE_HEAD_MAX_LAYERS], biases[VANE_HEAD_MAX_LAYERS]; /* parameters */
  int64_t items[VANE_HEAD_MAX_LAYERS], gradient_items[VANE_HEAD_MAX_LAYERS];
  void *outputs[VANE_HEAD_MAX_LAYERS];   /* [N, f_out] after each layer */
  void *gradients[VANE_HEAD_MAX_LAYERS]; /* of them; the last one is where the loss puts its seed */
  int64_t n_outputs;
} vane_head;

typedef struct vane_heads {
  vane_device *device; /* borrowed */
  int64_t n, features;
  bool training;
  vane_head head[VANE_N_HEADS];
  size_t workspace_bytes;
} vane_heads;

/* Names of the losses, regularisation included. */
extern const char *const vane_loss_names[VANE_N_LOSSES];

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
 * offsets in `gradients`. Seeds and hidden gradients are overwritten. */
VANE_CHECKED
vane_status vane_heads_backward(vane_heads *heads, const vane_parameters *parameters, void *weights,
                                const void *features, void *const dfeatures[VANE_N_HEADS],
                                void *gradients);

#endif
