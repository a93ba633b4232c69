/* How long a training step takes, the data being there already. */
#ifndef VANE_TRAIN_BENCH_STEP_H
#define VANE_TRAIN_BENCH_STEP_H

#include "base/log.h"
#include "train/trainer.h"

typedef struct vane_bench_step_result {
  int64_t steps, n_parameters;
  double ms;         /* median of one step, its upload included */
  double fastest_ms; /* the best one */
  double images_per_s;
  double probe_ms; /* median of one probe of the guard; 0: it is off */
  /* Where operations return early (device->asynchronous), else 0: */
  double enqueue_ms;   /* median of the host's part of a step: until its last call has returned */
  double pipelined_ms; /* of a step among `steps` that follow each other without a wait */
  char device[256];    /* its description */
} vane_bench_step_result;

/* Told right before the first and right after the last step that counts; both may be NULL. */
typedef struct vane_bench_step_watch {
  void (*begin)(void *user);
  void (*end)(void *user);
  void *user;
} vane_bench_step_watch;

/* Trains freshly drawn weights on a few batches of the configuration's training source, read before
 * the clock starts: some steps to warm up, then `steps` (at least 1) that count, each waited for,
 * then on an asynchronous device as many again, the last of which is waited for, and where the
 * guard is not off a few of its probes. A step that wrote nothing because of a non-finite value is
 * VANE_ERR_NUMERIC: its time means nothing. */
VANE_CHECKED
vane_status vane_bench_step(const vane_config *config, int64_t steps,
                            const vane_bench_step_watch *watch, const vane_log *log,
                            vane_bench_step_result *result);

#endif
