/* Which places of the endless stream of training examples are left out: data.train.passed_over,
 * which a person may set and rollbacks add to. The stream itself does not change: who is passed
 * over is not delivered, and those behind move up. */
#ifndef VANE_DATA_PASSED_OVER_H
#define VANE_DATA_PASSED_OVER_H

#include "config/config.h"

/* The place in the stream of the `delivered`-th example that is delivered, counted from 0. */
int64_t vane_passed_over_place(const vane_config *config, int64_t delivered);

/* Leaves out the places `first` .. `first + count - 1` too; what touches or overlaps becomes one
 * entry. VANE_ERR_STATE when the list is full; it is unchanged then. */
VANE_CHECKED
vane_status vane_passed_over_add(vane_config *config, int64_t first, int64_t count);

#endif
