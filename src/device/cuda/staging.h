/* The way of bytes between host and GPU, without a wait in a step.
 *
 * Uploads. The host's bytes are copied into pinned memory, from there by the copy stream into a
 * landing place on the GPU, and from there in the order of the compute stream to where they belong:
 * the crossing hides behind the step before, and nobody reads a buffer that is being overwritten.
 * Pinned memory and landing place have two halves each; a half is taken up again when its last
 * bytes have crossed (the host waits, but only for the copy stream, and only when it is a half
 * ahead) and have been fetched (the copy stream waits).
 *
 * Downloads. Small ones go into a pinned mailbox, from which synchronize hands them out.
 */
#ifndef VANE_DEVICE_CUDA_STAGING_H
#define VANE_DEVICE_CUDA_STAGING_H

#include "device/cuda/cuda.h"

VANE_CHECKED
vane_status vane_cuda_staging_create(cuda_staging **staging);
void vane_cuda_staging_destroy(cuda_staging *staging); /* takes NULL */

/* memory.upload, memory.download and memory.synchronize of the table. */
VANE_CHECKED
vane_status vane_cuda_upload(vane_device *device, void *to, const void *from_host, size_t bytes);
VANE_CHECKED
vane_status vane_cuda_download(vane_device *device, void *to_host, const void *from, size_t bytes);
VANE_CHECKED
vane_status vane_cuda_synchronize(vane_device *device);

#endif
