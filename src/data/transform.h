/* One affine map that moves an image and its labels together: mirror, then turn and scale, then
 * shift. RotFashion places its items with it, augmentation moves whole examples.
 *
 * Pixels are points: (0, 0) is the centre of the top left one, x to the right, y down. */
#ifndef VANE_DATA_TRANSFORM_H
#define VANE_DATA_TRANSFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "data/example.h"

typedef struct vane_transform {
  bool flip;             /* left and right change places, about from_x, before the turn */
  double angle;          /* radians, counter-clockwise as seen */
  double scale;          /* above 1 enlarges; must be positive */
  double from_x, from_y; /* this point of the input ... */
  double to_x, to_y;     /* ... goes to this point of the output */
} vane_transform;

/* Samples `input` [height, width, channels] into `output` [out_height, out_width, channels] by
 * bilinear interpolation, black outside (grid_sample's zeros with align_corners=False). The two do
 * not overlap. */
void vane_transform_pixels(const vane_transform *transform, const uint8_t *input, int64_t height,
                           int64_t width, int64_t channels, uint8_t *output, int64_t out_height,
                           int64_t out_width);

/* Moves the known labels along. Angles come out in [-pi, pi]. */
void vane_transform_labels(const vane_transform *transform, vane_labels *labels);

#endif
