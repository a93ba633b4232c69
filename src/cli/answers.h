/* Answers on standard output: a table for people, CSV and JSON lines for programs. */
#ifndef VANE_CLI_ANSWERS_H
#define VANE_CLI_ANSWERS_H

#include "net/answer.h"

typedef enum vane_answer_format { ANSWERS_TABLE, ANSWERS_CSV, ANSWERS_JSON } vane_answer_format;

/* `name_width`: characters of the longest image name, for the table. */
void answers_print_header(vane_answer_format format, int name_width);
void answers_print(vane_answer_format format, int name_width, const char *name,
                   const vane_answer *answer);

#endif
