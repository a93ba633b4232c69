/* A run's settings: read from YAML, overridden by KEY=VALUE, checked, written back.
 *
 * keys.def declares every setting once; the struct below is generated from it, so that a room reads
 * `config->optim_lr` and the compiler knows its type. */
#ifndef VANE_CONFIG_CONFIG_H
#define VANE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vane/status.h"

#define VANE_CONFIG_TEXT_BYTES 1024
#define VANE_CONFIG_MAX_LAYERS 256

/* Values of the choices, in the order of their words in keys.def. */
enum {
  VANE_SOURCE_NONE,
  VANE_SOURCE_TFRECORD,
  VANE_SOURCE_IMAGES,
  VANE_SOURCE_IDX,
  VANE_SOURCE_ROTFASHION,
  VANE_SOURCE_SCENES
};
enum { VANE_PART_DEFAULT, VANE_PART_TRAIN, VANE_PART_VALIDATION, VANE_PART_TEST, VANE_PART_ALL };
enum { VANE_ANGLE_UNIT_DEG, VANE_ANGLE_UNIT_RAD };
enum { VANE_ROTFASHION_360, VANE_ROTFASHION_4 };
enum { VANE_NORM_NONE, VANE_NORM_BATCH };
enum { VANE_INIT_HE, VANE_INIT_XAVIER };
enum { VANE_ANGLE_SINCOS, VANE_ANGLE_UNIT, VANE_ANGLE_VON_MISES, VANE_ANGLE_BINS };
enum { VANE_PERIOD_360, VANE_PERIOD_180, VANE_PERIOD_90 };
enum { VANE_NONFINITE_STOP, VANE_NONFINITE_SKIP, VANE_NONFINITE_ROLLBACK };
enum { VANE_SPIKE_OFF, VANE_SPIKE_WATCH, VANE_SPIKE_SKIP, VANE_SPIKE_ROLLBACK };
enum { VANE_REGRESSION_L2, VANE_REGRESSION_HUBER };
enum { VANE_SPACE_TRUNK_OUTPUT, VANE_SPACE_PARAMETERS };
enum { VANE_WEIGHTING_FIXED, VANE_WEIGHTING_UNCERTAINTY, VANE_WEIGHTING_PCGRAD };
enum { VANE_EPSILON_OUTSIDE, VANE_EPSILON_HAT };
enum { VANE_RULE_ADAM, VANE_RULE_ADOPT, VANE_RULE_ATAN2, VANE_RULE_ADABELIEF, VANE_RULE_RADAM };
enum { VANE_DECAY_DECOUPLED, VANE_DECAY_L2 };
enum { VANE_GUARD_OFF, VANE_GUARD_WATCH, VANE_GUARD_ON };
enum { VANE_SCHEDULE_CONSTANT, VANE_SCHEDULE_COSINE, VANE_SCHEDULE_LINEAR, VANE_SCHEDULE_STEP };
enum { VANE_DEVICE_AUTO, VANE_DEVICE_CPU, VANE_DEVICE_REF, VANE_DEVICE_CUDA };
enum { VANE_CONVOLUTION_AUTO, VANE_CONVOLUTION_DIRECT };
enum { VANE_PRECISION_FP32, VANE_PRECISION_TF32, VANE_PRECISION_BF16 };

/* One entry of model.trunk. Fields that a kind does not have are zero. */
typedef enum vane_layer_kind {
#define LAYER(kind, name, help) VANE_LAYER_##kind,
#define LAYER_KEY(kind, field, key, type, default_value, min, max, help)
#include "config/layers.def"
#undef LAYER
#undef LAYER_KEY
  VANE_N_LAYER_KINDS
} vane_layer_kind;

typedef struct vane_layer_config {
  vane_layer_kind kind;
  int64_t channels, kernel, stride, padding; /* padding is resolved: never negative */
  int64_t norm, relu;
} vane_layer_config;

typedef struct vane_config {
#define INTEGER(field, key, default_value, min, max, unit, help) int64_t field;
#define REAL(field, key, default_value, min, max, unit, help)    double field;
#define BOOLEAN(field, key, default_value, help)                 bool field;
#define TEXT(field, key, default_value, help)                    char field[VANE_CONFIG_TEXT_BYTES];
#define CHOICE(field, key, default_value, words, help)           int field;
#define REALS(field, key, max_count, min, max, unit, help)                                         \
  double field[max_count];                                                                         \
  int64_t n_##field;
#define INTEGERS(field, key, max_count, min, max, unit, help)                                      \
  int64_t field[max_count];                                                                        \
  int64_t n_##field;
#define LAYERS(field, key, max_count, help)                                                        \
  vane_layer_config field[max_count];                                                              \
  int64_t n_##field;
#include "config/keys.def"
#undef INTEGER
#undef REAL
#undef BOOLEAN
#undef TEXT
#undef CHOICE
#undef REALS
#undef INTEGERS
#undef LAYERS
} vane_config;

/* All settings at their defaults; an empty trunk. */
void vane_config_init(vane_config *config);

/* Reads `path` over what `config` holds. An unknown key, a wrong type, a value out of range or a
 * key given twice is VANE_ERR_CONFIG with "FILE:LINE: KEY: ..." and the nearest known key; a file
 * that is not YAML names line and column. `config` is unchanged on failure. */
VANE_CHECKED
vane_status vane_config_read(vane_config *config, const char *path);

/* The same from memory; `name` stands for the file in messages. */
VANE_CHECKED
vane_status vane_config_parse(vane_config *config, const char *name, const char *text,
                              size_t n_bytes);

/* Applies one "KEY=VALUE" as given to --set; VALUE is YAML ("3", "[64, 64]", "1e-4"). */
VANE_CHECKED
vane_status vane_config_set(vane_config *config, const char *assignment);

/* Applies the first `n` of them, in order, or those before a NULL. */
VANE_CHECKED
vane_status vane_config_set_all(vane_config *config, const char *const *assignments, int n);

/* Checks what concerns several keys at once: model.input is given, the trunk is not empty and ends
 * in one feature vector per image (global_pool or flatten, last and only there), data.mean and
 * data.std fit the channels, train.accumulate divides train.batch, warm-up fits into train.steps,
 * ... */
VANE_CHECKED
vane_status vane_config_check(const vane_config *config);

/* The resolved configuration as YAML, every key, ready to be read again: a fresh string that the
 * caller frees. Reals are printed so that they read back to the same bits. */
VANE_CHECKED
vane_status vane_config_print(const vane_config *config, char **text);

/* Every key with type, unit, range, default and help, for people. */
void vane_config_print_help(FILE *stream);

#endif
