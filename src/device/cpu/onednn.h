/* oneDNN, with the difference between its 2.x and 3.x API kept inside onednn.c. */
#ifndef VANE_DEVICE_CPU_ONEDNN_H
#define VANE_DEVICE_CPU_ONEDNN_H

#include <dnnl.h>

typedef struct cpu_onednn {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
} cpu_onednn;

#endif
