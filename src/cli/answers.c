#include "cli/answers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/json.h"

#define DEGREES_PER_RADIAN 57.295779513082320876798154814105

static void print_json(const char *name, const vane_answer *answer) {
  json_print(json_pack("{s:o, s:o, s:o, s:o, s:o, s:[o, o]}", "image", json_of_text(name),
                       "present", json_of_number(answer->present), "angle_deg",
                       json_of_number(answer->angle * DEGREES_PER_RADIAN), "angle_std_deg",
                       json_of_number(answer->angle_std * DEGREES_PER_RADIAN), "magnitude",
                       json_of_number(answer->magnitude), "position", json_of_number(answer->x),
                       json_of_number(answer->y)));
}

/* --- CSV (RFC 4180) --- */

static void print_field(const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, stdout);
    return;
  }
  putchar('"');
  for (; *text; text++) {
    if (*text == '"')
      putchar('"');
    putchar(*text);
  }
  putchar('"');
}

static void print_csv(const char *name, const vane_answer *answer) {
  const double values[] = {answer->present,
                           answer->angle * DEGREES_PER_RADIAN,
                           answer->angle_std * DEGREES_PER_RADIAN,
                           answer->magnitude,
                           answer->x,
                           answer->y};
  print_field(name);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    putchar(',');
    if (isfinite(values[i]))
      printf("%.10g", values[i]);
  }
  putchar('\n');
}

/* --- the table --- */

static void print_cell(int width, int digits, double value) {
  if (isfinite(value))
    printf("  %*.*f", width, digits, value);
  else
    printf("  %*s", width, "-");
}

static void print_row(int name_width, const char *name, const vane_answer *answer) {
  printf("%-*s", name_width, name);
  print_cell(9, 1, 100 * answer->present);
  print_cell(8, 1, answer->angle * DEGREES_PER_RADIAN);
  print_cell(6, 1, answer->angle_std * DEGREES_PER_RADIAN);
  print_cell(9, 3, answer->magnitude);
  print_cell(8, 2, answer->x);
  print_cell(8, 2, answer->y);
  putchar('\n');
}

/* --- all three --- */

void answers_print_header(vane_answer_format format, int name_width) {
  if (format == ANSWERS_CSV)
    printf("image,present,angle_deg,angle_std_deg,magnitude,x,y\n");
  if (format == ANSWERS_TABLE)
    printf("%-*s  %9s  %8s  %6s  %9s  %8s  %8s\n", name_width, "image", "present %", "angle deg",
           "std", "magnitude", "x", "y");
}

void answers_print(vane_answer_format format, int name_width, const char *name,
                   const vane_answer *answer) {
  switch (format) {
  case ANSWERS_TABLE:
    print_row(name_width, name, answer);
    break;
  case ANSWERS_CSV:
    print_csv(name, answer);
    break;
  case ANSWERS_JSON:
    print_json(name, answer);
    break;
  }
}
