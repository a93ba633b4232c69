/* One run of an operation on one device, and the memory it takes there: every block is filled with
 * bytes 0xff (a NaN as float and as double), so that what an operation left out shows, and stands
 * between guards, so that what it wrote or read too far shows. */
#ifndef VANE_TESTS_OPS_SIDE_H
#define VANE_TESTS_OPS_SIDE_H

#include "ops/check.h"

typedef struct side_block {
  unsigned char *base;
  size_t bytes; /* without the guards */
} side_block;

typedef struct side {
  vane_device *device;
  side_block blocks[64];
  int n_blocks;
  vane_block *planned[4];
  int n_planned;
} side;

/* The VANE_PRECISION_* of the device under test. In bf16 its activations are narrower than the
 * oracle's, which from now on are rounded to bf16 by side_put_tensor and side_read_tensor. */
void side_hold(int precision);

side side_begin(vane_device *device);
/* Checks all guards and gives the memory back. */
void side_end(side *s);

void *side_bytes(side *s, size_t bytes);
void *side_reals(side *s, int64_t count);
void *side_put(side *s, const double *values, int64_t count);
void side_read(side *s, const void *reals, double *values, int64_t count);

/* Activations [n, h, w, c]; host values in that order. */
vane_tensor side_tensor(side *s, int64_t n, int64_t h, int64_t w, int64_t c);
vane_tensor side_put_tensor(side *s, const double *values, int64_t n, int64_t h, int64_t w,
                            int64_t c);
void side_read_tensor(side *s, const vane_tensor *tensor, double *values);

/* Convolution weights [c_out, c_in, kernel, kernel] in the device's own order. */
void *side_put_weights(side *s, const vane_conv_plan *plan, const double *values);
void side_read_weights(side *s, const vane_conv_plan *plan, const void *weights, double *values);

vane_step_record *side_put_record(side *s, const vane_step_record *record);
vane_step_record side_read_record(side *s, const vane_step_record *record);

/* A block of parameters that side_end destroys. */
const vane_block *side_plan_block(side *s, const vane_segment *segments, int64_t n_segments);

void side_bind_workspace(side *s, size_t bytes);

#endif
