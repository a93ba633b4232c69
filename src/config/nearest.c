#include "config/nearest.h"

#include <stdint.h>
#include <string.h>

#define MAX_BYTES 96 /* a longer word is no typo of any key */

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal
 * string alignment). Row i of the table holds the distances of a's first i letters. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b) {
  size_t rows[3][MAX_BYTES + 1];
  for (size_t j = 0; j <= n_b; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= n_a; i++) {
    size_t *row = rows[i % 3];
    const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= n_b; j++) {
      row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = smaller(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[n_a % 3][n_b];
}

void vane_nearest_init(vane_nearest *search, const char *word, vane_nearest_limit limit) {
  search->word = word;
  search->distance = limit == VANE_NEAREST_ANY ? SIZE_MAX : (strlen(word) + 3) / 4 + 1;
  search->best = NULL;
  search->n_bytes = 0;
}

void vane_nearest_offer(vane_nearest *search, const char *candidate, size_t n_bytes) {
  size_t word_bytes = strlen(search->word);
  if (word_bytes > MAX_BYTES || n_bytes > MAX_BYTES)
    return;
  size_t edits = distance(search->word, word_bytes, candidate, n_bytes);
  if (edits < search->distance) {
    search->distance = edits;
    search->best = candidate;
    search->n_bytes = n_bytes;
  }
}
