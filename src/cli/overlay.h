/* Answers drawn into their images: an arrow from the position, along the angle, as long as the
 * magnitude, in the colour of the probability; beside it, thin, the label where one is known. */
#ifndef VANE_CLI_OVERLAY_H
#define VANE_CLI_OVERLAY_H

#include <stddef.h>

#include "data/example.h"
#include "net/answer.h"

/* What all pictures of one call share. */
typedef struct vane_overlay {
  int64_t height, width, channels; /* of the images */
  double longest;                  /* the magnitude whose arrow is longest */
  int n_ways;                      /* an arrow points: 1, or 2 or 4 where a half or a quarter turn
                                      leaves the object as it was */
} vane_overlay;

/* One image with its answer; borrowed. */
typedef struct vane_picture {
  const char *name;
  const uint8_t *pixels; /* [H, W, C] */
  const vane_answer *answer;
  const vane_labels *labels;
} vane_picture;

/* Reads picture `i`, which is in use until the next one is read. */
typedef struct vane_album {
  vane_status (*read)(void *user, int64_t i, vane_picture *picture);
  void *user;
  int64_t n;
} vane_album;

/* `overlay` for answers [n] and labels [n]: the longest arrow is the largest magnitude of them. */
vane_overlay overlay_for(const vane_config *config, const vane_answer *answers,
                         const vane_labels *labels, int64_t n);

/* One picture, enlarged, with a caption, as a PNG file. */
VANE_CHECKED
vane_status overlay_write_picture(const vane_overlay *overlay, const vane_picture *picture,
                                  const char *path);

/* All of them side by side, with a legend, as one PNG file. */
VANE_CHECKED
vane_status overlay_write_sheet(const vane_overlay *overlay, const vane_album *album,
                                const char *path);

#endif
