/* A network on a device: trunk, heads, their weights and the memory they work in. */
#ifndef VANE_NET_NETWORK_H
#define VANE_NET_NETWORK_H

#include "base/arena.h"
#include "net/answer.h"
#include "net/heads.h"
#include "net/losses.h"
#include "net/trunk.h"

/* Pointers named weights, shadow, running, pixels and features are device memory. */
typedef struct vane_network {
  const vane_config *config; /* borrowed */
  vane_device *device;       /* borrowed */
  int64_t batch;             /* N, images per forward of the heads */
  int64_t n_micro;           /* the trunk goes over them in so many parts */
  bool training;
  vane_parameters parameters;
  vane_block *block; /* of all parameters, as the device knows them; owned */
  vane_trunk *trunk;
  vane_heads heads;
  vane_losses losses;
  int64_t log_variances; /* parameter of the uncertainty weighting, or -1 */
  /* One arena per lifetime, sealed by allocate. */
  vane_arena stored, activations, staging, workspace;
  void *weights;   /* of the block of parameters */
  void *shadow;    /* what block.bind was given, NULL where the device has no use for one */
  void *running;   /* the block of running statistics, NULL without norm */
  uint8_t *pixels; /* [N, H, W, C] */
  void *features;  /* [N, F] */
  int64_t weights_item, shadow_item, running_item, pixels_item, features_item, workspace_item;
} vane_network;

/* Plans everything: layers, parameters, and how much memory they take. `n_micro` divides `batch`.
 * `choices`: algorithms from a checkpoint, NULL to choose. The network is on the heap and does not
 * move. */
VANE_CHECKED
vane_status vane_network_create(const vane_config *config, vane_device *device, int64_t batch,
                                int64_t n_micro, bool training, const vane_choices *choices,
                                vane_network **network);
void vane_network_destroy(vane_network *network); /* takes NULL */

/* Allocates what was planned, once, before anything else is done with the network. Weights are zero
 * until draw or put. */
VANE_CHECKED
vane_status vane_network_allocate(vane_network *network);
size_t vane_network_bytes(const vane_network *network); /* that it takes, or will take */

/* Initial weights from config->seed, running means 0 and variances 1. */
VANE_CHECKED
vane_status vane_network_draw(vane_network *network);

/* Trunk over micro-batch m: its images to its rows of the features. `running`: as in
 * vane_trunk_forward. */
VANE_CHECKED
vane_status vane_network_trunk_forward(vane_network *network, int64_t m, const void *running);

/* Inference on the uploaded pixels: all micro-batches, running statistics, heads. */
VANE_CHECKED
vane_status vane_network_infer(vane_network *network);

/* Rows of micro-batch m in a [N, F] block. */
void *vane_network_rows(const vane_network *network, void *features, int64_t m);

/* Allocates the block of an arena on the network's device and seals it; undone by unseal. */
VANE_CHECKED
vane_status vane_network_seal(vane_device *device, vane_arena *arena);
void vane_network_unseal(vane_device *device, vane_arena *arena);

#endif
