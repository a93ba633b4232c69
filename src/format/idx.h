/* IDX files (the format of MNIST): big-endian header 0 0 type rank, dimensions, values; plain or
 * gzipped. Only unsigned bytes. */
#ifndef VANE_FORMAT_IDX_H
#define VANE_FORMAT_IDX_H

#include <stdint.h>

#include "vane/status.h"

typedef struct vane_idx {
  int64_t n_dims;
  int64_t dims[4];
  uint8_t *values; /* owned; product of dims */
} vane_idx;

/* Reads the whole file. Trailing bytes, a short file or another type are VANE_ERR_FORMAT. */
VANE_CHECKED
vane_status vane_idx_read(const char *path, vane_idx *idx);
void vane_idx_finish(vane_idx *idx); /* takes a zeroed struct */

#endif
