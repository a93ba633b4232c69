/* What a plan works out from its desc, and whether the desc makes sense: output sizes of windows
 * that slide over an image, distances between rows. The same for every backend. */
#ifndef VANE_DEVICE_SHAPE_H
#define VANE_DEVICE_SHAPE_H

#include "device/device.h"

/* Both fill h_out and w_out from the plan's desc. Sizes that make no sense are VANE_ERR_ARGUMENT.
 */
VANE_CHECKED
VANE_MODULE_API
vane_status vane_conv_shape(vane_conv_plan *plan);
VANE_CHECKED
VANE_MODULE_API
vane_status vane_pool_shape(vane_pool_plan *plan);

/* Checks the sizes: VANE_ERR_ARGUMENT as above. */
VANE_CHECKED
VANE_MODULE_API
vane_status vane_norm_shape(const vane_norm_desc *desc);

/* Fills in the strides that are 0. VANE_ERR_ARGUMENT as above. */
VANE_CHECKED
VANE_MODULE_API
vane_status vane_dense_shape(vane_dense_plan *plan);

#endif
