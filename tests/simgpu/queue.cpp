// Streams and events: work waits in its stream until something needs it, then runs in an order that
// only the streams and the events between them hold together.
#include "simgpu/queue.h"

#include <cstdio>
#include <map>

namespace simgpu {

void set_work_name(const char *name); // grid.cpp

static stream legacy = {0, true, {}, nullptr, nullptr, {}};
static std::map<stream *, std::unique_ptr<stream>> streams;
static std::map<event *, std::shared_ptr<event>> events;
static unsigned last_stream;
static uint64_t last_operation;
static double now_ms, taken_ms;
static cudaError_t sticky_code = cudaSuccess;

void sticky(cudaError_t code) {
  sticky_code = code;
}

cudaError_t sticky() {
  return sticky_code;
}

void take_ms(double ms) {
  taken_ms = ms;
}

stream *stream_of(cudaStream_t handle) {
  if (!handle || handle == cudaStreamLegacy)
    return &legacy;
  auto it = streams.find(reinterpret_cast<stream *>(handle));
  if (it == streams.end()) {
    blame("%p is no stream, or a destroyed one", static_cast<void *>(handle));
    return nullptr;
  }
  return it->second.get();
}

std::shared_ptr<event> event_of(cudaEvent_t handle) {
  auto it = events.find(reinterpret_cast<event *>(handle));
  if (it == events.end()) {
    blame("%p is no event, or a destroyed one", static_cast<void *>(handle));
    return nullptr;
  }
  return it->second;
}

int64_t queue_live(bool print) {
  if (print && !streams.empty())
    fprintf(stderr, "simgpu: leaked %zu streams\n", streams.size());
  if (print && !events.empty())
    fprintf(stderr, "simgpu: leaked %zu events\n", events.size());
  return static_cast<int64_t>(streams.size() + events.size());
}

// ---- work runs ----

void run_work(const char *name, const work &what) {
  taken_ms = 0.01;
  set_work_name(name);
  what();
  set_work_name(nullptr);
  now_ms += taken_ms;
}

static void run(stream *s) {
  const std::shared_ptr<operation> first = s->pending.front();
  s->pending.pop_front();
  if (sticky_code == cudaSuccess)
    run_work(first->name.c_str(), first->what);
  first->done = true;
  first->after.clear();
  first->what = nullptr;
}

static std::vector<stream *> in_creation_order() {
  std::vector<stream *> all = {&legacy};
  for (const auto &[s, owned] : streams)
    all.push_back(s);
  for (size_t i = 1; i < all.size(); i++)
    for (size_t k = i; k > 0 && all[k]->number < all[k - 1]->number; k--)
      std::swap(all[k], all[k - 1]);
  return all;
}

// The stream whose first operation runs next, NULL: none has any.
static stream *choose(bool all_needed) {
  std::vector<stream *> ready;
  for (stream *s : in_creation_order()) {
    if (s->pending.empty())
      continue;
    bool is_ready = true;
    for (const auto &before : s->pending.front()->after)
      is_ready = is_ready && before->done;
    if (is_ready)
      ready.push_back(s);
  }
  if (ready.empty())
    return nullptr;
  if (settings.stream_policy == SIMGPU_RANDOM)
    return ready[random_below(ready.size())];
  stream *best = nullptr;
  if (settings.stream_policy == SIMGPU_ISSUE_ORDER) {
    for (stream *s : ready)
      if (!best || s->pending.front()->number < best->pending.front()->number)
        best = s;
    return best;
  }
  const bool wanted = settings.stream_policy == SIMGPU_LATE;
  for (stream *s : ready)
    if (all_needed || s->pending.front()->needed == wanted)
      best = s; // the one created last
  return best ? best : ready.back();
}

static void need(const std::shared_ptr<operation> &target) {
  // What a stream holds before a needed operation is needed too.
  target->needed = true;
  for (bool changed = true; changed;) {
    changed = false;
    for (stream *s : in_creation_order()) {
      bool needed = false;
      for (auto it = s->pending.rbegin(); it != s->pending.rend(); ++it) {
        needed = needed || (*it)->needed;
        changed = changed || (needed && !(*it)->needed);
        (*it)->needed = needed;
        if (needed)
          for (const auto &before : (*it)->after)
            if (!before->done && !before->needed)
              changed = before->needed = true;
      }
    }
  }
}

static void run_until(const std::shared_ptr<operation> &target) {
  if (!target || target->done)
    return;
  heap_access access;
  need(target);
  while (!target->done) {
    stream *s = choose(false);
    if (!s) {
      blame("streams wait for each other");
      return;
    }
    run(s);
  }
}

void run_all() {
  bool any = !legacy.pending.empty();
  for (const auto &[s, owned] : streams)
    any = any || !s->pending.empty();
  if (!any)
    return;
  heap_access access;
  while (stream *s = choose(true))
    run(s);
}

void run_stream(cudaStream_t handle) {
  if (stream *s = stream_of(handle))
    run_until(s->last);
}

bool is_stream(cudaStream_t handle) {
  return stream_of(handle);
}

bool in_capture(cudaStream_t handle) {
  stream *s = stream_of(handle);
  return s && s->recording;
}

static std::shared_ptr<operation> append(stream *s, const char *name, work what) {
  auto o = std::make_shared<operation>();
  o->number = ++last_operation;
  o->name = name;
  o->what = std::move(what);
  if (s == &legacy) {
    for (const auto &[other, owned] : streams)
      if (other->blocking && other->last && !other->last->done)
        o->after.push_back(other->last);
  } else if (s->blocking && legacy.last && !legacy.last->done)
    o->after.push_back(legacy.last);
  s->pending.push_back(o);
  s->last = o;
  return o;
}

// Chance runs some of what may run.
static void maybe_run() {
  if (settings.stream_policy != SIMGPU_RANDOM)
    return;
  heap_access access;
  for (uint64_t n = random_below(3); n; n--)
    if (stream *s = choose(true))
      run(s);
}

cudaError_t enqueue(cudaStream_t handle, const char *name, work what) {
  stream *s = stream_of(handle);
  if (!s)
    return cudaErrorInvalidResourceHandle;
  if (s->recording)
    return capture_work(s->recording, s, name, std::move(what));
  if (s == &legacy)
    if (refuse_in_capture())
      return cudaErrorStreamCaptureImplicit;
  append(s, name, std::move(what));
  maybe_run();
  return cudaSuccess;
}

static cudaError_t create_stream(cudaStream_t *handle, unsigned flags) {
  if (!handle || (flags & ~static_cast<unsigned>(cudaStreamNonBlocking)))
    return cudaErrorInvalidValue;
  auto s = std::make_unique<stream>();
  s->number = ++last_stream;
  s->blocking = !(flags & cudaStreamNonBlocking);
  s->recording = nullptr;
  *handle = reinterpret_cast<cudaStream_t>(s.get());
  stream *key = s.get();
  streams[key] = std::move(s);
  return cudaSuccess;
}

static cudaError_t create_event(cudaEvent_t *handle, unsigned flags) {
  if (!handle || (flags & ~static_cast<unsigned>(cudaEventBlockingSync | cudaEventDisableTiming)))
    return cudaErrorInvalidValue;
  auto e = std::make_shared<event>();
  e->flags = flags;
  e->captured = 0;
  *handle = reinterpret_cast<cudaEvent_t>(e.get());
  events[e.get()] = e;
  return cudaSuccess;
}

} // namespace simgpu

using namespace simgpu;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *handle, unsigned flags) {
  SIMGPU_CALL;
  return remember(create_stream(handle, flags));
}

cudaError_t cudaStreamCreate(cudaStream_t *handle) {
  SIMGPU_CALL;
  return remember(create_stream(handle, cudaStreamDefault));
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  SIMGPU_RELEASE;
  stream *s = stream_of(handle);
  if (!s || s == &legacy)
    return remember(cudaErrorInvalidResourceHandle);
  if (s->recording) {
    capture *c = s->recording;
    invalidate(c, cudaErrorStreamCaptureInvalidated);
    c->streams.erase(s);
    if (c->origin == s)
      c->origin = nullptr;
  }
  run_until(s->last);
  streams.erase(s);
  return end;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  SIMGPU_CALL;
  stream *s = stream_of(handle);
  if (!s)
    return remember(cudaErrorInvalidResourceHandle);
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  if (s->recording)
    return remember(invalidate(s->recording, cudaErrorStreamCaptureUnsupported));
  counters.stream_synchronizes++;
  run_until(s->last);
  return remember(sticky_code);
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  SIMGPU_CALL;
  stream *s = stream_of(handle);
  if (!s)
    return remember(cudaErrorInvalidResourceHandle);
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  if (s->recording)
    return remember(invalidate(s->recording, cudaErrorStreamCaptureUnsupported));
  if (!s->last || s->last->done)
    return remember(sticky_code);
  // Whoever asks again and again comes to an end.
  heap_access access;
  if (stream *next = choose(true))
    run(next);
  return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t which, unsigned flags) {
  SIMGPU_CALL;
  stream *s = stream_of(handle);
  const std::shared_ptr<event> e = event_of(which);
  if (!s || !e)
    return remember(cudaErrorInvalidResourceHandle);
  if (flags)
    return remember(cudaErrorInvalidValue);
  counters.stream_waits++;
  if (s->recording || e->captured)
    return remember(capture_wait(s, e.get()));
  if (e->record && !e->record->done)
    append(s, "cudaStreamWaitEvent", [] {})->after.push_back(e->record);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *handle, unsigned flags) {
  SIMGPU_CALL;
  return remember(create_event(handle, flags));
}

cudaError_t cudaEventCreate(cudaEvent_t *handle) {
  SIMGPU_CALL;
  return remember(create_event(handle, cudaEventDefault));
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  SIMGPU_RELEASE;
  const std::shared_ptr<event> e = event_of(handle);
  if (!e)
    return remember(cudaErrorInvalidResourceHandle);
  events.erase(e.get());
  return end;
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t where) {
  SIMGPU_CALL;
  stream *s = stream_of(where);
  const std::shared_ptr<event> e = event_of(handle);
  if (!s || !e)
    return remember(cudaErrorInvalidResourceHandle);
  counters.event_records++;
  if (s->recording)
    return remember(capture_record(s, e.get()));
  if (s == &legacy)
    if (refuse_in_capture())
      return remember(cudaErrorStreamCaptureImplicit);
  auto time = std::make_shared<double>(0);
  e->record = append(s, "cudaEventRecord", [time] {
    take_ms(0);
    *time = now_ms;
  });
  e->time = time;
  e->captured = 0;
  maybe_run();
  return cudaSuccess;
}

// Why the host may not ask or wait for an event now; it may not for one that a capture records.
static cudaError_t refuse_event(const event *e) {
  if (!e)
    return cudaErrorInvalidResourceHandle;
  if (capture *c = capture_of(e->captured))
    invalidate(c, cudaErrorCapturedEvent);
  return e->captured ? cudaErrorCapturedEvent : refuse_in_capture();
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  SIMGPU_CALL;
  const std::shared_ptr<event> e = event_of(handle);
  if (const cudaError_t code = refuse_event(e.get()))
    return remember(code);
  if (!e->record || e->record->done) {
    counters.event_checks++;
    return remember(sticky_code);
  }
  heap_access access;
  need(e->record);
  if (stream *next = choose(false))
    run(next);
  return cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  SIMGPU_CALL;
  const std::shared_ptr<event> e = event_of(handle);
  if (const cudaError_t code = refuse_event(e.get()))
    return remember(code);
  if (!e->record || e->record->done)
    counters.event_checks++;
  else
    counters.event_synchronizes++;
  run_until(e->record);
  return remember(sticky_code);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t finish) {
  SIMGPU_CALL;
  const std::shared_ptr<event> a = event_of(begin), b = event_of(finish);
  if (!a || !b || !ms || !a->record || !b->record ||
      ((a->flags | b->flags) & cudaEventDisableTiming))
    return remember(cudaErrorInvalidResourceHandle);
  if (!a->record->done || !b->record->done)
    return remember(cudaErrorNotReady);
  *ms = static_cast<float>(*b->time - *a->time);
  return remember(sticky_code);
}

cudaError_t cudaDeviceSynchronize(void) {
  SIMGPU_CALL;
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  counters.device_synchronizes++;
  run_all();
  return remember(sticky_code);
}

void simgpu_drain(void) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  run_all();
}

cudaError_t simgpu_enqueue(cudaStream_t stream, const char *name, void (*work)(void *user),
                           const void *user, size_t bytes) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  heap_open();
  auto copy = std::make_shared<std::vector<std::max_align_t>>(
      (bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t) + 1);
  if (bytes)
    __builtin_memcpy(copy->data(), user, bytes);
  return enqueue(stream, name, [copy, work] {
    counters.works++;
    work(copy->data());
  });
}

void simgpu_take_ms(double ms) {
  take_ms(ms);
}
}
