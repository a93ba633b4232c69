#include "train/rollback.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "data/passed_over.h"

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

vane_status vane_rollback_plan(const vane_trainer *trainer, const vane_run *run, int64_t bad_step,
                               vane_rollback *plan) {
  const vane_config *config = &trainer->config;
  if (trainer->n_rollbacks >= config->train_spike_max_rollbacks)
    return vane_fail(VANE_ERR_NUMERIC,
                     "%" PRId64 " rollbacks are behind this run, and train.spike.max_rollbacks "
                     "allows %" PRId64,
                     trainer->n_rollbacks, config->train_spike_max_rollbacks);
  int64_t most = larger(0, bad_step - config->train_spike_rollback_steps);
  VANE_TRY(vane_run_find_step(run, most, &plan->to));
  if (plan->to < 0)
    return vane_fail(VANE_ERR_NUMERIC,
                     "no checkpoint of step %" PRId64 " or before is left to roll back to; raise "
                     "train.keep, or lower train.spike.rollback_steps",
                     most);
  int64_t n = config->train_batch, end = bad_step * n;
  int64_t skipped = config->train_spike_skip_records ? config->train_spike_skip_records : n;
  plan->first = vane_passed_over_place(config, larger(plan->to * n, end - skipped));
  plan->count = vane_passed_over_place(config, end - 1) + 1 - plan->first;
  return VANE_OK;
}

static vane_status restore(vane_trainer *trainer, const vane_run *run, int64_t step,
                           vane_best *best) {
  char *path = NULL;
  vane_checkpoint *checkpoint = NULL;
  vane_status status = vane_run_step_path(run, step, &path);
  if (status == VANE_OK)
    status = vane_checkpoint_open(path, &checkpoint);
  if (status == VANE_OK)
    status = vane_checkpoint_restore(checkpoint, trainer);
  if (status == VANE_OK)
    *best = vane_checkpoint_best(checkpoint);
  vane_checkpoint_close(checkpoint);
  free(path);
  return status;
}

/* The checkpoint is written anew, with the longer list and the count; only then are later ones and
 * their metrics cut. Killed in between, the run either resumes behind the bad step's checkpoint and
 * comes here again, or from the new checkpoint, where a resume cuts. */
vane_status vane_rollback_run(vane_trainer *trainer, vane_run *run, const vane_rollback *plan,
                              vane_best *best) {
  int64_t n_rollbacks = trainer->n_rollbacks + 1;
  VANE_TRY(restore(trainer, run, plan->to, best));
  trainer->n_rollbacks = n_rollbacks;
  VANE_TRY(vane_passed_over_add(&trainer->config, plan->first, plan->count));
  VANE_TRY(vane_checkpoint_save(trainer, run, *best, false));
  return vane_run_roll_back(run, plan->to, best->step);
}
