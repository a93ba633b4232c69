/* The picture of vane lab haywire: a gnuplot script beside the CSV files that it reads. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lab/files.h"
#include "lab/haywire.h"

#define SCRIPT       "haywire.gp"
#define PANEL_WIDTH  520
#define PANEL_HEIGHT 360

/* True where the k-th problem of the findings begins at `i`. */
static bool begins_problem(const vane_lab_finding *findings, int64_t i) {
  for (int64_t j = 0; j < i; j++)
    if (findings[j].problem == findings[i].problem)
      return false;
  return true;
}

static int64_t count_problems(const vane_lab_finding *findings, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++)
    count += begins_problem(findings, i);
  return count;
}

static void plot(FILE *script, const vane_lab_finding *finding, int column, const char *style,
                 const char *title, bool first) {
  char path[1200];
  vane_lab_curve_path(".", finding, path, sizeof path);
  fprintf(script, "%s'%s' using 1:%d with lines %s ", first ? "plot " : ", \\\n     ", path, column,
          style);
  if (title)
    fprintf(script, "title '%s'", title);
  else
    fprintf(script, "notitle");
}

static void draw_losses(FILE *script, const vane_lab_finding *findings, int64_t n, int64_t begin) {
  const vane_lab_finding *one = &findings[begin];
  fprintf(script, "set title '%s: lr %g, epsilon %g%s' noenhanced\nset ylabel 'loss'\n",
          one->problem->name, one->lr, one->epsilon,
          one->epsilon_mode == VANE_EPSILON_HAT ? ", hat" : "");
  bool first = true;
  for (int64_t i = 0; i < n; i++) {
    if (findings[i].problem != one->problem)
      continue;
    char title[64], style[32];
    snprintf(title, sizeof title, "seed %" PRId64 "%s", findings[i].seed,
             findings[i].restarted_at ? ", restarted" : "");
    snprintf(style, sizeof style, "lw 1 lc %" PRId64 " dt %d", findings[i].seed,
             findings[i].restarted_at ? 3 : 1);
    plot(script, &findings[i], 3, style, title, first);
    first = false;
  }
  fprintf(script, "\n");
}

static void draw_curvatures(FILE *script, const vane_lab_finding *findings, int64_t n,
                            int64_t begin) {
  fprintf(script, "set title ''\nset ylabel 'curvature in Adam''s metric'\n");
  bool first = true;
  for (int64_t i = 0; i < n; i++) {
    if (findings[i].problem != findings[begin].problem || findings[i].restarted_at)
      continue;
    char style[32];
    snprintf(style, sizeof style, "lw 1 lc %" PRId64, findings[i].seed);
    plot(script, &findings[i], 4, style, NULL, first);
    first = false;
  }
  plot(script, &findings[begin], 5, "lw 2 lc rgb 'black'", "limit", first);
  fprintf(script, "\n");
}

static void print_script(FILE *script, const vane_lab_finding *findings, int64_t n,
                         bool curvatures) {
  int64_t n_problems = count_problems(findings, n);
  fprintf(script,
          "set terminal pngcairo size %" PRId64 ",%d font ',10'\n"
          "set output 'haywire.png'\n"
          "set datafile separator ','\nset datafile missing ''\n"
          "set logscale xy\nset autoscale xfix\nset format y '%%.0e'\nset xlabel 'step'\n"
          "set key left bottom\nset grid lc rgb '#dddddd'\n"
          "set offsets graph 0, graph 0, graph 0.05, graph 0\n"
          "set multiplot layout %d,%" PRId64 "\n",
          n_problems * PANEL_WIDTH, (curvatures ? 2 : 1) * PANEL_HEIGHT, curvatures ? 2 : 1,
          n_problems);
  for (int64_t i = 0; i < n; i++)
    if (begins_problem(findings, i))
      draw_losses(script, findings, n, i);
  for (int64_t i = 0; curvatures && i < n; i++)
    if (begins_problem(findings, i))
      draw_curvatures(script, findings, n, i);
  fprintf(script, "unset multiplot\n");
}

vane_status vane_lab_haywire_draw(const char *folder, const vane_lab_finding *findings, int64_t n) {
  vane_lab_text script;
  bool curvatures = false;
  for (int64_t i = 0; i < n; i++)
    curvatures = curvatures || findings[i].outcome.strain > 0;
  VANE_TRY(vane_lab_text_open(&script));
  print_script(script.stream, findings, n, curvatures);
  return vane_lab_draw(&script, folder, SCRIPT);
}
