/* The laboratory's problems: small, deterministic, and all of them fail late under plain Adam. */
#ifndef VANE_LAB_PROBLEMS_H
#define VANE_LAB_PROBLEMS_H

#include <stdbool.h>

#include "config/config.h"

typedef struct vane_lab_problem {
  const char *name;    /* of its configuration in presets/lab/ */
  const char *summary; /* for people, a few words */
  double scale;        /* its loss when it is answered by one constant, to a digit */
  bool held_out;       /* nothing was tuned on it; only taken where it is named */
  bool restarts;       /* haywire also goes on from a checkpoint before the explosion */
} vane_lab_problem;

extern const vane_lab_problem vane_lab_problems[];
extern const int vane_lab_n_problems;

/* Borrowed. An unknown name is VANE_ERR_ARGUMENT, and the message has the nearest known one. */
VANE_CHECKED
vane_status vane_lab_problem_find(const char *name, const vane_lab_problem **problem);

/* The problem's settings with `seed`, then the assignments (KEY=VALUE) [n] on top; checked. */
VANE_CHECKED
vane_status vane_lab_problem_configure(const vane_lab_problem *problem, int64_t seed,
                                       const char *const *assignments, int n, vane_config *config);

#endif
