#include "config/place.h"

#include <string.h>

#include "base/error.h"

vane_status vane_place_add(const vane_place *place, const yaml_node_t *node, const char *path) {
  if (place->file)
    return vane_error_add_context("%s:%zu: %s", place->file, node->start_mark.line + 1, path);
  const char *assignment = place->assignment;
  size_t key_bytes = strcspn(assignment, "=");
  if (strlen(path) != key_bytes || strncmp(path, assignment, key_bytes) != 0)
    vane_error_add_context("%s", path);
  /* An assignment may hold a whole trunk: its beginning says which it was. */
  return vane_error_add_context("--set %.100s%s", assignment,
                                strlen(assignment) > 100 ? "..." : "");
}
