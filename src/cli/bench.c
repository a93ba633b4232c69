/* vane bench: a training step, Adam, and the way from records to batches, measured. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/count_allocations.h"
#include "cli/json.h"
#include "train/bench_adam.h"
#include "train/bench_data.h"
#include "train/bench_step.h"

static const char help[] =
    "usage: vane bench step CONFIG [--steps N]\n"
    "       vane bench adam [--parameters N [--tensors M]] [--largest N]\n"
    "       vane bench data CONFIG [--batches N]\n"
    "       each with [--set KEY=VALUE]... [--device KIND] [--json]\n\n"
    "step  the median time of N training steps (default 20) on batches read beforehand, and how\n"
    "      often memory was allocated in them; on a GPU also that of a step among steps which\n"
    "      nobody waits for, and the host's part in it\n"
    "adam  the median time of one fused Adam step over N parameters in M tensors of equal size,\n"
    "      beside the speed of memory (STREAM's triad; on a GPU a copy of as many bytes); without\n"
    "      --parameters a table of sizes, on a GPU up to what its memory holds, or --largest\n"
    "data  images per second from the configuration's training source to N batches (default "
    "100)\n\n"
    "  --set KEY=VALUE  change one setting, such as train.batch=64 or device.threads=1\n"
    "  --device KIND    auto, cpu, ref or cuda\n"
    "  --json           one JSON object instead of a table\n"
    "  --help           this text\n\n"
    "example: vane bench step presets/r64.yaml --json\n";

#define DEFAULT_STEPS   20
#define DEFAULT_BATCHES 100

typedef struct bench_call {
  const char *config_path;
  vane_settings settings;
  bool json;
  int64_t steps, batches, parameters, tensors, largest; /* 0: not given */
} bench_call;

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
      "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "step_ms",
      json_of_number(result->ms), "images_per_s", json_of_number(result->images_per_s),
      "fastest_ms", json_of_number(result->fastest_ms), "enqueue_ms",
      json_of_time(result->enqueue_ms), "pipelined_ms", json_of_time(result->pipelined_ms),
      "parameters", (json_int_t)result->n_parameters, "batch", (json_int_t)config->train_batch,
      "steps", (json_int_t)result->steps, "allocations",
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
  if (call->json)
    print_step_json(&config, &result, &counts);
  else
    print_step(&config, &result, &counts);
  return VANE_OK;
}

/* --- adam --- */

/* The two that the claims of bench/report.py are about come first: 32 Mi parameters, far more than
 * caches hold, and those of presets/r64.yaml. */
typedef struct adam_size {
  const char *key; /* in the JSON object */
  vane_bench_adam_size size;
} adam_size;
static const adam_size adam_sizes[] = {
    {"large_ms", {32 << 20, 1}}, {"r64_ms", {729158, 62}}, {NULL, {10000, 1}},
    {NULL, {100000, 1}},         {NULL, {1000000, 1}},     {NULL, {10000000, 1}},
};
static const adam_size adam_sizes_gpu[] = {
    {"large_ms", {32 << 20, 1}}, {"r64_ms", {729158, 62}}, {NULL, {10000, 1}},
    {NULL, {100000, 1}},         {NULL, {1000000, 1}},     {NULL, {10000000, 1}},
    {NULL, {100000000, 1}},      {NULL, {1000000000, 1}},
};

#define TRIAD_COUNT    (32 << 20)
#define MEMORY_REPEATS 9
#define LARGEST_COPY   ((int64_t)2 << 30) /* bytes moved; a larger one is no faster */

/* A small size takes microseconds and is timed more often, where its calls are not timed in batches
 * anyway; every size at least nine times. */
static int64_t adam_repeats(const vane_device *device, int64_t n_parameters) {
  int64_t repeats = device->asynchronous ? 0 : 200000000 / n_parameters;
  return repeats < 9 ? 9 : repeats > 2000 ? 2000 : repeats;
}

typedef struct adam_bench {
  const bench_call *call;
  vane_device *device;
  json_t *object, *list; /* NULL: a table is printed */
} adam_bench;

/* A copy that moves as many bytes in the same memory; ms 0 where the host's triad stands for it. */
static vane_status bench_copy(const adam_bench *bench, int64_t model_bytes,
                              vane_bench_result *copy) {
  *copy = (vane_bench_result){0};
  if (!bench->device->asynchronous)
    return VANE_OK;
  return vane_bench_copy(bench->device, model_bytes < LARGEST_COPY ? model_bytes : LARGEST_COPY,
                         MEMORY_REPEATS, copy);
}

static void print_size(const vane_bench_adam_size *size, const vane_bench_result *adam,
                       const vane_bench_result *copy) {
  printf("%12" PRId64 "  %7" PRId64 "  %10.4f  %10.4f  %8.2f", size->n_parameters, size->n_tensors,
         adam->ms, adam->fastest_ms, adam->gb_per_s);
  if (copy->ms > 0)
    printf("  %8.2f  %5.3f", copy->gb_per_s, adam->gb_per_s / copy->gb_per_s);
  putchar('\n');
}

/* Prints a line of the table, or appends to the list and names the figure in the object. */
static vane_status bench_size(const adam_bench *bench, const adam_size *row) {
  const vane_bench_adam_size *size = &row->size;
  vane_bench_result adam, copy;
  VANE_TRY(vane_bench_adam(bench->device, size, false,
                           adam_repeats(bench->device, size->n_parameters), &adam));
  VANE_TRY(bench_copy(bench, adam.model_bytes, &copy));
  if (!bench->object) {
    print_size(size, &adam, &copy);
    return VANE_OK;
  }
  json_array_append_new(
      bench->list,
      json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "parameters", (json_int_t)size->n_parameters,
                "tensors", (json_int_t)size->n_tensors, "model_bytes", (json_int_t)adam.model_bytes,
                "ms", json_of_number(adam.ms), "fastest_ms", json_of_number(adam.fastest_ms),
                "gb_per_s", json_of_number(adam.gb_per_s), "copy_gb_per_s",
                json_of_time(copy.gb_per_s)));
  if (row->key)
    json_object_set_new(bench->object, row->key, json_of_number(adam.ms));
  return VANE_OK;
}

/* Four arrays, then two for the copy. */
static vane_status fits(const adam_bench *bench, int64_t n_parameters, bool *does) {
  size_t free_bytes;
  VANE_TRY(bench->device->memory.available(bench->device, &free_bytes));
  *does =
      (double)n_parameters * (double)(4 * bench->device->real_bytes) < 0.95 * (double)free_bytes;
  if (!*does)
    fprintf(stderr, "%" PRId64 " parameters do not fit into the device's memory: left out\n",
            n_parameters);
  return VANE_OK;
}

static vane_status bench_sizes(const adam_bench *bench) {
  const bench_call *call = bench->call;
  if (call->parameters > 0) {
    adam_size row = {NULL, {call->parameters, call->tensors ? call->tensors : 1}};
    return bench_size(bench, &row);
  }
  bool gpu = bench->device->asynchronous;
  const adam_size *rows = gpu ? adam_sizes_gpu : adam_sizes;
  size_t n =
      gpu ? sizeof adam_sizes_gpu / sizeof *adam_sizes_gpu : sizeof adam_sizes / sizeof *adam_sizes;
  for (size_t i = 0; i < n; i++) {
    bool does = false;
    if (call->largest && rows[i].size.n_parameters > call->largest)
      continue;
    VANE_TRY(fits(bench, rows[i].size.n_parameters, &does));
    if (does)
      VANE_TRY(bench_size(bench, &rows[i]));
  }
  return VANE_OK;
}

static vane_status bench_triad(const adam_bench *bench, int64_t n_threads,
                               vane_bench_result *triad) {
  *triad = (vane_bench_result){0};
  if (bench->device->asynchronous)
    return VANE_OK;
  return vane_bench_triad(TRIAD_COUNT, n_threads, MEMORY_REPEATS, triad);
}

static vane_status bench_adam_and_memory(adam_bench *bench, int64_t n_threads) {
  vane_device *device = bench->device;
  vane_bench_result triad;
  VANE_TRY(bench_triad(bench, n_threads, &triad));
  if (!bench->call->json) {
    printf("device: %s, %s\n%12s  %7s  %10s  %10s  %8s%s\n", device->name, device->description,
           "parameters", "tensors", "median ms", "fastest ms", "GB/s",
           device->asynchronous ? "  copy GB/s  share" : "");
    VANE_TRY(bench_sizes(bench));
    if (triad.ms > 0)
      printf("memory: %.2f GB/s (triad over 3 x 128 MiB)\n", triad.gb_per_s);
    return VANE_OK;
  }
  bench->list = json_array();
  bench->object = json_pack("{s:s, s:o}", "device", device->description, "triad_gb_per_s",
                            json_of_time(triad.gb_per_s));
  vane_status status = bench_sizes(bench);
  json_object_set_new(bench->object, "sizes", bench->list);
  if (status == VANE_OK)
    json_print(bench->object);
  else
    json_decref(bench->object);
  return status;
}

/* No network is wanted here, only device.*, so that settings_read, which checks one, is not used.
 */
static vane_status run_adam(const bench_call *call) {
  vane_config config;
  vane_device *device;
  vane_config_init(&config);
  for (int i = 0; i < call->settings.n_assignments; i++)
    VANE_TRY(vane_config_set(&config, call->settings.assignments[i]));
  vane_device_options options = vane_device_options_from_config(&config);
  VANE_TRY(vane_device_open(&options, &device));
  vane_status status =
      bench_adam_and_memory(&(adam_bench){.call = call, .device = device}, config.device_threads);
  vane_device_close(device);
  return status;
}

/* --- data --- */

static vane_status run_data(const bench_call *call) {
  vane_config config;
  vane_bench_data_result result;
  VANE_TRY(settings_read(&call->settings, call->config_path, &config));
  VANE_TRY(vane_bench_data(&config, call->batches ? call->batches : DEFAULT_BATCHES, &stderr_log,
                           &result));
  if (call->json) {
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
} kinds[] = {{"step", 1, run_step}, {"adam", 0, run_adam}, {"data", 1, run_data}};

static int wrong_count(const char *option) {
  return wrong_call("bench", "--%s %s is not a whole number above 0", option, optarg);
}

/* False where the command is done already, with its exit status in `exit_status`. */
static bool read_options(int argc, char **argv, bench_call *call, int *exit_status) {
  static const struct option options[] = {{"steps", required_argument, NULL, 'n'},
                                          {"batches", required_argument, NULL, 'b'},
                                          {"parameters", required_argument, NULL, 'p'},
                                          {"tensors", required_argument, NULL, 't'},
                                          {"largest", required_argument, NULL, 'l'},
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
        return wrong_count("steps"), false;
      break;
    case 'b':
      if (!count_read(optarg, &call->batches))
        return wrong_count("batches"), false;
      break;
    case 'p':
      if (!count_read(optarg, &call->parameters))
        return wrong_count("parameters"), false;
      break;
    case 't':
      if (!count_read(optarg, &call->tensors))
        return wrong_count("tensors"), false;
      break;
    case 'l':
      if (!count_read(optarg, &call->largest))
        return wrong_count("largest"), false;
      break;
    case 's':
      room = room && settings_add(&call->settings, optarg);
      break;
    case 'd':
      room = room && settings_add_device(&call->settings, optarg);
      break;
    case 'j':
      call->json = true;
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
  if (kind->run != run_adam && (call.parameters || call.tensors || call.largest))
    return wrong_call("bench", "--parameters, --tensors and --largest belong to adam");
  if (call.largest && call.parameters)
    return wrong_call("bench", "--largest is about a table, --parameters about one size");
  if (call.tensors && !call.parameters)
    return wrong_call("bench", "--tensors wants --parameters too");
  return kind->run(&call) == VANE_OK ? EXIT_GOOD : failure();
}
