/* The known word nearest to a mistyped one, for "did you mean ...?". */
#ifndef VANE_CONFIG_NEAREST_H
#define VANE_CONFIG_NEAREST_H

#include <stddef.h>

/* How far off a word may be. A typo: one edit in four letters, at least one. */
typedef enum vane_nearest_limit { VANE_NEAREST_TYPO, VANE_NEAREST_ANY } vane_nearest_limit;

/* Words are borrowed. `best` is not terminated; n_bytes 0 says that nothing was near enough. */
typedef struct vane_nearest {
  const char *word;
  size_t distance; /* only a word nearer than this is taken */
  const char *best;
  size_t n_bytes;
} vane_nearest;

void vane_nearest_init(vane_nearest *search, const char *word, vane_nearest_limit limit);

/* Takes a candidate if it is nearer than all before: the first of equals stays. */
void vane_nearest_offer(vane_nearest *search, const char *candidate, size_t n_bytes);

#endif
