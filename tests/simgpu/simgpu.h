/* The simulated GPU as tests see it: how it is set up, what it counted, what its judge found.
 *
 * A test links `vane_simulated` before `vane_core`; calls of the CUDA runtime then land here. The
 * judge watches every access of a kernel and every call; what it finds wrong is printed to stderr
 * and ends the process, unless `record_errors` is set. README.md says what it watches for.
 */
#ifndef VANE_TESTS_SIMGPU_SIMGPU_H
#define VANE_TESTS_SIMGPU_SIMGPU_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In which order the threads of a block, and the blocks of a grid, take their turns. */
enum { SIMGPU_FORWARD, SIMGPU_REVERSE, SIMGPU_SHUFFLED };

/* Work waits until something needs its result. When it runs, what else runs is a matter of policy:
 * everything in the order it was issued; only what is needed, later streams first; whatever else
 * may run before what is needed; or chance, which also runs work of its own accord. */
enum { SIMGPU_ISSUE_ORDER, SIMGPU_LATE, SIMGPU_EARLY, SIMGPU_RANDOM };

typedef struct simgpu_settings {
  int thread_order;    /* environment SIMGPU_THREADS: forward, reverse, shuffled */
  int stream_policy;   /* environment SIMGPU_STREAMS: issue, late, early, random */
  uint64_t seed;       /* of what is shuffled or random; environment SIMGPU_SEED */
  size_t device_bytes; /* of the GPU's memory, at most 16 GiB; 2 GiB */
  int n_devices;       /* 1, or 0: a driver without a GPU */
  int multiprocessors; /* 4 */
  int major, minor;    /* compute capability; 9.0 */
  bool record_errors;  /* keep the judge's error for simgpu_error, do not abort */
  bool guard; /* device memory crashes the host that touches it; slow. Environment SIMGPU_GUARD=1 */
} simgpu_settings;

/* May be changed at any time between calls; a change of device_bytes concerns later allocations. */
simgpu_settings *simgpu_setup(void);

/* The first error since simgpu_reset, NULL: none. */
const char *simgpu_error(void);
/* Forgets the error, the counters, the kernels' counters and the failure; what lives, lives on. */
void simgpu_reset(void);

typedef struct simgpu_counters {
  uint64_t allocations, frees;               /* device memory */
  uint64_t pinned_allocations, pinned_frees; /* pinned host memory */
  uint64_t device_synchronizes, stream_synchronizes;
  uint64_t event_synchronizes;  /* that had to wait */
  uint64_t event_checks;        /* event synchronisations and queries that found it complete */
  uint64_t hidden_synchronizes; /* of calls that block by their nature: cudaMemcpy, cudaFree, a
                                   download to pageable memory */
  uint64_t uploads, upload_bytes;
  uint64_t downloads, download_bytes;
  uint64_t device_copies, device_copy_bytes;
  uint64_t memsets, memset_bytes;
  uint64_t launches;       /* of kernels, also into a capture */
  uint64_t kernels;        /* that ran, also from graphs */
  uint64_t works;          /* enqueued by the doubles of other libraries, also into a capture */
  uint64_t graph_launches; /* cudaGraphLaunch */
  uint64_t event_records, stream_waits;
  uint64_t calls; /* that can fail, simgpu_fail_call counts these */
} simgpu_counters;

simgpu_counters simgpu_count(void);
void simgpu_count_reset(void); /* the kernels' counters too */

/* What the launches of one kernel did to device memory. */
typedef struct simgpu_kernel {
  uint64_t launches, blocks, threads;     /* that ran */
  uint64_t loads, load_bytes, loads16;    /* accesses, their bytes, those of 16 bytes */
  uint64_t stores, store_bytes, stores16; /* an atomic counts as both */
} simgpu_kernel;

/* By the name at its launch: "k_adam<float>"; "k_adam" sums all its instances. Zeros: never ran. */
simgpu_kernel simgpu_kernel_count(const char *name);
void simgpu_each_kernel(void (*visit)(const char *name, const simgpu_kernel *kernel, void *user),
                        void *user);

/* The n-th call from now on that can fail, fails (1: the next one), once; 0: none. */
void simgpu_fail_call(uint64_t n);
/* The function that failed so, NULL: the n-th call has not come yet. */
const char *simgpu_failed_name(void);

/* What is alive: device memory, pinned memory, streams, events, graphs, handles of other doubles.
 * `simgpu_print_leaks` lists it on stderr. */
int64_t simgpu_leaks(void);
void simgpu_print_leaks(void);

/* Marks device bytes as not written: a kernel that reads them is wrong, a copy may. */
void simgpu_forget(const void *memory, size_t bytes);
/* How many of the bytes are written. */
size_t simgpu_written(const void *memory, size_t bytes);
bool simgpu_is_device(const void *memory);
bool simgpu_is_pinned(const void *memory);
/* Runs all that waits. */
void simgpu_drain(void);

/* ---- for the doubles of other libraries ---- */

/* To be called first by each function that can fail; nonzero: fail now. */
int simgpu_enter(const char *name);
/* A handle or descriptor of another library comes into being, or goes. */
void simgpu_handle(const char *kind, int change);
/* Enqueues work(user) on the stream; `bytes` of `user` are copied now. In a capture it becomes a
 * node and runs at each launch of the graph. `work` runs as device work: it may touch device
 * memory. An error is cudaErrorStreamCaptureInvalidated and the like. */
cudaError_t simgpu_enqueue(cudaStream_t stream, const char *name, void (*work)(void *user),
                           const void *user, size_t bytes);
/* In `work`: the range lies in one live allocation; for reading it must be written, and writing
 * makes it so. False, and the judge's error, where not. */
bool simgpu_check_range(const void *memory, size_t bytes, bool write);
/* In `work`: what it takes, for the times between events. Any other work takes 0.01 ms. */
void simgpu_take_ms(double ms);
/* The judge's error: a call that breaks a documented rule. */
void simgpu_blame(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif
#endif
