/* The lines of vane bench adam as a picture. gnuplot draws it: curves with logarithmic axes,
 * legends, two kinds of files. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "cli/bench_adam.h"

static bool ends_in(const char *path, const char *ending) {
  size_t length = strlen(path), n = strlen(ending);
  return length > n && strcmp(path + length - n, ending) == 0;
}

static vane_status no_gnuplot(void) {
  return vane_fail(VANE_ERR_UNSUPPORTED, "--plot wants gnuplot, which is not installed: install "
                                         "gnuplot-nox, or take --csv to another program");
}

vane_status adam_plot_check(const char *picture) {
  if (!ends_in(picture, ".png") && !ends_in(picture, ".svg"))
    return vane_fail(VANE_ERR_ARGUMENT, "--plot %s: the name ends neither in .png nor in .svg",
                     picture);
  return system("command -v gnuplot >/dev/null 2>&1") == 0 ? VANE_OK : no_gnuplot();
}

/* ---- The script ------------------------------------------------------------------------------ */

/* Between single quotes, in which a quote is written twice. */
static void quote(FILE *script, const char *text) {
  fputc('\'', script);
  for (; *text; text++)
    fprintf(script, *text == '\'' ? "''" : "%c", *text);
  fputc('\'', script);
}

/* What a curve shows of a line; not positive: nothing. */
typedef struct curve {
  const char *title;
  bool cold;
  double (*value)(const adam_line *line, const char *title);
  const char *style;
} curve;

static double adam_value(const adam_line *line, const char *title) {
  (void)title;
  return line->result.gb_per_s;
}

static double stream_value(const adam_line *line, const char *title) {
  const vane_bench_adam_result *r = &line->result;
  (void)title;
  return r->stream_gb_per_s > r->stream_past_caches_gb_per_s ? r->stream_gb_per_s
                                                             : r->stream_past_caches_gb_per_s;
}

static double peer_value(const adam_line *line, const char *title) {
  double ms = json_number_value(json_object_get(line->peers, title));
  return ms > 0 ? (double)line->result.model_bytes / (ms * 1e6) : 0;
}

static bool is_shown(const adam_line *line, const adam_line *first) {
  return line->mode == first->mode && line->what.size.n_tensors == first->what.size.n_tensors;
}

static bool is_of(const adam_line *line, const curve *c, const adam_lines *lines) {
  if (!is_shown(line, lines->line) || c->value(line, c->title) <= 0)
    return false;
  if (line->what.cold == c->cold)
    return true;
  /* Beyond caches there are only cold lines, which end the warm curve too. */
  for (int i = 0; i < lines->n; i++)
    if (is_shown(&lines->line[i], lines->line) && !lines->line[i].what.cold &&
        lines->line[i].what.size.n_parameters == line->what.size.n_parameters)
      return false;
  return !c->cold;
}

/* In whatever order: gnuplot sorts them. */
static int write_points(FILE *script, const curve *c, const adam_lines *lines, int number) {
  int n = 0;
  for (int i = 0; i < lines->n; i++) {
    const adam_line *line = &lines->line[i];
    if (!is_of(line, c, lines))
      continue;
    if (n++ == 0)
      fprintf(script, "$curve%d << end\n", number);
    fprintf(script, "%" PRId64 " %.6g\n", line->what.size.n_parameters, c->value(line, c->title));
  }
  if (n > 0)
    fputs("end\n", script);
  return n;
}

static void write_frame(FILE *script, const char *picture, const vane_device *device) {
  fprintf(script, "set terminal %s size 960,600 noenhanced\nset output ",
          ends_in(picture, ".svg") ? "svg" : "pngcairo");
  quote(script, picture);
  fputs("\nset title ", script);
  quote(script, device->description);
  fputs("\nset logscale xy\nset xlabel 'parameters'\n"
        "set ylabel 'GB/s, by the bytes that a step must move'\nset grid\n"
        "set key outside below maxrows 3\nset format x '%.0s%c'\n",
        script);
}

enum { MOST_CURVES = 24 };

static int list_curves(const adam_lines *lines, curve *curves) {
  static const char *const own[] = {"lines dashtype 2 linewidth 2 linecolor rgb '#e09090'",
                                    "linespoints pointtype 7 linewidth 2 linecolor rgb '#c02020'",
                                    "lines dashtype 2 linewidth 2 linecolor rgb '#90a8e0'",
                                    "linespoints pointtype 6 linewidth 2 linecolor rgb '#2050c0'"};
  const char *name;
  json_t *ms;
  int n = 0;
  curves[n++] = (curve){"memory (stream), warm", false, stream_value, own[0]};
  curves[n++] = (curve){"vane, warm", false, adam_value, own[1]};
  curves[n++] = (curve){"memory (stream), cold", true, stream_value, own[2]};
  curves[n++] = (curve){"vane, cold", true, adam_value, own[3]};
  json_object_foreach(lines->line->peers, name, ms) {
    if (n < MOST_CURVES)
      curves[n++] = (curve){name, false, peer_value, "linespoints"};
  }
  return n;
}

static void write_script(FILE *script, const char *picture, const vane_device *device,
                         const adam_lines *lines) {
  curve curves[MOST_CURVES];
  bool drawn[MOST_CURVES];
  const int n = list_curves(lines, curves);
  int n_drawn = 0;
  write_frame(script, picture, device);
  for (int i = 0; i < n; i++)
    drawn[i] = write_points(script, &curves[i], lines, i) > 0;
  for (int i = 0; i < n; i++)
    if (drawn[i]) {
      fprintf(script, "%s $curve%d smooth unique with %s title ", n_drawn++ ? "," : "plot", i,
              curves[i].style);
      quote(script, curves[i].title);
    }
  fputc('\n', script);
}

vane_status adam_plot(const char *picture, const vane_device *device, const adam_lines *lines) {
  fflush(stdout);
  FILE *script = popen("gnuplot", "w");
  if (!script)
    return vane_fail(VANE_ERR_IO, "gnuplot does not start: %s", strerror(errno));
  write_script(script, picture, device, lines);
  int status = pclose(script);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    return no_gnuplot();
  if (status != 0)
    return vane_fail(VANE_ERR_IO, "gnuplot could not draw %s; it says why above", picture);
  return VANE_OK;
}
