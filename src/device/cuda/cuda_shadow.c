#include "device/cuda/cuda_shadow.h"

enum { ALIGNMENT = 16 }; /* reals: of a segment, and more than a kernel converts at once */

size_t vane_cuda_shadow_bytes(const cuda_device *device, const vane_block *block) {
  int64_t end = 0;
  if (vane_cuda_number(device) != VANE_NUMBER_BF16)
    return 0;
  for (int64_t i = 0; i < block->n_segments && block->segments[i].task == VANE_SHARED; i++)
    end = block->segments[i].offset + block->segments[i].count;
  return (size_t)end * sizeof(uint16_t);
}

static int64_t reals_of(const cuda_block *block) {
  return (int64_t)(block->base.shadow_bytes / sizeof(uint16_t));
}

static void *number_at(const cuda_block *block, int64_t i) {
  return (uint16_t *)block->shadow + i;
}

/* Which of the block's reals lie in `bytes` from `memory` on, be it in part: from *begin to before
 * *end. False: none. */
static bool find_common(const cuda_block *block, const void *memory, size_t bytes, int64_t *begin,
                        int64_t *end) {
  const uintptr_t first = (uintptr_t)block->parameters;
  const uintptr_t beyond = first + (uintptr_t)reals_of(block) * sizeof(float);
  uintptr_t from = (uintptr_t)memory, to = from + bytes;
  from = from > first ? from : first;
  to = to < beyond ? to : beyond;
  if (from >= to)
    return false;
  *begin = (int64_t)((from - first) / sizeof(float));
  *end = (int64_t)((to - first + sizeof(float) - 1) / sizeof(float));
  return true;
}

/* Vectors begin on whole cache lines, so a few numbers in front are made again. */
static vane_status make(const cuda_device *device, const cuda_block *block, int64_t begin,
                        int64_t end) {
  begin -= begin % ALIGNMENT;
  CUDA_TRY(vane_launch_from_float(number_at(block, begin), block->parameters + begin,
                                  VANE_NUMBER_BF16, end - begin, device->compute));
  return VANE_OK;
}

void vane_cuda_unbind(vane_device *device, cuda_block *block) {
  struct cuda_block **at = &vane_cuda_of(device)->bound;
  while (*at != NULL && *at != block)
    at = &(*at)->next_bound;
  if (*at != NULL)
    *at = block->next_bound;
  block->parameters = NULL;
  block->shadow = NULL;
  block->next_bound = NULL;
}

static vane_status check_alone(const cuda_device *device, const cuda_block *block,
                               const void *parameters) {
  int64_t begin, end;
  for (const cuda_block *other = device->bound; other != NULL; other = other->next_bound)
    if (other != block &&
        find_common(other, parameters, (size_t)reals_of(block) * sizeof(float), &begin, &end))
      return vane_fail(VANE_ERR_ARGUMENT,
                       "block: its parameters are another block's too, from its real %lld on",
                       (long long)begin);
  return VANE_OK;
}

vane_status vane_cuda_bind(vane_device *base, vane_block *block_base, void *parameters,
                           void *shadow) {
  cuda_device *device = vane_cuda_of(base);
  cuda_block *block = (cuda_block *)block_base;
  if (block->base.shadow_bytes == 0)
    return VANE_OK;
  VANE_TRY(check_alone(device, block, parameters));
  vane_cuda_unbind(base, block);
  block->parameters = parameters;
  block->shadow = shadow;
  block->next_bound = device->bound;
  device->bound = block;
  return make(device, block, 0, reals_of(block));
}

void *vane_cuda_shadow_of(const cuda_device *device, const void *reals, int64_t count) {
  int64_t begin, end;
  for (const cuda_block *block = device->bound; block != NULL; block = block->next_bound)
    if (find_common(block, reals, (size_t)count * sizeof(float), &begin, &end))
      return end - begin == count ? number_at(block, begin) : NULL;
  return NULL;
}

vane_shadow vane_cuda_shadow_to_write(const vane_block *base, const void *parameters) {
  const cuda_block *block = (const cuda_block *)base;
  if (block->shadow == NULL || block->parameters != parameters)
    return (vane_shadow){.numbers = NULL};
  return (vane_shadow){.numbers = block->shadow, .n_reals = reals_of(block)};
}

vane_status vane_cuda_shadow_follow(vane_device *base, const void *written, size_t bytes) {
  const cuda_device *device = vane_cuda_of(base);
  int64_t begin, end;
  for (const cuda_block *block = device->bound; block != NULL; block = block->next_bound)
    if (find_common(block, written, bytes, &begin, &end))
      VANE_TRY(make(device, block, begin, end));
  return VANE_OK;
}
