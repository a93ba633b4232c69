// A launch: its blocks run one after another, the threads of a block in turns until they meet.
#include "simgpu/inside.h"

#include "simgpu/language.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>

namespace simgpu {

enum state { READY, AT_BARRIER, AT_WARP, DONE };

struct device_thread {
  uint3 index;
  state is;
  place where;
  meeting barrier;
  int predicate;
  exchange kind;
  unsigned mask;
  int width, operand;
  uint64_t deposit, result; // what the lane gives, what it takes
};

struct running_launch {
  const char *name;
  bool meeting;
  uint3 blocks, threads, block; // grid, block's size, the block that runs
  unsigned n_threads;
  void (*call)(const void *);
  const void *arguments;
};

static running_launch *launch_now;
static device_thread threads[1024];
static unsigned current; // the thread that runs
static std::vector<unsigned> turns;
static int barrier_result;
static bool abandoned, loops;

static bool same_place(const place &a, const place &b) {
  return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

bool kernel_runs() {
  return launch_now;
}

static const char *work_name;

text running_thread() {
  text t;
  if (!launch_now) {
    snprintf(t.chars, sizeof t.chars, "%s", work_name ? work_name : "the host");
    return t;
  }
  const uint3 i = threads[current].index, b = launch_now->block;
  if (launch_now->threads.y == 1 && launch_now->threads.z == 1 && launch_now->blocks.y == 1 &&
      launch_now->blocks.z == 1)
    snprintf(t.chars, sizeof t.chars, "%s, thread %u of block %u", launch_now->name, i.x, b.x);
  else
    snprintf(t.chars, sizeof t.chars, "%s, thread (%u,%u,%u) of block (%u,%u,%u)", launch_now->name,
             i.x, i.y, i.z, b.x, b.y, b.z);
  return t;
}

void set_work_name(const char *name) {
  work_name = name;
}

uint3 thread_index() {
  return threads[current].index;
}
uint3 block_index() {
  return launch_now->block;
}
uint3 block_size() {
  return launch_now->threads;
}
uint3 grid_size() {
  return launch_now->blocks;
}

// ---- meetings ----

static unsigned fibre_of(unsigned thread) {
  return loops ? LOOP_FIBRE : thread;
}

void abandon_kernel() {
  abandoned = true;
  fibre_leave(fibre_of(current));
  __builtin_trap(); // nobody resumes it
}

static void leave() {
  fibre_leave(current);
}

static void must_meet(const char *what, place where) {
  if (!launch_now->meeting) {
    blame("%s at %s:%d: %s, though launched with VANE_LAUNCH", running_thread().c_str(), where.file,
          where.line, what);
    abandon_kernel();
  }
}

int meet_block(meeting kind, int predicate, place where) {
  must_meet("a barrier", where);
  device_thread &t = threads[current];
  t.is = AT_BARRIER;
  t.barrier = kind;
  t.predicate = predicate != 0;
  t.where = where;
  leave();
  return barrier_result;
}

static unsigned warp_begin(unsigned thread) {
  return thread / 32 * 32;
}

// The lane whose value a shuffle takes, itself where it stays.
static unsigned source_lane(exchange kind, unsigned lane, int operand, int width) {
  const unsigned w = static_cast<unsigned>(width), first = lane / w * w, o = operand;
  switch (kind) {
  case SHUFFLE:
    return first + o % w;
  case SHUFFLE_UP:
    return lane - first >= o ? lane - o : lane;
  case SHUFFLE_DOWN:
    return o < w && lane - first + o < w ? lane + o : lane;
  case SHUFFLE_XOR:
    // Lanes of an earlier group may be read, those of a later one not.
    return (lane ^ o) < first + w ? lane ^ o : lane;
  default:
    return lane;
  }
}

// All lanes of the mask are here: let them go.
static bool warp_complete(unsigned thread) {
  const unsigned first = warp_begin(thread);
  const device_thread &t = threads[thread];
  for (unsigned lane = 0; lane < 32; lane++) {
    if (!(t.mask >> lane & 1))
      continue;
    const unsigned i = first + lane;
    if (i >= launch_now->n_threads || threads[i].is == DONE) {
      blame("%s at %s:%d: the mask 0x%x names lane %u, which %s", running_thread().c_str(),
            t.where.file, t.where.line, t.mask, lane,
            i >= launch_now->n_threads ? "the block does not have" : "has returned");
      abandon_kernel();
    }
    if (threads[i].is != AT_WARP)
      return false;
    if (threads[i].mask != t.mask || threads[i].kind != t.kind || threads[i].width != t.width ||
        !same_place(threads[i].where, t.where)) {
      blame("%s at %s:%d (mask 0x%x): lane %u of its warp waits at %s:%d (mask 0x%x)",
            running_thread().c_str(), t.where.file, t.where.line, t.mask, lane,
            threads[i].where.file, threads[i].where.line, threads[i].mask);
      abandon_kernel();
    }
  }
  uint64_t votes = 0;
  for (unsigned lane = 0; lane < 32; lane++)
    if (t.mask >> lane & 1)
      votes |= (threads[first + lane].deposit & 1) << lane;
  for (unsigned lane = 0; lane < 32; lane++) {
    if (!(t.mask >> lane & 1))
      continue;
    device_thread &to = threads[first + lane];
    const unsigned from = source_lane(t.kind, lane, to.operand, t.width);
    if (!(t.mask >> from & 1)) {
      blame("%s at %s:%d: lane %u reads lane %u, which the mask 0x%x lacks",
            running_thread().c_str(), t.where.file, t.where.line, lane, from, t.mask);
      abandon_kernel();
    }
    to.result = t.kind == BALLOT ? votes : threads[first + from].deposit;
    to.is = READY;
  }
  // The other exchanges promise no order of memory.
  if (t.kind == WARP_SYNC)
    judge_warp_met(thread / 32);
  return true;
}

uint64_t meet_warp(exchange kind, unsigned mask, uint64_t value, int operand, int width,
                   place where) {
  must_meet("a meeting of a warp", where);
  device_thread &t = threads[current];
  const unsigned me = current, lane = me % 32;
  if (!(mask >> lane & 1) || width < 1 || width > 32 || (width & (width - 1))) {
    blame("%s at %s:%d: the mask 0x%x lacks lane %u, or the width %d is no power of two",
          running_thread().c_str(), where.file, where.line, mask, lane, width);
    abandon_kernel();
  }
  t.deposit = value;
  t.kind = kind;
  t.mask = mask;
  t.width = width;
  t.operand = operand;
  t.where = where;
  t.is = AT_WARP;
  if (!warp_complete(me))
    leave();
  return t.result;
}

// ---- a block ----

static void run_thread(unsigned fibre) {
  if (fibre == LOOP_FIBRE) {
    for (unsigned i : turns) {
      current = i;
      judge_next_thread(i, fibre_stack_begin(LOOP_FIBRE), fibre_stack_end(LOOP_FIBRE));
      launch_now->call(launch_now->arguments);
    }
    judge_away();
    return;
  }
  launch_now->call(launch_now->arguments);
  threads[fibre].is = DONE;
}

// Nobody can go on: all wait at one barrier, or something is wrong.
static bool block_met(unsigned n_done) {
  const device_thread *first = nullptr;
  unsigned n_true = 0, n = 0;
  for (unsigned i = 0; i < launch_now->n_threads; i++) {
    device_thread &t = threads[i];
    if (t.is == DONE)
      continue;
    current = i;
    if (t.is == AT_WARP) {
      blame("%s waits at %s:%d for lanes of its warp (mask 0x%x) that do not come",
            running_thread().c_str(), t.where.file, t.where.line, t.mask);
      return false;
    }
    if (!first)
      first = &t;
    if (!same_place(t.where, first->where) || t.barrier != first->barrier) {
      blame("%s waits at the barrier %s:%d, another thread at %s:%d", running_thread().c_str(),
            t.where.file, t.where.line, first->where.file, first->where.line);
      return false;
    }
    n++;
    n_true += static_cast<unsigned>(t.predicate);
  }
  if (n_done) {
    blame("%s waits at the barrier %s:%d, which %u threads of the block never reach",
          running_thread().c_str(), first->where.file, first->where.line, n_done);
    return false;
  }
  barrier_result = first->barrier == COUNT ? static_cast<int>(n_true)
                   : first->barrier == AND ? n_true == n
                                           : n_true != 0;
  for (unsigned i = 0; i < launch_now->n_threads; i++)
    threads[i].is = READY;
  judge_block_met();
  return true;
}

static bool run_meeting_block() {
  const unsigned n = launch_now->n_threads;
  unsigned n_done = 0;
  while (n_done < n) {
    bool went_on = false;
    for (unsigned i : turns) {
      if (threads[i].is != READY)
        continue;
      went_on = true;
      current = i;
      judge_next_thread(i, fibre_stack_begin(i), fibre_stack_end(i));
      fibre_resume(i);
      judge_away();
      if (abandoned)
        return false;
      n_done += threads[i].is == DONE;
    }
    if (!went_on && !block_met(n_done))
      return false;
  }
  return true;
}

static uint3 index_in(uint64_t i, uint3 size) {
  return {static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
          static_cast<unsigned>(i / size.x / size.y)};
}

static void shuffle_turns(unsigned n) {
  turns.resize(n);
  std::iota(turns.begin(), turns.end(), 0u);
  if (settings.thread_order == SIMGPU_REVERSE)
    std::reverse(turns.begin(), turns.end());
  if (settings.thread_order == SIMGPU_SHUFFLED)
    for (unsigned i = n; i > 1; i--)
      std::swap(turns[i - 1], turns[random_below(i)]);
}

static void run_grid(running_launch launch, const void *arguments, size_t bytes) {
  launch.arguments = arguments;
  const uint64_t n_blocks = uint64_t{launch.blocks.x} * launch.blocks.y * launch.blocks.z;
  launch_now = &launch;
  loops = !launch.meeting;
  abandoned = false;
  fibres_open(run_thread);
  for (unsigned i = 0; i < launch.n_threads; i++)
    threads[i].index = index_in(i, launch.threads);
  shuffle_turns(launch.n_threads);
  // An odd multiplier visits each block once in an order without much order; the grid's size is
  // rounded up to a power of two for it, and what lies beyond is left out.
  uint64_t power = 1;
  while (power < n_blocks)
    power *= 2;
  const uint64_t factor = random_below(power) | 1, begin = random_below(power);
  judge_begin_launch(launch.name, launch.meeting, arguments, bytes);
  counters.kernels++;
  judge_count(launch.name, n_blocks, n_blocks * launch.n_threads);
  bool well = true;
  for (uint64_t k = 0; well && k < (settings.thread_order == SIMGPU_SHUFFLED ? power : n_blocks);
       k++) {
    uint64_t block = k;
    if (settings.thread_order == SIMGPU_REVERSE)
      block = n_blocks - 1 - k;
    if (settings.thread_order == SIMGPU_SHUFFLED)
      block = (k * factor + begin) & (power - 1);
    if (block >= n_blocks)
      continue;
    launch.block = index_in(block, launch.blocks);
    judge_begin_block();
    if (launch.meeting) {
      for (unsigned i = 0; i < launch.n_threads; i++)
        threads[i].is = READY;
      well = run_meeting_block();
    } else {
      fibre_resume(LOOP_FIBRE);
      well = !abandoned;
    }
  }
  judge_end_launch();
  if (!well) {
    fibres_forget(launch.n_threads);
    sticky(cudaErrorIllegalAddress);
  }
  launch_now = nullptr;
}

cudaError_t launch_grid(const launch_request &request) {
  std::lock_guard<std::recursive_mutex> hold(everything());
  if (must_fail(request.name))
    return remember(cudaErrorLaunchFailure);
  const extent &b = request.blocks, &t = request.threads;
  if (b.x < 1 || b.y < 1 || b.z < 1 || b.x > 0x7fffffff || b.y > 65535 || b.z > 65535 || t.x < 1 ||
      t.y < 1 || t.z < 1 || t.x > 1024 || t.y > 1024 || t.z > 64 || t.x * t.y * t.z > 1024)
    return remember(cudaErrorInvalidConfiguration);
  heap_open();
  running_launch launch = {};
  launch.name = request.name;
  launch.meeting = request.meeting;
  launch.blocks = {static_cast<unsigned>(b.x), static_cast<unsigned>(b.y),
                   static_cast<unsigned>(b.z)};
  launch.threads = {static_cast<unsigned>(t.x), static_cast<unsigned>(t.y),
                    static_cast<unsigned>(t.z)};
  launch.n_threads = static_cast<unsigned>(t.x * t.y * t.z);
  launch.call = request.call;
  const size_t bytes = request.arguments_bytes;
  auto arguments = std::make_shared<std::vector<std::max_align_t>>(
      (bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
  memcpy(arguments->data(), request.arguments, bytes);
  const cudaError_t code = enqueue(request.stream, request.name, [launch, arguments, bytes] {
    run_grid(launch, arguments->data(), bytes);
  });
  if (code == cudaSuccess)
    counters.launches++;
  return remember(code);
}

} // namespace simgpu
