#include "data/cache.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Each example goes through these once, in this order. Bytes are written in WRITING, by the one
 * thread that set it, and read in READY alone. */
enum { EMPTY, WRITING, READY };

struct vane_example_cache {
  size_t image_bytes;
  uint8_t *pixels;      /* [count, image_bytes] */
  vane_labels *labels;  /* [count] */
  atomic_uchar *states; /* [count] */
};

vane_status vane_example_cache_create(int64_t count, size_t image_bytes,
                                      vane_example_cache **cache_out) {
  *cache_out = NULL;
  vane_example_cache *cache = calloc(1, sizeof *cache);
  if (cache) {
    cache->image_bytes = image_bytes;
    cache->pixels = calloc((size_t)count, image_bytes);
    cache->labels = calloc((size_t)count, sizeof *cache->labels);
    cache->states = calloc((size_t)count, sizeof *cache->states);
  }
  if (!cache || !cache->pixels || !cache->labels || !cache->states) {
    vane_example_cache_destroy(cache);
    return vane_fail(VANE_ERR_MEMORY,
                     "no memory to keep %" PRId64 " images of %zu bytes; switch data.train.cache "
                     "off",
                     count, image_bytes);
  }
  *cache_out = cache;
  return VANE_OK;
}

void vane_example_cache_destroy(vane_example_cache *cache) {
  if (!cache)
    return;
  free(cache->states);
  free(cache->labels);
  free(cache->pixels);
  free(cache);
}

bool vane_example_cache_find(const vane_example_cache *cache, int64_t index, uint8_t *pixels,
                             vane_labels *labels) {
  if (atomic_load_explicit(&cache->states[index], memory_order_acquire) != READY)
    return false;
  memcpy(pixels, cache->pixels + (size_t)index * cache->image_bytes, cache->image_bytes);
  *labels = cache->labels[index];
  return true;
}

void vane_example_cache_keep(vane_example_cache *cache, int64_t index, const uint8_t *pixels,
                             const vane_labels *labels) {
  unsigned char empty = EMPTY;
  if (!atomic_compare_exchange_strong_explicit(&cache->states[index], &empty, WRITING,
                                               memory_order_relaxed, memory_order_relaxed))
    return;
  memcpy(cache->pixels + (size_t)index * cache->image_bytes, pixels, cache->image_bytes);
  cache->labels[index] = *labels;
  atomic_store_explicit(&cache->states[index], READY, memory_order_release);
}
