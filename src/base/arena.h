/* One block of memory per lifetime, carved by a named table: reserve, seal, then ask for addresses.
 * The block itself may be host or device memory; the arena only does the arithmetic. */
#ifndef VANE_BASE_ARENA_H
#define VANE_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "vane/status.h"

#define VANE_ARENA_ALIGNMENT 256 /* bytes; CUDA's allocation granularity, four cache lines */

typedef struct vane_arena_item {
  char name[64];
  size_t offset, bytes;
} vane_arena_item;

typedef struct vane_arena {
  const char *name; /* borrowed, a literal */
  vane_arena_item *items;
  int64_t n_items, capacity;
  size_t total_bytes;
  unsigned char *block; /* NULL until sealed; borrowed from whoever allocated it */
} vane_arena;

void vane_arena_init(vane_arena *arena, const char *name);

/* Frees the table, not the block. */
void vane_arena_finish(vane_arena *arena);

/* Adds an item of `bytes` (0 is allowed) and returns its number in `item`. Fails with
 * VANE_ERR_MEMORY, or with VANE_ERR_ARGUMENT after the arena was sealed. */
VANE_CHECKED
vane_status vane_arena_reserve(vane_arena *arena, size_t bytes, int64_t *item, const char *format,
                               ...) VANE_PRINTF(4, 5);

/* Gives the arena its block of at least `total_bytes`; no reservation is possible afterwards. */
void vane_arena_seal(vane_arena *arena, void *block);

/* The item's address. The arena must be sealed. */
void *vane_arena_at(const vane_arena *arena, int64_t item);

#endif
