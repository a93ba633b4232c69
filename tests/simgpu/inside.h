// What the parts of the simulated GPU share. error.cpp: settings, errors, counters; heap.cpp:
// device memory; judge.cpp: each access of a kernel; fibre.cpp: threads; grid.cpp: a launch runs;
// queue.cpp: streams and events; capture.cpp: graphs; memory.cpp, device.cpp: the other calls of
// the runtime.
#ifndef VANE_TESTS_SIMGPU_INSIDE_H
#define VANE_TESTS_SIMGPU_INSIDE_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "simgpu/simgpu.h"

namespace simgpu {

// ---- error.cpp ----

// One lock around everything: calls may come from any thread.
std::recursive_mutex &everything();

extern simgpu_settings settings;
extern simgpu_counters counters;

// A short text that needs no destructor: a kernel that is given up leaves its stack as it is.
struct text {
  char chars[240];
  const char *c_str() const {
    return chars;
  }
};

// The judge's error; returns where errors are recorded, so that the caller can give up what it
// does.
void blame(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool blamed();

uint64_t random_below(uint64_t n); // in a sequence that settings.seed begins

// What cudaGetLastError will say; returns `code`.
cudaError_t remember(cudaError_t code);
// True: this call of `name` must fail.
bool must_fail(const char *name);
// What a failing call of `name` returns.
cudaError_t failure_of(const char *name);

// The begin of a call that can fail.
#define SIMGPU_CALL                                                                                \
  std::lock_guard<std::recursive_mutex> hold(simgpu::everything());                                \
  if (simgpu::must_fail(__func__))                                                                 \
  return simgpu::remember(simgpu::failure_of(__func__))

// The begin of a call that gives something back: where it must fail, it does so after its work, as
// CUDA does when an earlier error surfaces.
#define SIMGPU_RELEASE                                                                             \
  std::lock_guard<std::recursive_mutex> hold(simgpu::everything());                                \
  const cudaError_t end =                                                                          \
      simgpu::must_fail(__func__) ? simgpu::remember(simgpu::failure_of(__func__)) : cudaSuccess

// ---- heap.cpp ----

// Device memory lies in one range of addresses; of each byte `states` holds what is known.
constexpr size_t HEAP_BYTES = size_t{16} << 30;
enum : uint8_t {
  LIVE = 1,
  WRITTEN = 2,
  FORGOTTEN = 4, // simgpu_forget: copies may read it, kernels not
};
extern uintptr_t heap_begin;
extern uint8_t *states;

inline bool in_heap(const void *p) {
  return reinterpret_cast<uintptr_t>(p) - heap_begin < HEAP_BYTES;
}
inline uint8_t *state_of(const void *p) {
  return states + (reinterpret_cast<uintptr_t>(p) - heap_begin);
}
void heap_open(); // reserves the range; does nothing the second time
// Lets device work, and nobody else, touch device memory.
struct heap_access {
  heap_access();
  ~heap_access();
};
// All bytes lie in one live allocation.
bool heap_holds(const void *p, size_t bytes);
// The first byte that is not written (fresh memory), bytes: all are.
size_t heap_first_unwritten(const void *p, size_t bytes, bool forgotten_too);
void heap_set_written(const void *p, size_t bytes);
// "4 bytes behind the allocation of 256 bytes at 0x..."
text heap_describe(const void *p);
// Inside one pinned allocation; `touches`: begins in one.
bool pinned_holds(const void *p, size_t bytes);
bool pinned_touches(const void *p);
int64_t heap_live(bool print);

// ---- judge.cpp ----

void judge_open();
void judge_forget(uintptr_t page, size_t bytes); // whole pages that are free now
// A launch, its blocks and its threads as the judge follows them.
void judge_begin_launch(const char *name, bool meeting, const void *arguments, size_t bytes);
void judge_end_launch();
void judge_begin_block();
void judge_next_thread(unsigned thread, uintptr_t stack_begin, uintptr_t stack_end);
void judge_block_met(); // all threads of the block met
void judge_warp_met(unsigned warp);
void judge_away(); // no thread of the device runs
void judge_count(const char *name, uint64_t blocks, uint64_t threads);

// ---- fibre.cpp ----

// One stack each, up to 1024 and one that runs the threads that never meet.
constexpr unsigned N_FIBRES = 1025, LOOP_FIBRE = 1024;
void fibres_open(void (*body)(unsigned fibre)); // body runs anew each time it has returned
void fibre_resume(unsigned fibre);              // returns when the fibre leaves
void fibre_leave(unsigned fibre);
void fibres_forget(unsigned n); // whatever the first n and the loop's were about to do
uintptr_t fibre_stack_begin(unsigned fibre);
uintptr_t fibre_stack_end(unsigned fibre);

// ---- grid.cpp ----

// The thread at fault, for an error: "k_sum<float>, thread 3 of block 1".
text running_thread();
bool kernel_runs();
// Gives up the kernel that runs: does not return.
[[noreturn]] void abandon_kernel();

// ---- queue.cpp ----

struct stream;
struct event;
struct capture;

using work = std::function<void()>;

// Puts work into a stream, or into its capture.
cudaError_t enqueue(cudaStream_t stream, const char *name, work what);
// Runs what waits: all; what a stream's or an event's end needs.
void run_all();
void run_stream(cudaStream_t stream);
// The handle is alive; otherwise the judge's error.
bool is_stream(cudaStream_t stream);
bool is_event(cudaEvent_t event);
bool in_capture(cudaStream_t stream);
int64_t queue_live(bool print);
void take_ms(double ms);
void sticky(cudaError_t code); // what every synchronisation says from now on
cudaError_t sticky();

// ---- capture.cpp ----

// A call that no capture of this thread (or a global one) allows: cudaSuccess, or the captures are
// invalid from now on.
cudaError_t refuse_in_capture();
cudaError_t capture_work(capture *c, stream *s, const char *name, work what);
int64_t graphs_live(bool print);

} // namespace simgpu

#endif
