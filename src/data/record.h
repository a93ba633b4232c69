/* A tf.Example as vane understands it: which feature is the image, which are labels, in which unit.
 * The names are the settings data.features.*, the unit is data.angle_unit. */
#ifndef VANE_DATA_RECORD_H
#define VANE_DATA_RECORD_H

#include <stddef.h>

#include "config/config.h"
#include "data/example.h"
#include "format/example.h"

/* All of a record's labels. A missing one leaves its bit unset, but a missing `present` means that
 * the object is there; of an absent object nothing else is known. A wrong number of values, a value
 * that is not finite, a presence other than 0 and 1, or a sine and cosine of no direction are
 * VANE_ERR_FORMAT naming the feature. */
VANE_CHECKED
vane_status vane_record_labels(const vane_config *config, const vane_example_message *message,
                               vane_labels *labels);

/* The bytes of the image, borrowed from the message: a PNG file or raw pixels. */
VANE_CHECKED
vane_status vane_record_image(const vane_config *config, const vane_example_message *message,
                              const void **bytes, size_t *n_bytes);

/* Those bytes as pixels [height, width, channels]. */
VANE_CHECKED
vane_status vane_record_pixels(const void *bytes, size_t n_bytes, int64_t height, int64_t width,
                               int64_t channels, uint8_t *pixels);

/* The reverse: a serialised tf.Example with a PNG image, float labels where known, and `present` as
 * an int64. Fresh memory that the caller frees. */
VANE_CHECKED
vane_status vane_record_print(const vane_config *config, const uint8_t *pixels,
                              const vane_labels *labels, unsigned char **bytes, size_t *n_bytes);

#endif
