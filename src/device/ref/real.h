/* The folder is compiled twice: its real is a float in one copy, a double in the other. What leaves
 * a file carries the type in its name: the functions of ref.h, and the two at the end of this page.
 */
#ifndef VANE_DEVICE_REF_REAL_H
#define VANE_DEVICE_REF_REAL_H

#include <stdint.h>

#include "device/device.h"

#if defined(VANE_REF_float)
typedef float real;
#define REF_NAME(name) name##_float
#elif defined(VANE_REF_double)
typedef double real;
#define REF_NAME(name) name##_double
#else
#error "compile src/device/ref with -DVANE_REF_float or -DVANE_REF_double"
#endif

/* Where x[n,h,w,c] lies: ref stores activations as they are meant. */
static inline int64_t offset_of(const vane_tensor *x, int64_t n, int64_t h, int64_t w, int64_t c) {
  return ((n * x->h + h) * x->w + w) * x->c + c;
}

static inline int64_t count_of(const vane_tensor *x) {
  return x->n * x->h * x->w * x->c;
}

/* A NaN stays one, so that the loss it reaches can be named. */
static inline double relu_of(double x) {
  return x < 0.0 ? 0.0 : x;
}

/* Slots that have a file of their own beside the rest of their sub-table. */
vane_status REF_NAME(vane_ref_angle)(vane_device *device, const vane_angle_desc *desc,
                                     const void *out, const void *target, const void *mask,
                                     int64_t n, void *sample, void *seed, vane_step_record *record);
vane_status REF_NAME(vane_ref_decide)(vane_device *device, const vane_decide_desc *desc,
                                      const vane_block *block, const void *parameters,
                                      const void *gradients, const void *samples, int64_t n,
                                      vane_step_record *record);
vane_status REF_NAME(vane_ref_curvature)(vane_device *device, const vane_adam_desc *desc,
                                         const vane_guard_desc *guard, const vane_block *block,
                                         const vane_adam_memory *memory,
                                         const void *gradients_after, vane_step_record *record);

#endif
