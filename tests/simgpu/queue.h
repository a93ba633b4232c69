// What a stream, an event, a graph and a capture are made of.
#ifndef VANE_TESTS_SIMGPU_QUEUE_H
#define VANE_TESTS_SIMGPU_QUEUE_H

#include <deque>
#include <set>
#include <thread>

#include "simgpu/inside.h"

namespace simgpu {

struct operation {
  uint64_t number; // in the order of issue
  std::string name;
  std::vector<std::shared_ptr<operation>> after; // besides what its stream holds before it
  work what;
  bool done, needed;
};

struct stream {
  unsigned number; // in the order of creation; the legacy stream is 0
  bool blocking;   // in order with the legacy stream
  std::deque<std::shared_ptr<operation>> pending;
  std::shared_ptr<operation> last; // NULL: idle since it was created
  capture *recording;
  std::vector<size_t> tail; // the nodes that the next one comes after
};

struct event {
  unsigned flags;
  std::shared_ptr<operation> record; // the last one, NULL: none, or it was captured
  std::shared_ptr<double> time;      // when it ran
  uint64_t captured;                 // the capture's identity, 0: none
  std::vector<size_t> tail;
};

struct node {
  std::string name;
  work what;
  std::vector<size_t> after;
};

struct graph {
  std::vector<std::shared_ptr<node>> nodes;
};

struct capture {
  uint64_t identity;
  graph *into;
  stream *origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool invalid;
  std::set<stream *> streams;
};

stream *stream_of(cudaStream_t handle);              // NULL and the judge's error: not alive
std::shared_ptr<event> event_of(cudaEvent_t handle); // the same
void run_work(const char *name, const work &what);

// The captures' side of streams and events.
cudaError_t capture_record(stream *s, event *e);
cudaError_t capture_wait(stream *s, event *e);
capture *capture_of(uint64_t identity); // NULL: it has ended
cudaError_t invalidate(capture *c, cudaError_t code);

} // namespace simgpu

#endif
