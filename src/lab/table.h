/* A matrix summed up: one row per problem and remedy, for people, programs and the eye. */
#ifndef VANE_LAB_TABLE_H
#define VANE_LAB_TABLE_H

#include <stdio.h>

#include "lab/matrix.h"

/* Over the seeds of a problem and remedy. */
typedef struct vane_lab_row {
  const vane_lab_problem *problem;
  const vane_lab_remedy *remedy;
  int64_t n;                        /* seeds */
  double best_late, median_late;    /* of the median losses of the last quarter */
  double worst_setback;             /* the largest of the seeds' */
  int64_t spikes, late_spikes;      /* of all seeds together */
  int64_t reached[VANE_LAB_LEVELS]; /* median of the steps; 0: most seeds never did */
  double us_per_step;               /* median */
  double cost;                      /* of a step relative to plain Adam's; 0: that is not there */
} vane_lab_row;

/* Rows [n_problems * n_remedies] of a matrix whose cells are all done. */
void vane_lab_table_sum_up(const vane_lab_matrix *matrix, const vane_lab_cell *cells,
                           vane_lab_row *rows);

/* Markdown: for each problem a heading and a table. */
void vane_lab_table_print(FILE *stream, const vane_lab_row *rows, int64_t n);

/* The same and more as CSV. */
void vane_lab_table_print_csv(FILE *stream, const vane_lab_row *rows, int64_t n);

/* Writes remedies.gp into the folder and draws remedies.png: for each problem a panel, for each
 * remedy the median late loss and the worst and best around it. */
VANE_CHECKED
vane_status vane_lab_table_draw(const char *folder, const vane_lab_row *rows, int64_t n);

#endif
