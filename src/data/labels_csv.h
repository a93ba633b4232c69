/* labels.csv: labels of the image files beside it.
 *
 *   file,present,angle,magnitude,x,y
 *   a.png,1,90,2.5,31.5,20
 *   b.png,0,,,,
 *
 * Columns in any order, only `file` is needed. An empty field is an unknown label; an empty or
 * missing presence means that the object is there. Angles are in data.angle_unit. */
#ifndef VANE_DATA_LABELS_CSV_H
#define VANE_DATA_LABELS_CSV_H

#include <stdbool.h>

#include "data/example.h"
#include "vane/status.h"

typedef struct vane_labels_csv vane_labels_csv;

/* A file that is not as above is VANE_ERR_FORMAT naming file, line and column. */
VANE_CHECKED
vane_status vane_labels_csv_read(const char *path, bool degrees, vane_labels_csv **table);
void vane_labels_csv_destroy(vane_labels_csv *table); /* takes NULL */

/* The labels of `file`, a name without folder; false where no line has it. */
bool vane_labels_csv_find(const vane_labels_csv *table, const char *file, vane_labels *labels);

#endif
