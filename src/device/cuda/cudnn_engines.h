/* The engines that cuDNN offers for a graph, and the plan that one of them becomes.
 *
 * An engine is known by its index and its knobs, as numbers: the same description builds the same
 * plan today, and from a checkpoint. */
#ifndef VANE_DEVICE_CUDA_CUDNN_ENGINES_H
#define VANE_DEVICE_CUDA_CUDNN_ENGINES_H

#include "device/cuda/cudnn_graph.h"

enum { CUDNN_MOST_KNOBS = 16, CUDNN_ENGINE_TEXT = 192 };

typedef struct cudnn_knob {
  int32_t type; /* cudnnBackendKnobType_t */
  int64_t value;
} cudnn_knob;

typedef struct cudnn_engine {
  int64_t index;
  cudnn_knob knobs[CUDNN_MOST_KNOBS];
  int n_knobs;
  uint32_t numerical, behavior; /* bit i: the note cudnnBackend{Numerical,Behavior}Note_t i */
} cudnn_engine;

static inline bool vane_cudnn_engine_notes(const cudnn_engine *engine,
                                           cudnnBackendNumericalNote_t note) {
  return engine->numerical >> note & 1;
}

/* "51/2=4,13=0": index and knobs. Parsing stops at the first character that is not part of it;
 * false: no engine stands there. The notes are not part of the text, but for ":winograd". */
void vane_cudnn_engine_print(const cudnn_engine *engine, char text[CUDNN_ENGINE_TEXT]);
bool vane_cudnn_engine_parse(const char *text, cudnn_engine *engine);

/* Whether the engine repeats its bits. */
static inline bool vane_cudnn_engine_repeats(const cudnn_engine *engine) {
  return !vane_cudnn_engine_notes(engine, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
}

/* What the heuristics offer: `take` is given one engine after the other, best first, until it sets
 * *enough. Engines that the planner's precision or `direct` rule out are left out; whether an
 * engine repeats its bits is for `take` to mind. */
typedef vane_status (*cudnn_take)(void *user, const cudnn_engine *engine, bool *enough);
VANE_CHECKED
vane_status vane_cudnn_offer(const cudnn_planner *planner, const cudnn_graph *graph,
                             cudnn_take take, void *user);

typedef struct cudnn_plan {
  cudnnBackendDescriptor_t descriptor;
  size_t workspace_bytes;
  /* What a run was last given. */
  cudnnBackendDescriptor_t pack;
  const void *pointers[CUDNN_MOST_TENSORS];
  void *workspace;
  cudnn_owned owned;
} cudnn_plan;

/* *plan is NULL where cuDNN lacks the engine or cannot run it on this GPU. */
VANE_CHECKED
vane_status vane_cudnn_plan_create(const cudnn_planner *planner, const cudnn_graph *graph,
                                   const cudnn_engine *engine, cudnn_plan **plan);
void vane_cudnn_plan_destroy(cudnn_plan *plan); /* takes NULL */

/* Enqueues the plan on the handle's stream. `pointers` by cudnn_tensor - 1; those that the graph
 * lacks are not read. Host memory is taken only where a pointer changed since the last run. */
VANE_CHECKED
vane_status vane_cudnn_run(cudnnHandle_t handle, const cudnn_graph *graph, cudnn_plan *plan,
                           const void *const pointers[CUDNN_MOST_TENSORS], void *workspace);

#endif
