/* A step as one CUDA graph: recorded at its second run, replayed from then on. */
#include <stdlib.h>

#include "device/cuda/cuda.h"

struct vane_graph {
  cudaGraphExec_t exec; /* NULL until it is recorded */
  size_t n_nodes;
};

static void cuda_graph_destroy(vane_device *base, vane_graph *graph) {
  (void)base;
  if (!graph)
    return;
  if (graph->exec)
    cudaGraphExecDestroy(graph->exec);
  free(graph);
}

/* Whatever `body` says, the capture is ended: a stream that captures on cannot be used. */
static vane_status record(cuda_device *device, vane_status (*body)(void *user), void *user,
                          vane_graph *graph) {
  cudaGraph_t recorded = NULL;
  CUDA_TRY(cudaStreamBeginCapture(device->compute, cudaStreamCaptureModeThreadLocal));
  vane_status status = body(user);
  cudaError_t code = cudaStreamEndCapture(device->compute, &recorded);
  if (status == VANE_OK && code == cudaSuccess)
    code = cudaGraphGetNodes(recorded, NULL, &graph->n_nodes);
  if (status == VANE_OK && code == cudaSuccess)
    code = cudaGraphInstantiate(&graph->exec, recorded, 0);
  if (recorded)
    cudaGraphDestroy(recorded);
  VANE_TRY(status);
  if (code != cudaSuccess) {
    (void)cudaGetLastError();
    return vane_fail_foreign(
        VANE_ERR_DEVICE, code, cudaGetErrorString(code),
        "a step could not be recorded (cudaStreamEndCapture, cudaGraphGetNodes, "
        "cudaGraphInstantiate): %s; device.graphs=false does without",
        cudaGetErrorString(code));
  }
  return VANE_OK;
}

static vane_status cuda_graph_run(vane_device *base, vane_graph **graph,
                                  vane_status (*body)(void *user), void *user) {
  cuda_device *device = vane_cuda_of(base);
  if (!device->graphs)
    return body(user);
  if (!*graph) {
    *graph = calloc(1, sizeof **graph);
    if (!*graph)
      return vane_fail(VANE_ERR_MEMORY, "no memory for a recorded step");
    return body(user);
  }
  if (!(*graph)->exec)
    VANE_TRY(record(device, body, user, *graph));
  CUDA_TRY(cudaGraphLaunch((*graph)->exec, device->compute));
  return VANE_OK;
}

static int64_t cuda_graph_length(const vane_graph *graph) {
  return graph && graph->exec ? (int64_t)graph->n_nodes : 0;
}

void vane_cuda_fill_graph(vane_graph_ops *ops) {
  *ops = (vane_graph_ops){
      .run = cuda_graph_run, .length = cuda_graph_length, .destroy = cuda_graph_destroy};
}
