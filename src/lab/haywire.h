/* Adam's late failure, shown: every problem trained with plain Adam, one process per run. */
#ifndef VANE_LAB_HAYWIRE_H
#define VANE_LAB_HAYWIRE_H

#include "lab/experiment.h"
#include "lab/problems.h"

typedef struct vane_lab_trial {
  const vane_lab_problem *problem; /* borrowed */
  int64_t seed;
} vane_lab_trial;

/* One run, or the restart of one. */
typedef struct vane_lab_finding {
  const vane_lab_problem *problem; /* borrowed */
  int64_t seed;
  int64_t restarted_at; /* the checkpoint's step; 0: not a restart */
  double lr, epsilon;
  int epsilon_mode;
  vane_lab_outcome outcome;
} vane_lab_finding;

typedef struct vane_lab_haywire {
  const vane_lab_trial *trials; /* [n_trials], borrowed, as all pointers here */
  int64_t n_trials;
  int64_t n_jobs;
  const char *const *assignments; /* [n_assignments]: KEY=VALUE on top of every problem */
  int n_assignments;
  const char *folder; /* exists; gets curves/PROBLEM-SEED.csv, of a restart ...-restart.csv */
  void (*tell)(void *user, int64_t trial, const vane_lab_point *point);
  void (*found)(void *user, int64_t trial, const vane_lab_finding *finding);
  void *user;
} vane_lab_haywire;

/* Runs all trials. Where a problem restarts, its run keeps checkpoints (in folder/PROBLEM-SEED, a
 * run's folder), and the last one well before its first spike is gone on from, with the examples in
 * another order, so that it is not the same course once more. tell and found are called in this
 * process, one at a time. */
VANE_CHECKED
vane_status vane_lab_haywire_run(const vane_lab_haywire *plan);

/* "folder/curves/regression-1.csv"; of a restart "...-1-restart.csv". */
void vane_lab_curve_path(const char *folder, const vane_lab_finding *finding, char *path,
                         size_t n_bytes);

/* Writes haywire.gp into the folder and draws haywire.png: a panel per problem with the losses over
 * the steps, and where the curvature was measured one below it with curvature and limit. */
VANE_CHECKED
vane_status vane_lab_haywire_draw(const char *folder, const vane_lab_finding *findings, int64_t n);

#endif
