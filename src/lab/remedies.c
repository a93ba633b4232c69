#include "lab/remedies.h"

#include <string.h>

#include "base/error.h"
#include "config/nearest.h"

const vane_lab_remedy vane_lab_remedies[] = {
#define REMEDY(name, summary, ...) {name, summary, {__VA_ARGS__}},
#include "lab/remedies.def"
#undef REMEDY
};

const int vane_lab_n_remedies = sizeof vane_lab_remedies / sizeof *vane_lab_remedies;

static const char *const plain_adam[] = {"optim.epsilon=1e-8", "optim.epsilon_mode=outside"};

vane_status vane_lab_remedy_find(const char *name, const vane_lab_remedy **remedy) {
  vane_nearest nearest;
  vane_nearest_init(&nearest, name, VANE_NEAREST_ANY);
  for (int i = 0; i < vane_lab_n_remedies; i++) {
    *remedy = &vane_lab_remedies[i];
    if (strcmp((*remedy)->name, name) == 0)
      return VANE_OK;
    vane_nearest_offer(&nearest, (*remedy)->name, strlen((*remedy)->name));
  }
  return vane_fail(VANE_ERR_ARGUMENT, "no remedy '%s'; did you mean %.*s?", name,
                   (int)nearest.n_bytes, nearest.best ? nearest.best : "");
}

vane_status vane_lab_remedy_configure(const vane_lab_problem *problem,
                                      const vane_lab_remedy *remedy, int64_t seed,
                                      const char *const *assignments, int n, vane_config *config) {
  int n_plain = sizeof plain_adam / sizeof *plain_adam;
  VANE_TRY(vane_lab_problem_configure(problem, seed, plain_adam, n_plain, config));
  VANE_TRY(vane_config_set_all(config, remedy->settings, VANE_LAB_REMEDY_SETTINGS));
  VANE_TRY(vane_config_set_all(config, assignments, n));
  return vane_config_check(config);
}
