/* Many files, few of them open: descriptors kept for reading, the least recently used closed when
 * more are wanted than a process may have. */
#ifndef VANE_DATA_OPEN_FILES_H
#define VANE_DATA_OPEN_FILES_H

#include <stdint.h>

#include "vane/status.h"

typedef struct vane_open_files vane_open_files;

/* `paths` [n_paths] are borrowed. At most `capacity` descriptors stay open between uses; it should
 * be no less than the number of threads. */
VANE_CHECKED
vane_status vane_open_files_create(char *const *paths, int64_t n_paths, int64_t capacity,
                                   vane_open_files **files);
void vane_open_files_destroy(vane_open_files *files); /* takes NULL; nothing may be in use */

/* A descriptor of file `f`, to be given back after reading. Thread-safe. */
VANE_CHECKED
vane_status vane_open_files_take(vane_open_files *files, int64_t f, int *descriptor);
void vane_open_files_give_back(vane_open_files *files, int64_t f);

#endif
