/* The quick way through the commonest PNG files, private to png.c. */
#ifndef VANE_FORMAT_PNG_PLAIN_H
#define VANE_FORMAT_PNG_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes a PNG whose pixels need no conversion: 8 bits, grey (channels 1) or RGB (3), neither
 * interlaced nor transparent, of exactly this height and width. Every chunk's CRC, the checksum of
 * the compressed stream and its length are checked. False for any other file, damaged ones
 * included: `pixels` [height, width, channels] is then undefined and libpng has the word. */
bool vane_png_decode_plain(const void *bytes, size_t n_bytes, int64_t height, int64_t width,
                           int64_t channels, uint8_t *pixels);

#endif
