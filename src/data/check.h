/* Verifying TFRecord files, every record of every file: `vane data check`. */
#ifndef VANE_DATA_CHECK_H
#define VANE_DATA_CHECK_H

#include <stdint.h>

#include "config/config.h"

/* A record that a training run would have to replace. */
typedef struct vane_check_bad {
  const char *file;
  int64_t record; /* in the file */
  int64_t offset; /* bytes; where the record begins */
  const char *message;
} vane_check_bad;

typedef struct vane_check_range {
  int64_t n;
  double min, max, sum; /* meaningless for n 0 */
} vane_check_range;

/* Images of one kind: PNG of a size, or raw pixels of so many bytes. */
typedef struct vane_check_images {
  int64_t height, width, channels; /* 0 for raw pixels */
  int64_t raw_bytes;               /* 0 for PNG */
  int64_t n;
} vane_check_images;

#define VANE_CHECK_KINDS 16

typedef struct vane_check_summary {
  int64_t n_files, n_records, n_bytes; /* records that can be framed, bytes of their data */
  int64_t n_bad;                       /* records, and files that break off */
  int64_t n_present, n_absent;
  vane_check_range angle_rad, magnitude, x, y; /* n: how many records have the label */
  vane_check_images images[VANE_CHECK_KINDS];  /* in the order of their first appearance */
  int64_t n_image_kinds, n_other_images;       /* beyond VANE_CHECK_KINDS kinds */
} vane_check_summary;

/* Reads every record of `paths` [n_paths] with data.threads threads: framing, both CRCs, the
 * tf.Example, its labels (data.features.*), its image. `on_bad` is called for every bad record in
 * the order of files and records, by one thread at a time; it may be NULL. Bad records are no
 * failure of the check; a file that cannot be opened is. */
VANE_CHECKED
vane_status vane_check_files(const vane_config *config, char *const *paths, int64_t n_paths,
                             void (*on_bad)(void *user, const vane_check_bad *bad), void *user,
                             vane_check_summary *summary);

#endif
