#include "train/bench_timer.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "train/median.h"

/* Far longer than it takes to read the clock, and to wait for a GPU, which is some ten
 * microseconds.
 */
#define BATCH_MS      1.0
#define LONG_BATCH_MS 20.0
#define MOST_CALLS    1000000
#define MOST_GROWTH   10.0 /* of a batch while its size is looked for */

/* The call before the first one leaves caches, and what they have yet to write back, as its own
 * kind does. */
static vane_status time_batch(vane_device *device, const vane_timed *timed, double *ms) {
  VANE_TRY(timed->call(timed->user));
  VANE_TRY(device->memory.synchronize(device));
  double begin_s = vane_clock_s();
  for (int64_t i = 0; i < timed->n_calls; i++)
    VANE_TRY(timed->call(timed->user));
  VANE_TRY(device->memory.synchronize(device));
  *ms = 1e3 * (vane_clock_s() - begin_s);
  return VANE_OK;
}

static vane_status find_batch(vane_device *device, vane_timed *timed) {
  const double wanted_ms = device->asynchronous ? LONG_BATCH_MS : BATCH_MS;
  double ms = 0;
  timed->n_calls = 1;
  VANE_TRY(time_batch(device, timed, &ms));
  while (ms < wanted_ms && timed->n_calls < MOST_CALLS) {
    double growth = ms > 0 ? 1.1 * wanted_ms / ms : MOST_GROWTH;
    growth = growth < MOST_GROWTH ? growth : MOST_GROWTH;
    timed->n_calls = (int64_t)((double)timed->n_calls * growth) + 1;
    VANE_TRY(time_batch(device, timed, &ms));
  }
  return VANE_OK;
}

vane_status vane_time_in_turn(vane_device *device, vane_timed *timed, int n_timed, double seconds,
                              int64_t *rounds) {
  for (int i = 0; i < n_timed; i++)
    VANE_TRY(find_batch(device, &timed[i]));
  double end_s = vane_clock_s() + seconds;
  for (int64_t n = 0; n < VANE_LEAST_ROUNDS || vane_clock_s() < end_s; n++) {
    if (n == VANE_MOST_ROUNDS)
      break;
    for (int i = 0; i < n_timed; i++) {
      double ms = 0;
      VANE_TRY(time_batch(device, &timed[i], &ms));
      timed[i].ms[n] = ms / (double)timed[i].n_calls;
    }
    *rounds = n + 1;
  }
  return VANE_OK;
}

double vane_median_ms(const double *ms, int64_t n) {
  double sorted[VANE_MOST_ROUNDS], median, fastest;
  memcpy(sorted, ms, (size_t)n * sizeof *ms);
  vane_median_of(sorted, n, &median, &fastest);
  return median;
}

double vane_fastest_ms(const double *ms, int64_t n) {
  double sorted[VANE_MOST_ROUNDS], median, fastest;
  memcpy(sorted, ms, (size_t)n * sizeof *ms);
  vane_median_of(sorted, n, &median, &fastest);
  return fastest;
}
