/* PNG images from and to memory, by libpng. Pixels are 8 bits, interleaved [H, W, C], C 1 (grey) or
 * 3 (RGB). */
#ifndef VANE_FORMAT_PNG_H
#define VANE_FORMAT_PNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vane/status.h"

/* True if the bytes begin like a PNG file. */
bool vane_png_detect(const void *bytes, size_t n_bytes);

/* Decodes into `pixels` [height, width, channels]: the image must have that height and width; its
 * colour is converted to `channels` (palette, grey, alpha over black, 16 bit to 8). A wrong size or
 * a damaged file is VANE_ERR_FORMAT and says what was found and what was expected. */
VANE_CHECKED
vane_status vane_png_decode(const void *bytes, size_t n_bytes, int64_t height, int64_t width,
                            int64_t channels, uint8_t *pixels);

/* Height, width and the channels (1 or 3) that hold all of the image's colours. */
VANE_CHECKED
vane_status vane_png_size(const void *bytes, size_t n_bytes, int64_t *height, int64_t *width,
                          int64_t *channels);

/* Encodes into fresh memory that the caller frees. */
VANE_CHECKED
vane_status vane_png_encode(const uint8_t *pixels, int64_t height, int64_t width, int64_t channels,
                            unsigned char **bytes, size_t *n_bytes);

#endif
