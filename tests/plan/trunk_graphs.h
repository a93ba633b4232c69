/* Every convolution that the presets' trunks plan, each once: what a device would be asked for. */
#ifndef TESTS_PLAN_TRUNK_GRAPHS_H
#define TESTS_PLAN_TRUNK_GRAPHS_H

#include "device/device.h"

typedef struct trunk_convolution {
  vane_conv_plan shape; /* desc, h_out, w_out */
  char presets[96];     /* "r64, tf1" */
} trunk_convolution;

typedef struct trunk_convolutions {
  trunk_convolution items[128];
  int n;
} trunk_convolutions;

/* For training with `batch` images; in the order of the presets' names. Fails the test where a
 * preset cannot be read. */
void trunk_convolutions_collect(int64_t batch, trunk_convolutions *all);

#endif
