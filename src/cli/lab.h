/* vane lab: what its commands share. */
#ifndef VANE_CLI_LAB_H
#define VANE_CLI_LAB_H

#include "cli/cli.h"
#include "lab/problems.h"
#include "lab/remedies.h"

#define LAB_MAX_NAMES 64

typedef struct lab_call {
  const vane_lab_problem *problems[LAB_MAX_NAMES]; /* those named, else all that are not held out */
  int n_problems;
  const vane_lab_remedy *remedies[LAB_MAX_NAMES]; /* those named, else all */
  int n_remedies;
  int64_t n_seeds, n_jobs;
  const char *folder; /* NULL: not given */
  bool json;
  vane_settings settings;
} lab_call;

vane_status lab_haywire(const lab_call *call);
vane_status lab_remedies(const lab_call *call);

/* A command of its own: argv[0] is "replay", the result an exit status. */
int lab_replay(int argc, char **argv);

/* gnuplot is not needed for the results: a failure to draw is a warning. */
void lab_warn_of_picture(vane_status status);

#endif
