// Settings, the judge's first error, counters, and calls that are made to fail.
#include "simgpu/inside.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

namespace simgpu {

std::recursive_mutex &everything() {
  static std::recursive_mutex mutex;
  return mutex;
}

static int choice(const char *variable, const char *const *names, int n) {
  const char *value = getenv(variable);
  if (!value)
    return 0;
  for (int i = 0; i < n; i++)
    if (!strcmp(value, names[i]))
      return i;
  fprintf(stderr, "simgpu: %s=%s is none of its choices\n", variable, value);
  abort();
}

static simgpu_settings from_environment() {
  const char *const orders[] = {"forward", "reverse", "shuffled"};
  const char *const policies[] = {"issue", "late", "early", "random"};
  simgpu_settings s = {};
  s.thread_order = choice("SIMGPU_THREADS", orders, 3);
  s.stream_policy = choice("SIMGPU_STREAMS", policies, 4);
  const char *seed = getenv("SIMGPU_SEED");
  s.seed = seed ? strtoull(seed, nullptr, 10) : 1;
  s.guard = getenv("SIMGPU_GUARD") != nullptr;
  s.device_bytes = size_t{2} << 30;
  s.n_devices = 1;
  s.multiprocessors = 4;
  s.major = 9;
  return s;
}

simgpu_settings settings = from_environment();
simgpu_counters counters;

static std::string first_error;
static uint64_t calls_to_failure; // 0: none is to fail
static std::string failed;
static thread_local cudaError_t last_error = cudaSuccess;
static std::map<std::string, int64_t> handles;

static void blame_list(const char *format, va_list list) {
  char text[2000];
  vsnprintf(text, sizeof text, format, list);
  if (first_error.empty())
    first_error = text;
  if (settings.record_errors)
    return;
  fprintf(stderr, "simgpu: %s\n", text);
  fflush(nullptr);
  abort();
}

void blame(const char *format, ...) {
  va_list list;
  va_start(list, format);
  blame_list(format, list);
  va_end(list);
}

bool blamed() {
  return !first_error.empty();
}

uint64_t random_below(uint64_t n) {
  // splitmix64 (Steele, Lea, Flood 2014) over a counter.
  static uint64_t seeded, state;
  if (seeded != settings.seed)
    state = seeded = settings.seed;
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return n ? (z ^ (z >> 31)) % n : 0;
}

cudaError_t remember(cudaError_t code) {
  if (code != cudaSuccess)
    last_error = code;
  return code;
}

bool must_fail(const char *name) {
  counters.calls++;
  if (!calls_to_failure || --calls_to_failure)
    return false;
  failed = name;
  return true;
}

cudaError_t failure_of(const char *name) {
  if (strstr(name, "lloc") || strstr(name, "Create") || strstr(name, "Instantiate"))
    return cudaErrorMemoryAllocation;
  return strstr(name, "aunch") ? cudaErrorLaunchFailure : cudaErrorUnknown;
}

} // namespace simgpu

using namespace simgpu;

extern "C" {

simgpu_settings *simgpu_setup(void) {
  return &settings;
}

const char *simgpu_error(void) {
  return first_error.empty() ? nullptr : first_error.c_str();
}

void simgpu_reset(void) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  first_error.clear();
  failed.clear();
  calls_to_failure = 0;
  last_error = cudaSuccess;
  sticky(cudaSuccess);
  simgpu_count_reset();
}

simgpu_counters simgpu_count(void) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  return counters;
}

void simgpu_fail_call(uint64_t n) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  calls_to_failure = n;
  failed.clear();
}

const char *simgpu_failed_name(void) {
  return failed.empty() ? nullptr : failed.c_str();
}

int simgpu_enter(const char *name) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  return must_fail(name);
}

void simgpu_handle(const char *kind, int change) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  if ((handles[kind] += change) < 0)
    blame("more %s destroyed than created", kind);
}

static int64_t leaks(bool print) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  int64_t n = heap_live(print) + queue_live(print) + graphs_live(print);
  for (const auto &[kind, count] : handles) {
    n += count;
    if (print && count)
      fprintf(stderr, "simgpu: leaked %lld %s\n", static_cast<long long>(count), kind.c_str());
  }
  return n;
}

int64_t simgpu_leaks(void) {
  return leaks(false);
}

void simgpu_print_leaks(void) {
  leaks(true);
}

void simgpu_blame(const char *format, ...) {
  va_list list;
  va_start(list, format);
  blame_list(format, list);
  va_end(list);
}

cudaError_t cudaGetLastError(void) {
  const cudaError_t code = last_error;
  last_error = cudaSuccess;
  return code;
}

cudaError_t cudaPeekAtLastError(void) {
  return last_error;
}
}
