// The judge of memory: every load and store of a kernel comes by here, because the kernels are
// compiled with -fsanitize=thread and the functions that this instrumentation calls are ours.
//
// Of each four bytes of device memory, and of each four bytes of statics (which hold the shared
// memory), a cell remembers who wrote them last and who read them since. Time is counted in phases:
// one begins with each block, and with each barrier of a block. So an access lies
// - before `launch_begin`: in an earlier launch, in order;
// - before `block_begin`: in another block of this launch, in order only when that block released
//   it (a fence, then an atomic) and this one acquired it (an atomic on the same address);
// - before `phase`: before a barrier of this block, in order;
// - in this phase: in order for the same thread, and for a warp that met (__syncwarp) since.
#include "simgpu/inside.h"

#include "simgpu/language.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

// From the linker, of the program or module that this is part of: where it begins, with text and
// constants, and its statics. A module has no __data_start: its statics begin with those that begin
// as zeros, shared memory among them.
#define OWN __attribute__((visibility("hidden")))
extern "C" {
extern char __ehdr_start OWN, __bss_start OWN, _end OWN;
extern char __data_start OWN __attribute__((weak));
}

namespace simgpu {

// An access: phase (32 bits), tick of the phase (16), thread (10), marks (6).
using access = uint64_t;
enum : access {
  SEVERAL_LANES = 1, // of a read: other lanes of the warp too
  SEVERAL_WARPS = 2, // of a read: other warps too
  OTHER_BLOCKS = 4,  // of a read: earlier blocks of the launch too
  ATOMIC = 8,        // of a write
  SPLIT = 16,        // instead of a write: each byte has a cell of its own
  MARKS = 63,
};
struct cell {
  access write, read;
};

static unsigned phase_of(access a) {
  return static_cast<unsigned>(a >> 32);
}
static unsigned tick_of(access a) {
  return static_cast<unsigned>(a >> 16 & 0xffff);
}
static unsigned thread_of(access a) {
  return static_cast<unsigned>(a >> 6 & 1023);
}

// Memory with its cells.
struct space {
  uintptr_t begin;
  cell *words, *bytes;
};
static space device, statics;
static uintptr_t statics_end;

static thread_local bool on_device; // this thread of the host runs a thread of the device
static access me;                   // the access of now
static access launch_begin, block_begin;
static unsigned phase = 1, tick, warp_tick[32];
static uintptr_t stack_begin, stack_bytes;
static uintptr_t arguments_begin, arguments_bytes;
static const char *kernel_name;
static bool kernel_meets;
static simgpu_kernel *kernel;
static std::map<std::string, simgpu_kernel> kernels;

// What a block let others see: all that lies before what its fences cover.
struct released {
  const void *address;
  unsigned thread, fence, phase; // who did the atomic; the phases of its fence and itself
  std::vector<unsigned> fences;  // of each thread: the phase of its last fence
};
struct block_record {
  unsigned begin; // its first phase
  std::vector<released> releases;
};
struct acquired {
  const void *address;
  unsigned thread, phase;
};
static std::vector<block_record> blocks; // of this launch, in the order they ran
static std::vector<unsigned> fences;     // of this block
static std::vector<acquired> acquires;   // of this block

static cell *reserve_cells(size_t n) {
  void *p = mmap(nullptr, n * sizeof(cell), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("simgpu: mmap");
    abort();
  }
  return static_cast<cell *>(p);
}

void judge_open() {
  device.begin = heap_begin;
  device.words = reserve_cells(HEAP_BYTES / 4);
  device.bytes = reserve_cells(HEAP_BYTES);
  const char *first = &__data_start ? &__data_start : &__bss_start;
  statics.begin = reinterpret_cast<uintptr_t>(first) & ~uintptr_t{63};
  statics_end = reinterpret_cast<uintptr_t>(&_end);
  statics.words = reserve_cells((statics_end - statics.begin) / 4 + 16);
  statics.bytes = reserve_cells(statics_end - statics.begin + 64);
}

void judge_forget(uintptr_t page, size_t bytes) {
  const size_t offset = page - heap_begin;
  madvise(device.words + offset / 4, bytes / 4 * sizeof(cell), MADV_DONTNEED);
  madvise(device.bytes + offset, bytes * sizeof(cell), MADV_DONTNEED);
}

// ---- errors ----

// " at file:line", where the tools to find it are there.
static text source_line(const void *pc) {
  Dl_info info = {};
  text t = {}, line = {};
  char command[1200];
  if (!dladdr(pc, &info) || !info.dli_fname)
    return t;
  const size_t offset = static_cast<size_t>(static_cast<const char *>(pc) -
                                            static_cast<const char *>(info.dli_fbase));
  snprintf(command, sizeof command, "addr2line -e '%s' 0x%zx 2>/dev/null", info.dli_fname,
           offset - 1);
  if (FILE *pipe = popen(command, "r")) {
    if (!fgets(line.chars, sizeof line.chars, pipe))
      line.chars[0] = '\0';
    pclose(pipe);
  }
  line.chars[strcspn(line.chars, "\n (")] = '\0';
  if (line.chars[0] && line.chars[0] != '?')
    snprintf(t.chars, sizeof t.chars, " at %.200s", line.chars);
  return t;
}

// Does not return.
[[noreturn]] __attribute__((format(printf, 2, 3))) static void fault(const void *pc,
                                                                     const char *format, ...) {
  char message[1200];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  on_device = false;
  const text line = source_line(pc);
  blame("%s%s: %s", running_thread().c_str(), line.c_str(), message);
  abandon_kernel();
}

static text place_of(const void *at) {
  if (in_heap(at))
    return heap_describe(at);
  text t;
  snprintf(t.chars, sizeof t.chars, "shared memory at %p", at);
  return t;
}

static void race(const void *pc, const void *at, const char *now, access before, const char *then) {
  text who;
  if (phase_of(before) >= phase_of(block_begin))
    snprintf(who.chars, sizeof who.chars, "thread %u of the block", thread_of(before));
  else
    snprintf(who.chars, sizeof who.chars, "another block");
  fault(pc, "race: it %s %p (%s), which %s %s with nothing to order the two", now, at,
        place_of(at).c_str(), who.c_str(), then);
}

// ---- order ----

static bool released_to_me(access before) {
  const unsigned then = phase_of(before), thread = thread_of(before);
  auto block = std::upper_bound(blocks.begin(), blocks.end(), then,
                                [](unsigned p, const block_record &b) { return p < b.begin; });
  if (block == blocks.begin())
    return false;
  --block;
  for (const released &r : block->releases) {
    const bool covered = (r.thread == thread && r.fence >= then) || r.fence > then ||
                         (r.fences[thread] >= then && r.fences[thread] < r.phase) ||
                         ((before & ATOMIC) && r.thread == thread && r.phase >= then);
    if (!covered)
      continue;
    for (const acquired &a : acquires)
      if (a.address == r.address && (a.thread == thread_of(me) || a.phase < phase))
        return true;
  }
  return false;
}

// `before` lies in this launch. Reads by several are in order only if all of them are.
static bool in_order(access before) {
  const unsigned then = phase_of(before);
  if (then == phase) {
    if (before & SEVERAL_WARPS)
      return false;
    const unsigned mine = thread_of(me), other = thread_of(before);
    if (mine == other && !(before & SEVERAL_LANES))
      return true;
    return mine / 32 == other / 32 && tick_of(before) < warp_tick[mine / 32];
  }
  return before >= block_begin || released_to_me(before);
}

// What other blocks did to shared memory was done to memory of their own.
template <bool shared> static inline void load_cell(cell &c, const void *at, const void *pc) {
  const access begin = shared ? block_begin : launch_begin;
  if (c.write >= begin && (c.write ^ me) >= 64 && !in_order(c.write))
    race(pc, at, "reads", c.write, "wrote");
  const access before = c.read;
  if (before == me)
    return;
  if (before < begin)
    c.read = me;
  else if (before < block_begin)
    c.read = me | OTHER_BLOCKS;
  else if (phase_of(before) < phase || in_order(before))
    c.read = me | (before & OTHER_BLOCKS);
  else if (thread_of(before) / 32 == thread_of(me) / 32)
    c.read = me | (before & MARKS) | SEVERAL_LANES;
  else
    c.read = me | (before & MARKS) | SEVERAL_WARPS;
}

template <bool shared>
static inline void store_cell(cell &c, const void *at, const void *pc, access mark) {
  const access begin = shared ? block_begin : launch_begin;
  if (c.write >= begin && (c.write ^ me) >= 64 && !(mark & c.write) && !in_order(c.write))
    race(pc, at, "writes", c.write, "wrote");
  if (c.read >= begin) {
    if (!in_order(c.read))
      race(pc, at, "writes", c.read, "read");
    if ((c.read & OTHER_BLOCKS) && acquires.empty())
      race(pc, at, "writes", launch_begin, "read");
  }
  c.write = me | mark;
  c.read = 0;
}

enum kind { LOAD, STORE, UPDATE };

template <kind what, bool shared>
static inline void touch(cell &c, const void *at, const void *pc) {
  if (what == LOAD)
    load_cell<shared>(c, at, pc);
  else
    store_cell<shared>(c, at, pc, what == UPDATE ? access{ATOMIC} : access{0});
}

// Some thread of this block wrote the byte of shared memory.
static inline bool shared_is_written(uintptr_t at) {
  const cell &word = statics.words[(at - statics.begin) / 4];
  return (word.write == SPLIT ? statics.bytes[at - statics.begin] : word).write >= block_begin;
}

// `bytes` within one word.
template <kind what, bool shared>
static void touch_bytes(space &s, uintptr_t at, size_t bytes, const void *pc) {
  cell &word = s.words[(at - s.begin) / 4];
  cell *each = s.bytes + ((at - s.begin) & ~uintptr_t{3});
  if (word.write != SPLIT) {
    each[0] = each[1] = each[2] = each[3] = word;
    word.write = SPLIT;
  }
  for (size_t i = 0; i < bytes; i++) {
    cell &c = each[(at & 3) + i];
    touch<what, shared>(c, reinterpret_cast<void *>(at + i), pc);
  }
  if (what != LOAD && bytes == 4)
    word = each[0];
}

template <kind what, bool shared>
static inline void touch_word(space &s, uintptr_t at, const void *pc) {
  cell &c = s.words[(at - s.begin) / 4];
  if (__builtin_expect(c.write == SPLIT, 0)) {
    touch_bytes<what, shared>(s, at, 4, pc);
    return;
  }
  touch<what, shared>(c, reinterpret_cast<void *>(at), pc);
}

// Any range, in whole words where it can.
template <kind what, bool shared>
static inline void touch_range(space &s, uintptr_t at, size_t bytes, const void *pc) {
  while (bytes) {
    const size_t step = at % 4 == 0 && bytes >= 4 ? 4 : std::min(bytes, 4 - at % 4);
    if (step == 4)
      touch_word<what, shared>(s, at, pc);
    else
      touch_bytes<what, shared>(s, at, step, pc);
    at += step;
    bytes -= step;
  }
}

// ---- one access ----

[[noreturn]] static void bad_state(uintptr_t at, size_t bytes, bool load, const void *pc) {
  const char *verb = load ? "reads" : "writes";
  for (size_t i = 0; i < bytes; i++) {
    const void *p = reinterpret_cast<void *>(at + i);
    if (!in_heap(p) || !(*state_of(p) & LIVE))
      fault(pc, "%s %zu bytes at 0x%zx, out of bounds: %s", verb, bytes, static_cast<size_t>(at),
            heap_describe(p).c_str());
    if (load && !(*state_of(p) & WRITTEN))
      fault(pc, "reads uninitialised memory at %p, %s", p, heap_describe(p).c_str());
  }
  fault(pc, "%s %zu bytes at 0x%zx: a state that is not known", verb, bytes,
        static_cast<size_t>(at));
}

[[noreturn]] static void misaligned(uintptr_t at, size_t bytes, const void *pc) {
  fault(pc, "accesses %zu bytes at 0x%zx, a misaligned address", bytes, static_cast<size_t>(at));
}

static void count(bool load, size_t bytes) {
  if (load) {
    kernel->loads++;
    kernel->load_bytes += bytes;
    kernel->loads16 += bytes == 16;
  } else {
    kernel->stores++;
    kernel->store_bytes += bytes;
    kernel->stores16 += bytes == 16;
  }
}

// A range is a struct that is copied whole. What nobody wrote of it may be padding, so long as
// something is written in the same eight bytes.
template <typename written> static bool has_gap(uintptr_t at, size_t bytes, written is_written) {
  for (uintptr_t unit = at & ~uintptr_t{7}; unit < at + bytes; unit += 8) {
    bool any = false;
    for (uintptr_t p = std::max(unit, at); p < std::min(unit + 8, at + bytes); p++)
      any = any || is_written(p);
    if (!any)
      return true;
  }
  return false;
}

template <kind what> static void device_range(uintptr_t at, size_t bytes, const void *pc) {
  uint8_t *state = states + (at - heap_begin);
  for (size_t i = 0; i < bytes; i++)
    if (!(state[i] & LIVE))
      bad_state(at, bytes, what != STORE, pc);
  if (what != STORE &&
      has_gap(at, bytes, [](uintptr_t p) { return (states[p - heap_begin] & WRITTEN) != 0; }))
    bad_state(at, bytes, true, pc);
  if (what != LOAD)
    memset(state, LIVE | WRITTEN, bytes);
  touch_range<what, false>(device, at, bytes, pc);
  if (what != STORE)
    count(true, bytes);
  if (what != LOAD)
    count(false, bytes);
}

static bool shared_all_written(uintptr_t at, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    if (!shared_is_written(at + i))
      return false;
  return true;
}

// Not device memory: the thread's own stack, shared memory, the kernel's parameters, constants.
static void elsewhere(uintptr_t at, size_t bytes, bool load, bool is_range, const void *pc) {
  if (at - stack_begin < stack_bytes)
    return;
  if (at - statics.begin < statics_end - statics.begin) {
    if (!kernel_meets)
      fault(pc, "uses shared memory (or a static) at 0x%zx, though launched with VANE_LAUNCH",
            static_cast<size_t>(at));
    if (load) {
      const bool bad =
          is_range ? has_gap(at, bytes, shared_is_written) : !shared_all_written(at, bytes);
      if (bad)
        fault(pc, "reads uninitialised shared memory at 0x%zx", static_cast<size_t>(at));
      touch_range<LOAD, true>(statics, at, bytes, pc);
    } else
      touch_range<STORE, true>(statics, at, bytes, pc);
    return;
  }
  if (load && (at - arguments_begin < arguments_bytes ||
               at - reinterpret_cast<uintptr_t>(&__ehdr_start) <
                   statics.begin - reinterpret_cast<uintptr_t>(&__ehdr_start)))
    return;
  const void *p = reinterpret_cast<void *>(at);
  fault(pc, "%s %zu bytes at 0x%zx, %s", load ? "reads" : "writes", bytes, static_cast<size_t>(at),
        at < 4096           ? "the null pointer"
        : pinned_touches(p) ? "pinned host memory"
                            : "memory of the host");
}

static void by_host(uintptr_t at, bool load, const void *pc) {
  if (!in_heap(reinterpret_cast<void *>(at)) || !heap_begin)
    return;
  blame("the host %s device memory at 0x%zx%s", load ? "reads" : "writes", static_cast<size_t>(at),
        source_line(pc).c_str());
}

template <size_t bytes> static inline bool all_written(const uint8_t *state) {
  uint64_t a = 0, b = 0;
  memcpy(&a, state, bytes < 8 ? bytes : 8);
  constexpr uint64_t one = 0x0303030303030303u;
  constexpr uint64_t want = bytes >= 8 ? one : one & ((uint64_t{1} << (bytes * 8 % 64)) - 1);
  if (bytes <= 8)
    return a == want;
  memcpy(&b, state + 8, 8);
  return a == want && b == want;
}

template <size_t bytes> static inline bool all_live(const uint8_t *state) {
  uint64_t a = 0, b = ~uint64_t{0};
  memcpy(&a, state, bytes < 8 ? bytes : 8);
  constexpr uint64_t one = 0x0101010101010101u;
  constexpr uint64_t want = bytes >= 8 ? one : one & ((uint64_t{1} << (bytes * 8 % 64)) - 1);
  if (bytes > 8)
    memcpy(&b, state + 8, 8);
  return (a & b & want) == want;
}

template <size_t bytes, bool load>
__attribute__((always_inline)) static inline void see(void *p, const void *pc) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p), offset = at - heap_begin;
  if (!on_device) {
    by_host(at, load, pc);
    return;
  }
  if (offset >= HEAP_BYTES) {
    if (at % bytes && at - stack_begin >= stack_bytes)
      misaligned(at, bytes, pc);
    elsewhere(at, bytes, load, false, pc);
    return;
  }
  if (at % bytes)
    misaligned(at, bytes, pc);
  uint8_t *state = states + offset;
  if (load) {
    if (!all_written<bytes>(state))
      bad_state(at, bytes, true, pc);
    kernel->loads++;
    kernel->load_bytes += bytes;
    kernel->loads16 += bytes == 16;
  } else {
    if (!all_live<bytes>(state))
      bad_state(at, bytes, false, pc);
    memset(state, LIVE | WRITTEN, bytes);
    kernel->stores++;
    kernel->store_bytes += bytes;
    kernel->stores16 += bytes == 16;
  }
  constexpr kind what = load ? LOAD : STORE;
  if (bytes < 4)
    touch_bytes<what, false>(device, at, bytes, pc);
  else
    for (size_t i = 0; i < bytes; i += 4)
      touch_word<what, false>(device, at + i, pc);
}

template <bool load> static void see_range(void *p, size_t bytes, const void *pc) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  if (!bytes)
    return;
  if (!on_device)
    by_host(at, load, pc);
  else if (at - heap_begin < HEAP_BYTES)
    device_range<load ? LOAD : STORE>(at, bytes, pc);
  else
    elsewhere(at, bytes, load, true, pc);
}

// ---- what runs ----

static void now() {
  me = access{phase} << 32 | access{tick} << 16 | (me & 1023 << 6);
}

static void next_phase() {
  if (++phase == 0) {
    fprintf(stderr, "simgpu: too many phases for 32 bits\n");
    abort();
  }
  tick = 0;
  memset(warp_tick, 0, sizeof warp_tick);
  now();
}

void judge_begin_launch(const char *name, bool meeting, const void *arguments, size_t bytes) {
  kernel_name = name;
  kernel_meets = meeting;
  kernel = &kernels[name];
  arguments_begin = reinterpret_cast<uintptr_t>(arguments);
  arguments_bytes = bytes;
  next_phase();
  launch_begin = access{phase} << 32;
  blocks.clear();
}

void judge_begin_block() {
  next_phase();
  block_begin = access{phase} << 32;
  blocks.push_back({phase, {}});
  acquires.clear();
  fences.assign(1024, 0);
}

void judge_next_thread(unsigned thread, uintptr_t begin, uintptr_t end) {
  me = access{phase} << 32 | access{tick} << 16 | access{thread} << 6;
  stack_begin = begin;
  stack_bytes = end - begin;
  on_device = true;
}

void judge_block_met() {
  next_phase();
}

void judge_warp_met(unsigned warp) {
  if (tick == 0xffff) {
    next_phase();
    return;
  }
  warp_tick[warp] = ++tick;
  now();
}

void judge_away() {
  on_device = false;
}

void judge_count(const char *name, uint64_t n_blocks, uint64_t threads) {
  simgpu_kernel &k = kernels[name];
  k.launches++;
  k.blocks += n_blocks;
  k.threads += threads;
}

void judge_end_launch() {
  on_device = false;
  kernel = nullptr;
}

// ---- fences and atomics of the language ----

void fence_device() {
  fences[thread_of(me)] = phase;
}

void fence_block() {
}

template <typename number>
static number apply(atomic kind, number old, number value, number compare) {
  switch (kind) {
  case ADD:
    return static_cast<number>(static_cast<uint64_t>(old) + static_cast<uint64_t>(value));
  case MINIMUM:
    return std::min(old, value);
  case MAXIMUM:
    return std::max(old, value);
  case BIT_AND:
    return old & value;
  case BIT_OR:
    return old | value;
  case EXCHANGE:
    return value;
  case COMPARE:
    return old == compare ? value : old;
  case INCREMENT:
    return old >= value ? 0 : old + 1;
  }
  return old;
}

template <typename number>
static uint64_t update(atomic kind, void *address, uint64_t value, uint64_t compare) {
  number old;
  memcpy(&old, address, sizeof old);
  const number next = apply(kind, old, static_cast<number>(value), static_cast<number>(compare));
  memcpy(address, &next, sizeof next);
  return static_cast<uint64_t>(old);
}

uint64_t atomic_update(atomic kind, void *address, int bytes, bool is_signed, uint64_t value,
                       uint64_t compare) {
  const void *pc = __builtin_return_address(0);
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  if (at % static_cast<unsigned>(bytes))
    misaligned(at, static_cast<size_t>(bytes), pc);
  if (in_heap(address)) {
    device_range<UPDATE>(at, static_cast<size_t>(bytes), pc);
    const unsigned thread = thread_of(me);
    blocks.back().releases.push_back({address, thread, fences[thread], phase, fences});
    acquires.push_back({address, thread, phase});
  } else if (at - statics.begin < statics_end - statics.begin && kernel_meets) {
    if (!shared_all_written(at, static_cast<size_t>(bytes)))
      fault(pc, "updates uninitialised shared memory at %p", address);
    touch_range<UPDATE, true>(statics, at, static_cast<size_t>(bytes), pc);
  } else
    elsewhere(at, static_cast<size_t>(bytes), false, false, pc);
  if (bytes == 4)
    return is_signed ? update<int32_t>(kind, address, value, compare)
                     : update<uint32_t>(kind, address, value, compare);
  return is_signed ? update<int64_t>(kind, address, value, compare)
                   : update<uint64_t>(kind, address, value, compare);
}

} // namespace simgpu

using namespace simgpu;

extern "C" {

simgpu_kernel simgpu_kernel_count(const char *name) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  simgpu_kernel sum = {};
  const size_t length = strlen(name);
  for (const auto &[launched, k] : kernels) {
    const char *own = launched.c_str() + strspn(launched.c_str(), "("); // (k_adam<true, SHADOW>)
    if (strncmp(own, name, length) != 0 || (own[length] != '\0' && own[length] != '<'))
      continue;
    sum.launches += k.launches;
    sum.blocks += k.blocks;
    sum.threads += k.threads;
    sum.loads += k.loads;
    sum.load_bytes += k.load_bytes;
    sum.loads16 += k.loads16;
    sum.stores += k.stores;
    sum.store_bytes += k.store_bytes;
    sum.stores16 += k.stores16;
  }
  return sum;
}

void simgpu_each_kernel(void (*visit)(const char *name, const simgpu_kernel *kernel, void *user),
                        void *user) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  for (const auto &[name, k] : kernels)
    visit(name.c_str(), &k, user);
}

void simgpu_count_reset(void) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  counters = {};
  for (auto &[name, k] : kernels)
    k = {};
}

// ---- what the compiler calls ----

#define PC __builtin_return_address(0)
#define HOOKS(bytes)                                                                               \
  void __tsan_read##bytes(void *p);                                                                \
  void __tsan_read##bytes(void *p) {                                                               \
    see<bytes, true>(p, PC);                                                                       \
  }                                                                                                \
  void __tsan_write##bytes(void *p);                                                               \
  void __tsan_write##bytes(void *p) {                                                              \
    see<bytes, false>(p, PC);                                                                      \
  }                                                                                                \
  void __tsan_unaligned_read##bytes(void *p);                                                      \
  void __tsan_unaligned_read##bytes(void *p) {                                                     \
    see_range<true>(p, bytes, PC);                                                                 \
  }                                                                                                \
  void __tsan_unaligned_write##bytes(void *p);                                                     \
  void __tsan_unaligned_write##bytes(void *p) {                                                    \
    see_range<false>(p, bytes, PC);                                                                \
  }                                                                                                \
  void __tsan_volatile_read##bytes(void *p);                                                       \
  void __tsan_volatile_read##bytes(void *p) {                                                      \
    see<bytes, true>(p, PC);                                                                       \
  }                                                                                                \
  void __tsan_volatile_write##bytes(void *p);                                                      \
  void __tsan_volatile_write##bytes(void *p) {                                                     \
    see<bytes, false>(p, PC);                                                                      \
  }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void *p, size_t bytes);
void __tsan_read_range(void *p, size_t bytes) {
  see_range<true>(p, bytes, PC);
}
void __tsan_write_range(void *p, size_t bytes);
void __tsan_write_range(void *p, size_t bytes) {
  see_range<false>(p, bytes, PC);
}
void __tsan_init(void);
void __tsan_init(void) {
}
void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *) {
}
void __tsan_func_exit(void);
void __tsan_func_exit(void) {
}
void __tsan_vptr_update(void *p, void *value);
void __tsan_vptr_update(void *, void *) {
}
void __tsan_vptr_read(void *p);
void __tsan_vptr_read(void *) {
}
}
