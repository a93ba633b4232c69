/* Every key in words, for people. */
#include <inttypes.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/layers.h"

static void print_range(FILE *stream, double min, double max, const char *unit) {
  char low[VANE_NUMBER_BYTES], high[VANE_NUMBER_BYTES];
  vane_number_print(min, low);
  vane_number_print(max, high);
  fprintf(stream, "%s to %s%s%s", low, high, *unit ? " " : "", unit);
}

static void print_kind(FILE *stream, const vane_key *key) {
  switch (key->type) {
  case VANE_KEY_INTEGER:
    fputs("integer, ", stream);
    print_range(stream, key->min, key->max, key->unit);
    break;
  case VANE_KEY_REAL:
    fputs("number, ", stream);
    print_range(stream, key->min, key->max, key->unit);
    break;
  case VANE_KEY_BOOLEAN:
    fputs("true or false", stream);
    break;
  case VANE_KEY_TEXT:
    fputs("text", stream);
    break;
  case VANE_KEY_CHOICE:
    fputs(key->words, stream);
    break;
  case VANE_KEY_REALS:
  case VANE_KEY_INTEGERS:
    fprintf(stream, "up to %" PRId64 " %s, ", key->max_count,
            key->type == VANE_KEY_REALS ? "numbers" : "integers");
    print_range(stream, key->min, key->max, key->unit);
    break;
  case VANE_KEY_LAYERS:
    fprintf(stream, "up to %" PRId64 " layers, below", key->max_count);
    break;
  }
}

static void print_default(FILE *stream, const vane_key *key) {
  char number[VANE_NUMBER_BYTES];
  int n_bytes;
  const char *word;
  switch (key->type) {
  case VANE_KEY_INTEGER:
  case VANE_KEY_REAL:
    vane_number_print(key->default_value, number);
    fputs(number, stream);
    break;
  case VANE_KEY_BOOLEAN:
    fputs(key->default_value > 0 ? "true" : "false", stream);
    break;
  case VANE_KEY_TEXT:
    fprintf(stream, "\"%s\"", key->default_text);
    break;
  case VANE_KEY_CHOICE:
    word = vane_key_word_at(key, (int)key->default_value, &n_bytes);
    fprintf(stream, "%.*s", n_bytes, word);
    break;
  case VANE_KEY_REALS:
  case VANE_KEY_INTEGERS:
  case VANE_KEY_LAYERS:
    fputs("[]", stream);
    break;
  }
}

static void print_layer_key(FILE *stream, const vane_layer_key *key) {
  char value[VANE_NUMBER_BYTES];
  vane_number_print((double)key->default_value, value);
  fprintf(stream, "    %-12s ", key->name);
  if (key->type == VANE_KEY_BOOLEAN) {
    fprintf(stream, "true or false; default %s\n", key->default_value ? "true" : "false");
  } else {
    fputs("integer, ", stream);
    print_range(stream, (double)key->min, (double)key->max, "");
    if (key->default_value < key->min)
      fputs("\n", stream);
    else
      fprintf(stream, "; default %s\n", value);
  }
  fprintf(stream, "                 %s\n", key->help);
}

void vane_config_print_help(FILE *stream) {
  for (int64_t i = 0; i < VANE_N_KEYS; i++) {
    const vane_key *key = &vane_keys[i];
    fprintf(stream, "%s: ", key->name);
    print_kind(stream, key);
    fputs("; default ", stream);
    print_default(stream, key);
    fprintf(stream, "\n    %s\n", key->help);
  }
  fputs("\nLayers of model.trunk, written `- conv: {channels: 32}`, or `- flatten` without keys:\n",
        stream);
  for (int kind = 0; kind < VANE_N_LAYER_KINDS; kind++) {
    fprintf(stream, "  %s: %s\n", vane_layer_name((vane_layer_kind)kind),
            vane_layer_help((vane_layer_kind)kind));
    for (int64_t i = 0; i < vane_n_layer_keys; i++)
      if (vane_layer_keys[i].kind == (vane_layer_kind)kind)
        print_layer_key(stream, &vane_layer_keys[i]);
  }
}
