// Device memory: one reserved range of addresses from which allocations are carved, with gaps
// between them that nobody may touch; and pinned host memory.
#include "simgpu/inside.h"

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace simgpu {

uintptr_t heap_begin;
uint8_t *states;

// An allocation begins 256 bytes into a page, so that nothing relies on more than CUDA promises.
// The gap behind it is wide: a stride that is wrong by a row ends there.
static constexpr size_t PAGE = 4096, ALIGN = 256, GAP = 64 << 10;

static std::map<uintptr_t, size_t> live, freed, pinned;
static size_t live_bytes; // as CUDA would count them: in steps of 512
static uintptr_t next;    // where to look for room
static int accesses;      // device works that run
static bool is_protected = true;

static void *reserve(size_t bytes, int protection) {
  void *p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("simgpu: mmap");
    abort();
  }
  return p;
}

#if !defined(__SANITIZE_ADDRESS__) // which has a handler of its own
// Device memory cannot be accessed while no device work runs: who does so, is named.
static void on_fault(int, siginfo_t *info, void *) {
  if (in_heap(info->si_addr)) {
    settings.record_errors = false; // there is no way on
    blame("the host touches device memory at %p, %s", info->si_addr,
          heap_describe(info->si_addr).c_str());
  }
  signal(SIGSEGV, SIG_DFL);
}

static void watch_faults() {
  struct sigaction action = {}, before;
  sigaction(SIGSEGV, nullptr, &before);
  if (before.sa_handler != SIG_DFL)
    return;
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
}
#else
static void watch_faults() {
}
#endif

void heap_open() {
  if (heap_begin)
    return;
  watch_faults();
  heap_begin = reinterpret_cast<uintptr_t>(reserve(HEAP_BYTES, PROT_NONE));
  states = static_cast<uint8_t *>(reserve(HEAP_BYTES, PROT_READ | PROT_WRITE));
  next = heap_begin + PAGE;
  judge_open();
}

// What has been given out at some time; what lies beyond is never accessible.
static uintptr_t high_water;

static void protect(int protection) {
  if (high_water > heap_begin)
    mprotect(reinterpret_cast<void *>(heap_begin), high_water - heap_begin, protection);
}

heap_access::heap_access() {
  accesses++;
  if (is_protected)
    protect(PROT_READ | PROT_WRITE);
  is_protected = false;
}

// To take the access away again costs time for each page, so with much memory it happens now and
// then, unless the settings ask for always.
heap_access::~heap_access() {
  static unsigned n;
  if (--accesses || (!settings.guard && live_bytes > (1 << 19) && ++n % 64))
    return;
  protect(PROT_NONE);
  is_protected = true;
}

static size_t rounded(size_t bytes, size_t step) {
  return (bytes + step - 1) / step * step;
}

// Addresses are used again late, so that what was freed stays wrong to touch.
static uintptr_t find_room(size_t bytes) {
  const uintptr_t end = heap_begin + std::min(HEAP_BYTES, 8 * settings.device_bytes + (1u << 30));
  const size_t need = rounded(ALIGN + bytes + GAP, PAGE);
  for (int round = 0; round < 2; round++) {
    uintptr_t at = next;
    auto after = live.lower_bound(at);
    while (at + need <= end) {
      if (after == live.end() || at + need <= after->first - ALIGN)
        return at + ALIGN;
      at = rounded(after->first + after->second + GAP, PAGE);
      ++after;
    }
    next = heap_begin + PAGE;
  }
  return 0;
}

static cudaError_t allocate(void **memory, size_t bytes) {
  heap_open();
  *memory = nullptr;
  if (!bytes)
    return cudaSuccess;
  if (bytes > settings.device_bytes || live_bytes + rounded(bytes, 512) > settings.device_bytes)
    return cudaErrorMemoryAllocation;
  const uintptr_t at = find_room(bytes);
  if (!at)
    return cudaErrorMemoryAllocation;
  const size_t whole = rounded(ALIGN + bytes + GAP, PAGE);
  for (auto old = freed.lower_bound(at - ALIGN); old != freed.end() && old->first < at + whole;)
    old = freed.erase(old);
  next = at - ALIGN + whole;
  high_water = std::max(high_water, next);
  live[at] = bytes;
  live_bytes += rounded(bytes, 512);
  void *p = reinterpret_cast<void *>(at);
  mprotect(reinterpret_cast<void *>(at - ALIGN), whole, PROT_READ | PROT_WRITE);
  ASAN_POISON_MEMORY_REGION(reinterpret_cast<void *>(at - ALIGN), whole);
  ASAN_UNPOISON_MEMORY_REGION(p, bytes);
  memset(p, 0xff, bytes);
  memset(state_of(p), LIVE, bytes);
  if (is_protected)
    mprotect(reinterpret_cast<void *>(at - ALIGN), whole, PROT_NONE);
  *memory = p;
  counters.allocations++;
  return cudaSuccess;
}

static void release(std::map<uintptr_t, size_t>::iterator it) {
  void *p = reinterpret_cast<void *>(it->first);
  const size_t whole = rounded(it->second + ALIGN, PAGE);
  ASAN_POISON_MEMORY_REGION(p, it->second);
  // The pages go back to the machine, and so do those of what is known of them; as their neighbours
  // are gaps, whole pages are this one's own. They come back as zeros: not alive, never written.
  void *begin = reinterpret_cast<void *>(it->first - ALIGN);
  madvise(begin, whole, MADV_DONTNEED);
  madvise(state_of(begin), whole, MADV_DONTNEED);
  judge_forget(it->first - ALIGN, whole);
  live_bytes -= rounded(it->second, 512);
  freed[it->first] = it->second;
  live.erase(it);
  counters.frees++;
}

static std::map<uintptr_t, size_t>::const_iterator holder(const std::map<uintptr_t, size_t> &map,
                                                          uintptr_t at) {
  auto it = map.upper_bound(at);
  return it == map.begin() ? map.end() : std::prev(it);
}

static bool holds(const std::map<uintptr_t, size_t> &map, const void *p, size_t bytes) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  auto it = holder(map, at);
  return it != map.end() && at - it->first < it->second && bytes <= it->second - (at - it->first);
}

bool heap_holds(const void *p, size_t bytes) {
  return holds(live, p, bytes);
}

bool pinned_holds(const void *p, size_t bytes) {
  return holds(pinned, p, bytes);
}

bool pinned_touches(const void *p) {
  return holds(pinned, p, 1);
}

size_t heap_first_unwritten(const void *p, size_t bytes, bool forgotten_too) {
  const uint8_t *state = state_of(p);
  for (size_t i = 0; i < bytes; i++)
    if (!(state[i] & WRITTEN) && (forgotten_too || !(state[i] & FORGOTTEN)))
      return i;
  return bytes;
}

void heap_set_written(const void *p, size_t bytes) {
  memset(state_of(p), LIVE | WRITTEN, bytes);
}

text heap_describe(const void *p) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  text t;
  auto it = holder(live, at);
  auto old = holder(freed, at);
  if (old != freed.end() && at - old->first < old->second)
    snprintf(t.chars, sizeof t.chars, "in the freed allocation of %zu bytes at 0x%zx", old->second,
             static_cast<size_t>(old->first));
  else if (it != live.end() && at - it->first < it->second)
    snprintf(t.chars, sizeof t.chars, "byte %zu of the allocation of %zu bytes at 0x%zx",
             static_cast<size_t>(at - it->first), it->second, static_cast<size_t>(it->first));
  else {
    auto behind = live.lower_bound(at);
    const bool before = behind != live.end() && behind->first - at < ALIGN;
    if (before)
      snprintf(t.chars, sizeof t.chars, "%zu bytes before the allocation of %zu bytes at 0x%zx",
               static_cast<size_t>(behind->first - at), behind->second,
               static_cast<size_t>(behind->first));
    else if (it != live.end())
      snprintf(t.chars, sizeof t.chars, "%zu bytes behind the allocation of %zu bytes at 0x%zx",
               static_cast<size_t>(at - it->first - it->second), it->second,
               static_cast<size_t>(it->first));
    else
      snprintf(t.chars, sizeof t.chars, "in no allocation");
  }
  return t;
}

int64_t heap_live(bool print) {
  if (print) {
    for (const auto &[at, bytes] : live)
      fprintf(stderr, "simgpu: leaked %zu bytes of device memory at 0x%zx\n", bytes,
              static_cast<size_t>(at));
    for (const auto &[at, bytes] : pinned)
      fprintf(stderr, "simgpu: leaked %zu bytes of pinned memory at 0x%zx\n", bytes,
              static_cast<size_t>(at));
  }
  return static_cast<int64_t>(live.size() + pinned.size());
}

static cudaError_t allocate_pinned(void **memory, size_t bytes) {
  *memory = nullptr;
  if (!bytes)
    return cudaSuccess;
  void *p = aligned_alloc(PAGE, rounded(bytes, PAGE));
  if (!p)
    return cudaErrorMemoryAllocation;
  memset(p, 0xff, bytes);
  ASAN_POISON_MEMORY_REGION(static_cast<char *>(p) + bytes, rounded(bytes, PAGE) - bytes);
  pinned[reinterpret_cast<uintptr_t>(p)] = bytes;
  counters.pinned_allocations++;
  *memory = p;
  return cudaSuccess;
}

} // namespace simgpu

using namespace simgpu;

extern "C" {

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  SIMGPU_CALL;
  if (!memory)
    return remember(cudaErrorInvalidValue);
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  return remember(allocate(memory, bytes));
}

cudaError_t cudaFree(void *memory) {
  SIMGPU_RELEASE;
  if (!memory)
    return end;
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  auto it = live.find(reinterpret_cast<uintptr_t>(memory));
  if (it == live.end()) {
    blame("cudaFree(%p): it is %s", memory, heap_describe(memory).c_str());
    return remember(cudaErrorInvalidValue);
  }
  counters.hidden_synchronizes++;
  run_all();
  release(it);
  return end;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  SIMGPU_CALL;
  if (!memory)
    return remember(cudaErrorInvalidValue);
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  return remember(allocate_pinned(memory, bytes));
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
  SIMGPU_CALL;
  if (!memory || (flags & ~static_cast<unsigned>(cudaHostAllocPortable | cudaHostAllocMapped |
                                                 cudaHostAllocWriteCombined)))
    return remember(cudaErrorInvalidValue);
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  return remember(allocate_pinned(memory, bytes));
}

cudaError_t cudaFreeHost(void *memory) {
  SIMGPU_RELEASE;
  if (!memory)
    return end;
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  auto it = pinned.find(reinterpret_cast<uintptr_t>(memory));
  if (it == pinned.end()) {
    blame("cudaFreeHost(%p): not what cudaHostAlloc or cudaMallocHost returned", memory);
    return remember(cudaErrorInvalidValue);
  }
  run_all();
  ASAN_UNPOISON_MEMORY_REGION(memory, rounded(it->second, PAGE));
  free(memory);
  pinned.erase(it);
  counters.pinned_frees++;
  return end;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
  SIMGPU_CALL;
  if (!free_bytes || !total_bytes)
    return remember(cudaErrorInvalidValue);
  *total_bytes = settings.device_bytes;
  *free_bytes = settings.device_bytes - std::min(live_bytes, settings.device_bytes);
  return cudaSuccess;
}

bool simgpu_is_device(const void *memory) {
  return heap_begin && in_heap(memory);
}

bool simgpu_is_pinned(const void *memory) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  return pinned_touches(memory);
}

void simgpu_forget(const void *memory, size_t bytes) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  run_all();
  if (!heap_holds(memory, bytes))
    blame("simgpu_forget: %zu bytes at %p: %s", bytes, memory, heap_describe(memory).c_str());
  else
    memset(state_of(memory), LIVE | FORGOTTEN, bytes);
}

size_t simgpu_written(const void *memory, size_t bytes) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  run_all();
  size_t n = 0;
  if (!heap_holds(memory, bytes))
    blame("simgpu_written: %zu bytes at %p: %s", bytes, memory, heap_describe(memory).c_str());
  else
    for (size_t i = 0; i < bytes; i++)
      n += (state_of(memory)[i] & WRITTEN) != 0;
  return n;
}

bool simgpu_check_range(const void *memory, size_t bytes, bool write) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  if (!bytes)
    return true;
  const char *verb = write ? "writes" : "reads";
  if (!heap_begin || !in_heap(memory) || !heap_holds(memory, bytes)) {
    blame("%s %s %zu bytes at %p, out of bounds: %s", running_thread().c_str(), verb, bytes, memory,
          heap_begin && in_heap(memory) ? heap_describe(memory).c_str() : "not device memory");
    return false;
  }
  if (write) {
    heap_set_written(memory, bytes);
    return true;
  }
  const size_t first = heap_first_unwritten(memory, bytes, true);
  if (first == bytes)
    return true;
  const void *at = static_cast<const char *>(memory) + first;
  blame("%s reads uninitialised memory at %p, %s", running_thread().c_str(), at,
        heap_describe(at).c_str());
  return false;
}
}
