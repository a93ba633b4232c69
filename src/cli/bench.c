/* vane bench: a training step, Adam, and the way from records to batches, measured. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/bench.h"
#include "cli/count_allocations.h"
#include "cli/json.h"
#include "train/bench_data.h"
#include "train/bench_step.h"

static const char help[] =
    "usage: vane bench step CONFIG [--steps N]\n"
    "       vane bench adam [--parameters N,...] [--tensors N,...] [--modes NAME,...] [--csv]\n"
    "                       [--caches warm|cold] [--largest N] [--seconds S] [--peer COMMAND]\n"
    "                       [--plot FILE]\n"
    "       vane bench data CONFIG [--batches N]\n"
    "       each with [--set KEY=VALUE]... [--device KIND] [--json]\n\n"
    "step  the median time of N training steps (default 20) on batches read beforehand, and how\n"
    "      often memory was allocated in them; on a GPU also that of a step among steps which\n"
    "      nobody waits for, and the host's part in it; where the guard is not off also that of\n"
    "      its probe\n"
    "adam  fused Adam, a line for each size, mode and state of the caches: the time of a step,\n"
    "      the bytes that it must move, its share of what memory does with as many bytes in the\n"
    "      same moments (STREAM with Adam's reads and writes), what it is off from the formulas\n"
    "      in double; without options 1,000 to 32 Mi parameters (a GPU: to what it holds), R64's\n"
    "      62 tensors, a thousand tensors, and every mode once\n"
    "data  images per second from the configuration's training source to N batches (default "
    "100)\n\n"
    "  --set KEY=VALUE  change one setting, such as train.batch=64 or device.threads=1\n"
    "  --device KIND    auto, cpu, ref or cuda\n"
    "  --json           one JSON object instead of a table\n"
    "  --help           this text\n\n"
    "  --parameters N,...  how many, each with each of\n"
    "  --tensors N,...     tensors of equal size (default 1)\n"
    "  --modes NAME,...    adam (default), watch (with telemetry), hat, amsgrad,\n"
    "                      amsgrad-hat, l2, decoupled, or all\n"
    "  --caches STATE      warm: every step works on the same arrays; cold: on others, long not\n"
    "                      used; both (default)\n"
    "  --largest N         leave larger sizes out\n"
    "  --seconds S         measure each line for so long (default 0.3)\n"
    "  --peer COMMAND      a program that is asked for the same, such as\n"
    "                      \"python3 bench/peers/adam_pytorch.py\"\n"
    "  --csv               lines of comma-separated values instead of a table\n"
    "  --plot FILE         bandwidth over size as a picture too, .png or .svg, by gnuplot\n\n"
    "example: vane bench step presets/r64.yaml --json\n";

#define DEFAULT_STEPS   20
#define DEFAULT_BATCHES 100

/* --- step --- */

typedef struct counted {
  vane_allocations allocations;
  bool known;
} counted;

static void begin_counting(void *user) {
  (void)user;
  allocations_begin();
}

static void end_counting(void *user) {
  counted *result = user;
  result->known = allocations_end(&result->allocations);
}

/* A time that some devices do not have. */
static json_t *json_of_time(double ms) {
  return ms > 0 ? json_of_number(ms) : json_null();
}

static void print_step_json(const vane_config *config, const vane_bench_step_result *result,
                            const counted *counts) {
  const vane_allocations *allocations = &counts->allocations;
  json_print(json_pack(
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "step_ms",
      json_of_number(result->ms), "images_per_s", json_of_number(result->images_per_s),
      "fastest_ms", json_of_number(result->fastest_ms), "enqueue_ms",
      json_of_time(result->enqueue_ms), "pipelined_ms", json_of_time(result->pipelined_ms),
      "probe_ms", json_of_time(result->probe_ms), "parameters", (json_int_t)result->n_parameters,
      "batch", (json_int_t)config->train_batch, "steps", (json_int_t)result->steps, "allocations",
      counts->known ? json_integer(allocations->own) : json_null(), "allocations_onednn",
      counts->known ? json_integer(allocations->onednn) : json_null(), "device",
      json_of_text(result->device)));
}

static void print_step(const vane_config *config, const vane_bench_step_result *result,
                       const counted *counts) {
  printf("device       %s\n", result->device);
  printf("step         %12.3f ms, median of %" PRId64 "\n", result->ms, result->steps);
  printf("fastest      %12.3f ms\n", result->fastest_ms);
  if (result->pipelined_ms > 0) {
    printf("pipelined    %12.3f ms, one after the other without a wait\n", result->pipelined_ms);
    printf("enqueued in  %12.3f ms, the host's part\n", result->enqueue_ms);
  }
  if (result->probe_ms > 0) {
    double every = (double)config->optim_guard_every;
    printf("guard        %12.3f ms a probe: %.1f %% of the time at every %.0f steps\n",
           result->probe_ms, 100 * result->probe_ms / (every * result->ms + result->probe_ms),
           every);
  }
  printf("images/s     %12.1f in batches of %" PRId64 "\n", result->images_per_s,
         config->train_batch);
  printf("parameters   %12" PRId64 "\n", result->n_parameters);
  if (!counts->known)
    printf("allocations  %12s in this build\n", "not counted");
  else
    printf("allocations  %12" PRId64 " in these steps, and %" PRId64
           " by oneDNN for lists of arguments\n",
           counts->allocations.own, counts->allocations.onednn);
}

static vane_status run_step(const bench_call *call) {
  vane_config config;
  vane_bench_step_result result;
  counted counts = {0};
  vane_bench_step_watch watch = {.begin = begin_counting, .end = end_counting, .user = &counts};
  VANE_TRY(settings_read(&call->settings, call->config_path, &config));
  VANE_TRY(vane_bench_step(&config, call->steps ? call->steps : DEFAULT_STEPS, &watch, &stderr_log,
                           &result));
  if (call->format == BENCH_JSON)
    print_step_json(&config, &result, &counts);
  else
    print_step(&config, &result, &counts);
  return VANE_OK;
}

/* --- data --- */

static vane_status run_data(const bench_call *call) {
  vane_config config;
  vane_bench_data_result result;
  VANE_TRY(settings_read(&call->settings, call->config_path, &config));
  VANE_TRY(vane_bench_data(&config, call->batches ? call->batches : DEFAULT_BATCHES, &stderr_log,
                           &result));
  if (call->format == BENCH_JSON) {
    json_print(json_pack(
        "{s:o, s:I, s:I, s:I, s:o, s:o}", "images_per_s", json_of_number(result.images_per_s),
        "threads", (json_int_t)config.data_threads, "batch", (json_int_t)config.train_batch,
        "batches", (json_int_t)result.batches, "seconds", json_of_number(result.seconds),
        "waited_s", json_of_number(result.waited_s)));
    return VANE_OK;
  }
  printf("images/s        %12.0f\n", result.images_per_s);
  printf("threads         %12" PRId64 "\n", config.data_threads);
  printf("batches         %12" PRId64 " of %" PRId64 " images in %.3f s\n", result.batches,
         config.train_batch, result.seconds);
  printf("waited          %12.3f s\n", result.waited_s);
  return VANE_OK;
}

/* --- the call --- */

static const struct bench_kind {
  const char *name;
  int n_arguments; /* CONFIG, or nothing */
  vane_status (*run)(const bench_call *call);
} kinds[] = {{"step", 1, run_step}, {"adam", 0, bench_adam}, {"data", 1, run_data}};

static int wrong_counts(const char *option) {
  return wrong_call("bench",
                    "--%s %s: give up to %d whole numbers above 0, with commas between them",
                    option, optarg, BENCH_MOST_COUNTS);
}

static bool counts_read(const char *text, bench_counts *counts) {
  *counts = (bench_counts){0};
  while (counts->n < BENCH_MOST_COUNTS) {
    char one[24];
    size_t length = strcspn(text, ",");
    if (length >= sizeof one)
      return false;
    memcpy(one, text, length);
    one[length] = '\0';
    if (!count_read(one, &counts->count[counts->n++]))
      return false;
    if (text[length] == '\0')
      return true;
    text += length + 1;
  }
  return false;
}

static bool seconds_read(const char *text, double *seconds) {
  char *end;
  *seconds = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*seconds) && *seconds > 0;
}

/* False where the command is done already, with its exit status in `exit_status`. */
static bool read_options(int argc, char **argv, bench_call *call, int *exit_status) {
  static const struct option options[] = {{"steps", required_argument, NULL, 'n'},
                                          {"batches", required_argument, NULL, 'b'},
                                          {"parameters", required_argument, NULL, 'p'},
                                          {"tensors", required_argument, NULL, 't'},
                                          {"modes", required_argument, NULL, 'm'},
                                          {"caches", required_argument, NULL, 'c'},
                                          {"largest", required_argument, NULL, 'l'},
                                          {"seconds", required_argument, NULL, 'S'},
                                          {"peer", required_argument, NULL, 'P'},
                                          {"csv", no_argument, NULL, 'C'},
                                          {"plot", required_argument, NULL, 'g'},
                                          {"set", required_argument, NULL, 's'},
                                          {"device", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  bool room = true;
  int option;
  *exit_status = EXIT_WRONG_CALL;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 'n':
      if (!count_read(optarg, &call->steps))
        return wrong_count("bench", "steps"), false;
      break;
    case 'b':
      if (!count_read(optarg, &call->batches))
        return wrong_count("bench", "batches"), false;
      break;
    case 'p':
      if (!counts_read(optarg, &call->parameters))
        return wrong_counts("parameters"), false;
      break;
    case 't':
      if (!counts_read(optarg, &call->tensors))
        return wrong_counts("tensors"), false;
      break;
    case 'l':
      if (!count_read(optarg, &call->largest))
        return wrong_count("bench", "largest"), false;
      break;
    case 'm':
      call->modes = optarg;
      break;
    case 'c':
      call->caches = optarg;
      break;
    case 'S':
      if (!seconds_read(optarg, &call->seconds))
        return wrong_call("bench", "--seconds %s is no time above 0", optarg), false;
      break;
    case 'P':
      call->peer = optarg;
      break;
    case 'C':
      call->format = BENCH_CSV;
      break;
    case 'g':
      call->plot = optarg;
      break;
    case 's':
      room = room && settings_add(&call->settings, optarg);
      break;
    case 'd':
      room = room && settings_add_device(&call->settings, optarg);
      break;
    case 'j':
      call->format = BENCH_JSON;
      break;
    case 'h':
      fputs(help, stdout);
      *exit_status = EXIT_GOOD;
      return false;
    default:
      return false;
    }
  }
  if (!room)
    return wrong_call("bench", "too many --set"), false;
  return true;
}

static const struct bench_kind *find_kind(const char *name) {
  for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(name, kinds[i].name) == 0)
      return &kinds[i];
  return NULL;
}

int command_bench(int argc, char **argv) {
  bench_call call = {0};
  int exit_status;
  if (!read_options(argc, argv, &call, &exit_status))
    return exit_status;
  const struct bench_kind *kind = find_kind(argv[optind]);
  if (!kind)
    return wrong_call("bench", "say step, adam or data");
  if (argc - optind - 1 != kind->n_arguments)
    return wrong_call("bench", "%s wants %s", kind->name,
                      kind->n_arguments ? "one CONFIG" : "no further argument");
  call.config_path = kind->n_arguments ? argv[optind + 1] : NULL;
  if (kind->run != run_step && call.steps)
    return wrong_call("bench", "--steps belongs to step");
  if (kind->run != run_data && call.batches)
    return wrong_call("bench", "--batches belongs to data");
  if (kind->run != bench_adam &&
      (call.parameters.n || call.tensors.n || call.largest || call.seconds > 0 || call.modes ||
       call.caches || call.peer || call.plot || call.format == BENCH_CSV))
    return wrong_call("bench", "%s is not about Adam: that option belongs to vane bench adam",
                      kind->name);
  if (call.largest && call.parameters.n)
    return wrong_call("bench", "--largest is about all sizes, --parameters about some");
  return kind->run(&call) == VANE_OK ? EXIT_GOOD : failure();
}
