/* model.trunk: a list of layers in YAML, and the facts that layers.def declares about them. */
#ifndef VANE_CONFIG_LAYERS_H
#define VANE_CONFIG_LAYERS_H

#include "config/keys.h"
#include "config/place.h"

typedef struct vane_layer_key {
  vane_layer_kind kind;
  const char *name;
  vane_key_type type;              /* integer or boolean */
  size_t offset;                   /* of the field in vane_layer_config, bytes */
  int64_t default_value, min, max; /* a default below min: the key is required */
  const char *help;
} vane_layer_key;

/* The keys of all kinds, one kind after the other. */
extern const vane_layer_key vane_layer_keys[];
extern const int64_t vane_n_layer_keys;

const char *vane_layer_name(vane_layer_kind kind);
const char *vane_layer_help(vane_layer_kind kind);

int64_t vane_layer_get(const vane_layer_config *layer, const vane_layer_key *key);

/* Reads the whole list into config->model_trunk. Failures carry their place. */
VANE_CHECKED
vane_status vane_layers_read(const vane_place *place, yaml_document_t *document,
                             const yaml_node_t *list, vane_config *config);

#endif
