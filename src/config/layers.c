#include "config/layers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "config/nearest.h"
#include "config/value.h"

const vane_layer_key vane_layer_keys[] = {
#define LAYER(kind, name, help)
#define LAYER_KEY(layer_kind, field, key, key_type, number, low, high, text)                       \
  {.kind = VANE_LAYER_##layer_kind,                                                                \
   .name = key,                                                                                    \
   .type = VANE_KEY_##key_type,                                                                    \
   .offset = offsetof(vane_layer_config, field),                                                   \
   .default_value = number,                                                                        \
   .min = low,                                                                                     \
   .max = high,                                                                                    \
   .help = text},
#include "config/layers.def"
#undef LAYER
#undef LAYER_KEY
};
const int64_t vane_n_layer_keys = sizeof vane_layer_keys / sizeof vane_layer_keys[0];

static const struct {
  const char *name, *help;
} layers[VANE_N_LAYER_KINDS] = {
#define LAYER(kind, name, help) {name, help},
#define LAYER_KEY(kind, field, key, type, default_value, min, max, help)
#include "config/layers.def"
#undef LAYER
#undef LAYER_KEY
};

const char *vane_layer_name(vane_layer_kind kind) {
  return layers[kind].name;
}

const char *vane_layer_help(vane_layer_kind kind) {
  return layers[kind].help;
}

int64_t vane_layer_get(const vane_layer_config *layer, const vane_layer_key *key) {
  return *(const int64_t *)(const void *)((const char *)layer + key->offset);
}

static void layer_set(vane_layer_config *layer, const vane_layer_key *key, int64_t value) {
  *(int64_t *)(void *)((char *)layer + key->offset) = value;
}

static const vane_layer_key *find_key(vane_layer_kind kind, const char *name) {
  for (int64_t i = 0; i < vane_n_layer_keys; i++)
    if (vane_layer_keys[i].kind == kind && strcmp(vane_layer_keys[i].name, name) == 0)
      return &vane_layer_keys[i];
  return NULL;
}

static vane_status fail_unknown_layer(const char *name) {
  vane_nearest search;
  vane_nearest_init(&search, name, VANE_NEAREST_TYPO);
  for (int kind = 0; kind < VANE_N_LAYER_KINDS; kind++)
    vane_nearest_offer(&search, layers[kind].name, strlen(layers[kind].name));
  if (search.n_bytes > 0)
    return vane_fail(VANE_ERR_CONFIG, "no such layer; did you mean %s?", search.best);
  char names[256] = "";
  for (int kind = 0; kind < VANE_N_LAYER_KINDS; kind++)
    snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", kind > 0 ? ", " : "",
             layers[kind].name);
  return vane_fail(VANE_ERR_CONFIG, "no such layer; there are %s", names);
}

static vane_status fail_unknown_key(vane_layer_kind kind, const char *name) {
  vane_nearest search;
  vane_nearest_init(&search, name, VANE_NEAREST_TYPO);
  char names[256] = "no keys";
  for (int64_t i = 0; i < vane_n_layer_keys; i++) {
    const vane_layer_key *key = &vane_layer_keys[i];
    if (key->kind != kind)
      continue;
    vane_nearest_offer(&search, key->name, strlen(key->name));
    bool first = strcmp(names, "no keys") == 0;
    size_t used = first ? 0 : strlen(names);
    snprintf(names + used, sizeof names - used, "%s%s", first ? "" : ", ", key->name);
  }
  if (search.n_bytes > 0)
    return vane_fail(VANE_ERR_CONFIG, "no such key; did you mean %s?", search.best);
  return vane_fail(VANE_ERR_CONFIG, "no such key; %s has %s", layers[kind].name, names);
}

static vane_status find_layer(const char *name, vane_layer_kind *kind) {
  for (int i = 0; i < VANE_N_LAYER_KINDS; i++)
    if (strcmp(layers[i].name, name) == 0) {
      *kind = (vane_layer_kind)i;
      return VANE_OK;
    }
  return fail_unknown_layer(name);
}

static vane_status read_value(const yaml_node_t *node, const vane_layer_key *key,
                              vane_layer_config *layer) {
  int64_t value = 0;
  if (key->type == VANE_KEY_BOOLEAN) {
    bool truth = false;
    VANE_TRY(vane_value_boolean(node, &truth));
    value = truth;
  } else {
    VANE_TRY(vane_value_integer(node, (double)key->min, (double)key->max, "", &value));
  }
  layer_set(layer, key, value);
  return VANE_OK;
}

static vane_status read_pair(const yaml_node_t *name, const yaml_node_t *value,
                             vane_layer_config *layer, uint64_t *given) {
  const char *text = vane_value_text(name);
  if (!text)
    return vane_fail(VANE_ERR_CONFIG, "a key must be a word");
  const vane_layer_key *key = find_key(layer->kind, text);
  if (!key)
    return fail_unknown_key(layer->kind, text);
  uint64_t bit = UINT64_C(1) << (key - vane_layer_keys);
  if (*given & bit)
    return vane_fail(VANE_ERR_CONFIG, "given twice");
  *given |= bit;
  return read_value(value, key, layer);
}

_Static_assert(sizeof vane_layer_keys / sizeof vane_layer_keys[0] <= 64, "one bit each in `given`");

static void set_defaults(vane_layer_config *layer) {
  for (int64_t i = 0; i < vane_n_layer_keys; i++)
    if (vane_layer_keys[i].kind == layer->kind)
      layer_set(layer, &vane_layer_keys[i], vane_layer_keys[i].default_value);
}

static vane_status check_required(const vane_layer_config *layer) {
  for (int64_t i = 0; i < vane_n_layer_keys; i++) {
    const vane_layer_key *key = &vane_layer_keys[i];
    if (key->kind == layer->kind && vane_layer_get(layer, key) < key->min)
      return vane_fail(VANE_ERR_CONFIG, "%s is required", key->name);
  }
  return VANE_OK;
}

/* The map behind a layer's name. `path` names the layer. */
static vane_status read_keys(const vane_place *place, yaml_document_t *document,
                             const yaml_node_t *map, const char *path, vane_layer_config *layer) {
  uint64_t given = 0;
  for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top;
       pair++) {
    const yaml_node_t *name = yaml_document_get_node(document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(document, pair->value);
    if (read_pair(name, value, layer, &given) == VANE_OK)
      continue;
    char found[VANE_FOUND_BYTES], key_path[VANE_PATH_BYTES];
    vane_value_describe(name, found);
    snprintf(key_path, sizeof key_path, "%.100s.%s", path, found);
    return vane_place_add(place, name, key_path);
  }
  if (check_required(layer) != VANE_OK)
    return vane_place_add(place, map, path);
  return VANE_OK;
}

/* `- flatten` or `- conv: {channels: 32}`: splits a list entry into name and map (NULL: none). */
static vane_status split_entry(yaml_document_t *document, const yaml_node_t *entry,
                               const yaml_node_t **name, const yaml_node_t **map) {
  *name = entry;
  *map = NULL;
  if (entry->type == YAML_MAPPING_NODE &&
      entry->data.mapping.pairs.top - entry->data.mapping.pairs.start == 1) {
    const yaml_node_pair_t *pair = entry->data.mapping.pairs.start;
    *name = yaml_document_get_node(document, pair->key);
    *map = yaml_document_get_node(document, pair->value);
  }
  if (!vane_value_text(*name))
    return vane_fail(VANE_ERR_CONFIG, "wants one layer, such as `conv: {channels: 32}`");
  return VANE_OK;
}

static vane_status read_layer(const vane_place *place, yaml_document_t *document,
                              const yaml_node_t *entry, int64_t i, vane_layer_config *layer) {
  char path[VANE_PATH_BYTES];
  snprintf(path, sizeof path, "model.trunk[%" PRId64 "]", i);
  const yaml_node_t *name, *map;
  if (split_entry(document, entry, &name, &map) != VANE_OK)
    return vane_place_add(place, entry, path);
  size_t used = strlen(path);
  snprintf(path + used, sizeof path - used, ".%.64s", vane_value_text(name));
  if (find_layer(vane_value_text(name), &layer->kind) != VANE_OK)
    return vane_place_add(place, name, path);
  set_defaults(layer);
  if (map && map->type != YAML_MAPPING_NODE) {
    char found[VANE_FOUND_BYTES];
    vane_value_describe(map, found);
    (void)vane_fail(VANE_ERR_CONFIG, "wants a map of its keys, found %s", found);
    return vane_place_add(place, map, path);
  }
  if (map)
    VANE_TRY(read_keys(place, document, map, path, layer));
  else if (check_required(layer) != VANE_OK)
    return vane_place_add(place, name, path);
  return VANE_OK;
}

/* -1 stands for the padding that keeps the size at stride 1. */
static void resolve_padding(vane_layer_config *layer) {
  if (layer->padding < 0)
    layer->padding = layer->kernel / 2;
}

vane_status vane_layers_read(const vane_place *place, yaml_document_t *document,
                             const yaml_node_t *list, vane_config *config) {
  int64_t n = 0;
  if (list->type == YAML_SEQUENCE_NODE)
    n = list->data.sequence.items.top - list->data.sequence.items.start;
  if (list->type != YAML_SEQUENCE_NODE || n > VANE_CONFIG_MAX_LAYERS) {
    (void)vane_fail(VANE_ERR_CONFIG, "wants a list of at most %d layers", VANE_CONFIG_MAX_LAYERS);
    return vane_place_add(place, list, "model.trunk");
  }
  memset(config->model_trunk, 0, sizeof config->model_trunk);
  for (int64_t i = 0; i < n; i++) {
    const yaml_node_t *entry = yaml_document_get_node(document, list->data.sequence.items.start[i]);
    VANE_TRY(read_layer(place, document, entry, i, &config->model_trunk[i]));
    resolve_padding(&config->model_trunk[i]);
  }
  config->n_model_trunk = n;
  return VANE_OK;
}
