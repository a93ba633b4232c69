#include "device/graph.h"

static vane_status run(vane_device *device, vane_graph **graph, vane_status (*body)(void *user),
                       void *user) {
  (void)device, (void)graph;
  return body(user);
}

static int64_t length(const vane_graph *graph) {
  (void)graph;
  return 0;
}

static void destroy(vane_device *device, vane_graph *graph) {
  (void)device, (void)graph; /* always NULL */
}

void vane_graph_fill(vane_graph_ops *ops) {
  *ops = (vane_graph_ops){.run = run, .length = length, .destroy = destroy};
}
