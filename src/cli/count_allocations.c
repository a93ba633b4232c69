/* The allocator's entry points, defined in the executable: the dynamic linker then gives these to
 * every library too, oneDNN and OpenMP included. glibc keeps its own under names of their own. */
#define _GNU_SOURCE /* dladdr, syscall */
#include "cli/count_allocations.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* mmap's system call takes the offset in bytes on 64-bit systems only. */
#if defined(__GLIBC__) && defined(__LP64__) && !defined(SANITIZED)

#define EXPORTED __attribute__((visibility("default")))

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern EXPORTED void *memalign(size_t alignment, size_t bytes);

/* Who asked: return addresses, looked up afterwards, when it costs no time. */
#define MOST_CALLERS 65536
static void *callers[MOST_CALLERS];
static atomic_bool counting;
static atomic_llong n_calls;

static void count(void *caller) {
  if (!atomic_load_explicit(&counting, memory_order_relaxed))
    return;
  long long call = atomic_fetch_add_explicit(&n_calls, 1, memory_order_relaxed);
  if (call < MOST_CALLERS)
    callers[call] = caller;
}

EXPORTED void *malloc(size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_malloc(bytes);
}

EXPORTED void *calloc(size_t n, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_calloc(n, bytes);
}

EXPORTED void *realloc(void *memory, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_realloc(memory, bytes);
}

EXPORTED void *memalign(size_t alignment, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}

EXPORTED void *aligned_alloc(size_t alignment, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}

EXPORTED int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  count(__builtin_return_address(0));
  if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
    return EINVAL;
  int kept = errno; /* posix_memalign leaves it alone */
  void *fresh = __libc_memalign(alignment, bytes);
  errno = kept;
  if (!fresh)
    return ENOMEM;
  *memory = fresh;
  return 0;
}

EXPORTED void *mmap(void *address, size_t bytes, int protection, int flags, int descriptor,
                    off_t offset) {
  count(__builtin_return_address(0));
  return (void *)syscall(SYS_mmap, address, bytes, protection, flags, descriptor, offset);
}

void allocations_begin(void) {
  atomic_store(&n_calls, 0);
  atomic_store(&counting, true);
}

/* oneDNN is the only library here that is written in C++. */
static bool is_onednn(const void *caller) {
  Dl_info library;
  return dladdr(caller, &library) && library.dli_fname &&
         (strstr(library.dli_fname, "libdnnl") || strstr(library.dli_fname, "libstdc++"));
}

bool allocations_end(vane_allocations *counts) {
  atomic_store(&counting, false);
  *counts = (vane_allocations){.own = atomic_load(&n_calls)};
  for (int64_t i = 0; i < MOST_CALLERS && i < atomic_load(&n_calls); i++)
    if (is_onednn(callers[i])) {
      counts->own--;
      counts->onednn++;
    }
  return true;
}

#else

void allocations_begin(void) {
}

bool allocations_end(vane_allocations *counts) {
  *counts = (vane_allocations){0};
  return false;
}

#endif
