/* vane bench adam: which sizes, modes and caches are measured, in which order. */
#include "cli/bench_adam.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/json.h"
#include "optim/record.h"

#define DEFAULT_SECONDS 0.3
/* On a host, memory beyond caches is all the same; on a GPU, as much as it holds. */
#define LARGEST_ON_HOST ((int64_t)32 << 20)
/* Of the memory that there is; a host has other work too. */
#define SHARE_OF_GPU  0.95
#define SHARE_OF_HOST 0.5

/* A mode is a few settings. The first one is measured at every size. */
enum { MODE_SETTINGS = 3 };
static const struct adam_mode {
  const char *name;
  const char *settings[MODE_SETTINGS];
  bool watch;
} modes[] = {
    {"adam", {0}, false},
    {"watch", {0}, true},
    {"hat", {"optim.epsilon_mode=hat"}, false},
    {"amsgrad", {"optim.amsgrad=true"}, false},
    {"amsgrad-hat", {"optim.amsgrad=true", "optim.epsilon_mode=hat"}, false},
    {"l2", {"optim.weight_decay=0.01", "optim.decay_mode=l2"}, false},
    {"decoupled", {"optim.weight_decay=0.01", "optim.decay_mode=decoupled"}, false},
};
enum { N_MODES = sizeof modes / sizeof modes[0] };

/* 32 Mi parameters, far more than caches hold, are what claims are about (bench/report.py). */
static const int64_t sizes[] = {1000,     10000,    100000,    1000000,
                                10000000, 32 << 20, 100000000, 1000000000};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

/* Beside one tensor of each size: presets/r64.yaml, and a thousand small ones. */
static const vane_bench_size others[] = {{729158, 62}, {1000000, 1000}};
enum { N_OTHERS = sizeof others / sizeof others[0] };
static const vane_bench_size size_of_modes = {1000000, 1};

typedef struct sweep {
  const bench_call *call;
  vane_device *device;
  peer peer;
  adam_lines lines;
  int capacity;
} sweep;

/* ---- One line -------------------------------------------------------------------------------- */

/* No network is wanted here, only device.* and optim.*, so that settings_apply, which checks one,
 * is not used. */
static vane_status apply(const vane_settings *settings, vane_config *config) {
  return vane_config_set_all(config, settings->assignments, settings->n_assignments);
}

/* Applied before what the call sets, so that a call may change a mode. */
static vane_status read_mode(const sweep *s, const struct adam_mode *mode, vane_adam_desc *adam) {
  vane_config config;
  vane_config_init(&config);
  VANE_TRY(vane_config_set_all(&config, mode->settings, MODE_SETTINGS));
  VANE_TRY(apply(&s->call->settings, &config));
  vane_adam_desc_fill(&config, adam);
  return VANE_OK;
}

static vane_status fits(const sweep *s, const vane_bench_adam_case *what, bool *does) {
  size_t free_bytes;
  double share = SHARE_OF_GPU;
  VANE_TRY(s->device->memory.available(s->device, &free_bytes));
  if (free_bytes == SIZE_MAX) {
    share = SHARE_OF_HOST;
    free_bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
  }
  *does = (double)vane_bench_adam_bytes(s->device, what) < share * (double)free_bytes;
  if (!*does)
    fprintf(stderr, "%" PRId64 " parameters do not fit into memory: left out\n",
            what->size.n_parameters);
  return VANE_OK;
}

static json_t *question_of(const sweep *s, const adam_line *line) {
  const vane_bench_adam_case *what = &line->what;
  const vane_adam_desc *adam = &what->adam;
  bool gpu = s->device->asynchronous;
  return json_pack("{s:I, s:I, s:s, s:s, s:b, s:f, s:f, s:f, s:f, s:b, s:f, s:b}", "parameters",
                   (json_int_t)what->size.n_parameters, "tensors", (json_int_t)what->size.n_tensors,
                   "mode", line->mode, "device", gpu ? "cuda" : "cpu", "cold", what->cold,
                   "seconds", what->seconds, "beta1", adam->beta1, "beta2", adam->beta2, "epsilon",
                   adam->epsilon, "amsgrad", adam->amsgrad, "weight_decay", adam->weight_decay,
                   "decoupled", adam->decay_mode == VANE_DECAY_DECOUPLED);
}

static vane_status measure_own(sweep *s, adam_line *line) {
  const adam_line *before = line - 1;
  VANE_TRY(vane_bench_adam(s->device, &line->what, &line->result));
  /* Caches change no result. */
  if (line > s->lines.line && line->mode == before->mode &&
      memcmp(&line->what.size, &before->what.size, sizeof line->what.size) == 0) {
    line->ulp = before->ulp;
    return VANE_OK;
  }
  return vane_bench_adam_error(s->device, &line->what, &line->ulp);
}

/* The peer comes first: it would still be starting while we measure ourselves. */
static vane_status measure(sweep *s, adam_line *line) {
  VANE_TRY(peer_ask(&s->peer, question_of(s, line), &line->peers));
  vane_status status = measure_own(s, line);
  if (status != VANE_OK)
    json_decref(line->peers);
  return status;
}

static vane_status add_line(sweep *s, const adam_line *line) {
  if (s->lines.n == s->capacity) {
    int capacity = 2 * s->capacity + 16;
    adam_line *grown = realloc(s->lines.line, (size_t)capacity * sizeof *grown);
    if (!grown)
      return vane_fail(VANE_ERR_MEMORY, "no memory for %d lines", capacity);
    s->lines.line = grown;
    s->capacity = capacity;
  }
  adam_line *last = &s->lines.line[s->lines.n];
  *last = *line;
  VANE_TRY(measure(s, last));
  if (++s->lines.n == 1)
    adam_show_heading(s->call->format, s->device, last);
  adam_show_line(s->call->format, last, s->lines.line);
  return VANE_OK;
}

/* ---- All lines ------------------------------------------------------------------------------- */

/* Warm and cold, of which a large size knows only the second. */
static vane_status sweep_caches(sweep *s, const struct adam_mode *mode,
                                const vane_bench_size *size) {
  const char *caches = s->call->caches;
  adam_line line = {.mode = mode->name, .what = {.size = *size, .watch = mode->watch}};
  line.what.seconds = s->call->seconds > 0 ? s->call->seconds : DEFAULT_SECONDS;
  VANE_TRY(read_mode(s, mode, &line.what.adam));
  for (int cold = 0; cold <= 1; cold++) {
    bool does = false, large = vane_bench_adam_is_large(s->device, &line.what);
    if (!cold ? large || (caches && strcmp(caches, "cold") == 0)
              : !large && caches && strcmp(caches, "warm") == 0)
      continue;
    line.what.cold = cold;
    VANE_TRY(fits(s, &line.what, &does));
    if (does)
      VANE_TRY(add_line(s, &line));
  }
  return VANE_OK;
}

/* Whether `name` stands at `at` in a list with commas. */
static bool is_named(const char *at, const char *name) {
  size_t length = strlen(name);
  return strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0');
}

/* The next name of the list, NULL behind the last. */
static const char *next_name(const char *at) {
  const char *comma = strchr(at, ',');
  return comma ? comma + 1 : NULL;
}

/* "all", or names with commas between them. */
static bool is_chosen(const char *names, const char *name) {
  if (strcmp(names, "all") == 0)
    return true;
  for (const char *at = names; at; at = next_name(at))
    if (is_named(at, name))
      return true;
  return false;
}

static vane_status sweep_modes(sweep *s, const vane_bench_size *size) {
  if (size->n_tensors > size->n_parameters)
    return VANE_OK;
  for (int i = 0; i < N_MODES; i++)
    if (s->call->modes ? is_chosen(s->call->modes, modes[i].name) : i == 0)
      VANE_TRY(sweep_caches(s, &modes[i], size));
  return VANE_OK;
}

static int64_t largest_of(const sweep *s) {
  if (s->call->largest > 0)
    return s->call->largest;
  return s->device->asynchronous ? INT64_MAX : LARGEST_ON_HOST;
}

/* The call's numbers of parameters and tensors, each with each. */
static vane_status sweep_sizes(sweep *s, bool *is_default) {
  const bench_counts *parameters = &s->call->parameters, *tensors = &s->call->tensors;
  const int64_t *counts = parameters->n ? parameters->count : sizes;
  const int n = parameters->n ? parameters->n : N_SIZES;
  *is_default = !parameters->n && !tensors->n && !s->call->modes;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < (tensors->n ? tensors->n : 1); j++) {
      const vane_bench_size size = {counts[i], tensors->n ? tensors->count[j] : 1};
      if (parameters->n || counts[i] <= largest_of(s))
        VANE_TRY(sweep_modes(s, &size));
    }
  return VANE_OK;
}

static vane_status sweep_all(sweep *s) {
  bool is_default;
  VANE_TRY(sweep_sizes(s, &is_default));
  if (!is_default)
    return VANE_OK;
  for (int i = 0; i < N_OTHERS; i++)
    if (others[i].n_parameters <= largest_of(s))
      VANE_TRY(sweep_modes(s, &others[i]));
  for (int i = 1; i < N_MODES && size_of_modes.n_parameters <= largest_of(s); i++)
    VANE_TRY(sweep_caches(s, &modes[i], &size_of_modes));
  return VANE_OK;
}

/* ---- The call -------------------------------------------------------------------------------- */

static vane_status no_mode(const char *at) {
  char known[512];
  size_t used = 0;
  for (int i = 0; i < N_MODES; i++)
    used +=
        (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", modes[i].name);
  return vane_fail(VANE_ERR_ARGUMENT, "--modes: there is no mode \"%.*s\"; say all, or some of %s",
                   (int)strcspn(at, ","), at, known);
}

static vane_status check_modes(const char *names) {
  if (!names || strcmp(names, "all") == 0)
    return VANE_OK;
  for (const char *at = names; at; at = next_name(at)) {
    int i = 0;
    while (i < N_MODES && !is_named(at, modes[i].name))
      i++;
    if (i == N_MODES)
      return no_mode(at);
  }
  return VANE_OK;
}

static vane_status check_call(const bench_call *call) {
  VANE_TRY(check_modes(call->modes));
  if (call->caches && strcmp(call->caches, "warm") != 0 && strcmp(call->caches, "cold") != 0 &&
      strcmp(call->caches, "both") != 0)
    return vane_fail(VANE_ERR_ARGUMENT, "--caches %s: say warm, cold or both", call->caches);
  return call->plot ? adam_plot_check(call->plot) : VANE_OK;
}

static vane_status run_sweep(sweep *s) {
  vane_status status = peer_open(&s->peer, s->call->peer);
  if (status == VANE_OK)
    status = sweep_all(s);
  peer_close(&s->peer);
  VANE_TRY(status);
  if (s->lines.n == 0)
    return vane_fail(VANE_ERR_ARGUMENT, "bench adam: no size is left to measure");
  if (s->call->format == BENCH_JSON)
    json_print(adam_lines_json(s->device, &s->lines));
  return s->call->plot ? adam_plot(s->call->plot, s->device, &s->lines) : VANE_OK;
}

vane_status bench_adam(const bench_call *call) {
  vane_config config;
  sweep s = {.call = call};
  VANE_TRY(check_call(call));
  vane_config_init(&config);
  VANE_TRY(apply(&call->settings, &config));
  vane_device_options options = vane_device_options_from_config(&config);
  VANE_TRY(vane_device_open(&options, &s.device));
  vane_status status = run_sweep(&s);
  for (int i = 0; i < s.lines.n; i++)
    json_decref(s.lines.line[i].peers);
  free(s.lines.line);
  vane_device_close(s.device);
  return status;
}
