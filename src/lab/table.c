#include "lab/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lab/files.h"

/* --- summing up --- */

static void sum_up(const vane_lab_cell *cells, int64_t n, vane_lab_row *row) {
  double values[VANE_LAB_MAX_SEEDS];
  *row = (vane_lab_row){.problem = cells->problem, .remedy = cells->remedy, .n = n};
  for (int64_t i = 0; i < n; i++) {
    const vane_lab_outcome *outcome = &cells[i].outcome;
    values[i] = outcome->late;
    row->worst_setback = fmax(row->worst_setback, outcome->setback);
    row->spikes += outcome->spikes;
    row->late_spikes += outcome->late_spikes;
  }
  row->median_late = vane_lab_median(values, n);
  row->best_late = values[0];
  for (int level = 0; level < VANE_LAB_LEVELS; level++) {
    for (int64_t i = 0; i < n; i++) {
      int64_t step = cells[i].outcome.reached[level];
      values[i] = step ? (double)step : (double)INFINITY;
    }
    double middle = vane_lab_median(values, n);
    row->reached[level] = isfinite(middle) ? (int64_t)middle : 0;
  }
  for (int64_t i = 0; i < n; i++)
    values[i] = cells[i].outcome.us_per_step;
  row->us_per_step = vane_lab_median(values, n);
}

void vane_lab_table_sum_up(const vane_lab_matrix *matrix, const vane_lab_cell *cells,
                           vane_lab_row *rows) {
  for (int p = 0; p < matrix->n_problems; p++) {
    vane_lab_row *of_problem = rows + p * matrix->n_remedies;
    double plain_us = 0;
    for (int r = 0; r < matrix->n_remedies; r++) {
      sum_up(cells + (p * matrix->n_remedies + r) * matrix->n_seeds, matrix->n_seeds,
             &of_problem[r]);
      if (of_problem[r].remedy == &vane_lab_remedies[0])
        plain_us = of_problem[r].us_per_step;
    }
    for (int r = 0; plain_us > 0 && r < matrix->n_remedies; r++)
      of_problem[r].cost = of_problem[r].us_per_step / plain_us;
  }
}

/* --- text --- */

static void print_steps(FILE *stream, int64_t step) {
  if (step)
    fprintf(stream, " %" PRId64 " |", step);
  else
    fprintf(stream, " - |");
}

static void print_row(FILE *stream, const vane_lab_row *row) {
  fprintf(stream, "| %s | %.1e | %.1e | %.2g | %" PRId64 " | %" PRId64 " |", row->remedy->summary,
          row->best_late, row->median_late, row->worst_setback, row->spikes, row->late_spikes);
  for (int i = 0; i < VANE_LAB_LEVELS; i++)
    print_steps(stream, row->reached[i]);
  if (row->cost > 0)
    fprintf(stream, " %.2f |\n", row->cost);
  else
    fprintf(stream, " - |\n");
}

static void print_heading(FILE *stream, const vane_lab_row *row) {
  fprintf(stream, "### %s: %s\n\n", row->problem->name, row->problem->summary);
  fprintf(stream,
          "| remedy | late loss, best | median | worst late/best | spikes | after the first "
          "quarter |");
  double level = row->problem->scale;
  for (int i = 0; i < VANE_LAB_LEVELS; i++) {
    level /= 10;
    fprintf(stream, i == 0 ? " steps to %.0e |" : " %.0e |", level);
  }
  fprintf(stream, " cost of a step |\n|");
  for (int i = 0; i < VANE_LAB_LEVELS + 7; i++)
    fprintf(stream, " --- |");
  fprintf(stream, "\n");
}

void vane_lab_table_print(FILE *stream, const vane_lab_row *rows, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    bool first = i == 0 || rows[i].problem != rows[i - 1].problem;
    if (first && i > 0)
      fprintf(stream, "\n");
    if (first)
      print_heading(stream, &rows[i]);
    print_row(stream, &rows[i]);
  }
}

void vane_lab_table_print_csv(FILE *stream, const vane_lab_row *rows, int64_t n) {
  fprintf(stream, "problem,remedy,seeds,best_late,median_late,worst_setback,spikes,late_spikes,"
                  "us_per_step,cost");
  for (int i = 0; i < VANE_LAB_LEVELS; i++)
    fprintf(stream, ",reached_1e-%d", i + 1);
  fprintf(stream, "\n");
  for (int64_t i = 0; i < n; i++) {
    const vane_lab_row *row = &rows[i];
    fprintf(stream, "%s,%s,%" PRId64 ",%.6g,%.6g,%.6g,%" PRId64 ",%" PRId64 ",%.6g,%.6g",
            row->problem->name, row->remedy->name, row->n, row->best_late, row->median_late,
            row->worst_setback, row->spikes, row->late_spikes, row->us_per_step, row->cost);
    for (int level = 0; level < VANE_LAB_LEVELS; level++)
      fprintf(stream, ",%" PRId64, row->reached[level]);
    fprintf(stream, "\n");
  }
}

/* --- picture --- */

#define SCRIPT "remedies.gp"

/* A number that gnuplot can draw: what is infinite is left out. */
static void print_number(FILE *script, double value) {
  if (isfinite(value))
    fprintf(script, " %.6g", value);
  else
    fprintf(script, " NaN");
}

/* One panel: rows [n] of one problem, as a block of data and what to plot of it. */
static void draw_problem(FILE *script, const vane_lab_row *rows, int64_t n, int panel) {
  fprintf(script, "$panel%d << END\n", panel);
  for (int64_t i = 0; i < n; i++) {
    fprintf(script, "%" PRId64 " \"%s\"", i, rows[i].remedy->name);
    print_number(script, rows[i].best_late);
    print_number(script, rows[i].median_late);
    print_number(script, rows[i].worst_setback);
    fprintf(script, "\n");
  }
  fprintf(script,
          "END\n"
          "set title '%s' noenhanced\n"
          "set ylabel 'late loss'\nset y2label 'worst late/best'\n"
          "plot $panel%d using 1:4:xtic(2) with points pt 7 lc 1 title 'median late loss', \\\n"
          "     '' using 1:3 with points pt 2 lc 1 title 'best late loss', \\\n"
          "     '' using 1:5 axes x1y2 with impulses lw 4 lc rgb '#40d95f02' "
          "title 'worst late/best'\n",
          rows->problem->name, panel);
}

static void print_script(FILE *script, const vane_lab_row *rows, int64_t n) {
  int n_panels = 0;
  int64_t widest = 0, begin = 0;
  for (int64_t i = 0; i < n; i++)
    if (i + 1 == n || rows[i + 1].problem != rows[i].problem) {
      n_panels++;
      widest = i + 1 - begin > widest ? i + 1 - begin : widest;
      begin = i + 1;
    }
  fprintf(script,
          "set terminal pngcairo size %" PRId64 ",%d font ',10'\n"
          "set output 'remedies.png'\n"
          "set logscale y\nset logscale y2\nset format y '%%.0e'\nset format y2 '%%.0e'\n"
          "set ytics nomirror\nset y2tics\nset xtics rotate by -55 noenhanced\n"
          "set xrange [-0.5:%" PRId64 ".5]\nset y2range [1:*]\n"
          "set key above\nset grid y lc rgb '#dddddd'\nset multiplot layout %d,1\n",
          300 + 28 * widest, 380 * n_panels, widest - 1, n_panels);
  begin = 0;
  int panel = 0;
  for (int64_t i = 0; i < n; i++)
    if (i + 1 == n || rows[i + 1].problem != rows[i].problem) {
      draw_problem(script, rows + begin, i + 1 - begin, panel++);
      begin = i + 1;
    }
  fprintf(script, "unset multiplot\n");
}

vane_status vane_lab_table_draw(const char *folder, const vane_lab_row *rows, int64_t n) {
  vane_lab_text script;
  VANE_TRY(vane_lab_text_open(&script));
  print_script(script.stream, rows, n);
  return vane_lab_draw(&script, folder, SCRIPT);
}
