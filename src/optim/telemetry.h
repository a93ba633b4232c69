/* What Adam's telemetry says of a segment, or of all (N40), and how far one step can go (N41). */
#ifndef VANE_OPTIM_TELEMETRY_H
#define VANE_OPTIM_TELEMETRY_H

#include "device/device.h"

/* Adds what the parts [block->n_parts, on the host] of a segment saw to `seen`. */
void vane_telemetry_add(vane_adam_telemetry *seen, const vane_block *block,
                        const vane_adam_telemetry *parts, int64_t segment);

/* What all segments saw. */
vane_adam_telemetry vane_telemetry_of_all(const vane_block *block,
                                          const vane_adam_telemetry *parts);

/* Root of the mean of g^2 / vhat: near 1 as long as gradients are as large as they used to be.
 * These three are NaN where no parameter was alive. */
double vane_telemetry_rms(const vane_adam_telemetry *seen);
/* Share of the parameters whose root is smaller than the epsilon that is added to it. */
double vane_telemetry_below_epsilon(const vane_adam_telemetry *seen);
/* |update| / |theta| of the segment as a vector, over the steps. */
double vane_telemetry_update_to_weight(const vane_adam_telemetry *seen);

/* The most that one step of Adam can move a parameter, in learning rates: 7.27 at 0.9 and 0.999.
 * Infinite where beta1^2 >= beta2: there is no such limit. */
double vane_adam_bound(double beta1, double beta2);
/* The same for moments that are stored as floats, each step's rounding included. */
double vane_adam_bound_of_floats(double beta1, double beta2);

#endif
