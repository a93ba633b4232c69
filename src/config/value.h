/* One YAML node into one setting. Failures are VANE_ERR_CONFIG sentences without a place ("wants an
 * integer, found 2.5"); the caller, who knows file, line and key, adds it. */
#ifndef VANE_CONFIG_VALUE_H
#define VANE_CONFIG_VALUE_H

#include <yaml.h>

#include "config/keys.h"

#define VANE_FOUND_BYTES 64

/* What a node holds, for messages: "2.5", "the text \"3\"", "a list", "a map", "no value". */
void vane_value_describe(const yaml_node_t *node, char text[VANE_FOUND_BYTES]);

/* A scalar's text; NULL for lists, maps and the null scalar (nothing, ~ or null). Borrowed. */
const char *vane_value_text(const yaml_node_t *node);

VANE_CHECKED
vane_status vane_value_integer(const yaml_node_t *node, double min, double max, const char *unit,
                               int64_t *value);
VANE_CHECKED
vane_status vane_value_boolean(const yaml_node_t *node, bool *value);

/* Stores `node` where `key` says; not for layers. */
VANE_CHECKED
vane_status vane_value_store(yaml_document_t *document, const yaml_node_t *node,
                             const vane_key *key, vane_config *config);

#endif
