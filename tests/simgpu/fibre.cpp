// Threads of the device: each has a stack of its own and runs until it leaves. A first switch goes
// through ucontext; the others are longjmp, because swapcontext asks the system for the signal mask
// each time. AddressSanitizer follows swapcontext better, so there all switches are that.
#undef _FORTIFY_SOURCE // whose longjmp refuses to change stacks
#include "simgpu/inside.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SIMGPU_ASAN 1
#else
#define SIMGPU_ASAN 0
#endif

namespace simgpu {

static constexpr size_t STACK = 128 << 10, GUARD = 4096;

struct fibre {
  ucontext_t context;
#if SIMGPU_ASAN
  void *fake;
#else
  jmp_buf at;
#endif
  bool begun;
};

static fibre *fibres;
static char *stacks;
static void (*body)(unsigned);
static unsigned current;
static ucontext_t home;
#if SIMGPU_ASAN
static void *home_fake;
static const void *home_bottom;
static size_t home_bytes;
#else
static jmp_buf home_at;
#endif

uintptr_t fibre_stack_begin(unsigned i) {
  return reinterpret_cast<uintptr_t>(stacks) + i * STACK + GUARD;
}

uintptr_t fibre_stack_end(unsigned i) {
  return reinterpret_cast<uintptr_t>(stacks) + (i + 1) * STACK;
}

static void arrive_in_fibre(void *fake) {
#if SIMGPU_ASAN
  __sanitizer_finish_switch_fiber(fake, &home_bottom, &home_bytes);
#else
  (void)fake;
#endif
}

static void entry() {
  const unsigned i = current;
  arrive_in_fibre(nullptr);
  for (;;) {
    body(i);
    fibre_leave(i);
  }
}

void fibres_open(void (*what)(unsigned)) {
  if (fibres)
    return;
  body = what;
  void *p = mmap(nullptr, N_FIBRES * STACK, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("simgpu: mmap");
    abort();
  }
  stacks = static_cast<char *>(p);
  for (unsigned i = 0; i < N_FIBRES; i++)
    mprotect(stacks + i * STACK, GUARD, PROT_NONE);
  fibres = new fibre[N_FIBRES]();
}

static void start(fibre &f, unsigned i) {
  f.begun = true;
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = reinterpret_cast<void *>(fibre_stack_begin(i));
  f.context.uc_stack.ss_size = STACK - GUARD;
  f.context.uc_link = nullptr;
  makecontext(&f.context, entry, 0);
  swapcontext(&home, &f.context);
}

void fibre_resume(unsigned i) {
  fibre &f = fibres[i];
  current = i;
#if SIMGPU_ASAN
  __sanitizer_start_switch_fiber(&home_fake, reinterpret_cast<void *>(fibre_stack_begin(i)),
                                 STACK - GUARD);
  if (f.begun)
    swapcontext(&home, &f.context);
  else
    start(f, i);
  __sanitizer_finish_switch_fiber(home_fake, nullptr, nullptr);
#else
  if (_setjmp(home_at))
    return;
  if (f.begun)
    _longjmp(f.at, 1);
  start(f, i);
#endif
}

void fibre_leave(unsigned i) {
  fibre &f = fibres[i];
#if SIMGPU_ASAN
  __sanitizer_start_switch_fiber(&f.fake, home_bottom, home_bytes);
  swapcontext(&f.context, &home);
  arrive_in_fibre(f.fake);
#else
  if (!_setjmp(f.at))
    _longjmp(home_at, 1);
#endif
}

void fibres_forget(unsigned n) {
  for (unsigned k = 0; k <= n; k++) {
    const unsigned i = k == n ? LOOP_FIBRE : k;
    fibres[i].begun = false;
#if SIMGPU_ASAN
    __asan_unpoison_memory_region(reinterpret_cast<void *>(fibre_stack_begin(i)), STACK - GUARD);
#endif
  }
}

} // namespace simgpu
