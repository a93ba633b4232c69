/* The trunk: the layers of model.trunk, from image bytes to one feature vector per image.
 *
 * A trunk is built once, as a short program of device operations with every tensor's memory
 * decided; forward and backward then only walk it. It works on micro-batches of a fixed size. */
#ifndef VANE_NET_TRUNK_H
#define VANE_NET_TRUNK_H

#include "base/arena.h"
#include "net/parameters.h"

typedef struct vane_trunk vane_trunk;

/* Looks up the recorded choice of a convolution ("trunk.3.conv1"), NULL for none. */
typedef struct vane_choices {
  const char *device; /* the name of the device that made them; a trunk on another ignores them */
  const char *(*find)(const void *user, const char *convolution);
  const void *user;
} vane_choices;

/* Plans every layer for `n` images and adds its parameters and running statistics. `training` false
 * leaves out all that only a gradient needs. `parameters` is borrowed for the trunk's life. */
VANE_CHECKED
vane_status vane_trunk_create(vane_device *device, const vane_config *config, int64_t n,
                              bool training, const vane_choices *choices,
                              vane_parameters *parameters, vane_trunk **trunk);
void vane_trunk_destroy(vane_trunk *trunk); /* takes NULL */

int64_t vane_trunk_features(const vane_trunk *trunk); /* F */

/* The scratch memory that the largest plan needs. */
size_t vane_trunk_workspace_bytes(const vane_trunk *trunk);

/* Reserves activations and what backward needs; after the arena was sealed, bind takes the
 * addresses. */
VANE_CHECKED
vane_status vane_trunk_reserve(vane_trunk *trunk, vane_arena *activations);
VANE_CHECKED
vane_status vane_trunk_bind(vane_trunk *trunk, const vane_arena *activations);

/* Running statistics of all norm layers lie in one block of so many reals. */
int64_t vane_trunk_running_count(const vane_trunk *trunk);

/* The j-th vector of running statistics, for checkpoints: its name, offset in the block, channels.
 * Means begin at 0, variances at 1. */
int64_t vane_trunk_n_running(const vane_trunk *trunk);
void vane_trunk_running_at(const vane_trunk *trunk, int64_t j, char name[64], int64_t *offset,
                           int64_t *count, float *initial);

/* The j-th convolution and the algorithms chosen for it, for checkpoints and `vane inspect`. */
int64_t vane_trunk_n_convolutions(const vane_trunk *trunk);
void vane_trunk_convolution_at(const vane_trunk *trunk, int64_t j, const char **name,
                               const char **choice);

/* One line per operation, for people: name, output shape, algorithm. */
VANE_CHECKED
vane_status vane_trunk_describe(const vane_trunk *trunk, char **text);

/* Bytes [n, H, W, C] to features [n, F]. With `running` NULL norm layers use the batch's own
 * statistics and keep what backward needs; else they use the running ones. */
VANE_CHECKED
vane_status vane_trunk_forward(vane_trunk *trunk, const uint8_t *pixels, void *weights,
                               const void *running, void *features);

/* dfeatures [n, F] to the gradients of all shared parameters, written ("=") at their offsets into
 * `gradients`. The activations must still be those of the matching forward. */
VANE_CHECKED
vane_status vane_trunk_backward(vane_trunk *trunk, void *weights, const void *dfeatures,
                                void *gradients);

/* pending = keep * pending + share * this micro-batch's statistics, all norm layers (N7). */
VANE_CHECKED
vane_status vane_trunk_track(vane_trunk *trunk, double keep, double share, void *pending);

#endif
