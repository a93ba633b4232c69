#include "base/clock.h"

#include <time.h>

static double read_s(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double vane_clock_s(void) {
  return read_s(CLOCK_MONOTONIC);
}

double vane_clock_thread_s(void) {
  return read_s(CLOCK_THREAD_CPUTIME_ID);
}
