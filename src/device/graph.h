/* The graph table of devices that record nothing. */
#ifndef VANE_DEVICE_GRAPH_H
#define VANE_DEVICE_GRAPH_H

#include "device/device.h"

/* `run` calls the body every time and leaves the graph NULL. */
void vane_graph_fill(vane_graph_ops *ops);

#endif
