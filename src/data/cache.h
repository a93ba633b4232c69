/* Examples kept in memory, decoded: for sets that fit there and are read again and again. */
#ifndef VANE_DATA_CACHE_H
#define VANE_DATA_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "data/example.h"
#include "vane/status.h"

typedef struct vane_example_cache vane_example_cache;

/* Room for `count` examples of `image_bytes` bytes of pixels. The memory is asked for at once, and
 * taken from the system as examples come in. */
VANE_CHECKED
vane_status vane_example_cache_create(int64_t count, size_t image_bytes,
                                      vane_example_cache **cache);
void vane_example_cache_destroy(vane_example_cache *cache); /* takes NULL */

/* Both are thread-safe and never wait. find copies example `index` out; false where it is not kept
 * (yet). keep leaves one that is kept already, or that another thread is about to keep, as it is:
 * the same index always means the same example. */
bool vane_example_cache_find(const vane_example_cache *cache, int64_t index, uint8_t *pixels,
                             vane_labels *labels);
void vane_example_cache_keep(vane_example_cache *cache, int64_t index, const uint8_t *pixels,
                             const vane_labels *labels);

#endif
