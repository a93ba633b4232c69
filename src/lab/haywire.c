#include "lab/haywire.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "lab/outcome_json.h"
#include "lab/workers.h"

#define SAVE_EVERY 100

/* A restart begins at least so many epochs before the first spike: the run is still well then. */
#define EPOCHS_BEFORE 25

/* The restart's order of examples is that of another window. */
#define OTHER_ORDER "data.window=61"

/* The guard measures the curvature and does nothing about it: the bits are those without it. */
static const char *const watching[] = {"optim.guard.mode=watch", "optim.guard.every=20"};

void vane_lab_curve_path(const char *folder, const vane_lab_finding *finding, char *path,
                         size_t n_bytes) {
  snprintf(path, n_bytes, "%s/curves/%s-%" PRId64 "%s.csv", folder, finding->problem->name,
           finding->seed, finding->restarted_at ? "-restart" : "");
}

/* --- in a trial's process --- */

typedef struct trial_run {
  const vane_lab_haywire *plan;
  const vane_lab_mouth *mouth;
} trial_run;

static vane_status tell_point(void *user, const vane_lab_point *point) {
  const trial_run *self = user;
  char line[256];
  snprintf(line, sizeof line, "point %" PRId64 " %" PRId64 " %.9g %.9g %.9g %.9g", point->step,
           point->steps, point->loss, point->best, point->curvature, point->limit);
  return vane_lab_say(self->mouth, line);
}

static vane_status tell_finding(const trial_run *self, const vane_lab_finding *finding) {
  return vane_lab_say_json(self->mouth, json_pack("{s:I, s:f, s:f, s:i, s:o}", "restarted_at",
                                                  (json_int_t)finding->restarted_at, "lr",
                                                  finding->lr, "epsilon", finding->epsilon,
                                                  "epsilon_mode", finding->epsilon_mode, "outcome",
                                                  vane_lab_outcome_to_json(&finding->outcome)));
}

/* Trains as `config` says, writes the curve, and says what came out; `epoch` is in steps. */
static vane_status investigate(const trial_run *self, const vane_config *config,
                               const vane_lab_options *options, vane_lab_finding *finding,
                               int64_t *epoch) {
  char path[1200];
  vane_lab_curve curve;
  VANE_TRY(vane_lab_experiment(config, options, NULL, &curve));
  vane_lab_curve_judge(&curve, finding->problem->scale, &finding->outcome);
  finding->restarted_at = curve.first;
  *epoch = curve.window;
  finding->lr = config->optim_lr;
  finding->epsilon = config->optim_epsilon;
  finding->epsilon_mode = config->optim_epsilon_mode;
  vane_lab_curve_path(self->plan->folder, finding, path, sizeof path);
  vane_status status = vane_lab_curve_write(&curve, path);
  if (status == VANE_OK)
    status = tell_finding(self, finding);
  vane_lab_curve_finish(&curve);
  return status;
}

/* The step of the last checkpoint well before the first spike; 0: there is none. */
static int64_t step_before(const vane_lab_outcome *outcome, int64_t epoch) {
  int64_t latest = outcome->first_spike - EPOCHS_BEFORE * epoch;
  return latest > 0 ? latest / SAVE_EVERY * SAVE_EVERY : 0;
}

static vane_status restart(const trial_run *self, const vane_config *config, const char *folder,
                           int64_t from, vane_lab_options options, vane_lab_finding *finding) {
  char path[1200];
  snprintf(path, sizeof path, "%s/checkpoints/step-%08" PRId64 ".safetensors", folder, from);
  vane_config other = *config;
  VANE_TRY(vane_config_set(&other, OTHER_ORDER));
  options.checkpoint = path;
  options.run = NULL;
  int64_t epoch;
  return investigate(self, &other, &options, finding, &epoch);
}

static vane_status run_and_restart(const trial_run *self, const vane_config *config,
                                   vane_lab_options options, vane_lab_finding *finding) {
  char folder[1024], *text = NULL;
  snprintf(folder, sizeof folder, "%s/%s-%" PRId64, self->plan->folder, finding->problem->name,
           finding->seed);
  VANE_TRY(vane_config_print(config, &text));
  vane_status status =
      vane_run_create(folder, text, config->train_steps / SAVE_EVERY + 1, &options.run);
  free(text);
  VANE_TRY(status);
  options.save_every = SAVE_EVERY;
  int64_t epoch;
  status = investigate(self, config, &options, finding, &epoch);
  vane_run_close(options.run);
  VANE_TRY(status);
  int64_t from = step_before(&finding->outcome, epoch);
  return from ? restart(self, config, folder, from, options, finding) : VANE_OK;
}

static vane_status run_trial(void *user, int64_t trial, const vane_lab_mouth *mouth) {
  const vane_lab_haywire *plan = user;
  trial_run self = {.plan = plan, .mouth = mouth};
  vane_lab_finding finding = {.problem = plan->trials[trial].problem,
                              .seed = plan->trials[trial].seed};
  vane_lab_options options = {.tell = tell_point, .user = &self};
  vane_config config;
  VANE_TRY(vane_lab_problem_configure(finding.problem, finding.seed, watching,
                                      sizeof watching / sizeof *watching, &config));
  VANE_TRY(vane_config_set_all(&config, plan->assignments, plan->n_assignments));
  VANE_TRY(vane_config_check(&config));
  if (finding.problem->restarts)
    return run_and_restart(&self, &config, options, &finding);
  int64_t epoch;
  return investigate(&self, &config, &options, &finding, &epoch);
}

/* --- in the calling process --- */

static vane_status hear_finding(const vane_lab_haywire *plan, int64_t trial, const char *line) {
  vane_lab_finding finding = {.problem = plan->trials[trial].problem,
                              .seed = plan->trials[trial].seed};
  json_t *object = json_loads(line, 0, NULL);
  json_int_t restarted_at = 0;
  bool understood =
      object &&
      json_unpack(object, "{s:I, s:F, s:F, s:i}", "restarted_at", &restarted_at, "lr", &finding.lr,
                  "epsilon", &finding.epsilon, "epsilon_mode", &finding.epsilon_mode) == 0 &&
      vane_lab_outcome_from_json(json_object_get(object, "outcome"), &finding.outcome);
  json_decref(object);
  if (!understood)
    return vane_fail(VANE_ERR_FORMAT, "a task said what nobody understands: %s", line);
  finding.restarted_at = restarted_at;
  plan->found(plan->user, trial, &finding);
  return VANE_OK;
}

static vane_status hear(void *user, int64_t trial, const char *line) {
  const vane_lab_haywire *plan = user;
  vane_lab_point point;
  if (sscanf(line, "point %" SCNd64 " %" SCNd64 " %lf %lf %lf %lf", &point.step, &point.steps,
             &point.loss, &point.best, &point.curvature, &point.limit) != 6)
    return hear_finding(plan, trial, line);
  plan->tell(plan->user, trial, &point);
  return VANE_OK;
}

vane_status vane_lab_haywire_run(const vane_lab_haywire *plan) {
  char folder[1024];
  snprintf(folder, sizeof folder, "%s/curves", plan->folder);
  VANE_TRY(vane_folder_create(folder));
  vane_lab_haywire own = *plan;
  const vane_lab_workers workers = {.work = run_trial, .hear = hear, .user = &own};
  return vane_lab_workers_run(&workers, plan->n_trials, plan->n_jobs);
}
