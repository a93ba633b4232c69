/* One labelled image, and many of them. */
#ifndef VANE_DATA_EXAMPLE_H
#define VANE_DATA_EXAMPLE_H

#include <stdint.h>

/* Which labels an example has: bits of vane_labels.known. */
enum {
  VANE_LABEL_PRESENT = 1,
  VANE_LABEL_ANGLE = 2,
  VANE_LABEL_MAGNITUDE = 4,
  VANE_LABEL_POSITION = 8
};

/* Angles are radians, counter-clockwise as seen, 0 along the image's +x axis. Positions are pixels,
 * x to the right and y down, (0, 0) the centre of the top left pixel. A label whose bit in `known`
 * is not set is 0 and masks its loss. */
typedef struct vane_labels {
  float present; /* 0 or 1 */
  float angle;
  float magnitude;
  float x, y;
  uint32_t known;
} vane_labels;

/* Where an example came from; vane_source_describe puts it into words. */
typedef struct vane_origin {
  int64_t index; /* in the source */
  uint64_t draw; /* which fresh draw of it (augmentation, RotFashion, scenes) */
} vane_origin;

/* `n` examples of one size; memory belongs to the loader that lent it. */
typedef struct vane_batch {
  int64_t number;       /* 0 for the run's first */
  int64_t n;            /* examples in it; the last batch of an evaluation may be smaller */
  uint8_t *pixels;      /* [n, H, W, C] */
  vane_labels *labels;  /* [n] */
  vane_origin *origins; /* [n] */
} vane_batch;

#endif
