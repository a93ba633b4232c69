/* The order of training examples: an endless sequence of epochs, each a permutation that is a pure
 * function of (seed, epoch). Files are shuffled first, then examples within a window, as a reader
 * would that holds `window` of them and hands out any one. */
#ifndef VANE_DATA_ORDER_H
#define VANE_DATA_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "vane/status.h"

typedef struct vane_order vane_order;

/* File f holds the examples file_first[f] .. file_first[f + 1] - 1; [n_files + 1], from 0 upwards,
 * copied. At least one example. All memory is taken here: two numbers per example at most. */
VANE_CHECKED
vane_status vane_order_create(const int64_t *file_first, int64_t n_files, bool shuffle,
                              int64_t window, uint64_t seed, vane_order **order);
void vane_order_destroy(vane_order *order); /* takes NULL */

/* The example at `position` of the endless sequence. The current epoch's permutation is kept, so
 * that positions that come in order cost one permutation per epoch. Not thread-safe. */
int64_t vane_order_at(vane_order *order, int64_t position);

#endif
