/* Cuts the segments of a block into chunks and lays their table down on the GPU. */
#include "device/cuda/cuda_block.h"

#include <inttypes.h>
#include <stdlib.h>

#include "device/block.h"
#include "device/cuda/cuda_shadow.h"

enum { ALIGNMENT = 16 }; /* reals, of a segment: 64 bytes, as vane_segment says */

static int64_t chunks_of(const vane_segment *segment) {
  return (segment->count + VANE_CHUNK_REALS - 1) / VANE_CHUNK_REALS;
}

/* Kernels load four reals at a time, and count the blocks of a launch in 31 bits. */
static vane_status count_chunks(const vane_block *block, vane_chunks *chunks) {
  *chunks = (vane_chunks){0};
  for (int64_t i = 0; i < block->n_segments; i++) {
    const vane_segment *segment = &block->segments[i];
    if (segment->offset % ALIGNMENT != 0)
      return vane_fail(VANE_ERR_ARGUMENT,
                       "block: segment %" PRId64 " begins at %" PRId64 ", not a multiple of %d", i,
                       segment->offset, ALIGNMENT);
    chunks->n += chunks_of(segment);
    chunks->n_reals += segment->count;
  }
  if (chunks->n > INT32_MAX)
    return vane_fail(VANE_ERR_UNSUPPORTED, "block: %" PRId64 " parameters are too many",
                     chunks->n_reals);
  return VANE_OK;
}

/* Every chunk is a part that telemetry is kept for. */
static void cut(vane_block *block, vane_chunk *chunk) {
  const vane_chunk *first = chunk;
  for (int64_t i = 0; i < block->n_segments; i++) {
    const vane_segment *segment = &block->segments[i];
    block->first_part[i] = chunk - first;
    for (int64_t begin = 0; begin < segment->count; begin += VANE_CHUNK_REALS) {
      int64_t left = segment->count - begin;
      *chunk++ = (vane_chunk){.offset = segment->offset + begin,
                              .count = (int32_t)(left < VANE_CHUNK_REALS ? left : VANE_CHUNK_REALS),
                              .task = (int16_t)segment->task,
                              .decay = segment->decay != 0};
    }
  }
  block->n_parts = block->first_part[block->n_segments] = chunk - first;
}

/* The table's memory belongs to the block as soon as it is there. */
static vane_status lay_down(vane_device *device, cuda_block *block, const vane_chunk *table) {
  const size_t bytes = (size_t)block->chunks.n * sizeof *table;
  void *memory = NULL;
  VANE_TRY(device->memory.create(device, bytes, &memory));
  block->chunks.chunk = memory;
  CUDA_TRY(
      cudaMemcpyAsync(memory, table, bytes, cudaMemcpyHostToDevice, vane_cuda_of(device)->compute));
  CUDA_TRY(cudaStreamSynchronize(vane_cuda_of(device)->compute));
  return VANE_OK;
}

static vane_status make_chunks(vane_device *device, cuda_block *block) {
  VANE_TRY(count_chunks(&block->base, &block->chunks));
  if (block->chunks.n == 0)
    return VANE_OK;
  vane_chunk *table = malloc((size_t)block->chunks.n * sizeof *table);
  if (!table)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a block of %" PRId64 " chunks",
                     block->chunks.n);
  cut(&block->base, table);
  vane_status status = lay_down(device, block, table);
  free(table);
  return status;
}

static void cuda_destroy(vane_device *device, vane_block *base) {
  if (!base)
    return;
  cuda_block *block = (cuda_block *)base;
  vane_cuda_unbind(device, block);
  device->memory.destroy(device, (void *)(uintptr_t)block->chunks.chunk);
  vane_block_finish(base);
  free(block);
}

static vane_status cuda_plan(vane_device *device, const vane_segment *segments, int64_t n_segments,
                             vane_block **planned) {
  *planned = NULL;
  cuda_block *block = calloc(1, sizeof *block);
  if (!block)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a block of parameters");
  vane_status status = vane_block_init(&block->base, segments, n_segments);
  if (status == VANE_OK)
    status = make_chunks(device, block);
  block->base.shadow_bytes = vane_cuda_shadow_bytes(vane_cuda_of(device), &block->base);
  if (status != VANE_OK) {
    cuda_destroy(device, &block->base);
    return status;
  }
  *planned = &block->base;
  return VANE_OK;
}

void vane_cuda_fill_block(vane_block_ops *ops) {
  *ops = (vane_block_ops){.plan = cuda_plan, .bind = vane_cuda_bind, .destroy = cuda_destroy};
}
