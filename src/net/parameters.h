/* The parameters of a network: one block of device memory, one named segment per tensor. */
#ifndef VANE_NET_PARAMETERS_H
#define VANE_NET_PARAMETERS_H

#include "device/device.h"

#define VANE_PARAMETER_MAX_DIMS 4

/* Reals. Segments begin on whole cache lines of floats, so that vector loads never straddle two
 * tensors; segments whose counts are multiples of it lie back to back. */
#define VANE_SEGMENT_ALIGNMENT 16

/* How a tensor begins. */
typedef enum vane_parameter_init {
  VANE_INIT_ZEROS,
  VANE_INIT_ONES,
  VANE_INIT_WEIGHTS /* normal, standard deviation by model.init and the layer's fans */
} vane_parameter_init;

/* What is known of one tensor besides its segment. Identity is the name, as in a checkpoint:
 * "trunk.3.conv1.weight". */
typedef struct vane_parameter {
  char name[64];
  int64_t dims[VANE_PARAMETER_MAX_DIMS]; /* [c_out, c_in, k, k], [f_out, f_in] or [c] */
  int64_t n_dims;
  int64_t count; /* product of dims: reals in a checkpoint */
  vane_parameter_init init;
  int64_t fan_in, fan_out;
  double gain;                /* 2 where a ReLU follows directly, else 1 */
  int64_t draw;               /* the tensor's number among the initial draws */
  const vane_conv_plan *conv; /* borrowed; whose stored order the weights have, NULL: plain */
} vane_parameter;

typedef struct vane_parameters {
  vane_parameter *items;
  vane_segment *segments; /* segments[i] belongs to items[i] */
  int64_t n, capacity;
  int64_t total;  /* reals in the block */
  int64_t shared; /* of these, the trunk's: they come first */
} vane_parameters;

void vane_parameters_init(vane_parameters *parameters);
void vane_parameters_finish(vane_parameters *parameters);

/* Appends a copy of `item` (dims, init, fans, gain and conv set; name, count and draw, its index,
 * are filled in here) and returns its index. The trunk's parameters are added before the first one
 * of a head; what is shared but comes later (log variances) is no part of the shared gradient. */
VANE_CHECKED
vane_status vane_parameters_add(vane_parameters *parameters, vane_parameter item, int32_t task,
                                bool decay, int64_t *index, const char *format, ...)
    VANE_PRINTF(6, 7);

/* Number of parameters that people count: no padding. */
int64_t vane_parameters_count(const vane_parameters *parameters);

/* The largest `count` of all tensors: the host buffer that get and put need. */
int64_t vane_parameters_largest(const vane_parameters *parameters);

/* Address of tensor i in a block laid out like the parameters (weights, gradients, moments). */
void *vane_parameters_at(const vane_parameters *parameters, const vane_device *device, void *block,
                         int64_t i);

/* Copies tensor i between a block and plain host order (items[i].dims). Both block. */
VANE_CHECKED
vane_status vane_parameters_get(const vane_parameters *parameters, vane_device *device,
                                const void *block, int64_t i, float *to_host);
VANE_CHECKED
vane_status vane_parameters_put(const vane_parameters *parameters, vane_device *device, void *block,
                                int64_t i, const float *from_host);

/* Draws all initial values from (seed, VANE_RANDOM_INIT, item.draw, element) and writes them. */
VANE_CHECKED
vane_status vane_parameters_draw(const vane_parameters *parameters, vane_device *device,
                                 uint64_t seed, int init_kind, void *block);

#endif
