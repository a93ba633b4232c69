// Copies and memsets.
#include "simgpu/inside.h"

#include <cstring>

namespace simgpu {

static bool is_device(const void *p) {
  return heap_begin && in_heap(p);
}

// A sum over the bytes that tells whether they changed.
static uint64_t digest(const void *p, size_t bytes) {
  const unsigned char *at = static_cast<const unsigned char *>(p);
  uint64_t sum = bytes;
  for (; bytes >= 8; at += 8, bytes -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 29;
  }
  for (; bytes; at++, bytes--)
    sum = (sum ^ *at) * 0x9e3779b97f4a7c15u;
  return sum;
}

static bool device_range(const char *call, const char *role, const void *p, size_t bytes) {
  if (heap_holds(p, bytes))
    return true;
  blame("%s: the %s, %zu bytes at %p, out of bounds: %s", call, role, bytes, p,
        heap_describe(p).c_str());
  return false;
}

static bool host_range(const char *call, const char *role, const void *p, size_t bytes) {
  if (!pinned_touches(p) || pinned_holds(p, bytes))
    return true;
  blame("%s: the %s, %zu bytes at %p, leaves its pinned memory", call, role, bytes, p);
  return false;
}

// Host memory that is written before it is read, or read before it is written, makes no sense of
// its own; so a copy of what the device never wrote is an error as soon as the host sees it.
static void to_host(const char *call, void *to, const void *from, size_t bytes) {
  if (!device_range(call, "source", from, bytes))
    return;
  const size_t first = heap_first_unwritten(from, bytes, false);
  if (first != bytes) {
    const void *at = static_cast<const char *>(from) + first;
    blame("%s reads uninitialised memory at %p, %s", call, at, heap_describe(at).c_str());
    return;
  }
  memcpy(to, from, bytes);
}

static void to_device(const char *call, void *to, const void *from, size_t bytes) {
  if (!device_range(call, "destination", to, bytes))
    return;
  memcpy(to, from, bytes);
  heap_set_written(to, bytes);
}

static void within_device(const char *call, void *to, const void *from, size_t bytes) {
  if (!device_range(call, "source", from, bytes) || !device_range(call, "destination", to, bytes))
    return;
  memcpy(to, from, bytes);
  memcpy(state_of(to), state_of(from), bytes);
}

static cudaError_t copy(const char *call, void *to, const void *from, size_t bytes,
                        cudaMemcpyKind kind, cudaStream_t stream) {
  if (!bytes)
    return cudaSuccess;
  if (!to || !from)
    return cudaErrorInvalidValue;
  const bool from_device = is_device(from), onto_device = is_device(to);
  const cudaMemcpyKind is = from_device
                                ? onto_device ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost
                            : onto_device ? cudaMemcpyHostToDevice
                                          : cudaMemcpyHostToHost;
  if (kind != is && kind != cudaMemcpyDefault) {
    blame("%s: kind %d for a copy of kind %d (%p to %p)", call, static_cast<int>(kind),
          static_cast<int>(is), from, to);
    return cudaErrorInvalidValue;
  }
  if (!(onto_device ? device_range(call, "destination", to, bytes)
                    : host_range(call, "destination", to, bytes)) ||
      !(from_device ? device_range(call, "source", from, bytes)
                    : host_range(call, "source", from, bytes)))
    return cudaErrorInvalidValue;
  const char *a = static_cast<const char *>(from), *b = static_cast<const char *>(to);
  if (a < b + bytes && b < a + bytes) {
    blame("%s: source and destination overlap", call);
    return cudaErrorInvalidValue;
  }
  work what;
  bool blocks = false;
  switch (is) {
  case cudaMemcpyHostToDevice:
    counters.uploads++;
    counters.upload_bytes += bytes;
    if (pinned_touches(from)) {
      // From a graph it is read anew at each launch.
      const bool watched = !in_capture(stream);
      const uint64_t sum = watched ? digest(from, bytes) : 0;
      what = [=] {
        if (!pinned_holds(from, bytes) || (watched && digest(from, bytes) != sum))
          blame("%s: the source, %zu bytes of pinned memory at %p, changed before the copy ran",
                call, bytes, from);
        else
          to_device(call, to, from, bytes);
      };
    } else {
      if (in_capture(stream)) {
        refuse_in_capture();
        return cudaErrorStreamCaptureUnsupported;
      }
      auto staged = std::make_shared<std::vector<char>>(a, a + bytes);
      what = [=] { to_device(call, to, staged->data(), bytes); };
    }
    break;
  case cudaMemcpyDeviceToHost:
    counters.downloads++;
    counters.download_bytes += bytes;
    blocks = !pinned_touches(to);
    if (blocks && in_capture(stream)) {
      refuse_in_capture();
      return cudaErrorStreamCaptureUnsupported;
    }
    if (!blocks && !in_capture(stream))
      memset(to, 0xff, bytes); // what the host must not read yet
    what = [=] {
      if (!blocks && !pinned_holds(to, bytes))
        blame("%s: the destination at %p is no pinned memory any more", call, to);
      else
        to_host(call, to, from, bytes);
    };
    break;
  case cudaMemcpyDeviceToDevice:
    counters.device_copies++;
    counters.device_copy_bytes += bytes;
    what = [=] { within_device(call, to, from, bytes); };
    break;
  default:
    what = [=] { memcpy(to, from, bytes); };
    blocks = true;
  }
  const cudaError_t code = enqueue(stream, call, std::move(what));
  if (code == cudaSuccess && blocks) {
    counters.hidden_synchronizes++;
    run_stream(stream);
    return sticky();
  }
  return code;
}

static cudaError_t set(const char *call, void *to, int value, size_t bytes, cudaStream_t stream) {
  if (!bytes)
    return cudaSuccess;
  if (!is_device(to)) {
    blame("%s: %p is not device memory", call, to);
    return cudaErrorInvalidValue;
  }
  if (!device_range(call, "destination", to, bytes))
    return cudaErrorInvalidValue;
  counters.memsets++;
  counters.memset_bytes += bytes;
  return enqueue(stream, call, [=] {
    if (!device_range(call, "destination", to, bytes))
      return;
    memset(to, value, bytes);
    heap_set_written(to, bytes);
  });
}

} // namespace simgpu

using namespace simgpu;

extern "C" {

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  SIMGPU_CALL;
  return remember(copy(__func__, to, from, bytes, kind, stream));
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  SIMGPU_CALL;
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  const uint64_t hidden = counters.hidden_synchronizes;
  const cudaError_t code = copy(__func__, to, from, bytes, kind, nullptr);
  if (code != cudaSuccess)
    return remember(code);
  counters.hidden_synchronizes = hidden + 1;
  run_stream(nullptr);
  return remember(sticky());
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  SIMGPU_CALL;
  return remember(set(__func__, to, value, bytes, stream));
}

cudaError_t cudaMemset(void *to, int value, size_t bytes) {
  SIMGPU_CALL;
  if (const cudaError_t code = refuse_in_capture())
    return remember(code);
  return remember(set(__func__, to, value, bytes, nullptr));
}
}
