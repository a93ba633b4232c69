#include "lab/matrix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "lab/experiment.h"
#include "lab/outcome_json.h"
#include "lab/workers.h"

#define RESULTS "cells.jsonl"

typedef struct matrix_run {
  const vane_lab_matrix *matrix;
  vane_lab_cell *cells;
  int64_t *todo; /* cells that have to be run; owned */
  int64_t n_todo, n_done;
  FILE *results;
} matrix_run;

int64_t vane_lab_matrix_count(const vane_lab_matrix *matrix) {
  return (int64_t)matrix->n_problems * matrix->n_remedies * matrix->n_seeds;
}

static vane_lab_cell cell_at(const vane_lab_matrix *matrix, int64_t i) {
  int64_t remedy = i / matrix->n_seeds;
  return (vane_lab_cell){.problem = matrix->problems[remedy / matrix->n_remedies],
                         .remedy = matrix->remedies[remedy % matrix->n_remedies],
                         .seed = i % matrix->n_seeds + 1};
}

static vane_status configure(const vane_lab_matrix *matrix, const vane_lab_cell *cell,
                             vane_config *config) {
  return vane_lab_remedy_configure(cell->problem, cell->remedy, cell->seed, matrix->assignments,
                                   matrix->n_assignments, config);
}

/* --- what is known already --- */

/* A number for the settings of a cell (FNV-1a, 64 bits): a result counts for the very same ones. */
static vane_status fingerprint(const vane_lab_matrix *matrix, const vane_lab_cell *cell,
                               char text[17]) {
  vane_config config;
  char *settings;
  VANE_TRY(configure(matrix, cell, &config));
  VANE_TRY(vane_config_print(&config, &settings));
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char *c = settings; *c; c++)
    hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
  free(settings);
  snprintf(text, 17, "%016" PRIx64, hash);
  return VANE_OK;
}

static bool equals(const json_t *object, const char *key, const char *text) {
  const char *found = json_string_value(json_object_get(object, key));
  return found && strcmp(found, text) == 0;
}

/* Takes a line of results over into the cell that it belongs to, if there is one. */
static vane_status take_over(const matrix_run *run, const json_t *line) {
  for (int64_t i = 0; i < vane_lab_matrix_count(run->matrix); i++) {
    vane_lab_cell *cell = &run->cells[i];
    if (!equals(line, "problem", cell->problem->name) ||
        !equals(line, "remedy", cell->remedy->name) ||
        json_integer_value(json_object_get(line, "seed")) != cell->seed)
      continue;
    char settings[17];
    VANE_TRY(fingerprint(run->matrix, cell, settings));
    vane_lab_outcome outcome;
    if (equals(line, "settings", settings) &&
        vane_lab_outcome_from_json(json_object_get(line, "outcome"), &outcome)) {
      cell->outcome = outcome;
      cell->done = true;
    }
  }
  return VANE_OK;
}

/* Reads the results of earlier runs. A line that breaks off, because vane was killed while it was
 * written, is cut off. */
static vane_status read_results(const matrix_run *run, const char *path) {
  if (!vane_file_exists(path))
    return VANE_OK;
  unsigned char *bytes;
  size_t n_bytes;
  VANE_TRY(vane_file_read(path, &bytes, &n_bytes));
  char *text = (char *)bytes;
  vane_status status = VANE_OK;
  char *line = text;
  for (char *end; status == VANE_OK && (end = strchr(line, '\n')); line = end + 1) {
    json_t *object = json_loadb(line, (size_t)(end - line), 0, NULL);
    if (object)
      status = take_over(run, object);
    json_decref(object);
  }
  if (status == VANE_OK && *line && truncate(path, (off_t)(line - text)) != 0)
    status = vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno),
                               "%s: cannot cut off a line that is not whole", path);
  free(bytes);
  return status;
}

/* --- a cell --- */

static vane_status run_cell(void *user, int64_t task, const vane_lab_mouth *mouth) {
  const matrix_run *run = user;
  const vane_lab_cell *cell = &run->cells[run->todo[task]];
  const vane_lab_options options = {.tell = NULL};
  vane_config config;
  vane_lab_curve curve;
  vane_lab_outcome outcome;
  VANE_TRY(configure(run->matrix, cell, &config));
  VANE_TRY(vane_lab_experiment(&config, &options, NULL, &curve));
  vane_lab_curve_judge(&curve, cell->problem->scale, &outcome);
  vane_lab_curve_finish(&curve);
  return vane_lab_say_json(mouth, vane_lab_outcome_to_json(&outcome));
}

static vane_status keep(const matrix_run *run, const vane_lab_cell *cell) {
  char settings[17];
  VANE_TRY(fingerprint(run->matrix, cell, settings));
  json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:o}", "problem", cell->problem->name, "remedy",
                             cell->remedy->name, "seed", (json_int_t)cell->seed, "settings",
                             settings, "outcome", vane_lab_outcome_to_json(&cell->outcome));
  char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (!line)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a result");
  bool written = fprintf(run->results, "%s\n", line) > 0 && fflush(run->results) == 0;
  free(line);
  return written ? VANE_OK
                 : vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno),
                                     "%s/" RESULTS ": cannot be written", run->matrix->folder);
}

static vane_status hear(void *user, int64_t task, const char *line) {
  matrix_run *run = user;
  vane_lab_cell *cell = &run->cells[run->todo[task]];
  json_t *object = json_loads(line, 0, NULL);
  cell->done = object && vane_lab_outcome_from_json(object, &cell->outcome);
  json_decref(object);
  if (!cell->done)
    return vane_fail(VANE_ERR_FORMAT, "a task said what nobody understands: %s", line);
  VANE_TRY(keep(run, cell));
  run->n_done++;
  if (run->matrix->found)
    run->matrix->found(run->matrix->user, cell, run->n_done);
  return VANE_OK;
}

/* --- all of them --- */

static vane_status run_todo(matrix_run *run, const char *path) {
  int64_t count = vane_lab_matrix_count(run->matrix);
  run->todo = malloc((size_t)count * sizeof *run->todo);
  if (!run->todo)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a list of %" PRId64 " cells", count);
  for (int64_t i = 0; i < count; i++)
    if (!run->cells[i].done)
      run->todo[run->n_todo++] = i;
  run->n_done = count - run->n_todo;
  run->results = fopen(path, "a");
  if (!run->results)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot be opened", path);
  const vane_lab_workers workers = {.work = run_cell, .hear = hear, .user = run};
  vane_status status = vane_lab_workers_run(&workers, run->n_todo, run->matrix->n_jobs);
  if (fclose(run->results) != 0 && status == VANE_OK)
    status = vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot be written", path);
  return status;
}

vane_status vane_lab_matrix_run(const vane_lab_matrix *matrix, vane_lab_cell *cells) {
  matrix_run run = {.matrix = matrix, .cells = cells};
  char path[1200];
  snprintf(path, sizeof path, "%s/" RESULTS, matrix->folder);
  for (int64_t i = 0; i < vane_lab_matrix_count(matrix); i++)
    cells[i] = cell_at(matrix, i);
  VANE_TRY(read_results(&run, path));
  vane_status status = run_todo(&run, path);
  free(run.todo);
  return status;
}
