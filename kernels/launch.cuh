// How a launcher starts its kernel: on a GPU with <<<>>>, on the simulated device (tests/simgpu/)
// through its runtime, which needs to know whether the threads of a block ever meet.
#ifndef VANE_KERNELS_LAUNCH_CUH
#define VANE_KERNELS_LAUNCH_CUH

#include "kernels.h"

#ifdef __CUDACC__

// Threads do not depend on each other: no barrier, no shuffle, no shared memory.
#define VANE_LAUNCH(kernel, n_blocks, n_threads, stream, ...)                                      \
  (kernel<<<(n_blocks), (n_threads), 0, (stream)>>>(__VA_ARGS__), cudaGetLastError())

// Threads of a block meet: at barriers, in shuffles.
#define VANE_LAUNCH_MEETING(kernel, n_blocks, n_threads, stream, ...)                              \
  (kernel<<<(n_blocks), (n_threads), 0, (stream)>>>(__VA_ARGS__), cudaGetLastError())

#else
#include "simgpu/language.h"
#endif

#endif
