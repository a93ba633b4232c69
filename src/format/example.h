/* tf.Example: a protobuf map from feature names to lists of bytes, floats or int64s. */
#ifndef VANE_FORMAT_EXAMPLE_H
#define VANE_FORMAT_EXAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "vane/status.h"

/* A parsed message; its memory comes from protobuf-c and is freed with destroy. */
typedef struct vane_example_message vane_example_message;

VANE_CHECKED
vane_status vane_example_parse(const void *bytes, size_t n_bytes, vane_example_message **message);
void vane_example_destroy(vane_example_message *message); /* takes NULL */

/* The first element of a bytes feature, borrowed. A missing or empty feature gives NULL and
 * VANE_OK; another type is VANE_ERR_FORMAT naming the feature. */
VANE_CHECKED
vane_status vane_example_get_bytes(const vane_example_message *message, const char *feature,
                                   const void **bytes, size_t *n_bytes);

/* Up to `capacity` numbers of a float or int64 feature; `count` is how many the feature has (0 when
 * it is missing). A bytes feature is VANE_ERR_FORMAT. */
VANE_CHECKED
vane_status vane_example_get_numbers(const vane_example_message *message, const char *feature,
                                     double *numbers, int64_t capacity, int64_t *count);

/* Number of features, and the i-th with its name, type word ("bytes", "float", "int64"; "empty"
 * without a list) and length (numbers, or bytes of the first element): for `vane inspect`. */
int64_t vane_example_count(const vane_example_message *message);
void vane_example_describe(const vane_example_message *message, int64_t i, const char **name,
                           const char **type, int64_t *length);

/* One feature to write. Exactly one of the pointers is set; all borrowed. */
typedef struct vane_example_feature {
  const char *name;
  const void *bytes; /* one element of n_values bytes */
  const float *floats;
  const int64_t *integers;
  int64_t n_values;
} vane_example_feature;

/* Serialises features into fresh memory that the caller frees. */
VANE_CHECKED
vane_status vane_example_print(const vane_example_feature *features, int64_t n_features,
                               unsigned char **bytes, size_t *n_bytes);

#endif
