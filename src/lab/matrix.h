/* Problems times remedies times seeds, each cell one run in a process of its own. */
#ifndef VANE_LAB_MATRIX_H
#define VANE_LAB_MATRIX_H

#include <stdbool.h>

#include "lab/outcome.h"
#include "lab/remedies.h"

#define VANE_LAB_MAX_SEEDS 1000

typedef struct vane_lab_cell {
  const vane_lab_problem *problem; /* borrowed, as the remedy */
  const vane_lab_remedy *remedy;
  int64_t seed;
  bool done;
  vane_lab_outcome outcome;
} vane_lab_cell;

typedef struct vane_lab_matrix {
  const vane_lab_problem *const *problems; /* all pointers are borrowed */
  int n_problems;
  const vane_lab_remedy *const *remedies;
  int n_remedies;
  int64_t n_seeds; /* seeds 1 .. n_seeds, at most VANE_LAB_MAX_SEEDS */
  int64_t n_jobs;
  const char *const *assignments; /* [n_assignments]: KEY=VALUE on top of every cell */
  int n_assignments;
  const char *folder; /* exists */
  /* A cell that is done now; `n_done` of all cells are. May be NULL. */
  void (*found)(void *user, const vane_lab_cell *cell, int64_t n_done);
  void *user;
} vane_lab_matrix;

int64_t vane_lab_matrix_count(const vane_lab_matrix *matrix);

/* Fills `cells` [count], in the order of problems, remedies, seeds. Each result is appended to
 * folder/cells.jsonl as one line when it comes. Cells that are there already, from a run with the
 * same settings that was interrupted, are taken from there and not run again. */
VANE_CHECKED
vane_status vane_lab_matrix_run(const vane_lab_matrix *matrix, vane_lab_cell *cells);

#endif
