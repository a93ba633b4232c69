/* The run: steps, reports, evaluations and checkpoints until the last step or a request to stop. */
#ifndef VANE_TRAIN_LOOP_H
#define VANE_TRAIN_LOOP_H

#include <signal.h>

#include "train/checkpoint.h"
#include "train/scores.h"
#include "train/trainer.h"

/* How the run is going, once per log interval; means over the interval. */
typedef struct vane_progress {
  int64_t step, steps;
  double images_per_s;
  double data_wait;    /* share of the time that training waited for data */
  double seconds_left; /* until the last step, at the pace of this session so far */
  double lr;           /* that the newest step took */
  double lr_scale;     /* what the guard made of the schedule's: 1, it did not act */
  double loss[VANE_N_LOSSES];
  double gradient_norm;
  double skipped; /* steps that wrote nothing */
} vane_progress;

/* Who is told; both functions may be NULL. `stop`, where not NULL, ends the run after the step in
 * which it becomes nonzero: the run is then resumable from `last`. */
typedef struct vane_observer {
  void *user;
  void (*progress)(void *user, const vane_progress *progress);
  void (*evaluated)(void *user, int64_t step, const vane_scores *scores, bool is_best);
  const volatile sig_atomic_t *stop;
} vane_observer;

/* Trains from trainer->step to train.steps. A fresh run (step 0) begins with a checkpoint of its
 * initial weights. `best`: from the checkpoint that was resumed, or zeroed.
 * A report tells of steps whose loss or gradient was not finite or whose loss was a spike, writes
 * their black boxes, and rolls the run back where the settings say so.
 * VANE_ERR_NUMERIC: a loss or gradient was not finite and train.on_nonfinite is stop, or no
 * rollback is possible; the message names the loss, the step and the examples, weights and moments
 * are those before that step. */
VANE_CHECKED
vane_status vane_train(vane_trainer *trainer, vane_run *run, vane_best best, const vane_log *log,
                       const vane_observer *observer);

#endif
