/* An activation as planes of pixels, which is how the loops of this folder see it:
 * [n_images, n_blocks, n_pixels, lanes]. Blocked tensors have `block` channels side by side in the
 * lanes of a vector; plain ones have a block per channel and one lane. Lanes beyond the last
 * channel are padding and hold zeros. */
#ifndef VANE_DEVICE_CPU_CPU_PLANES_H
#define VANE_DEVICE_CPU_CPU_PLANES_H

#include <stdint.h>

enum { CPU_MAX_LANES = 16 };

typedef struct cpu_planes {
  int64_t n_images, n_blocks, n_pixels, lanes;
  int64_t n_channels; /* without padding */
  int64_t count;      /* floats in all */
} cpu_planes;

static inline int64_t vane_cpu_index(const cpu_planes *planes, int64_t image, int64_t pixel,
                                     int64_t channel) {
  int64_t block = channel / planes->lanes, lane = channel % planes->lanes;
  return ((image * planes->n_blocks + block) * planes->n_pixels + pixel) * planes->lanes + lane;
}

/* Calls `function`, which is inlined, with the number of lanes as a constant, so that its loops
 * over lanes become single vector instructions. */
#define CPU_INLINE static inline __attribute__((always_inline))
#define CPU_WITH_LANES(lanes, function, ...)                                                       \
  do {                                                                                             \
    switch (lanes) {                                                                               \
    case 16:                                                                                       \
      function(16, __VA_ARGS__);                                                                   \
      break;                                                                                       \
    case 8:                                                                                        \
      function(8, __VA_ARGS__);                                                                    \
      break;                                                                                       \
    default:                                                                                       \
      function(1, __VA_ARGS__);                                                                    \
    }                                                                                              \
  } while (0)

/* So many values are added as floats before the sum goes on in double: their rounding stays below
 * that of a single float operation on the whole. */
enum { CPU_FLOAT_RUN = 64 };

#endif
