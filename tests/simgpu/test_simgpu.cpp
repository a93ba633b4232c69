// The simulated GPU judges: what is right passes, each fault is caught by name.
#include <cuda_runtime_api.h>

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
    // A float off the float4.
    if (n >= 8) {
      OK(launch_scale(2, x + 1, y, 4, nullptr));
      cudaDeviceSynchronize();
      caught("misaligned");
    }
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

int main() {
  simgpu_setup()->record_errors = true;
  const struct {
    const char *name;
    void (*run)();
  } tests[] = {
      {"sum", test_sum}, {"scale", test_scale}, {"meetings", test_meetings}, {"apart", test_apart}};
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
