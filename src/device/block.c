#include "device/block.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static vane_status check_segment(const vane_segment *segments, int64_t i) {
  const vane_segment *segment = &segments[i];
  if (segment->offset < 0 || segment->count < 0)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "block: segment %" PRId64 " begins at %" PRId64 " and has %" PRId64
                     " reals; neither may be negative",
                     i, segment->offset, segment->count);
  if (segment->task < 0 || segment->task > VANE_SHARED)
    return vane_fail(VANE_ERR_ARGUMENT, "block: segment %" PRId64 " belongs to no task: %d", i,
                     (int)segment->task);
  if (i > 0 && segment->offset < segments[i - 1].offset)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "block: segment %" PRId64 " begins at %" PRId64
                     ", before the one in front of it, at %" PRId64,
                     i, segment->offset, segments[i - 1].offset);
  if (i > 0 && segment->offset < segments[i - 1].offset + segments[i - 1].count)
    return vane_fail(VANE_ERR_ARGUMENT,
                     "block: segment %" PRId64 " begins at %" PRId64
                     ", inside the one in front of it, which ends at %" PRId64,
                     i, segment->offset, segments[i - 1].offset + segments[i - 1].count);
  return VANE_OK;
}

vane_status vane_block_init(vane_block *block, const vane_segment *segments, int64_t n_segments) {
  *block = (vane_block){0};
  for (int64_t i = 0; i < n_segments; i++)
    VANE_TRY(check_segment(segments, i));
  if (n_segments < 1)
    return VANE_OK;
  size_t bytes = (size_t)n_segments * sizeof *segments;
  block->segments = malloc(bytes);
  block->first_part = malloc(((size_t)n_segments + 1) * sizeof *block->first_part);
  if (!block->segments || !block->first_part) {
    vane_block_finish(block);
    return vane_fail(VANE_ERR_MEMORY, "no memory for a block of %" PRId64 " segments", n_segments);
  }
  memcpy(block->segments, segments, bytes);
  block->n_segments = block->n_parts = n_segments;
  for (int64_t i = 0; i <= n_segments; i++)
    block->first_part[i] = i;
  const vane_segment *last = &block->segments[n_segments - 1];
  block->count = last->offset + last->count - segments[0].offset;
  return VANE_OK;
}

void vane_block_finish(vane_block *block) {
  free(block->segments);
  free(block->first_part);
  *block = (vane_block){0};
}

static vane_status plan(vane_device *device, const vane_segment *segments, int64_t n_segments,
                        vane_block **block) {
  (void)device;
  *block = NULL;
  vane_block *made = malloc(sizeof *made);
  if (!made)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a block of parameters");
  vane_status status = vane_block_init(made, segments, n_segments);
  if (status != VANE_OK) {
    free(made);
    return status;
  }
  *block = made;
  return VANE_OK;
}

static vane_status bind(vane_device *device, vane_block *block, void *parameters, void *shadow) {
  (void)device, (void)block, (void)parameters, (void)shadow;
  return VANE_OK;
}

static void destroy(vane_device *device, vane_block *block) {
  (void)device;
  if (!block)
    return;
  vane_block_finish(block);
  free(block);
}

void vane_block_fill(vane_block_ops *ops) {
  *ops = (vane_block_ops){.plan = plan, .bind = bind, .destroy = destroy};
}
