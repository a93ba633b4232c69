/* vane lab remedies: the matrix of problems and remedies, then its table and picture. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/lab.h"
#include "cli/processor.h"
#include "lab/files.h"
#include "lab/table.h"
#include "lab/workers.h"

static void show_cell(void *user, const vane_lab_cell *cell, int64_t n_done) {
  const int64_t *n_cells = user;
  const vane_lab_outcome *outcome = &cell->outcome;
  fprintf(stderr,
          "%" PRId64 "/%" PRId64 "  %s, %s, seed %" PRId64
          ": late %.2e, worst late/best %.3g, spikes %" PRId64 "\n",
          n_done, *n_cells, cell->problem->name, cell->remedy->name, cell->seed, outcome->late,
          outcome->setback, outcome->spikes);
}

/* When, where, with what: what a reader of the table wants to know first. */
static void print_origin(FILE *stream, const lab_call *call) {
  char processor[256], date[16];
  time_t now = time(NULL);
  struct tm local;
  processor_name(processor, sizeof processor);
  strftime(date, sizeof date, "%Y-%m-%d", localtime_r(&now, &local));
  fprintf(stream,
          "Made by `vane lab remedies` of vane %s on %s, %s, %" PRId64 " processors; seeds 1 to "
          "%" PRId64 ", %" PRId64 " runs at a time.",
          VANE_VERSION, date, processor, vane_lab_processors(), call->n_seeds, call->n_jobs);
  for (int i = 0; i < call->settings.n_assignments; i++)
    fprintf(stream, " `--set %s`.", call->settings.assignments[i]);
  fprintf(stream, "\n\n");
}

static void print_table(FILE *stream, const lab_call *call, const vane_lab_row *rows, int64_t n) {
  print_origin(stream, call);
  vane_lab_table_print(stream, rows, n);
}

static vane_status write_tables(const lab_call *call, const vane_lab_row *rows, int64_t n) {
  char path[1200];
  vane_lab_text text;
  snprintf(path, sizeof path, "%s/table.csv", call->folder);
  VANE_TRY(vane_lab_text_open(&text));
  vane_lab_table_print_csv(text.stream, rows, n);
  VANE_TRY(vane_lab_text_close(&text, path));
  snprintf(path, sizeof path, "%s/table.md", call->folder);
  VANE_TRY(vane_lab_text_open(&text));
  print_table(text.stream, call, rows, n);
  VANE_TRY(vane_lab_text_close(&text, path));
  print_table(stdout, call, rows, n);
  return VANE_OK;
}

static vane_status run(const lab_call *call, const vane_lab_matrix *matrix, vane_lab_cell *cells,
                       vane_lab_row *rows) {
  int64_t n = (int64_t)matrix->n_problems * matrix->n_remedies;
  double began_s = vane_clock_s();
  VANE_TRY(vane_folder_create(call->folder));
  VANE_TRY(vane_lab_matrix_run(matrix, cells));
  vane_lab_table_sum_up(matrix, cells, rows);
  VANE_TRY(write_tables(call, rows, n));
  lab_warn_of_picture(vane_lab_table_draw(call->folder, rows, n));
  fprintf(stderr, "%.1f seconds; results in %s\n", vane_clock_s() - began_s, call->folder);
  return VANE_OK;
}

vane_status lab_remedies(const lab_call *call) {
  int64_t n_cells = 0;
  const vane_lab_matrix matrix = {.problems = call->problems,
                                  .n_problems = call->n_problems,
                                  .remedies = call->remedies,
                                  .n_remedies = call->n_remedies,
                                  .n_seeds = call->n_seeds,
                                  .n_jobs = call->n_jobs,
                                  .assignments = call->settings.assignments,
                                  .n_assignments = call->settings.n_assignments,
                                  .folder = call->folder,
                                  .found = show_cell,
                                  .user = &n_cells};
  n_cells = vane_lab_matrix_count(&matrix);
  vane_lab_cell *cells = calloc((size_t)n_cells, sizeof *cells);
  vane_lab_row *rows = calloc((size_t)(call->n_problems * call->n_remedies), sizeof *rows);
  vane_status status = cells && rows
                           ? run(call, &matrix, cells, rows)
                           : vane_fail(VANE_ERR_MEMORY, "no memory for %" PRId64 " runs", n_cells);
  free(rows);
  free(cells);
  return status;
}
