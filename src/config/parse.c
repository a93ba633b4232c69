/* YAML text to settings: walks the maps, so that "optim: {lr: 1}", "optim.lr: 1" and --set
 * optim.lr=1 are one and the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/layers.h"
#include "config/place.h"
#include "config/value.h"

typedef struct reader {
  vane_place place;
  yaml_document_t *document;
  vane_config *config;
  size_t given_on[VANE_N_KEYS]; /* line; 0: not given so far */
} reader;

static vane_status read_map(reader *self, const yaml_node_t *map, const char *path);

static vane_status fail_unknown(const char *path) {
  char nearest[VANE_KEY_NAME_BYTES];
  if (vane_key_nearest(path, nearest))
    return vane_fail(VANE_ERR_CONFIG, "no such key; did you mean %s?", nearest);
  return vane_fail(VANE_ERR_CONFIG, "no such key; `vane train --help-keys` lists all");
}

static vane_status read_group(reader *self, const yaml_node_t *name, const yaml_node_t *value,
                              const char *path) {
  if (value->type == YAML_MAPPING_NODE)
    return read_map(self, value, path);
  char found[VANE_FOUND_BYTES];
  vane_value_describe(value, found);
  (void)vane_fail(VANE_ERR_CONFIG, "wants a map of keys, found %s", found);
  return vane_place_add(&self->place, name, path);
}

static vane_status read_key(reader *self, const yaml_node_t *name, const yaml_node_t *value,
                            const vane_key *key) {
  size_t *given_on = &self->given_on[key - vane_keys];
  if (*given_on > 0) {
    (void)vane_fail(VANE_ERR_CONFIG, "given twice, first on line %zu", *given_on);
    return vane_place_add(&self->place, name, key->name);
  }
  *given_on = name->start_mark.line + 1;
  if (key->type == VANE_KEY_LAYERS)
    return vane_layers_read(&self->place, self->document, value, self->config);
  if (vane_value_store(self->document, value, key, self->config) != VANE_OK)
    return vane_place_add(&self->place, name, key->name);
  return VANE_OK;
}

/* `path` is the whole dotted key. */
static vane_status read_entry(reader *self, const yaml_node_t *name, const yaml_node_t *value,
                              const char *path) {
  const vane_key *key = vane_key_find(path);
  if (key)
    return read_key(self, name, value, key);
  if (vane_key_is_group(path))
    return read_group(self, name, value, path);
  (void)fail_unknown(path);
  return vane_place_add(&self->place, name, path);
}

/* Every earlier name was a known one, so there are few of them. */
static const yaml_node_t *find_earlier(reader *self, const yaml_node_t *map,
                                       const yaml_node_pair_t *pair, const char *name) {
  for (yaml_node_pair_t *at = map->data.mapping.pairs.start; at < pair; at++) {
    const yaml_node_t *earlier = yaml_document_get_node(self->document, at->key);
    if (strcmp(vane_value_text(earlier), name) == 0)
      return earlier;
  }
  return NULL;
}

/* `path` is the group's dotted name, "" at the top. An alias can make a map hold itself; the walk
 * still ends, for each level makes `path` longer and keys are finite. */
static vane_status read_map(reader *self, const yaml_node_t *map, const char *path) {
  for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top;
       pair++) {
    const yaml_node_t *name = yaml_document_get_node(self->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(self->document, pair->value);
    const char *text = vane_value_text(name);
    if (!text) {
      (void)vane_fail(VANE_ERR_CONFIG, "a key must be a word");
      return vane_place_add(&self->place, name, *path ? path : "top");
    }
    char full[VANE_PATH_BYTES];
    snprintf(full, sizeof full, "%s%s%s", path, *path ? "." : "", text);
    const yaml_node_t *earlier = find_earlier(self, map, pair, text);
    if (earlier) {
      (void)vane_fail(VANE_ERR_CONFIG, "given twice, first on line %zu",
                      earlier->start_mark.line + 1);
      return vane_place_add(&self->place, name, full);
    }
    VANE_TRY(read_entry(self, name, value, full));
  }
  return VANE_OK;
}

/* libyaml counts lines and columns from 0; its reader (bad UTF-8, control characters) only bytes.
 */
static vane_status fail_yaml(const yaml_parser_t *parser, const vane_place *place,
                             const char *text) {
  if (parser->error == YAML_MEMORY_ERROR)
    return vane_fail(VANE_ERR_MEMORY, "no memory left for the YAML parser");
  size_t line = parser->problem_mark.line + 1, column = parser->problem_mark.column + 1;
  if (parser->error == YAML_READER_ERROR) {
    line = column = 1;
    for (size_t i = 0; i < parser->problem_offset; i++) {
      column = text[i] == '\n' ? 1 : column + 1;
      line += text[i] == '\n';
    }
  }
  const char *problem = parser->problem ? parser->problem : "unknown problem";
  const char *context = parser->context ? parser->context : "";
  if (place->assignment)
    return vane_fail_foreign(VANE_ERR_CONFIG, parser->error, problem,
                             "--set %.100s: the value is not YAML: %s%s%s; put it in quotes",
                             place->assignment, context, *context ? ", " : "", problem);
  return vane_fail_foreign(VANE_ERR_CONFIG, parser->error, problem,
                           "%s:%zu:%zu: this is not YAML: %s%s%s", place->file, line, column,
                           context, *context ? ", " : "", problem);
}

/* Settings stand in one document; whatever follows it would be silently lost. */
static vane_status check_end(yaml_parser_t *parser, const vane_place *place, const char *text) {
  yaml_document_t second;
  if (!yaml_parser_load(parser, &second))
    return fail_yaml(parser, place, text);
  vane_status status = VANE_OK;
  if (yaml_document_get_root_node(&second)) {
    status = vane_fail(VANE_ERR_CONFIG, "a second document begins here; settings stand in one");
    if (place->assignment)
      (void)vane_error_add_context("--set %.100s", place->assignment);
    else
      (void)vane_error_add_context("%s:%zu", place->file, second.start_mark.line + 1);
  }
  yaml_document_delete(&second);
  return status;
}

/* `key` is the dotted name that the document's root is the value of; NULL: a whole file. */
static vane_status read_root(reader *self, const char *key) {
  const yaml_node_t *root = yaml_document_get_root_node(self->document);
  if (key)
    return read_entry(self, root, root, key);
  if (root->type == YAML_MAPPING_NODE)
    return read_map(self, root, "");
  return vane_fail(VANE_ERR_CONFIG, "%s:%zu: wants a map of settings, such as `seed: 1`",
                   self->place.file, root->start_mark.line + 1);
}

static vane_status read_document(yaml_parser_t *parser, const vane_place *place, const char *text,
                                 const char *key, vane_config *config) {
  yaml_document_t document;
  if (!yaml_parser_load(parser, &document))
    return fail_yaml(parser, place, text);
  vane_status status = VANE_OK;
  if (yaml_document_get_root_node(&document)) {
    reader self = {.place = *place, .document = &document, .config = config};
    status = read_root(&self, key);
    if (status == VANE_OK)
      status = check_end(parser, place, text);
  } else if (key) {
    status = vane_fail(VANE_ERR_CONFIG, "--set %s: wants a value after the =", place->assignment);
  }
  yaml_document_delete(&document);
  return status;
}

/* Reads into a copy, so that `config` stays as it was on failure. */
static vane_status parse(vane_config *config, const vane_place *place, const char *key,
                         const char *text, size_t n_bytes) {
  vane_config *copy = malloc(sizeof *copy);
  yaml_parser_t parser;
  if (!copy || !yaml_parser_initialize(&parser)) {
    free(copy);
    return vane_fail(VANE_ERR_MEMORY, "no memory left to read settings");
  }
  *copy = *config;
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, n_bytes);
  vane_status status = read_document(&parser, place, text, key, copy);
  if (status == VANE_OK)
    *config = *copy;
  yaml_parser_delete(&parser);
  free(copy);
  return status;
}

vane_status vane_config_parse(vane_config *config, const char *name, const char *text,
                              size_t n_bytes) {
  return parse(config, &(vane_place){.file = name}, NULL, text, n_bytes);
}

vane_status vane_config_read(vane_config *config, const char *path) {
  unsigned char *contents = NULL;
  size_t n_bytes = 0;
  VANE_TRY(vane_file_read(path, &contents, &n_bytes));
  vane_status status = vane_config_parse(config, path, (const char *)contents, n_bytes);
  free(contents);
  return status;
}

vane_status vane_config_set(vane_config *config, const char *assignment) {
  const char *equals = strchr(assignment, '=');
  size_t key_bytes = equals ? (size_t)(equals - assignment) : 0;
  char key[VANE_PATH_BYTES];
  if (key_bytes == 0 || key_bytes >= sizeof key)
    return vane_fail(VANE_ERR_CONFIG, "--set %.100s: wants KEY=VALUE, such as optim.lr=1e-4",
                     assignment);
  memcpy(key, assignment, key_bytes);
  key[key_bytes] = '\0';
  return parse(config, &(vane_place){.assignment = assignment}, key, equals + 1,
               strlen(equals + 1));
}

vane_status vane_config_set_all(vane_config *config, const char *const *assignments, int n) {
  for (int i = 0; i < n && assignments[i]; i++)
    VANE_TRY(vane_config_set(config, assignments[i]));
  return VANE_OK;
}
