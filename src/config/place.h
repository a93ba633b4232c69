/* Where a setting was written, for messages. */
#ifndef VANE_CONFIG_PLACE_H
#define VANE_CONFIG_PLACE_H

#include <yaml.h>

#include "vane/status.h"

/* Exactly one of the two is set; both borrowed. */
typedef struct vane_place {
  const char *file;
  const char *assignment; /* "KEY=VALUE" of --set */
} vane_place;

#define VANE_PATH_BYTES 192 /* of "model.trunk[255].average_pool.padding"; longer is no key */

/* Puts "FILE:LINE: PATH" or "--set KEY=VALUE" in front of the recorded failure and returns its
 * status. The line is the node's; in an assignment PATH is named only where it is not KEY. */
vane_status vane_place_add(const vane_place *place, const yaml_node_t *node, const char *path);

#endif
