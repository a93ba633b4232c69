/* The CPU backend's own header: its device, its layout, and who fills which sub-table.
 *
 * Layout. An activation of C channels lies as [N, C/b, H, W, b], b = `block` (16 on AVX-512, 8
 * below); C is rounded up to whole blocks and the padding channels hold zeros, always. Images of
 * few channels stay plain: [N, C, H, W] (vane_cpu_layout). A layout depends on C alone, so that no
 * operation ever reorders an activation.
 *
 * Threads. Every parallel region says `num_threads(device->n_threads)` and splits its work by
 * sizes and n_threads alone (schedule(static)); partial sums are added in the order of the threads.
 * The same number of threads gives the same bits.
 */
#ifndef VANE_DEVICE_CPU_CPU_H
#define VANE_DEVICE_CPU_CPU_H

#include "device/cpu/cpu_planes.h"
#include "device/cpu/primitive.h"
#include "device/device.h"

/* Doubles of `partials` per thread. */
enum { CPU_PARTIALS_PER_THREAD = 64 };

typedef struct cpu_device {
  vane_device base;
  int n_threads;
  int convolution;  /* VANE_CONVOLUTION_* */
  int64_t block;    /* channels per block */
  double *partials; /* [n_threads][CPU_PARTIALS_PER_THREAD], scratch of one call; owned */
  void *workspace;  /* borrowed: scratch of one call, as large as the largest plan asked for */
  size_t workspace_bytes;
  cpu_onednn onednn;
  struct cpu_measurement *measurements; /* of convolutions, see cpu_conv_choose.c; owned */
} cpu_device;

/* vane_tensor.layout */
enum { CPU_PLAIN, /* [N, C, H, W] */ CPU_BLOCKED /* [N, C/b, H, W, b] */ };

/* How C channels lie. */
int32_t vane_cpu_layout(const cpu_device *device, int64_t c);
/* Channels as stored: C rounded up to whole blocks where the layout is blocked. */
int64_t vane_cpu_stored_channels(const cpu_device *device, int64_t c);

cpu_planes vane_cpu_planes(const cpu_device *device, const vane_tensor *tensor);

/* Each names the file that holds the sub-table: cpu_memory.c, cpu_conv.c, ... */
void vane_cpu_fill_memory(vane_memory_ops *ops);
void vane_cpu_fill_conv(vane_conv_ops *ops);
void vane_cpu_fill_norm(vane_norm_ops *ops);
void vane_cpu_fill_pool(vane_pool_ops *ops);
void vane_cpu_fill_dense(vane_dense_ops *ops);
void vane_cpu_fill_elementwise(vane_elementwise_ops *ops);
void vane_cpu_fill_reduce(vane_reduce_ops *ops); /* cpu_reduce.c */
void vane_cpu_fill_optim(vane_optim_ops *ops);   /* cpu_adam.c, cpu_limits.c */

/* cpu_limits.c, for optim.limits. */
vane_status vane_cpu_limits(vane_device *device, const vane_adam_desc *desc,
                            const vane_block *block, const vane_adam_memory *memory,
                            const vane_step_record *record);

/* A slot of optim with a file of its own: cpu_curvature.c. */
vane_status vane_cpu_curvature(vane_device *device, const vane_adam_desc *desc,
                               const vane_guard_desc *guard, const vane_block *block,
                               const vane_adam_memory *memory, const void *gradients_after,
                               vane_step_record *record);

/* A slot of elementwise with a file of its own: cpu_stream.c. */
vane_status vane_cpu_stream(vane_device *device, void *const to[3], const void *from, double scale,
                            int64_t count, bool past_caches);

#endif
