/* What vane uses of oneDNN: convolutions and matrix products on float arrays.
 *
 * A primitive is made with everything it needs (descriptors, memory objects, scratch sizes), so
 * that running it only binds addresses.
 */
#ifndef VANE_DEVICE_CPU_PRIMITIVE_H
#define VANE_DEVICE_CPU_PRIMITIVE_H

#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vane/status.h"

typedef struct cpu_onednn {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  int n_threads;
} cpu_onednn;

/* Shape and order of a float array. */
typedef struct cpu_array {
  int n_dims;
  dnnl_dims_t dims;
  dnnl_format_tag_t tag; /* undef: `strides` say how it lies */
  dnnl_dims_t strides;   /* floats from one index of a dimension to the next */
} cpu_array;

typedef enum cpu_direction {
  CPU_FORWARD,
  CPU_BACKWARD_DATA,
  CPU_BACKWARD_WEIGHTS,
  CPU_N_DIRECTIONS
} cpu_direction;

typedef struct cpu_conv_spec {
  cpu_direction direction;
  bool winograd; /* else direct */
  cpu_array x, weights, y;
  int64_t stride, padding;
  bool bias;
  bool residual, relu; /* forward only */
} cpu_conv_spec;

/* One prepared computation. Not for use by two threads at once. */
typedef struct cpu_primitive cpu_primitive;

VANE_CHECKED
vane_status vane_cpu_onednn_open(cpu_onednn *onednn, int n_threads);
void vane_cpu_onednn_close(cpu_onednn *onednn); /* takes a zeroed struct */

/* Whether oneDNN would use AVX-512 here (its own limit, such as ONEDNN_MAX_CPU_ISA, counts). */
bool vane_cpu_onednn_avx512(void);

/* A convolution. Buffers of `run`: forward x, weights, y, bias, residual; backward
 * data dy, weights, dx; backward weights x, dy, dweights, dbias; those that the spec
 * lacks are left out. Where oneDNN wants the weights in another order than spec->weights, they are
 * reordered through the workspace. *primitive is NULL where oneDNN has no such implementation. */
VANE_CHECKED
vane_status vane_cpu_convolution_create(const cpu_onednn *onednn, const cpu_conv_spec *spec,
                                        cpu_primitive **primitive);

/* c [m, n] = a [m, k] b [k, n], then + bias [1, n] where `bias`, then ReLU where `relu`. Buffers:
 * a, b, c, bias. */
VANE_CHECKED
vane_status vane_cpu_product_create(const cpu_onednn *onednn, const cpu_array *a,
                                    const cpu_array *b, const cpu_array *c, bool bias, bool relu,
                                    cpu_primitive **primitive);

void vane_cpu_primitive_destroy(cpu_primitive *primitive); /* takes NULL */

/* Scratch that `run` needs, 64-byte aligned. */
size_t vane_cpu_primitive_workspace_bytes(const cpu_primitive *primitive);

/* oneDNN's name of the implementation, such as "jit:avx512_core". */
const char *vane_cpu_primitive_name(const cpu_primitive *primitive);

/* Runs to the end, on onednn->n_threads threads. */
VANE_CHECKED
vane_status vane_cpu_primitive_run(const cpu_onednn *onednn, cpu_primitive *primitive,
                                   const void *const *buffers, void *workspace);

#endif
