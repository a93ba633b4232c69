/* Adam (N30..N35, N40, N60..N66), limits before its step (N67, N68) and the curvature along it
 * (N36, N37). */
#include "device/cuda/cuda_shadow.h"

static vane_status cuda_adam(vane_device *base, const vane_adam_desc *desc, const vane_block *block,
                             const vane_adam_memory *memory, const vane_step_record *record) {
  const vane_shadow shadow = vane_cuda_shadow_to_write(block, memory->parameters);
  CUDA_TRY(vane_launch_adam(*desc, vane_cuda_chunks(block), *memory, shadow, record,
                            vane_cuda_of(base)->compute));
  if (shadow.numbers != NULL || block->n_segments == 0)
    return VANE_OK;
  /* They may be those of a bound block that is cut in another way. */
  return vane_cuda_shadow_follow(base, (float *)memory->parameters + block->segments[0].offset,
                                 (size_t)block->count * sizeof(float));
}

static vane_status cuda_limits(vane_device *base, const vane_adam_desc *desc,
                               const vane_block *block, const vane_adam_memory *memory,
                               const vane_step_record *record) {
  CUDA_TRY(vane_launch_limits(*desc, vane_cuda_chunks(block), *memory, record,
                              vane_cuda_of(base)->compute));
  return VANE_OK;
}

static vane_status cuda_curvature(vane_device *base, const vane_adam_desc *desc,
                                  const vane_guard_desc *guard, const vane_block *block,
                                  const vane_adam_memory *memory, const void *gradients_after,
                                  vane_step_record *record) {
  const cuda_device *device = vane_cuda_of(base);
  CUDA_TRY(vane_launch_curvature(*desc, *guard, vane_cuda_chunks(block), *memory, gradients_after,
                                 record, device->scratch, device->compute));
  return VANE_OK;
}

void vane_cuda_fill_optim(vane_optim_ops *ops) {
  *ops = (vane_optim_ops){.limits = cuda_limits, .adam = cuda_adam, .curvature = cuda_curvature};
}
