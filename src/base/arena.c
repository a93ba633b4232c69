#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void vane_arena_init(vane_arena *arena, const char *name) {
  memset(arena, 0, sizeof *arena);
  arena->name = name;
}

void vane_arena_finish(vane_arena *arena) {
  free(arena->items);
  memset(arena, 0, sizeof *arena);
}

vane_status vane_arena_reserve(vane_arena *arena, size_t bytes, int64_t *item, const char *format,
                               ...) {
  if (arena->block)
    return vane_fail(VANE_ERR_ARGUMENT, "arena %s is sealed; reserve before the plan is finished",
                     arena->name);
  if (arena->n_items == arena->capacity) {
    int64_t capacity = arena->capacity ? 2 * arena->capacity : 32;
    vane_arena_item *items = realloc(arena->items, (size_t)capacity * sizeof *items);
    if (!items)
      return vane_fail(VANE_ERR_MEMORY, "no memory for the table of arena %s", arena->name);
    arena->items = items;
    arena->capacity = capacity;
  }
  vane_arena_item *entry = &arena->items[arena->n_items];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(entry->name, sizeof entry->name, format, arguments);
  va_end(arguments);
  entry->offset = arena->total_bytes;
  entry->bytes = bytes;
  arena->total_bytes += (bytes + VANE_ARENA_ALIGNMENT - 1) & ~(size_t)(VANE_ARENA_ALIGNMENT - 1);
  *item = arena->n_items++;
  return VANE_OK;
}

void vane_arena_seal(vane_arena *arena, void *block) {
  arena->block = block;
}

void *vane_arena_at(const vane_arena *arena, int64_t item) {
  return arena->block + arena->items[item].offset;
}
