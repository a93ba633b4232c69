// The simulated GPU judges: what is right passes, each fault is caught by name.
#include <cuda_runtime_api.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "simgpu/simgpu.h"
#include "simgpu/test_kernels.h"

static int n_failed;
static const char *test_name;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: %s: %s\n", __FILE__, __LINE__, test_name, #condition);                        \
      n_failed++;                                                                                  \
    }                                                                                              \
  } while (0)
#define OK(call)       CHECK((call) == cudaSuccess)
#define IS(code, call) CHECK((call) == (code))

// The judge found something that says `part`.
static void caught(const char *part) {
  const char *error = simgpu_error();
  if (!error || !strstr(error, part)) {
    printf("%s: wanted \"%s\", got \"%s\"\n", test_name, part, error ? error : "nothing");
    n_failed++;
  }
  simgpu_reset();
}

static void nothing_caught() {
  if (simgpu_error()) {
    printf("%s: got \"%s\"\n", test_name, simgpu_error());
    n_failed++;
  }
  simgpu_reset();
}

template <typename real> static real *device(size_t n) {
  void *p = nullptr;
  OK(cudaMalloc(&p, n * sizeof(real)));
  return static_cast<real *>(p);
}

template <typename real> static void put(real *to, const std::vector<real> &from) {
  OK(cudaMemcpy(to, from.data(), from.size() * sizeof(real), cudaMemcpyHostToDevice));
}

template <typename real> static std::vector<real> get(const real *from, size_t n) {
  std::vector<real> to(n);
  OK(cudaMemcpy(to.data(), from, n * sizeof(real), cudaMemcpyDeviceToHost));
  return to;
}

static std::vector<float> ramp(size_t n) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; i++)
    x[i] = static_cast<float>(i % 17) - 8;
  return x;
}

// ---- kernels ----

static void sum_of(int fault) {
  const int64_t n = 10007;
  float *x = device<float>(n);
  double *parts = device<double>(8), *sum = device<double>(1);
  unsigned *arrived = device<unsigned>(1);
  put(x, ramp(n));
  OK(cudaMemset(arrived, 0, sizeof *arrived));
  OK(launch_sum(fault, x, n, parts, arrived, sum, 8, nullptr));
  OK(launch_sum(fault, x, n, parts, arrived, sum, 8, nullptr));
  cudaDeviceSynchronize();
  if (fault == SUM_RIGHT) {
    double want = 0;
    for (float v : ramp(n))
      want += static_cast<double>(v);
    CHECK(get(sum, 1)[0] == want);
    CHECK(get(arrived, 1)[0] == 0);
    const simgpu_kernel k = simgpu_kernel_count("k_sum");
    CHECK(k.launches == 2 && k.blocks == 16 && k.threads == 16 * 256);
    CHECK(k.load_bytes == 2 * (n * 4 + 8 * 8 + 8 * 4));
    nothing_caught();
  }
  const std::vector<void *> all = {x, parts, sum, arrived};
  for (void *p : all)
    OK(cudaFree(p));
}

static void test_sum() {
  sum_of(SUM_RIGHT);
  sum_of(SUM_NO_BARRIER);
  // Who comes first has nothing to read yet, or what others write later.
  CHECK(simgpu_error() && (strstr(simgpu_error(), "race") || strstr(simgpu_error(), "uninit")));
  simgpu_reset();
  sum_of(SUM_NO_FENCE);
  caught("race");
  sum_of(SUM_NO_ATOMIC);
  CHECK(simgpu_error() && (strstr(simgpu_error(), "race") || strstr(simgpu_error(), "uninit")));
  simgpu_reset();
}

static void test_scale() {
  for (int64_t n : {1, 3, 4, 5, 511, 512, 1030}) {
    float *x = device<float>(n), *y = device<float>(n);
    put(x, ramp(n));
    OK(launch_scale(2, x, y, n, nullptr));
    const std::vector<float> got = get(y, n), from = ramp(n);
    for (int64_t i = 0; i < n; i++)
      CHECK(got[i] == 2 * from[i]);
    const simgpu_kernel k = simgpu_kernel_count("k_scale");
    CHECK(k.loads16 == static_cast<uint64_t>(n / 4) && k.stores16 == k.loads16);
    CHECK(k.load_bytes == static_cast<uint64_t>(n) * 4 && k.store_bytes == k.load_bytes);
    nothing_caught();
    // One too many.
    OK(launch_scale(2, x, y, n + 1, nullptr));
    IS(cudaErrorIllegalAddress, cudaDeviceSynchronize());
    caught("out of bounds");
#if !defined(__SANITIZE_ADDRESS__) // with it comes UBSan, which ends the process at this
    // A float off the float4.
    if (n >= 8) {
      OK(launch_scale(2, x + 1, y, 4, nullptr));
      cudaDeviceSynchronize();
      caught("misaligned");
    }
#endif
    simgpu_forget(x, 4);
    OK(launch_scale(2, x, y, n, nullptr));
    cudaDeviceSynchronize();
    caught("uninitialised");
    OK(cudaFree(x));
    OK(launch_scale(2, x, y, n, nullptr));
    cudaDeviceSynchronize();
    caught("freed allocation");
    OK(cudaFree(y));
  }
  float *x = device<float>(8);
  OK(launch_scale(2, x, x, 8, nullptr));
  cudaDeviceSynchronize();
  caught("uninitialised");
  OK(cudaFree(x));
  IS(cudaErrorInvalidConfiguration, launch_scale(2, x, x, 0, nullptr));
  IS(cudaErrorInvalidConfiguration, cudaGetLastError());
  IS(cudaSuccess, cudaGetLastError());
}

static void fault(int which, const char *part) {
  float *x = device<float>(64);
  std::vector<float> host = ramp(64);
  put(x, host);
  OK(launch_fault(which, x, 64, host.data(), nullptr));
  cudaDeviceSynchronize();
  caught(part);
  OK(cudaFree(x));
}

static std::vector<float> no_fault(int which) {
  float *x = device<float>(64);
  OK(launch_fault(which, x, 64, nullptr, nullptr));
  const std::vector<float> got = get(x, 64);
  nothing_caught();
  OK(cudaFree(x));
  return got;
}

static void test_meetings() {
  std::vector<float> got = no_fault(FAULT_NONE_WARP_SYNCED);
  for (int i = 0; i < 64; i++)
    CHECK(got[i] == static_cast<float>(i ^ 1));
  for (float v : no_fault(FAULT_NONE_PREDICATES))
    CHECK(v == 22 + 100);
  got = no_fault(FAULT_NONE_BALLOT);
  for (int i = 0; i < 64; i++)
    CHECK(got[i] == (i < 32 ? 116.0f : 16.0f));
  got = no_fault(FAULT_NONE_HALF_WARPS);
  CHECK(got[0] == 120 && got[16] == 16 && got[17] == 16 && got[31] == 30 && got[63] == 62);
  fault(FAULT_SHARED_UNWRITTEN, "uninitialised shared");
  fault(FAULT_SHARED_RACE, "race");
  fault(FAULT_DIVERGED, "never reach");
  fault(FAULT_TWO_BARRIERS, "another thread at");
  fault(FAULT_RETURNED, "never reach");
  fault(FAULT_WARP_LANE_GONE, "lane");
  fault(FAULT_MASK_WITHOUT_SOURCE, "which the mask");
  fault(FAULT_NOT_ALL_LANES_COME, "lane");
  fault(FAULT_HOST_POINTER, "memory of the host");
  CHECK(simgpu_setup()->record_errors);
  fault(FAULT_READ_NEXT, "");
  float *x = device<float>(64);
  OK(launch_fault(FAULT_WARP_NOT_SYNCED, x, 64, nullptr, nullptr));
  cudaDeviceSynchronize();
  CHECK(simgpu_error());
  simgpu_reset();
  // And the device works again.
  OK(launch_fault(FAULT_NONE_BALLOT, x, 64, nullptr, nullptr));
  OK(cudaDeviceSynchronize());
  nothing_caught();
  OK(cudaFree(x));
}

static void apart(int which, const char *part) {
  unsigned char *x = device<unsigned char>(200);
  OK(cudaMemset(x, 0, 200));
  OK(launch_apart(which, x, 200, 4, nullptr));
  cudaDeviceSynchronize();
  if (part)
    caught(part);
  else
    nothing_caught();
  OK(cudaFree(x));
}

static void test_apart() {
  apart(APART_RIGHT, nullptr);
  apart(APART_BLOCKS_WRITE, "another block");
  apart(APART_BLOCKS_READ_WRITE, "another block");
  apart(APART_THREADS_WRITE, "race");
  apart(APART_BARRIER, "VANE_LAUNCH");
  apart(APART_BEHIND, "0 bytes behind");
}

// ---- streams ----

struct two_streams {
  cudaStream_t first, second;
  two_streams() {
    OK(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    OK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
  }
  ~two_streams() {
    OK(cudaStreamDestroy(first));
    OK(cudaStreamDestroy(second));
  }
};

template <typename real> static real *pinned(size_t n) {
  void *p = nullptr;
  OK(cudaHostAlloc(&p, n * sizeof(real), cudaHostAllocDefault));
  return static_cast<real *>(p);
}

// An upload on one stream, its use on the other; right with the wait in between, in every policy.
static void upload_and_use(bool waits, int policy, bool compute_is_first, bool *right) {
  simgpu_setup()->stream_policy = policy;
  {
    two_streams s;
    const cudaStream_t compute = compute_is_first ? s.first : s.second;
    const cudaStream_t copy = compute_is_first ? s.second : s.first;
    cudaEvent_t there;
    OK(cudaEventCreateWithFlags(&there, cudaEventDisableTiming));
    float *x = device<float>(64), *y = device<float>(64), *staging = pinned<float>(64);
    OK(cudaMemsetAsync(x, 0, 256, compute));
    OK(cudaStreamSynchronize(compute));
    for (int i = 0; i < 64; i++)
      staging[i] = 1;
    OK(cudaMemcpyAsync(x, staging, 256, cudaMemcpyHostToDevice, copy));
    OK(cudaEventRecord(there, copy));
    if (waits)
      OK(cudaStreamWaitEvent(compute, there, 0));
    OK(launch_scale(2, x, y, 64, compute));
    OK(cudaStreamSynchronize(compute));
    *right = get(y, 64)[63] == 2;
    nothing_caught();
    OK(cudaFree(x));
    OK(cudaFree(y));
    OK(cudaFreeHost(staging));
    OK(cudaEventDestroy(there));
  }
  simgpu_setup()->stream_policy = SIMGPU_ISSUE_ORDER;
}

static void test_waits() {
  int n_wrong = 0;
  for (int policy = SIMGPU_ISSUE_ORDER; policy <= SIMGPU_RANDOM; policy++)
    for (int first = 0; first < 2; first++) {
      bool right;
      upload_and_use(true, policy, first, &right);
      CHECK(right);
      upload_and_use(false, policy, first, &right);
      n_wrong += !right;
      if (policy == SIMGPU_LATE)
        CHECK(!right);
    }
  CHECK(n_wrong >= 2);
}

static void test_staging() {
  two_streams s;
  float *x = device<float>(64), *staging = pinned<float>(64);
  for (int i = 0; i < 64; i++)
    staging[i] = 1;
  OK(cudaMemcpyAsync(x, staging, 256, cudaMemcpyHostToDevice, s.first));
  staging[5] = 2;
  OK(cudaStreamSynchronize(s.first));
  caught("changed before the copy ran");
  // From pageable memory the driver takes its copy at once.
  std::vector<float> pageable(64, 3);
  OK(cudaMemcpyAsync(x, pageable.data(), 256, cudaMemcpyHostToDevice, s.first));
  pageable[5] = 4;
  OK(cudaMemcpyAsync(staging, x, 256, cudaMemcpyDeviceToHost, s.first));
  CHECK(staging[5] != 3 && staging[5] != 2); // not there yet
  CHECK(simgpu_count().hidden_synchronizes == 0);
  OK(cudaStreamSynchronize(s.first));
  CHECK(staging[5] == 3);
  OK(cudaMemcpyAsync(pageable.data(), x, 256, cudaMemcpyDeviceToHost, s.first));
  CHECK(pageable[5] == 3 && simgpu_count().hidden_synchronizes == 1);
  nothing_caught();
  OK(cudaFree(x));
  OK(cudaFreeHost(staging));
}

static void test_copies() {
  float *x = device<float>(64), *y = device<float>(64);
  std::vector<float> host(64, 1);
  IS(cudaErrorInvalidValue, cudaMemcpy(x, host.data(), 256, cudaMemcpyDeviceToDevice));
  caught("kind");
  IS(cudaErrorInvalidValue, cudaMemcpy(x, host.data(), 260, cudaMemcpyHostToDevice));
  caught("out of bounds");
  cudaMemcpy(host.data(), x, 256, cudaMemcpyDeviceToHost);
  caught("uninitialised");
  OK(cudaMemcpy(y, x, 256, cudaMemcpyDeviceToDevice)); // allowed, y is as good as x
  nothing_caught();
  CHECK(simgpu_written(y, 256) == 0);
  OK(cudaMemset(x, 0, 100));
  CHECK(simgpu_written(x, 256) == 100);
  IS(cudaErrorInvalidValue, cudaMemcpy(x + 1, x, 16, cudaMemcpyDeviceToDevice));
  caught("overlap");
  IS(cudaErrorInvalidValue, cudaMemset(x + 60, 0, 17));
  caught("out of bounds");
  put(x, host);
  simgpu_forget(x, 256);
  CHECK(get(x, 64)[0] == 1); // copies may
  nothing_caught();
  OK(cudaFree(x));
  OK(cudaFree(y));
  IS(cudaErrorInvalidValue, cudaFree(y));
  caught("freed");
  IS(cudaErrorInvalidValue, cudaMemset(y, 0, 4));
  caught("freed");
  OK(cudaFree(nullptr));
  // The legacy stream and a blocking one are in order.
  for (int policy = SIMGPU_ISSUE_ORDER; policy <= SIMGPU_RANDOM; policy++) {
    simgpu_setup()->stream_policy = policy;
    cudaStream_t blocking;
    OK(cudaStreamCreate(&blocking));
    x = device<float>(64);
    OK(cudaMemset(x, 0, 256));
    OK(launch_scale(2, x, x, 64, blocking));
    CHECK(get(x, 64)[9] == 0);
    OK(cudaFree(x));
    OK(cudaStreamDestroy(blocking));
  }
  simgpu_setup()->stream_policy = SIMGPU_ISSUE_ORDER;
  nothing_caught();
}

static void test_events() {
  two_streams s;
  cudaEvent_t a, b, plain;
  OK(cudaEventCreate(&a));
  OK(cudaEventCreate(&b));
  OK(cudaEventCreateWithFlags(&plain, cudaEventDisableTiming));
  OK(cudaEventQuery(a)); // never recorded
  float *x = device<float>(64);
  OK(cudaEventRecord(a, s.first));
  OK(cudaMemsetAsync(x, 0, 256, s.first));
  OK(cudaEventRecord(b, s.first));
  IS(cudaErrorNotReady, cudaEventQuery(b));
  CHECK(simgpu_count().event_checks == 1);
  int asked = 0;
  while (cudaEventQuery(b) == cudaErrorNotReady)
    asked++;
  CHECK(asked < 5);
  float ms = 0;
  OK(cudaEventElapsedTime(&ms, a, b));
  CHECK(ms > 0);
  IS(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, a, plain));
  simgpu_count_reset();
  OK(cudaEventSynchronize(b));
  CHECK(simgpu_count().event_checks == 1 && simgpu_count().event_synchronizes == 0);
  // What an event does not need stays waiting.
  float *pinned_x = pinned<float>(64);
  OK(cudaEventRecord(a, s.first));
  OK(cudaMemcpyAsync(pinned_x, x, 256, cudaMemcpyDeviceToHost, s.first));
  OK(cudaEventSynchronize(a));
  CHECK(simgpu_count().event_synchronizes == 1 && pinned_x[0] != 0);
  OK(cudaDeviceSynchronize());
  CHECK(pinned_x[0] == 0);
  OK(cudaEventDestroy(a));
  IS(cudaErrorInvalidResourceHandle, cudaEventRecord(a, s.first));
  caught("no event");
  OK(cudaEventDestroy(b));
  OK(cudaEventDestroy(plain));
  OK(cudaFree(x));
  OK(cudaFreeHost(pinned_x));
  cudaStream_t gone;
  OK(cudaStreamCreate(&gone));
  OK(cudaStreamDestroy(gone));
  IS(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(gone));
  caught("no stream");
}

// ---- captures ----

static void test_graph() {
  for (int policy = SIMGPU_ISSUE_ORDER; policy <= SIMGPU_RANDOM; policy++) {
    simgpu_setup()->stream_policy = policy;
    two_streams s;
    cudaEvent_t fork, join;
    OK(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    OK(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
    float *x = device<float>(64), *y = device<float>(64);
    put(x, std::vector<float>(64, 1));
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStreamCaptureStatus status;
    OK(cudaStreamBeginCapture(s.first, cudaStreamCaptureModeThreadLocal));
    OK(cudaStreamIsCapturing(s.first, &status));
    CHECK(status == cudaStreamCaptureStatusActive);
    OK(launch_scale(2, x, x, 64, s.first));
    OK(cudaEventRecord(fork, s.first));
    OK(cudaStreamWaitEvent(s.second, fork, 0));
    OK(launch_scale(3, x, y, 64, s.second));
    OK(cudaEventRecord(join, s.second));
    OK(cudaStreamWaitEvent(s.first, join, 0));
    OK(launch_scale(5, y, y, 64, s.first));
    OK(cudaStreamEndCapture(s.first, &graph));
    OK(cudaStreamIsCapturing(s.second, &status));
    CHECK(status == cudaStreamCaptureStatusNone);
    size_t n = 0;
    OK(cudaGraphGetNodes(graph, nullptr, &n));
    CHECK(n == 3);
    OK(cudaGraphInstantiate(&exec, graph, 0));
    OK(cudaGraphDestroy(graph));
    CHECK(simgpu_count().kernels == 0 && simgpu_count().launches == 3);
    OK(cudaGraphLaunch(exec, s.first));
    OK(cudaGraphLaunch(exec, s.first));
    OK(cudaStreamSynchronize(s.first));
    CHECK(get(x, 64)[7] == 4 && get(y, 64)[7] == 60);
    CHECK(simgpu_count().kernels == 6 && simgpu_count().graph_launches == 2);
    OK(cudaGraphExecDestroy(exec));
    IS(cudaErrorInvalidValue, cudaGraphLaunch(exec, s.first));
    caught("no instantiated graph");
    OK(cudaEventDestroy(fork));
    OK(cudaEventDestroy(join));
    OK(cudaFree(x));
    OK(cudaFree(y));
  }
  simgpu_setup()->stream_policy = SIMGPU_ISSUE_ORDER;
  nothing_caught();
}

// The call is refused and the capture invalid.
template <typename call> static void refused(cudaError_t code, call what) {
  two_streams s;
  cudaEvent_t before, within;
  float *x = device<float>(64);
  OK(cudaMemset(x, 0, 256));
  OK(cudaEventCreate(&before));
  OK(cudaEventCreate(&within));
  OK(cudaEventRecord(before, s.second));
  OK(cudaStreamBeginCapture(s.first, cudaStreamCaptureModeThreadLocal));
  OK(launch_scale(2, x, x, 64, s.first));
  OK(cudaEventRecord(within, s.first));
  IS(code, what(s, x, before, within));
  cudaGraph_t graph;
  IS(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(s.first, &graph));
  CHECK(!graph);
  OK(launch_scale(2, x, x, 64, s.first)); // the stream works on
  OK(cudaStreamSynchronize(s.first));
  nothing_caught();
  OK(cudaEventDestroy(before));
  OK(cudaEventDestroy(within));
  OK(cudaFree(x));
}

static void test_refused() {
  using event = cudaEvent_t;
  const cudaError_t no = cudaErrorStreamCaptureUnsupported;
  refused(no, [](two_streams &, float *, event, event) {
    void *p;
    return cudaMalloc(&p, 4);
  });
  refused(no, [](two_streams &, float *x, event, event) { return cudaFree(x); });
  refused(no, [](two_streams &, float *, event, event) {
    void *p;
    return cudaHostAlloc(&p, 4, 0);
  });
  refused(no, [](two_streams &, float *, event, event) { return cudaDeviceSynchronize(); });
  refused(no, [](two_streams &s, float *, event, event) { return cudaStreamSynchronize(s.first); });
  refused(no, [](two_streams &, float *, event e, event) { return cudaEventSynchronize(e); });
  refused(no, [](two_streams &, float *, event e, event) { return cudaEventQuery(e); });
  refused(cudaErrorCapturedEvent,
          [](two_streams &, float *, event, event e) { return cudaEventSynchronize(e); });
  refused(cudaErrorCapturedEvent,
          [](two_streams &, float *, event, event e) { return cudaEventQuery(e); });
  refused(no, [](two_streams &, float *x, event, event) {
    float v;
    return cudaMemcpy(&v, x, 4, cudaMemcpyDeviceToHost);
  });
  refused(no, [](two_streams &s, float *x, event, event) {
    float v = 1;
    return cudaMemcpyAsync(x, &v, 4, cudaMemcpyHostToDevice, s.first);
  });
  refused(cudaErrorStreamCaptureImplicit,
          [](two_streams &, float *x, event, event) { return cudaMemsetAsync(x, 0, 4, nullptr); });
  refused(cudaErrorStreamCaptureIsolation, [](two_streams &s, float *, event e, event) {
    return cudaStreamWaitEvent(s.first, e, 0);
  });
  // Work that nobody joins.
  two_streams s;
  cudaEvent_t fork;
  cudaGraph_t graph;
  float *x = device<float>(64);
  OK(cudaMemset(x, 0, 256));
  OK(cudaEventCreate(&fork));
  OK(cudaStreamBeginCapture(s.first, cudaStreamCaptureModeGlobal));
  OK(launch_scale(2, x, x, 64, s.first));
  OK(cudaEventRecord(fork, s.first));
  OK(cudaStreamWaitEvent(s.second, fork, 0));
  OK(launch_scale(2, x, x, 64, s.second));
  IS(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(s.first, &graph));
  IS(cudaErrorIllegalState, cudaStreamEndCapture(s.first, &graph));
  OK(cudaEventDestroy(fork));
  OK(cudaFree(x));
}

// ---- the rest ----

static void test_memory() {
  size_t free_bytes, total;
  simgpu_setup()->device_bytes = 1 << 20;
  void *a, *b;
  OK(cudaMalloc(&a, 1 << 19));
  OK(cudaMemGetInfo(&free_bytes, &total));
  CHECK(total == 1 << 20 && free_bytes == 1 << 19);
  IS(cudaErrorMemoryAllocation, cudaMalloc(&b, (1 << 19) + 1));
  CHECK(!b && cudaGetLastError() == cudaErrorMemoryAllocation);
  OK(cudaMalloc(&b, 1 << 19));
  CHECK(simgpu_leaks() == 2 && simgpu_is_device(b) && !simgpu_is_device(&b));
  CHECK(reinterpret_cast<uintptr_t>(b) % 256 == 0);
  OK(cudaFree(a));
  OK(cudaFree(b));
  // Addresses come back only when the range is used up.
  for (int i = 0; i < 4000; i++) {
    OK(cudaMalloc(&a, 1 << 19));
    if (i < 1500)
      CHECK(a != b);
    OK(cudaFree(a));
  }
  simgpu_setup()->device_bytes = size_t{2} << 30;
  simgpu_setup()->n_devices = 0;
  int n;
  IS(cudaErrorNoDevice, cudaGetDeviceCount(&n));
  CHECK(!strcmp(cudaGetErrorName(cudaErrorNoDevice), "cudaErrorNoDevice"));
  simgpu_setup()->n_devices = 1;
  simgpu_handle("thing", 1);
  CHECK(simgpu_leaks() == 1);
  simgpu_handle("thing", -1);
  nothing_caught();
}

static void test_failing_calls() {
  int n = 1;
  for (;; n++) {
    simgpu_fail_call(static_cast<uint64_t>(n));
    void *x = nullptr;
    cudaStream_t stream = nullptr;
    cudaError_t code = cudaMalloc(&x, 256);
    if (code == cudaSuccess)
      code = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (code == cudaSuccess)
      code = cudaMemsetAsync(x, 0, 256, stream);
    if (code == cudaSuccess)
      code = launch_scale(2, static_cast<float *>(x), static_cast<float *>(x), 64, stream);
    if (code == cudaSuccess)
      code = cudaStreamSynchronize(stream);
    if (stream)
      code = cudaStreamDestroy(stream) == cudaSuccess ? code : cudaErrorUnknown;
    code = cudaFree(x) == cudaSuccess ? code : cudaErrorUnknown;
    CHECK(simgpu_leaks() == 0);
    if (!simgpu_failed_name())
      break;
    CHECK(code != cudaSuccess);
    if (n == 4)
      CHECK(!strcmp(simgpu_failed_name(), "k_scale"));
  }
  CHECK(n == 8);
  nothing_caught();
}

static void double_all(void *user) {
  float *x = *static_cast<float **>(user);
  if (!simgpu_check_range(x, 256, false) || !simgpu_check_range(x, 256, true))
    return;
  for (int i = 0; i < 64; i++)
    x[i] *= 2;
  simgpu_take_ms(3);
}

static void test_doubles() {
  float *x = device<float>(64);
  cudaEvent_t a, b;
  float ms;
  OK(cudaEventCreate(&a));
  OK(cudaEventCreate(&b));
  put(x, std::vector<float>(64, 1));
  OK(cudaEventRecord(a, nullptr));
  OK(simgpu_enqueue(nullptr, "double_all", double_all, &x, sizeof x));
  OK(cudaEventRecord(b, nullptr));
  CHECK(get(x, 64)[3] == 2 && simgpu_count().works == 1);
  OK(cudaEventElapsedTime(&ms, a, b));
  CHECK(ms == 3);
  nothing_caught();
  simgpu_forget(x + 63, 4);
  OK(simgpu_enqueue(nullptr, "double_all", double_all, &x, sizeof x));
  OK(cudaDeviceSynchronize());
  caught("double_all reads uninitialised memory");
  OK(cudaEventDestroy(a));
  OK(cudaEventDestroy(b));
  OK(cudaFree(x));
}

// What ends the process, in one of its own: it must abort and say why.
static void ends(void (*what)(), const char *part) {
  int ends[2];
  char text[2000] = "";
  CHECK(pipe(ends) == 0);
  fflush(nullptr);
  const pid_t child = fork();
  if (!child) {
    dup2(ends[1], 2);
    simgpu_setup()->record_errors = false;
    what();
    _exit(0);
  }
  close(ends[1]);
  size_t n = 0;
  for (ssize_t got; (got = read(ends[0], text + n, sizeof text - 1 - n)) > 0;)
    n += static_cast<size_t>(got);
  close(ends[0]);
  int status;
  waitpid(child, &status, 0);
  CHECK(status != 0);
  if (!strstr(text, part)) {
    printf("%s: wanted \"%s\", got \"%s\"\n", test_name, part, text);
    n_failed++;
  }
}

static void test_ends() {
  ends([] { *device<float>(4) = 1; }, "0x"); // AddressSanitizer says it in its own words
  ends([] { cudaFree(&n_failed); }, "simgpu: cudaFree");
}

int main() {
  simgpu_setup()->record_errors = true;
  const struct {
    const char *name;
    void (*run)();
  } tests[] = {
      {"sum", test_sum},         {"scale", test_scale},   {"meetings", test_meetings},
      {"apart", test_apart},     {"waits", test_waits},   {"staging", test_staging},
      {"copies", test_copies},   {"events", test_events}, {"graph", test_graph},
      {"refused", test_refused}, {"memory", test_memory}, {"failing calls", test_failing_calls},
      {"doubles", test_doubles}, {"ends", test_ends}};
  for (const auto &test : tests) {
    test_name = test.name;
    simgpu_reset();
    test.run();
    CHECK(simgpu_leaks() == 0);
    printf("%s\n", test.name);
  }
  if (n_failed)
    printf("%d failures\n", n_failed);
  return n_failed != 0;
}
