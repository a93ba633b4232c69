/* The lines of vane bench adam, for people, as CSV and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "cli/bench_adam.h"
#include "cli/json.h"

static const char *cache_of(const adam_line *line) {
  return line->what.cold ? "cold" : "warm";
}

static double worst_of(const vane_bench_ulp *ulp) {
  const double theta_m = ulp->theta > ulp->m ? ulp->theta : ulp->m;
  return theta_m > ulp->v ? theta_m : ulp->v;
}

/* ---- For people ------------------------------------------------------------------------------ */

static void table_heading(const vane_device *device, const adam_line *first) {
  const char *name;
  json_t *ms;
  printf("device: %s, %s\n", device->name, device->description);
  printf("GB/s by the bytes that a step must move; stream: memory read and written alike, with "
         "ordinary stores and past the caches\n");
  printf("%10s %7s %-11s %-5s %9s %9s %8s %7s %15s %6s %5s %8s", "parameters", "tensors", "mode",
         "cache", "ms", "fastest", "MB", "GB/s", "stream GB/s", "share", "ULP", "launches");
  json_object_foreach(first->peers, name, ms) printf("  %20s", name);
  putchar('\n');
}

static void table_line(const adam_line *line, const adam_line *first) {
  const vane_bench_adam_result *r = &line->result;
  const char *name;
  json_t *ms;
  printf("%10" PRId64 " %7" PRId64 " %-11s %-5s %9.4f %9.4f %8.3f %7.2f %7.2f %7.2f %6.3f %5.2f",
         line->what.size.n_parameters, line->what.size.n_tensors, line->mode, cache_of(line), r->ms,
         r->fastest_ms, (double)r->model_bytes / 1e6, r->gb_per_s, r->stream_gb_per_s,
         r->stream_past_caches_gb_per_s, r->share, worst_of(&line->ulp));
  if (r->launches > 0)
    printf(" %8" PRId64, r->launches);
  else
    printf(" %8s", "-");
  json_object_foreach(first->peers, name, ms) {
    double theirs = json_number_value(json_object_get(line->peers, name));
    if (theirs > 0)
      printf("  %9.4f ms %6.2f x", theirs, theirs / r->ms);
    else
      printf("  %20s", "-");
  }
  putchar('\n');
  fflush(stdout);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

/* In quotes where the text asks for them (RFC 4180). */
static void csv_text(const char *text) {
  if (!strpbrk(text, ",\"\n")) {
    fputs(text, stdout);
    return;
  }
  putchar('"');
  for (; *text; text++)
    printf(*text == '"' ? "\"\"" : "%c", *text);
  putchar('"');
}

static void csv_heading(const adam_line *first) {
  const char *name;
  json_t *ms;
  fputs("parameters,tensors,mode,cache,ms,fastest_ms,model_bytes,gb_per_s,stream_gb_per_s,"
        "stream_past_caches_gb_per_s,share,ulp_theta,ulp_m,ulp_v,launches,rounds",
        stdout);
  json_object_foreach(first->peers, name, ms) {
    putchar(',');
    csv_text(name);
  }
  putchar('\n');
}

static void csv_line(const adam_line *line, const adam_line *first) {
  const vane_bench_adam_result *r = &line->result;
  const char *name;
  json_t *ms;
  printf("%" PRId64 ",%" PRId64 ",%s,%s,%.6g,%.6g,%" PRId64 ",%.6g,%.6g,%.6g,%.6g,%.4g,%.4g,%.4g,",
         line->what.size.n_parameters, line->what.size.n_tensors, line->mode, cache_of(line), r->ms,
         r->fastest_ms, r->model_bytes, r->gb_per_s, r->stream_gb_per_s,
         r->stream_past_caches_gb_per_s, r->share, line->ulp.theta, line->ulp.m, line->ulp.v);
  if (r->launches > 0)
    printf("%" PRId64, r->launches);
  printf(",%" PRId64, r->rounds);
  json_object_foreach(first->peers, name, ms) {
    double theirs = json_number_value(json_object_get(line->peers, name));
    putchar(',');
    if (theirs > 0)
      printf("%.6g", theirs);
  }
  putchar('\n');
  fflush(stdout);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *line_json(const adam_line *line) {
  const vane_bench_adam_result *r = &line->result;
  json_t *ulp = json_pack("{s:o, s:o, s:o}", "theta", json_of_number(line->ulp.theta), "m",
                          json_of_number(line->ulp.m), "v", json_of_number(line->ulp.v));
  return json_pack(
      "{s:I, s:I, s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:O?}", "parameters",
      (json_int_t)line->what.size.n_parameters, "tensors", (json_int_t)line->what.size.n_tensors,
      "mode", line->mode, "cache", cache_of(line), "ms", json_of_number(r->ms), "fastest_ms",
      json_of_number(r->fastest_ms), "model_bytes", (json_int_t)r->model_bytes, "gb_per_s",
      json_of_number(r->gb_per_s), "stream_gb_per_s", json_of_number(r->stream_gb_per_s),
      "stream_past_caches_gb_per_s", json_of_number(r->stream_past_caches_gb_per_s), "share",
      json_of_number(r->share), "ulp", ulp, "launches",
      r->launches > 0 ? json_integer(r->launches) : json_null(), "rounds", (json_int_t)r->rounds,
      "peers", line->peers);
}

json_t *adam_lines_json(const vane_device *device, const adam_lines *lines) {
  json_t *list = json_array();
  for (int i = 0; i < lines->n; i++)
    json_array_append_new(list, line_json(&lines->line[i]));
  return json_pack("{s:s, s:o, s:o}", "device", device->name, "description",
                   json_of_text(device->description), "lines", list);
}

/* ---- Which of them --------------------------------------------------------------------------- */

void adam_show_heading(bench_format format, const vane_device *device, const adam_line *first) {
  if (format == BENCH_TABLE)
    table_heading(device, first);
  else if (format == BENCH_CSV)
    csv_heading(first);
}

void adam_show_line(bench_format format, const adam_line *line, const adam_line *first) {
  if (format == BENCH_TABLE)
    table_line(line, first);
  else if (format == BENCH_CSV)
    csv_line(line, first);
}
