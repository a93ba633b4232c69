/* vane lab haywire: runs shown while they go, then a table and a picture. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/json.h"
#include "cli/lab.h"
#include "lab/haywire.h"
#include "lab/outcome_json.h"

#define PLAIN_LINES 5 /* per run, where no line can be rewritten */

typedef struct shown_trial {
  bool running;
  vane_lab_point point;
  int64_t told; /* plain lines so far */
} shown_trial;

typedef struct haywire_view {
  const vane_lab_trial *trials;
  int64_t n_trials;
  shown_trial *shown; /* [n_trials] */
  vane_lab_finding *findings;
  int64_t n_findings;
  bool terminal;
  int n_lines; /* on the terminal, to be rewritten */
} haywire_view;

/* --- while they go --- */

static void print_point(const vane_lab_trial *trial, const vane_lab_point *point) {
  fprintf(stderr, "%-20s seed %" PRId64 "  step %6" PRId64 "/%" PRId64 "  loss %8.2e  best %8.2e",
          trial->problem->name, trial->seed, point->step, point->steps, point->loss, point->best);
  if (isfinite(point->curvature))
    fprintf(stderr, "  curvature %8.2e of %8.2e", point->curvature, point->limit);
  fprintf(stderr, "\n");
}

static void wipe(haywire_view *view) {
  for (; view->n_lines > 0; view->n_lines--)
    fprintf(stderr, "\033[A\033[2K");
}

/* Lines that are too long are cut, not broken: a broken one could not be wiped. */
static void redraw(haywire_view *view) {
  wipe(view);
  fprintf(stderr, "\033[?7l");
  for (int64_t i = 0; i < view->n_trials; i++) {
    if (!view->shown[i].running)
      continue;
    print_point(&view->trials[i], &view->shown[i].point);
    view->n_lines++;
  }
  fprintf(stderr, "\033[?7h");
  fflush(stderr);
}

static void show_point(void *user, int64_t trial, const vane_lab_point *point) {
  haywire_view *view = user;
  shown_trial *shown = &view->shown[trial];
  shown->running = point->step < point->steps;
  shown->point = *point;
  if (view->terminal) {
    redraw(view);
    return;
  }
  int64_t due = PLAIN_LINES * point->step / point->steps;
  if (due > shown->told)
    print_point(&view->trials[trial], point);
  shown->told = due < PLAIN_LINES ? due : 0; /* a restart begins anew */
}

static void show_finding(void *user, int64_t trial, const vane_lab_finding *finding) {
  haywire_view *view = user;
  const vane_lab_outcome *outcome = &finding->outcome;
  view->shown[trial].running = false;
  view->findings[view->n_findings++] = *finding;
  if (view->terminal)
    wipe(view);
  fprintf(stderr, "%-20s seed %" PRId64, finding->problem->name, finding->seed);
  if (finding->restarted_at)
    fprintf(stderr, "  restarted at step %" PRId64, finding->restarted_at);
  fprintf(stderr, "  best %.2e, late %.2e, worst %.2e: %.3g times the best before\n", outcome->best,
          outcome->late, outcome->late_worst, outcome->setback);
  if (view->terminal)
    redraw(view);
}

/* --- the table --- */

static int compare_findings(const void *a, const void *b) {
  const vane_lab_finding *one = a, *other = b;
  if (one->problem != other->problem)
    return one->problem < other->problem ? -1 : 1;
  if (one->seed != other->seed)
    return one->seed < other->seed ? -1 : 1;
  return one->restarted_at < other->restarted_at ? -1 : 1;
}

static void print_table(const vane_lab_finding *findings, int64_t n) {
  printf("%-20s %4s %9s %8s %8s %9s %9s %9s %10s %6s %8s %6s\n", "problem", "seed", "epsilon",
         "steps", "from", "best", "late", "worst", "late/best", "spikes", "of limit", "us");
  for (int64_t i = 0; i < n; i++) {
    const vane_lab_finding *f = &findings[i];
    char epsilon[32];
    snprintf(epsilon, sizeof epsilon, "%g%s", f->epsilon,
             f->epsilon_mode == VANE_EPSILON_HAT ? " hat" : "");
    printf("%-20s %4" PRId64 " %9s %8" PRId64 " %8" PRId64 " %9.2e %9.2e %9.2e %10.3g %6" PRId64
           " %8.2g %6.0f\n",
           f->problem->name, f->seed, epsilon, f->outcome.steps, f->restarted_at, f->outcome.best,
           f->outcome.late, f->outcome.late_worst, f->outcome.setback, f->outcome.spikes,
           f->outcome.strain, f->outcome.us_per_step);
  }
}

static json_t *finding_to_json(const vane_lab_finding *finding) {
  bool hat = finding->epsilon_mode == VANE_EPSILON_HAT;
  json_t *object =
      json_pack("{s:s, s:I, s:I, s:f, s:f, s:s}", "problem", finding->problem->name, "seed",
                (json_int_t)finding->seed, "restarted_at", (json_int_t)finding->restarted_at, "lr",
                finding->lr, "epsilon", finding->epsilon, "epsilon_mode", hat ? "hat" : "outside");
  json_t *outcome = vane_lab_outcome_to_json(&finding->outcome);
  json_object_update(object, outcome);
  json_decref(outcome);
  return object;
}

static void print_json(const haywire_view *view, const char *folder, double seconds) {
  json_t *runs = json_array();
  for (int64_t i = 0; i < view->n_findings; i++)
    json_array_append_new(runs, finding_to_json(&view->findings[i]));
  json_print(json_pack("{s:o, s:o, s:o}", "folder", json_of_text(folder), "seconds",
                       json_of_number(seconds), "runs", runs));
}

/* --- the call --- */

static void list_trials(const lab_call *call, vane_lab_trial *trials) {
  int64_t n = 0;
  for (int i = 0; i < call->n_problems; i++)
    for (int64_t seed = 1; seed <= call->n_seeds; seed++)
      trials[n++] = (vane_lab_trial){call->problems[i], seed};
}

static vane_status run_trials(const lab_call *call, const char *folder, haywire_view *view) {
  double began_s = vane_clock_s();
  const vane_lab_haywire plan = {.trials = view->trials,
                                 .n_trials = view->n_trials,
                                 .n_jobs = call->n_jobs,
                                 .assignments = call->settings.assignments,
                                 .n_assignments = call->settings.n_assignments,
                                 .folder = folder,
                                 .tell = show_point,
                                 .found = show_finding,
                                 .user = view};
  VANE_TRY(vane_lab_haywire_run(&plan));
  qsort(view->findings, (size_t)view->n_findings, sizeof *view->findings, compare_findings);
  lab_warn_of_picture(vane_lab_haywire_draw(folder, view->findings, view->n_findings));
  double seconds = vane_clock_s() - began_s;
  if (call->json) {
    print_json(view, folder, seconds);
  } else {
    print_table(view->findings, view->n_findings);
    printf("%.1f seconds; results in %s\n", seconds, folder);
  }
  return VANE_OK;
}

/* runs/haywire-20260131-120000 */
static void default_folder(char *folder, size_t n_bytes) {
  time_t now = time(NULL);
  struct tm local;
  strftime(folder, n_bytes, "runs/haywire-%Y%m%d-%H%M%S", localtime_r(&now, &local));
}

vane_status lab_haywire(const lab_call *call) {
  char folder[1024];
  if (call->folder)
    snprintf(folder, sizeof folder, "%s", call->folder);
  else
    default_folder(folder, sizeof folder);
  VANE_TRY(vane_folder_create(folder));
  int64_t n = call->n_problems * call->n_seeds;
  vane_lab_trial *trials = calloc((size_t)n, sizeof *trials);
  haywire_view view = {.trials = trials,
                       .n_trials = n,
                       .shown = calloc((size_t)n, sizeof *view.shown),
                       .findings = calloc(2 * (size_t)n, sizeof *view.findings),
                       .terminal = isatty(STDERR_FILENO)};
  vane_status status;
  if (trials && view.shown && view.findings) {
    list_trials(call, trials);
    status = run_trials(call, folder, &view);
  } else {
    status = vane_fail(VANE_ERR_MEMORY, "no memory for %" PRId64 " runs", n);
  }
  free(view.findings);
  free(view.shown);
  free(trials);
  return status;
}
