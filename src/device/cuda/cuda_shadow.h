/* The shadow of a block of parameters: the trunk's in bf16, as cuDNN's engines read them, beside
 * the fp32 that Adam moves.
 *
 * It lies like the parameters: real i of them is number i of the shadow. Everything that writes
 * parameters says so to vane_cuda_shadow_follow, but Adam, which writes both in one pass. */
#ifndef VANE_DEVICE_CUDA_CUDA_SHADOW_H
#define VANE_DEVICE_CUDA_CUDA_SHADOW_H

#include "device/cuda/cuda_block.h"

/* Up to the end of the last shared segment of those that come first; 0 unless in bf16. */
size_t vane_cuda_shadow_bytes(const cuda_device *device, const vane_block *block);

/* block.bind, and undone. */
VANE_CHECKED
vane_status vane_cuda_bind(vane_device *device, vane_block *block, void *parameters, void *shadow);
void vane_cuda_unbind(vane_device *device, cuda_block *block); /* one that is not bound is fine */

/* The shadow of `count` reals, NULL where not all of them have one. */
void *vane_cuda_shadow_of(const cuda_device *device, const void *reals, int64_t count);

/* What a pass over the block writes beside `parameters`: numbers NULL unless it is bound there. */
vane_shadow vane_cuda_shadow_to_write(const vane_block *block, const void *parameters);

/* `bytes` of device memory were written, or soon will be by what is enqueued: where parameters of a
 * bound block are among them, enqueues what brings their shadow up to date. */
VANE_CHECKED
vane_status vane_cuda_shadow_follow(vane_device *device, const void *written, size_t bytes);

#endif
