/* Private to the trunk: the program that its layers become.
 *
 * Values are tensors, each written by one operation. An operation reads one value, perhaps adds a
 * second as its residual, and writes one. A value has at most two readers, so its gradient has at
 * most two parts, which elementwise.merge joins and masks in one pass. */
#ifndef VANE_NET_TRUNK_PROGRAM_H
#define VANE_NET_TRUNK_PROGRAM_H

#include "net/trunk.h"

#define NONE               -1
#define MAX_GRADIENT_SLOTS 8

typedef enum trunk_op_kind {
  OP_CONV,
  OP_NORM,
  OP_POOL,
  OP_RELU,
  OP_GLOBAL_POOL,
  OP_FLATTEN
} trunk_op_kind;

typedef struct trunk_value {
  vane_tensor tensor;
  size_t bytes;
  int64_t item; /* in the activation arena */
  bool relu;    /* its last step was a ReLU, so its gradient is masked by it */
  int parts[2]; /* while backward is planned: gradient slots that hold a reader's part */
  int n_parts;
} trunk_value;

typedef struct trunk_op {
  trunk_op_kind kind;
  char name[40];      /* "trunk.3.conv1" */
  int x, residual, y; /* values; residual may be NONE, y is NONE for the op that ends the trunk */
  vane_conv_plan *conv;
  vane_norm_plan *norm;
  vane_pool_plan *pool;
  int64_t weight, bias; /* parameters: weights and bias, or gamma and beta; NONE */
  int64_t running;      /* norm: offset of [2, C] in the block of running statistics */
  int64_t saved_item;   /* norm: batch statistics; pool: which value won */
  void *saved;
  /* Backward, in gradient slots; NONE where there is nothing to do. */
  int dz;               /* gradient before the ReLU of y */
  int merge_a, merge_b; /* parts that are merged into dz first; a NONE: dz is ready as it is */
  int dx;               /* the part for x */
} trunk_op;

typedef struct gradient_slot {
  size_t bytes;
  int64_t item;
  void *data;
  int references; /* while backward is planned */
} gradient_slot;

struct vane_trunk {
  vane_device *device;         /* borrowed */
  vane_parameters *parameters; /* borrowed */
  int64_t n;
  bool training;
  int norm_kind;
  double norm_epsilon;
  const vane_choices *choices; /* borrowed, while the trunk is built */
  trunk_value *values;
  int n_values;
  trunk_op *ops;
  int n_ops;
  gradient_slot slots[MAX_GRADIENT_SLOTS];
  int n_slots;
  int64_t features, running_count;
  size_t workspace_bytes;
  float mean[4], inv_std[4]; /* of the image's channels */
  int64_t mean_item, inv_std_item;
  void *mean_reals, *inv_std_reals;
};

/* trunk_build.c: layers to operations. */
VANE_CHECKED
vane_status vane_trunk_build(vane_trunk *trunk, const vane_config *config);

/* trunk_gradient.c: which slot holds which gradient when. */
VANE_CHECKED
vane_status vane_trunk_plan_backward(vane_trunk *trunk);

#endif
