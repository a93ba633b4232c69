/* The table of vane bench adam: what a line is, and how lines are shown. */
#ifndef VANE_CLI_BENCH_ADAM_H
#define VANE_CLI_BENCH_ADAM_H

#include <stdio.h>

#include "cli/bench.h"
#include "cli/peer.h"
#include "train/bench_adam.h"

typedef struct adam_line {
  const char *mode;
  vane_bench_adam_case what;
  vane_bench_adam_result result;
  vane_bench_ulp ulp;
  json_t *peers; /* name: milliseconds of a step, or null; NULL where no peer was asked */
} adam_line;

typedef struct adam_lines {
  adam_line *line;
  int n;
} adam_lines;

/* bench_adam_show.c: the heading, which names the peers of the first line, and one line at a time;
 * as a table for people or as CSV. Then all lines as a JSON object, which is released. */
void adam_show_heading(bench_format format, const vane_device *device, const adam_line *first);
void adam_show_line(bench_format format, const adam_line *line, const adam_line *first);
json_t *adam_lines_json(const vane_device *device, const adam_lines *lines);

/* bench_adam_plot.c: bandwidth over the number of parameters, of the first mode and number of
 * tensors, as a picture by gnuplot: PNG or SVG, as the file's name ends. adam_plot_check says
 * before anything is measured whether that will work: VANE_ERR_ARGUMENT for another ending,
 * VANE_ERR_UNSUPPORTED without gnuplot. */
VANE_CHECKED
vane_status adam_plot_check(const char *picture);
VANE_CHECKED
vane_status adam_plot(const char *picture, const vane_device *device, const adam_lines *lines);

#endif
