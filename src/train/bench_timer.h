/* Times of calls that are taken in turn, so that a slow moment of the machine slows them all. */
#ifndef VANE_TRAIN_BENCH_TIMER_H
#define VANE_TRAIN_BENCH_TIMER_H

#include "device/device.h"

enum { VANE_LEAST_ROUNDS = 5, VANE_MOST_ROUNDS = 101 };

typedef struct vane_timed {
  vane_status (*call)(void *user);
  void *user;
  double ms[VANE_MOST_ROUNDS]; /* out: of one call, in the order of the rounds */
  int64_t n_calls;             /* out: calls in a batch */
} vane_timed;

/* Times one batch of each per round, until `seconds` have passed (a hint: no fewer than
 * VANE_LEAST_ROUNDS and no more than VANE_MOST_ROUNDS, of which `rounds` tells the number). A batch
 * is as many calls one after the other as take 1 ms, or 20 ms on a device whose operations return
 * early, and ends when the device has done them; one more, before it, does not count. A time is a
 * batch's, divided by its calls. Every batch has run once before the first round: pages are mapped,
 * caches filled, threads awake. */
VANE_CHECKED
vane_status vane_time_in_turn(vane_device *device, vane_timed *timed, int n_timed, double seconds,
                              int64_t *rounds);

/* Of ms [n], which stay in their order. */
double vane_median_ms(const double *ms, int64_t n);
double vane_fastest_ms(const double *ms, int64_t n);

#endif
