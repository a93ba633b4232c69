/* A block's public part, the same for every backend: the copy of the segments and their extent. */
#ifndef VANE_DEVICE_BLOCK_H
#define VANE_DEVICE_BLOCK_H

#include "device/device.h"

/* Copies the segments into `block`, whose old contents do not matter, and takes their extent; each
 * is a part of its own.
 * Segments out of order, overlapping, of negative size or of no known task are VANE_ERR_ARGUMENT;
 * `block` is then empty. No segments are fine. */
VANE_CHECKED
VANE_MODULE_API
vane_status vane_block_init(vane_block *block, const vane_segment *segments, int64_t n_segments);
VANE_MODULE_API
void vane_block_finish(vane_block *block); /* an empty one is fine */

/* plan, bind and destroy of devices that need no more than the public part. */
void vane_block_fill(vane_block_ops *ops);

#endif
