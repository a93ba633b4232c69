#include "data/labels_csv.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

#define RADIANS_PER_DEGREE 0.017453292519943295769236907684886
#define MAX_FIELDS         32

enum { FILE_COLUMN, PRESENT, ANGLE, MAGNITUDE, X, Y, N_COLUMNS };
static const char *const column_names[N_COLUMNS] = {"file",      "present", "angle",
                                                    "magnitude", "x",       "y"};

typedef struct csv_row {
  const char *file; /* borrowed from the table's text */
  vane_labels labels;
} csv_row;

struct vane_labels_csv {
  char *text; /* the file, its separators replaced by zero bytes */
  csv_row *rows;
  int64_t n_rows, capacity;
};

/* Where the reader stands. */
typedef struct csv_reader {
  const char *path;
  int64_t line;
  int64_t field_of[N_COLUMNS]; /* -1: the file has no such column */
  int64_t n_fields;
  bool degrees;
} csv_reader;

/* Cuts a line at its commas. */
static vane_status split(const csv_reader *reader, char *line, char **fields, int64_t *n_fields) {
  *n_fields = 0;
  for (char *next = line; next;) {
    if (*n_fields == MAX_FIELDS)
      return vane_fail(VANE_ERR_FORMAT, "%s:%" PRId64 ": more than %d columns", reader->path,
                       reader->line, MAX_FIELDS);
    fields[(*n_fields)++] = next;
    next = strchr(next, ',');
    if (next)
      *next++ = 0;
  }
  return VANE_OK;
}

static vane_status read_header(csv_reader *reader, char *line) {
  char *fields[MAX_FIELDS];
  VANE_TRY(split(reader, line, fields, &reader->n_fields));
  for (int c = 0; c < N_COLUMNS; c++) {
    reader->field_of[c] = -1;
    for (int64_t i = 0; i < reader->n_fields; i++)
      if (strcmp(fields[i], column_names[c]) == 0)
        reader->field_of[c] = i;
  }
  if (reader->field_of[FILE_COLUMN] < 0)
    return vane_fail(VANE_ERR_FORMAT,
                     "%s:%" PRId64 ": no column 'file'; the first line names the columns: "
                     "file,present,angle,magnitude,x,y",
                     reader->path, reader->line);
  return VANE_OK;
}

/* A number; `known` is false where the column is missing or the field empty. */
static vane_status read_number(const csv_reader *reader, char *const *fields, int column,
                               double *number, bool *known) {
  const char *text = reader->field_of[column] < 0 ? "" : fields[reader->field_of[column]];
  *known = text[0] != 0;
  if (!*known)
    return VANE_OK;
  char *end;
  *number = strtod(text, &end);
  if (end == text || *end || !isfinite((float)*number))
    return vane_fail(VANE_ERR_FORMAT, "%s:%" PRId64 ": %s '%s' is not a number", reader->path,
                     reader->line, column_names[column], text);
  return VANE_OK;
}

static vane_status read_labels(const csv_reader *reader, char *const *fields, vane_labels *labels) {
  double numbers[N_COLUMNS] = {0};
  bool known[N_COLUMNS] = {false};
  for (int c = PRESENT; c < N_COLUMNS; c++)
    VANE_TRY(read_number(reader, fields, c, &numbers[c], &known[c]));
  if (!known[PRESENT])
    numbers[PRESENT] = 1.0;
  if (numbers[PRESENT] != 0.0 && numbers[PRESENT] != 1.0)
    return vane_fail(VANE_ERR_FORMAT, "%s:%" PRId64 ": present is %g; 0 and 1 are expected",
                     reader->path, reader->line, numbers[PRESENT]);
  *labels = (vane_labels){.present = (float)numbers[PRESENT], .known = VANE_LABEL_PRESENT};
  if (numbers[PRESENT] == 0.0)
    return VANE_OK;
  if (known[ANGLE]) {
    labels->angle = (float)(reader->degrees ? remainder(numbers[ANGLE], 360.0) * RADIANS_PER_DEGREE
                                            : numbers[ANGLE]);
    labels->known |= VANE_LABEL_ANGLE;
  }
  if (known[MAGNITUDE]) {
    labels->magnitude = (float)numbers[MAGNITUDE];
    labels->known |= VANE_LABEL_MAGNITUDE;
  }
  if (known[X] && known[Y]) {
    labels->x = (float)numbers[X];
    labels->y = (float)numbers[Y];
    labels->known |= VANE_LABEL_POSITION;
  }
  return VANE_OK;
}

static vane_status read_row(const csv_reader *reader, char *line, vane_labels_csv *table) {
  char *fields[MAX_FIELDS];
  int64_t n_fields;
  VANE_TRY(split(reader, line, fields, &n_fields));
  if (n_fields != reader->n_fields)
    return vane_fail(VANE_ERR_FORMAT,
                     "%s:%" PRId64 ": %" PRId64 " columns, but the first line has %" PRId64,
                     reader->path, reader->line, n_fields, reader->n_fields);
  if (table->n_rows == table->capacity) {
    int64_t capacity = table->capacity ? 2 * table->capacity : 256;
    csv_row *rows = realloc(table->rows, (size_t)capacity * sizeof *rows);
    if (!rows)
      return vane_fail(VANE_ERR_MEMORY, "%s: no memory for its labels", reader->path);
    table->rows = rows;
    table->capacity = capacity;
  }
  csv_row *row = &table->rows[table->n_rows++];
  row->file = fields[reader->field_of[FILE_COLUMN]];
  return read_labels(reader, fields, &row->labels);
}

static int compare_rows(const void *a, const void *b) {
  return strcmp(((const csv_row *)a)->file, ((const csv_row *)b)->file);
}

static vane_status read_lines(csv_reader *reader, vane_labels_csv *table) {
  for (char *line = table->text; line && *line;) {
    reader->line++;
    char *next = strchr(line, '\n');
    if (next)
      *next++ = 0;
    line[strcspn(line, "\r")] = 0;
    if (reader->line == 1)
      VANE_TRY(read_header(reader, line));
    else if (line[0])
      VANE_TRY(read_row(reader, line, table));
    line = next;
  }
  if (reader->line == 0)
    return vane_fail(VANE_ERR_FORMAT, "%s: the file is empty", reader->path);
  if (table->n_rows > 1)
    qsort(table->rows, (size_t)table->n_rows, sizeof *table->rows, compare_rows);
  for (int64_t i = 1; i < table->n_rows; i++)
    if (strcmp(table->rows[i - 1].file, table->rows[i].file) == 0)
      return vane_fail(VANE_ERR_FORMAT, "%s: two lines for '%s'", reader->path,
                       table->rows[i].file);
  return VANE_OK;
}

vane_status vane_labels_csv_read(const char *path, bool degrees, vane_labels_csv **table_out) {
  vane_labels_csv *table = calloc(1, sizeof *table);
  if (!table)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory for its labels", path);
  unsigned char *text = NULL;
  size_t n_bytes;
  vane_status status = vane_file_read(path, &text, &n_bytes);
  table->text = (char *)text;
  csv_reader reader = {.path = path, .degrees = degrees};
  if (status == VANE_OK && strlen(table->text) != n_bytes)
    status = vane_fail(VANE_ERR_FORMAT, "%s: not a text file", path);
  if (status == VANE_OK)
    status = read_lines(&reader, table);
  if (status != VANE_OK) {
    vane_labels_csv_destroy(table);
    return status;
  }
  *table_out = table;
  return VANE_OK;
}

void vane_labels_csv_destroy(vane_labels_csv *table) {
  if (!table)
    return;
  free(table->rows);
  free(table->text);
  free(table);
}

bool vane_labels_csv_find(const vane_labels_csv *table, const char *file, vane_labels *labels) {
  if (table->n_rows == 0)
    return false;
  csv_row wanted = {.file = file};
  const csv_row *row =
      bsearch(&wanted, table->rows, (size_t)table->n_rows, sizeof *table->rows, compare_rows);
  if (row)
    *labels = row->labels;
  return row != NULL;
}
