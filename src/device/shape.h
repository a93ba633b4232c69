/* Output sizes of windows that slide over an image, and whether a window fits: the same for every
 * backend. */
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

#endif
