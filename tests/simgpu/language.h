// CUDA's language for a C++ compiler: what a kernel of kernels/*.cu may use, and how it is launched
// on the simulated GPU. kernels/launch.cuh includes this page where nvcc is not at work.
#ifndef VANE_TESTS_SIMGPU_LANGUAGE_H
#define VANE_TESTS_SIMGPU_LANGUAGE_H

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <tuple>
#include <type_traits>

// A kernel must not be inlined into the function that calls it for each thread: that one is not
// watched.
#undef __global__
#define __global__ __attribute__((noinline))
#undef __device__
#define __device__
#undef __host__
#define __host__
#undef __constant__
#define __constant__
#undef __launch_bounds__
#define __launch_bounds__(...)
// One block runs at a time, so a static is its shared memory.
#undef __shared__
#define __shared__ static

namespace simgpu {

// Where a call stands in the source: threads that meet must meet at one place.
struct place {
  const char *file;
  int line;
};
#define SIMGPU_HERE simgpu::place where = {__builtin_FILE(), __builtin_LINE()}

// The thread that runs. Nothing changes for a thread, so the compiler may ask once.
__attribute__((const)) uint3 thread_index();
__attribute__((const)) uint3 block_index();
__attribute__((const)) uint3 block_size();
__attribute__((const)) uint3 grid_size();

enum meeting { SYNC, COUNT, AND, OR };
int meet_block(meeting kind, int predicate, place where);
enum exchange { WARP_SYNC, SHUFFLE, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_XOR, BALLOT };
uint64_t meet_warp(exchange kind, unsigned mask, uint64_t value, int operand, int width,
                   place where);
void fence_device();
void fence_block();
enum atomic { ADD, MINIMUM, MAXIMUM, BIT_AND, BIT_OR, EXCHANGE, COMPARE, INCREMENT };
uint64_t atomic_update(atomic kind, void *address, int bytes, bool is_signed, uint64_t value,
                       uint64_t compare);

// A count of blocks or threads as it was written, before anything narrowed it.
struct extent {
  int64_t x, y = 1, z = 1;
  template <typename number, typename = std::enable_if_t<std::is_integral<number>::value>>
  extent(number n) : x(static_cast<int64_t>(n)) {
  }
  extent(dim3 d) : x(d.x), y(d.y), z(d.z) {
  }
};

struct launch_request {
  const char *name;
  bool meeting;
  extent blocks, threads;
  cudaStream_t stream;
  void (*call)(const void *arguments); // the kernel, for the thread that runs
  const void *arguments;               // copied by `launch_grid`
  size_t arguments_bytes;
};
cudaError_t launch_grid(const launch_request &request);

template <typename... parameters>
using argument_list = std::tuple<void (*)(parameters...), parameters...>;

template <typename... parameters, size_t... i>
__attribute__((no_sanitize("thread"))) void call_kernel(const argument_list<parameters...> &list,
                                                        std::index_sequence<i...>) {
  std::get<0>(list)(std::get<i + 1>(list)...);
}

template <typename... parameters>
__attribute__((no_sanitize("thread"))) void call_with(const void *arguments) {
  call_kernel<parameters...>(*static_cast<const argument_list<parameters...> *>(arguments),
                             std::index_sequence_for<parameters...>());
}

template <typename type> struct as_written { using is = type; };

template <typename... parameters>
cudaError_t launch(const char *name, bool meeting, void (*kernel)(parameters...), extent blocks,
                   extent threads, cudaStream_t stream,
                   typename as_written<parameters>::is... arguments) {
  static_assert((std::is_trivially_copyable<parameters>::value && ...),
                "a kernel's parameters are copied byte by byte");
  const argument_list<parameters...> list(kernel, arguments...);
  return launch_grid(
      {name, meeting, blocks, threads, stream, call_with<parameters...>, &list, sizeof list});
}

} // namespace simgpu

#define VANE_LAUNCH(kernel, n_blocks, n_threads, stream, ...)                                      \
  simgpu::launch(#kernel, false, kernel, (n_blocks), (n_threads), (stream), ##__VA_ARGS__)
#define VANE_LAUNCH_MEETING(kernel, n_blocks, n_threads, stream, ...)                              \
  simgpu::launch(#kernel, true, kernel, (n_blocks), (n_threads), (stream), ##__VA_ARGS__)

// ---- where a thread is ----

#define threadIdx (simgpu::thread_index())
#define blockIdx  (simgpu::block_index())
#define blockDim  (simgpu::block_size())
#define gridDim   (simgpu::grid_size())
#define warpSize  32

// ---- threads meet ----

inline void __syncthreads(SIMGPU_HERE) {
  simgpu::meet_block(simgpu::SYNC, 0, where);
}
inline int __syncthreads_count(int predicate, SIMGPU_HERE) {
  return simgpu::meet_block(simgpu::COUNT, predicate, where);
}
inline int __syncthreads_and(int predicate, SIMGPU_HERE) {
  return simgpu::meet_block(simgpu::AND, predicate, where);
}
inline int __syncthreads_or(int predicate, SIMGPU_HERE) {
  return simgpu::meet_block(simgpu::OR, predicate, where);
}
inline void __syncwarp(unsigned mask = ~0u, SIMGPU_HERE) {
  simgpu::meet_warp(simgpu::WARP_SYNC, mask, 0, 0, 32, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SIMGPU_HERE) {
  return static_cast<unsigned>(
      simgpu::meet_warp(simgpu::BALLOT, mask, predicate != 0, 0, 32, where));
}
inline int __any_sync(unsigned mask, int predicate, SIMGPU_HERE) {
  return __ballot_sync(mask, predicate, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, SIMGPU_HERE) {
  return __ballot_sync(mask, predicate, where) == mask;
}

namespace simgpu {
template <typename value>
inline value shuffle(exchange kind, unsigned mask, value v, int operand, int width, place where) {
  static_assert(std::is_arithmetic<value>::value && sizeof v >= 4 && sizeof v <= 8,
                "CUDA shuffles int, long, float and double");
  uint64_t bits = 0;
  memcpy(&bits, &v, sizeof v);
  bits = meet_warp(kind, mask, bits, operand, width, where);
  memcpy(&v, &bits, sizeof v);
  return v;
}
} // namespace simgpu

template <typename value>
inline value __shfl_sync(unsigned mask, value v, int lane, int width = 32, SIMGPU_HERE) {
  return simgpu::shuffle(simgpu::SHUFFLE, mask, v, lane, width, where);
}
template <typename value>
inline value __shfl_up_sync(unsigned mask, value v, unsigned delta, int width = 32, SIMGPU_HERE) {
  return simgpu::shuffle(simgpu::SHUFFLE_UP, mask, v, static_cast<int>(delta), width, where);
}
template <typename value>
inline value __shfl_down_sync(unsigned mask, value v, unsigned delta, int width = 32, SIMGPU_HERE) {
  return simgpu::shuffle(simgpu::SHUFFLE_DOWN, mask, v, static_cast<int>(delta), width, where);
}
template <typename value>
inline value __shfl_xor_sync(unsigned mask, value v, int lane_mask, int width = 32, SIMGPU_HERE) {
  return simgpu::shuffle(simgpu::SHUFFLE_XOR, mask, v, lane_mask, width, where);
}

// ---- memory ----

inline void __threadfence() {
  simgpu::fence_device();
}
inline void __threadfence_block() {
  simgpu::fence_block();
}

// Whole numbers only: the order of atomic sums of floats is nobody's, so they do not compile.
template <typename type> using simgpu_same = typename simgpu::as_written<type>::is;
#define SIMGPU_ATOMIC(name, kind)                                                                  \
  template <typename value> inline value name(value *address, simgpu_same<value> v) {              \
    static_assert(std::is_integral<value>::value && sizeof(value) >= 4,                            \
                  "atomics are for int, unsigned and unsigned long long");                         \
    return static_cast<value>(simgpu::atomic_update(simgpu::kind, address, sizeof v,               \
                                                    std::is_signed<value>::value,                  \
                                                    static_cast<uint64_t>(v), 0));                 \
  }
SIMGPU_ATOMIC(atomicAdd, ADD)
SIMGPU_ATOMIC(atomicMin, MINIMUM)
SIMGPU_ATOMIC(atomicMax, MAXIMUM)
SIMGPU_ATOMIC(atomicAnd, BIT_AND)
SIMGPU_ATOMIC(atomicOr, BIT_OR)
SIMGPU_ATOMIC(atomicExch, EXCHANGE)
SIMGPU_ATOMIC(atomicInc, INCREMENT)
#undef SIMGPU_ATOMIC
template <typename value>
inline value atomicCAS(value *address, simgpu_same<value> compare, simgpu_same<value> v) {
  static_assert(std::is_integral<value>::value && sizeof(value) >= 4,
                "atomics are for int, unsigned and unsigned long long");
  return static_cast<value>(
      simgpu::atomic_update(simgpu::COMPARE, address, sizeof v, std::is_signed<value>::value,
                            static_cast<uint64_t>(v), static_cast<uint64_t>(compare)));
}

// Loads and stores with a hint for the caches are loads and stores.
#define SIMGPU_LOAD(name)                                                                          \
  template <typename value> inline value name(const value *address) {                              \
    return *address;                                                                               \
  }
SIMGPU_LOAD(__ldg)
SIMGPU_LOAD(__ldca)
SIMGPU_LOAD(__ldcg)
SIMGPU_LOAD(__ldcs)
SIMGPU_LOAD(__ldlu)
#undef SIMGPU_LOAD
#define SIMGPU_STORE(name)                                                                         \
  template <typename value> inline void name(value *address, simgpu_same<value> v) {               \
    *address = v;                                                                                  \
  }
SIMGPU_STORE(__stcg)
SIMGPU_STORE(__stcs)
SIMGPU_STORE(__stwb)
SIMGPU_STORE(__stwt)
#undef SIMGPU_STORE

// ---- arithmetic ----

#define SIMGPU_EXTREMA(type)                                                                       \
  inline type min(type a, type b) {                                                                \
    return b < a ? b : a;                                                                          \
  }                                                                                                \
  inline type max(type a, type b) {                                                                \
    return a < b ? b : a;                                                                          \
  }
SIMGPU_EXTREMA(int)
SIMGPU_EXTREMA(unsigned)
SIMGPU_EXTREMA(long)
SIMGPU_EXTREMA(unsigned long)
SIMGPU_EXTREMA(long long)
SIMGPU_EXTREMA(unsigned long long)
#undef SIMGPU_EXTREMA
inline float min(float a, float b) {
  return fminf(a, b);
}
inline float max(float a, float b) {
  return fmaxf(a, b);
}
inline double min(double a, double b) {
  return fmin(a, b);
}
inline double max(double a, double b) {
  return fmax(a, b);
}

inline float rsqrtf(float x) {
  return 1.0f / sqrtf(x);
}
inline double rsqrt(double x) {
  return 1.0 / sqrt(x);
}
inline float __saturatef(float x) {
  return fminf(fmaxf(x, 0.0f), 1.0f); // NaN becomes 0, as on the GPU
}

namespace simgpu {
template <typename to, typename from> inline to bits_as(from v) {
  static_assert(sizeof(to) == sizeof(from), "the same bits");
  to result;
  memcpy(&result, &v, sizeof result);
  return result;
}
} // namespace simgpu
inline int __float_as_int(float v) {
  return simgpu::bits_as<int>(v);
}
inline unsigned __float_as_uint(float v) {
  return simgpu::bits_as<unsigned>(v);
}
inline float __int_as_float(int v) {
  return simgpu::bits_as<float>(v);
}
inline float __uint_as_float(unsigned v) {
  return simgpu::bits_as<float>(v);
}
inline long long __double_as_longlong(double v) {
  return simgpu::bits_as<long long>(v);
}
inline double __longlong_as_double(long long v) {
  return simgpu::bits_as<double>(v);
}
inline float __uint2float_rn(unsigned v) {
  return static_cast<float>(v);
}
inline float __int2float_rn(int v) {
  return static_cast<float>(v);
}
inline float __double2float_rn(double v) {
  return static_cast<float>(v);
}

inline int __popc(unsigned v) {
  return __builtin_popcount(v);
}
inline int __popcll(unsigned long long v) {
  return __builtin_popcountll(v);
}
inline int __clz(int v) {
  return v ? __builtin_clz(static_cast<unsigned>(v)) : 32;
}
inline int __clzll(long long v) {
  return v ? __builtin_clzll(static_cast<unsigned long long>(v)) : 64;
}
inline int __ffs(int v) {
  return __builtin_ffs(v);
}
inline int __ffsll(long long v) {
  return __builtin_ffsll(v);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ typedef unsigned __int128 wide;
  return static_cast<unsigned long long>((static_cast<wide>(a) * b) >> 64);
}

#undef SIMGPU_HERE
#endif
