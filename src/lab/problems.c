#include "lab/problems.h"

#include <string.h>

#include "base/error.h"
#include "config/nearest.h"
#include "lab/presets.h"

const vane_lab_problem vane_lab_problems[] = {
    {"regression", "a regression net, full batch", 1.0, false, false},
    {"regression-minibatch", "a regression net, minibatches", 1.0, false, false},
    {"angles", "a residual CNN, angles of clothes", 1.0, false, false},
    {"tf1-small", "the tf1 preset made small", 10.0, false, true},
    {"holdout-1", "batch norm, unit directions of clothes", 1.0, true, false},
    {"holdout-2", "presence and position in scenes", 3.0, true, false},
};

const int vane_lab_n_problems = sizeof vane_lab_problems / sizeof *vane_lab_problems;

vane_status vane_lab_problem_find(const char *name, const vane_lab_problem **problem) {
  vane_nearest nearest;
  vane_nearest_init(&nearest, name, VANE_NEAREST_ANY);
  for (int i = 0; i < vane_lab_n_problems; i++) {
    *problem = &vane_lab_problems[i];
    if (strcmp((*problem)->name, name) == 0)
      return VANE_OK;
    vane_nearest_offer(&nearest, (*problem)->name, strlen((*problem)->name));
  }
  return vane_fail(VANE_ERR_ARGUMENT, "no problem '%s'; did you mean %.*s?", name,
                   (int)nearest.n_bytes, nearest.best ? nearest.best : "");
}

static const char *text_of(const vane_lab_problem *problem) {
  for (int i = 0; i < vane_lab_n_presets; i++)
    if (strcmp(vane_lab_presets[i].name, problem->name) == 0)
      return vane_lab_presets[i].yaml;
  return "";
}

vane_status vane_lab_problem_configure(const vane_lab_problem *problem, int64_t seed,
                                       const char *const *assignments, int n, vane_config *config) {
  const char *text = text_of(problem);
  vane_config_init(config);
  VANE_TRY(vane_config_parse(config, problem->name, text, strlen(text)));
  config->seed = seed;
  VANE_TRY(vane_config_set_all(config, assignments, n));
  return vane_config_check(config);
}
