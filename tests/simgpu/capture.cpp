// Capture of streams into graphs, and graphs that run.
#include "simgpu/queue.h"

#include <algorithm>
#include <cstdio>
#include <list>
#include <map>

namespace simgpu {

static std::list<capture> captures;
static std::map<graph *, std::unique_ptr<graph>> graphs;
static std::map<graph *, std::shared_ptr<graph>> executables;
static uint64_t last_identity;

cudaError_t invalidate(capture *c, cudaError_t code) {
  c->invalid = true;
  return code;
}

capture *capture_of(uint64_t identity) {
  for (capture &c : captures)
    if (c.identity == identity)
      return &c;
  return nullptr;
}

cudaError_t refuse_in_capture() {
  cudaError_t code = cudaSuccess;
  for (capture &c : captures)
    if (c.mode == cudaStreamCaptureModeGlobal ||
        (c.mode == cudaStreamCaptureModeThreadLocal && c.thread == std::this_thread::get_id()))
      code = invalidate(&c, cudaErrorStreamCaptureUnsupported);
  return code;
}

cudaError_t capture_work(capture *c, stream *s, const char *name, work what) {
  if (c->invalid)
    return cudaErrorStreamCaptureInvalidated;
  auto n = std::make_shared<node>();
  n->name = name;
  n->what = std::move(what);
  n->after = s->tail;
  s->tail = {c->into->nodes.size()};
  c->into->nodes.push_back(std::move(n));
  return cudaSuccess;
}

cudaError_t capture_record(stream *s, event *e) {
  if (s->recording->invalid)
    return cudaErrorStreamCaptureInvalidated;
  e->captured = s->recording->identity;
  e->record = nullptr;
  e->tail = s->tail;
  return cudaSuccess;
}

cudaError_t capture_wait(stream *s, event *e) {
  capture *c = capture_of(e->captured);
  if (s->recording && s->recording->invalid)
    return cudaErrorStreamCaptureInvalidated;
  if (!e->captured) // of before the capture
    return invalidate(s->recording, cudaErrorStreamCaptureIsolation);
  if (!c)
    return cudaErrorCapturedEvent;
  if (c->invalid)
    return cudaErrorStreamCaptureInvalidated;
  if (s->recording && s->recording != c) {
    invalidate(c, cudaErrorStreamCaptureMerge);
    return invalidate(s->recording, cudaErrorStreamCaptureMerge);
  }
  if (s->number == 0)
    return invalidate(c, cudaErrorStreamCaptureImplicit);
  s->recording = c;
  c->streams.insert(s);
  for (size_t n : e->tail)
    if (std::find(s->tail.begin(), s->tail.end(), n) == s->tail.end())
      s->tail.push_back(n);
  return cudaSuccess;
}

// All nodes lead to the tail of the origin.
static bool joined(const capture &c) {
  std::vector<bool> reached(c.into->nodes.size());
  std::vector<size_t> todo = c.origin->tail;
  while (!todo.empty()) {
    const size_t n = todo.back();
    todo.pop_back();
    if (reached[n])
      continue;
    reached[n] = true;
    for (size_t before : c.into->nodes[n]->after)
      todo.push_back(before);
  }
  return std::find(reached.begin(), reached.end(), false) == reached.end();
}

static void run_graph(const graph &g) {
  std::vector<bool> done(g.nodes.size());
  for (size_t n_done = 0; n_done < g.nodes.size(); n_done++) {
    std::vector<size_t> ready;
    for (size_t i = 0; i < g.nodes.size(); i++) {
      const auto &after = g.nodes[i]->after;
      if (!done[i] && std::all_of(after.begin(), after.end(), [&](size_t k) { return done[k]; }))
        ready.push_back(i);
      if (settings.stream_policy == SIMGPU_ISSUE_ORDER && !ready.empty())
        break;
    }
    const size_t i = settings.stream_policy == SIMGPU_RANDOM  ? ready[random_below(ready.size())]
                     : settings.stream_policy == SIMGPU_EARLY ? ready.back()
                     : settings.stream_policy == SIMGPU_LATE  ? ready.back()
                                                              : ready.front();
    run_work(g.nodes[i]->name.c_str(), g.nodes[i]->what);
    done[i] = true;
  }
}

int64_t graphs_live(bool print) {
  if (print && !graphs.empty())
    fprintf(stderr, "simgpu: leaked %zu graphs\n", graphs.size());
  if (print && !executables.empty())
    fprintf(stderr, "simgpu: leaked %zu instantiated graphs\n", executables.size());
  return static_cast<int64_t>(graphs.size() + executables.size());
}

static graph *graph_of(cudaGraph_t handle) {
  auto it = graphs.find(reinterpret_cast<graph *>(handle));
  if (it == graphs.end())
    blame("%p is no graph, or a destroyed one", static_cast<void *>(handle));
  return it == graphs.end() ? nullptr : it->first;
}

} // namespace simgpu

using namespace simgpu;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  SIMGPU_CALL;
  stream *s = stream_of(handle);
  if (!s)
    return remember(cudaErrorInvalidResourceHandle);
  if (s->number == 0)
    return remember(cudaErrorStreamCaptureUnsupported);
  if (s->recording)
    return remember(invalidate(s->recording, cudaErrorIllegalState));
  auto g = std::make_unique<graph>();
  captures.push_back({++last_identity, g.get(), s, mode, std::this_thread::get_id(), false, {s}});
  graph *key = g.get();
  graphs[key] = std::move(g);
  s->recording = &captures.back();
  s->tail.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *result) {
  SIMGPU_RELEASE;
  stream *s = stream_of(handle);
  if (!s || !result)
    return remember(cudaErrorInvalidResourceHandle);
  *result = nullptr;
  capture *c = s->recording;
  if (!c)
    return remember(cudaErrorIllegalState);
  cudaError_t code = cudaSuccess;
  if (c->origin != s)
    return remember(invalidate(c, cudaErrorStreamCaptureUnmatched));
  if (c->mode != cudaStreamCaptureModeRelaxed && c->thread != std::this_thread::get_id())
    code = cudaErrorStreamCaptureWrongThread;
  else if (c->invalid)
    code = cudaErrorStreamCaptureInvalidated;
  else if (!joined(*c))
    code = cudaErrorStreamCaptureUnjoined;
  else
    code = end;
  for (stream *other : c->streams) {
    other->recording = nullptr;
    other->tail.clear();
  }
  if (code == cudaSuccess)
    *result = reinterpret_cast<cudaGraph_t>(c->into);
  else
    graphs.erase(c->into);
  captures.remove_if([c](const capture &other) { return &other == c; });
  return remember(code);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
  SIMGPU_CALL;
  stream *s = stream_of(handle);
  if (!s || !status)
    return remember(cudaErrorInvalidResourceHandle);
  *status = !s->recording           ? cudaStreamCaptureStatusNone
            : s->recording->invalid ? cudaStreamCaptureStatusInvalidated
                                    : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t *nodes, size_t *n) {
  SIMGPU_CALL;
  const graph *g = graph_of(handle);
  if (!g || !n)
    return remember(cudaErrorInvalidValue);
  if (nodes)
    for (size_t i = 0; i < *n; i++)
      nodes[i] =
          i < g->nodes.size() ? reinterpret_cast<cudaGraphNode_t>(g->nodes[i].get()) : nullptr;
  if (!nodes || *n > g->nodes.size())
    *n = g->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *result, cudaGraph_t handle,
                                 unsigned long long flags) {
  SIMGPU_CALL;
  const graph *g = graph_of(handle);
  if (!g || !result || flags)
    return remember(cudaErrorInvalidValue);
  auto copy = std::make_shared<graph>(*g);
  *result = reinterpret_cast<cudaGraphExec_t>(copy.get());
  executables[copy.get()] = copy;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t where) {
  SIMGPU_CALL;
  auto it = executables.find(reinterpret_cast<graph *>(handle));
  if (it == executables.end()) {
    blame("%p is no instantiated graph, or a destroyed one", static_cast<void *>(handle));
    return remember(cudaErrorInvalidValue);
  }
  const std::shared_ptr<graph> g = it->second;
  const cudaError_t code = enqueue(where, "cudaGraphLaunch", [g] { run_graph(*g); });
  if (code == cudaSuccess)
    counters.graph_launches++;
  return remember(code);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle) {
  SIMGPU_RELEASE;
  if (!executables.erase(reinterpret_cast<graph *>(handle))) {
    blame("%p is no instantiated graph, or a destroyed one", static_cast<void *>(handle));
    return remember(cudaErrorInvalidValue);
  }
  return end;
}

cudaError_t cudaGraphDestroy(cudaGraph_t handle) {
  SIMGPU_RELEASE;
  if (!graph_of(handle))
    return remember(cudaErrorInvalidValue);
  graphs.erase(reinterpret_cast<graph *>(handle));
  return end;
}
}
