#include "config/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"

#define KEY(field, key, of_type, text, ...)                                                        \
  {.name = key,                                                                                    \
   .type = VANE_KEY_##of_type,                                                                     \
   .offset = offsetof(vane_config, field),                                                         \
   .help = text,                                                                                   \
   __VA_ARGS__},
#define LIST(field, count)        .count_offset = offsetof(vane_config, n_##field), .max_count = count
#define RANGE(low, high, of_unit) .min = low, .max = high, .unit = of_unit

#define INTEGER(field, key, number, low, high, unit, help)                                         \
  KEY(field, key, INTEGER, help, .default_value = number, RANGE(low, high, unit))
#define REAL(field, key, number, low, high, unit, help)                                            \
  KEY(field, key, REAL, help, .default_value = number, RANGE(low, high, unit))
#define BOOLEAN(field, key, truth, help) KEY(field, key, BOOLEAN, help, .default_value = truth)
#define TEXT(field, key, text, help)     KEY(field, key, TEXT, help, .default_text = text)
#define CHOICE(field, key, index, all_words, help)                                                 \
  KEY(field, key, CHOICE, help, .default_value = index, .words = all_words)
#define REALS(field, key, count, low, high, unit, help)                                            \
  KEY(field, key, REALS, help, LIST(field, count), RANGE(low, high, unit))
#define INTEGERS(field, key, count, low, high, unit, help)                                         \
  KEY(field, key, INTEGERS, help, LIST(field, count), RANGE(low, high, unit))
#define LAYERS(field, key, count, help) KEY(field, key, LAYERS, help, LIST(field, count))

const vane_key vane_keys[VANE_N_KEYS] = {
#include "config/keys.def"
#undef INTEGER
#undef REAL
#undef BOOLEAN
#undef TEXT
#undef CHOICE
#undef REALS
#undef INTEGERS
#undef LAYERS
};

void vane_config_init(vane_config *config) {
  memset(config, 0, sizeof *config);
  for (int64_t i = 0; i < VANE_N_KEYS; i++) {
    const vane_key *key = &vane_keys[i];
    char *field = (char *)config + key->offset;
    switch (key->type) {
    case VANE_KEY_INTEGER:
      *(int64_t *)(void *)field = (int64_t)key->default_value;
      break;
    case VANE_KEY_REAL:
      *(double *)(void *)field = key->default_value;
      break;
    case VANE_KEY_BOOLEAN:
      *(bool *)(void *)field = key->default_value > 0;
      break;
    case VANE_KEY_TEXT:
      snprintf(field, VANE_CONFIG_TEXT_BYTES, "%s", key->default_text);
      break;
    case VANE_KEY_CHOICE:
      *(int *)(void *)field = (int)key->default_value;
      break;
    case VANE_KEY_REALS:
    case VANE_KEY_INTEGERS:
    case VANE_KEY_LAYERS:
      break; /* empty */
    }
  }
}

const vane_key *vane_key_find(const char *name) {
  for (int64_t i = 0; i < VANE_N_KEYS; i++)
    if (strcmp(vane_keys[i].name, name) == 0)
      return &vane_keys[i];
  return NULL;
}

bool vane_key_is_group(const char *name) {
  size_t length = strlen(name);
  for (int64_t i = 0; i < VANE_N_KEYS; i++)
    if (strncmp(vane_keys[i].name, name, length) == 0 && vane_keys[i].name[length] == '.')
      return true;
  return false;
}

static const char *last_part(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? dot + 1 : name;
}

/* Length of the first so many dotted parts of `name`. */
static size_t parts_length(const char *name, int n_parts) {
  size_t length = 0;
  while (name[length] != '\0' && (name[length] != '.' || --n_parts > 0))
    length++;
  return length;
}

static int count_parts(const char *name) {
  int n_parts = 1;
  for (; *name != '\0'; name++)
    n_parts += *name == '.';
  return n_parts;
}

bool vane_key_nearest(const char *name, char nearest[VANE_KEY_NAME_BYTES]) {
  vane_nearest search;
  /* "lr" and "train.lr" both mean "optim.lr": the right last part in the wrong group. */
  vane_nearest_init(&search, name, VANE_NEAREST_ANY);
  for (int64_t i = 0; i < VANE_N_KEYS; i++)
    if (strcmp(last_part(vane_keys[i].name), last_part(name)) == 0)
      vane_nearest_offer(&search, vane_keys[i].name, strlen(vane_keys[i].name));
  if (search.n_bytes == 0) {
    /* As many parts as were written, so that a group's name is offered for a group's. */
    vane_nearest_init(&search, name, VANE_NEAREST_TYPO);
    for (int64_t i = 0; i < VANE_N_KEYS; i++)
      vane_nearest_offer(&search, vane_keys[i].name,
                         parts_length(vane_keys[i].name, count_parts(name)));
  }
  if (search.n_bytes == 0)
    return false;
  snprintf(nearest, VANE_KEY_NAME_BYTES, "%.*s", (int)search.n_bytes, search.best);
  return true;
}

const char *vane_key_word_at(const vane_key *key, int index, int *n_bytes) {
  const char *word = key->words;
  for (; index > 0; index--)
    word = strchr(word, '|') + 1;
  *n_bytes = (int)strcspn(word, "|");
  return word;
}

int vane_key_word_index(const vane_key *key, const char *word) {
  int index = 0;
  for (const char *at = key->words;; index++) {
    size_t length = strcspn(at, "|");
    if (strlen(word) == length && strncmp(at, word, length) == 0)
      return index;
    if (at[length] == '\0')
      return -1;
    at += length + 1;
  }
}

void vane_number_print(double value, char text[VANE_NUMBER_BYTES]) {
  /* 15 digits always survive decimal -> double, 17 always survive double -> decimal. */
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, VANE_NUMBER_BYTES, "%.*g", digits, value);
    if (memcmp(&value, &(double){strtod(text, NULL)}, sizeof value) == 0)
      return;
  }
}
