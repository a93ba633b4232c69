/* The black boxes of a run: what is needed to compute a bad step again.
 *
 *   RUN/boxes/NAME/box.json              what the step said, its records, the settings
 *   RUN/boxes/NAME/before.safetensors    the newest checkpoint before it (a hard link) */
#ifndef VANE_STORE_BOXES_H
#define VANE_STORE_BOXES_H

#include <stdint.h>

#include "vane/status.h"

#define VANE_BOX_FACTS      "box.json"
#define VANE_BOX_CHECKPOINT "before.safetensors"

/* Writes FOLDER/NAME in the place of one of that name; box.json comes last, so that a folder with
 * it is whole. `checkpoint` NULL: none is linked. Then removes other boxes, those with the lowest
 * names first, until `keep` are left. */
VANE_CHECKED
vane_status vane_boxes_write(const char *folder, const char *name, const char *checkpoint,
                             const char *facts, int64_t keep);

#endif
