/* A trainer: everything a run needs on its device, planned once, sealed, and then only used. */
#ifndef VANE_TRAIN_TRAINER_H
#define VANE_TRAIN_TRAINER_H

#include "base/log.h"
#include "data/example.h"
#include "grad/slots.h"

/* What the guard's probe works with (probe.h); zero where the guard is off. */
typedef struct vane_probe {
  vane_block *block;        /* of the parameters that the curvature is taken over; owned */
  vane_slots slots;         /* the trainer's own, but for `gradients`; borrowed */
  vane_step_record *record; /* begins as a copy of the step's */
  vane_graph *graph;        /* a probe, as the device recorded it; owned */
  vane_arena arena;
  int64_t gradients_item, record_item;
} vane_probe;

typedef struct vane_trainer {
  vane_config config;    /* a copy: of the run's settings only data.train.passed_over changes, when
                            the run is rolled back */
  vane_device *device;   /* owned */
  vane_network *network; /* owned */
  vane_slots slots;
  vane_adam_desc adam;
  vane_probe probe;
  /* Owned: a training step and an evaluated batch, as the device recorded them. The settings in
   * `slots` and `adam` are part of the record, so whoever changed one would have to destroy it. */
  vane_graph *graph, *eval_graph;
  int64_t step;        /* steps finished */
  int64_t n_rollbacks; /* of the run so far */
  /* Device memory. */
  vane_arena moments, metrics;
  void *m, *v, *v_max;            /* v_max NULL without AMSGrad */
  void *pending;                  /* running statistics of the step under way, NULL without norm */
  vane_adam_telemetry *telemetry; /* NULL without optim.telemetry */
  vane_adam_limit *limits;        /* NULL without optim.update_clip and grad.clip.adaptive */
  vane_step_record *record, *eval_record;
  int64_t m_item, v_item, v_max_item, pending_item, telemetry_item, limits_item, record_item,
      eval_record_item;
  /* Host memory. */
  float *targets; /* [VANE_N_TARGET_ROWS, N] */
} vane_trainer;

/* Opens the device, plans the network for train.batch images in train.accumulate parts, allocates.
 * `choices`: the convolution algorithms of a checkpoint, NULL to choose. */
VANE_CHECKED
vane_status vane_trainer_create(const vane_config *config, const vane_choices *choices,
                                vane_trainer **trainer);
void vane_trainer_destroy(vane_trainer *trainer); /* takes NULL */

/* What Adam works on. */
vane_adam_memory vane_trainer_adam_memory(const vane_trainer *trainer);
/* Bytes of `telemetry`; 0 where none is kept. */
size_t vane_trainer_telemetry_bytes(const vane_trainer *trainer);

/* The step record as it is once all that is enqueued is done. Blocks. */
VANE_CHECKED
vane_status vane_trainer_read_record(const vane_trainer *trainer, vane_step_record *record);

/* What lies where: one line per arena and, indented, its largest items, for people. */
VANE_CHECKED
vane_status vane_trainer_describe_memory(const vane_trainer *trainer, char **text);

#endif
