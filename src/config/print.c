/* Settings to YAML, by libyaml's emitter. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/layers.h"

typedef struct printer {
  yaml_emitter_t emitter;
  bool ok; /* nothing is emitted after the first failure */
} printer;

/* `made` is what the event's initialiser returned; the emitter takes the event over. */
static void emit(printer *self, yaml_event_t *event, int made) {
  self->ok = self->ok && made && yaml_emitter_emit(&self->emitter, event);
}

static void emit_scalar(printer *self, const char *text, yaml_scalar_style_t style) {
  yaml_event_t event;
  if (self->ok)
    emit(self, &event,
         yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                      (int)strlen(text), 1, 1, style));
}

static void emit_word(printer *self, const char *text) {
  emit_scalar(self, text, YAML_PLAIN_SCALAR_STYLE);
}

static void emit_map(printer *self, yaml_mapping_style_t style) {
  yaml_event_t event;
  if (self->ok)
    emit(self, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style));
}

static void emit_map_end(printer *self) {
  yaml_event_t event;
  if (self->ok)
    emit(self, &event, yaml_mapping_end_event_initialize(&event));
}

static void emit_list(printer *self, yaml_sequence_style_t style) {
  yaml_event_t event;
  if (self->ok)
    emit(self, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style));
}

static void emit_list_end(printer *self) {
  yaml_event_t event;
  if (self->ok)
    emit(self, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_integer(printer *self, int64_t value) {
  char text[VANE_NUMBER_BYTES];
  snprintf(text, sizeof text, "%" PRId64, value);
  emit_word(self, text);
}

static void emit_real(printer *self, double value) {
  char text[VANE_NUMBER_BYTES];
  vane_number_print(value, text);
  emit_word(self, text);
}

static void emit_boolean(printer *self, bool value) {
  emit_word(self, value ? "true" : "false");
}

static void emit_choice(printer *self, const vane_key *key, int index) {
  char text[VANE_KEY_NAME_BYTES];
  int n_bytes;
  const char *word = vane_key_word_at(key, index, &n_bytes);
  snprintf(text, sizeof text, "%.*s", n_bytes, word);
  emit_word(self, text);
}

static void emit_layer(printer *self, const vane_layer_config *layer) {
  emit_map(self, YAML_FLOW_MAPPING_STYLE);
  for (int64_t i = 0; i < vane_n_layer_keys; i++) {
    const vane_layer_key *key = &vane_layer_keys[i];
    if (key->kind != layer->kind)
      continue;
    emit_word(self, key->name);
    if (key->type == VANE_KEY_BOOLEAN)
      emit_boolean(self, vane_layer_get(layer, key));
    else
      emit_integer(self, vane_layer_get(layer, key));
  }
  emit_map_end(self);
}

static void emit_trunk(printer *self, const vane_layer_config *layers, int64_t n) {
  emit_list(self, n > 0 ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE);
  for (int64_t i = 0; i < n; i++) {
    emit_map(self, YAML_BLOCK_MAPPING_STYLE);
    emit_word(self, vane_layer_name(layers[i].kind));
    emit_layer(self, &layers[i]);
    emit_map_end(self);
  }
  emit_list_end(self);
}

static void emit_numbers(printer *self, const vane_key *key, const void *values, int64_t n) {
  emit_list(self, YAML_FLOW_SEQUENCE_STYLE);
  for (int64_t i = 0; i < n; i++)
    if (key->type == VANE_KEY_REALS)
      emit_real(self, ((const double *)values)[i]);
    else
      emit_integer(self, ((const int64_t *)values)[i]);
  emit_list_end(self);
}

static void emit_value(printer *self, const vane_config *config, const vane_key *key) {
  const void *field = (const char *)config + key->offset;
  const void *count = (const char *)config + key->count_offset;
  switch (key->type) {
  case VANE_KEY_INTEGER:
    emit_integer(self, *(const int64_t *)field);
    break;
  case VANE_KEY_REAL:
    emit_real(self, *(const double *)field);
    break;
  case VANE_KEY_BOOLEAN:
    emit_boolean(self, *(const bool *)field);
    break;
  case VANE_KEY_TEXT:
    emit_scalar(self, field, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    break;
  case VANE_KEY_CHOICE:
    emit_choice(self, key, *(const int *)field);
    break;
  case VANE_KEY_REALS:
  case VANE_KEY_INTEGERS:
    emit_numbers(self, key, field, *(const int64_t *)count);
    break;
  case VANE_KEY_LAYERS:
    emit_trunk(self, field, *(const int64_t *)count);
    break;
  }
}

/* Bytes of the groups that both names lie in, their dots included. */
static size_t shared_groups(const char *a, const char *b) {
  size_t shared = 0;
  for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
    if (a[i] == '.')
      shared = i + 1;
  return shared;
}

static void emit_groups_end(printer *self, const char *rest) {
  for (; *rest != '\0'; rest++)
    if (*rest == '.')
      emit_map_end(self);
}

/* Opens the groups in `rest`, the part of a name behind those that are open, and leaves its key. */
static const char *emit_groups(printer *self, const char *rest) {
  for (const char *dot = strchr(rest, '.'); dot; rest = dot + 1, dot = strchr(rest, '.')) {
    char group[VANE_KEY_NAME_BYTES];
    snprintf(group, sizeof group, "%.*s", (int)(dot - rest), rest);
    emit_word(self, group);
    emit_map(self, YAML_BLOCK_MAPPING_STYLE);
  }
  return rest;
}

/* Keys of one group stand together in keys.def; an interrupted group would be printed twice and
 * not read back. */
static void emit_keys(printer *self, const vane_config *config) {
  const char *before = "";
  for (int64_t i = 0; i < VANE_N_KEYS; i++) {
    const char *name = vane_keys[i].name;
    size_t shared = shared_groups(before, name);
    emit_groups_end(self, before + shared);
    emit_word(self, emit_groups(self, name + shared));
    emit_value(self, config, &vane_keys[i]);
    before = name;
  }
  emit_groups_end(self, before);
}

static void emit_document(printer *self, const vane_config *config) {
  yaml_event_t event;
  emit(self, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
  if (self->ok)
    emit(self, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
  emit_map(self, YAML_BLOCK_MAPPING_STYLE);
  emit_keys(self, config);
  emit_map_end(self);
  if (self->ok)
    emit(self, &event, yaml_document_end_event_initialize(&event, 1));
  if (self->ok)
    emit(self, &event, yaml_stream_end_event_initialize(&event));
}

/* Writes the document and says whether all of it went well; the emitter's trouble goes to
 * `problem`. */
static bool print_document(const vane_config *config, FILE *stream, char problem[128]) {
  printer self = {.ok = true};
  snprintf(problem, 128, "no memory left");
  if (!yaml_emitter_initialize(&self.emitter))
    return false;
  yaml_emitter_set_output_file(&self.emitter, stream);
  yaml_emitter_set_unicode(&self.emitter, 1);
  yaml_emitter_set_width(&self.emitter, -1);
  emit_document(&self, config);
  if (self.emitter.problem)
    snprintf(problem, 128, "%s", self.emitter.problem);
  yaml_emitter_delete(&self.emitter);
  return self.ok;
}

vane_status vane_config_print(const vane_config *config, char **text) {
  *text = NULL;
  size_t n_bytes = 0;
  FILE *stream = open_memstream(text, &n_bytes);
  if (!stream)
    return vane_fail(VANE_ERR_MEMORY, "no memory left to print settings");
  char problem[128];
  bool printed = print_document(config, stream, problem);
  if (fclose(stream) == 0 && printed)
    return VANE_OK;
  free(*text);
  *text = NULL;
  return vane_fail_foreign(VANE_ERR_MEMORY, 0, problem, "settings cannot be printed: %s", problem);
}
