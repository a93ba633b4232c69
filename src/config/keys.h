/* The table of settings that keys.def declares, as data: for the parser, the printer and the help.
 */
#ifndef VANE_CONFIG_KEYS_H
#define VANE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

typedef enum vane_key_type {
  VANE_KEY_INTEGER,
  VANE_KEY_REAL,
  VANE_KEY_BOOLEAN,
  VANE_KEY_TEXT,
  VANE_KEY_CHOICE,
  VANE_KEY_REALS,
  VANE_KEY_INTEGERS,
  VANE_KEY_LAYERS
} vane_key_type;

/* Numbers are doubles for integers too: keys.def stays below 2^53. */
typedef struct vane_key {
  const char *name; /* dotted */
  vane_key_type type;
  size_t offset;       /* of the field in vane_config, bytes */
  size_t count_offset; /* of a list's n_ field, bytes */
  int64_t max_count;   /* of a list */
  double default_value;
  const char *default_text; /* of a text */
  double min, max;          /* of numbers */
  const char *unit;         /* of numbers; "" where they have none */
  const char *words;        /* of a choice: "word|word" */
  const char *help;
} vane_key;

enum {
  VANE_N_KEYS = 0
#define INTEGER(field, key, default_value, min, max, unit, help) +1
#define REAL(field, key, default_value, min, max, unit, help)    +1
#define BOOLEAN(field, key, default_value, help)                 +1
#define TEXT(field, key, default_value, help)                    +1
#define CHOICE(field, key, default_value, words, help)           +1
#define REALS(field, key, max_count, min, max, unit, help)       +1
#define INTEGERS(field, key, max_count, min, max, unit, help)    +1
#define LAYERS(field, key, max_count, help)                      +1
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

#define VANE_KEY_NAME_BYTES 64 /* every name fits, with its end */

extern const vane_key vane_keys[VANE_N_KEYS];

/* The key of that name; NULL where there is none. */
const vane_key *vane_key_find(const char *name);

/* Whether `name` is the part before a dot of some key ("optim", "model.heads"). */
bool vane_key_is_group(const char *name);

/* The key or group that someone who wrote `name` may have meant; false where none is near. */
bool vane_key_nearest(const char *name, char nearest[VANE_KEY_NAME_BYTES]);

/* The place of `word` among a choice's words; -1 where it is none of them. */
int vane_key_word_index(const vane_key *key, const char *word);

/* The word at `index`, not terminated: its length goes to `n_bytes`. */
const char *vane_key_word_at(const vane_key *key, int index, int *n_bytes);

#define VANE_NUMBER_BYTES 32

/* The shortest decimal that reads back to the same bits. */
void vane_number_print(double value, char text[VANE_NUMBER_BYTES]);

#endif
