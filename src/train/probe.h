/* The guard's probe: the gradient of a step's batch is taken a second time, at the moved
 * parameters, under the coefficients, mix and clip that the step had. How much it changed along the
 * step is the curvature there (N36), from which the guard's limit follows.
 *
 * A probe has a record of its own and a block of gradients of its own; of the step it leaves alone
 * the record but for record->guard, moments, running statistics, and the gradients in
 * trainer->slots. All of it exists only where optim.guard.mode is not off. */
#ifndef VANE_TRAIN_PROBE_H
#define VANE_TRAIN_PROBE_H

#include "train/trainer.h"

/* Plans the memory; nothing where the guard is off. `trainer->probe` is zeroed by the caller,
 * finish works on any state of it. */
VANE_CHECKED
vane_status vane_probe_init(vane_trainer *trainer);
/* Allocates it, once, after the slots have theirs. */
VANE_CHECKED
vane_status vane_probe_allocate(vane_trainer *trainer);
void vane_probe_finish(vane_trainer *trainer);

/* Whether the step that has just been finished is one that is probed. */
bool vane_probe_due(const vane_trainer *trainer);

/* Probes it. Enqueues its work; allocates nothing, waits for nothing. */
VANE_CHECKED
vane_status vane_probe_run(vane_trainer *trainer);

/* Outside a step, for whoever wants to know more of the curvature than the guard does: `hold`
 * uploads a batch, takes its gradient at the current parameters into trainer->slots.gradients, and
 * leaves losses, coefficients, mix and clip in trainer->probe.record. After that, as often as
 * wanted and wherever the parameters have been moved to, `gradient` takes the gradient of the same
 * batch under the same coefficients into trainer->probe.slots.gradients. Neither moves parameters,
 * moments or running statistics, or writes into the step's record. Both enqueue. */
VANE_CHECKED
vane_status vane_probe_hold(vane_trainer *trainer, const vane_batch *batch);
VANE_CHECKED
vane_status vane_probe_gradient(vane_trainer *trainer);

#endif
