/* vane data: record files made and checked. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "data/check.h"
#include "data/shards.h"

static const char help[] =
    "usage: vane data make CONFIG --split train|test --out DIR [--count N] [--set KEY=VALUE]...\n"
    "       vane data check PATH... [--config CONFIG] [--set KEY=VALUE]... [--json]\n\n"
    "make writes the examples of a configuration's source as TFRecord files of 1,000:\n"
    "DIR/train-00000-of-00060.tfrecord and so on, PNG images with float labels.\n\n"
    "  --split train|test  data.train or data.test of CONFIG\n"
    "  --out DIR           the folder, created where it is missing\n"
    "  --count N           so many examples (default: each example of the source once)\n"
    "  --set KEY=VALUE     change one setting, such as data.threads=4\n\n"
    "check reads every record of files, patterns or folders: framing, both checksums, labels,\n"
    "image. Each bad record is named; the exit status is 1 when there is one.\n\n"
    "  --config CONFIG     how features are called, and the unit of angles (data.features.*,\n"
    "                      data.angle_unit); without it the default names\n"
    "  --set KEY=VALUE     change one of these settings\n"
    "  --json              one JSON object instead of a table\n\n"
    "example: vane data make presets/rotfashion-4.yaml --split test --count 2000 --out shards\n"
    "         vane data check shards\n";

/* --- make --- */

typedef struct make_call {
  const char *config_path, *split, *out;
  int64_t count;
  vane_settings settings;
} make_call;

static vane_status make(const make_call *call, int64_t *n_examples, int64_t *n_files) {
  vane_config config;
  VANE_TRY(settings_read(&call->settings, call->config_path, &config));
  bool test = strcmp(call->split, "test") == 0;
  return vane_shards_write(&config, test, call->count, call->out, call->split, &stderr_log,
                           n_examples, n_files);
}

static int run_make(int argc, char **argv) {
  static const struct option options[] = {
      {"split", required_argument, NULL, 'p'}, {"count", required_argument, NULL, 'n'},
      {"out", required_argument, NULL, 'o'},   {"set", required_argument, NULL, 's'},
      {"help", no_argument, NULL, 'h'},        {0}};
  make_call call = {0};
  bool room = true;
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 'p':
      call.split = optarg;
      break;
    case 'n':
      if (!count_read(optarg, &call.count))
        return wrong_call("data", "--count %s is no number of examples", optarg);
      break;
    case 'o':
      call.out = optarg;
      break;
    case 's':
      room = room && settings_add(&call.settings, optarg);
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_GOOD;
    default:
      return EXIT_WRONG_CALL;
    }
  }
  if (!room)
    return wrong_call("data", "too many --set");
  if (argc - optind != 1)
    return wrong_call("data", "make wants one CONFIG");
  if (!call.split || (strcmp(call.split, "train") != 0 && strcmp(call.split, "test") != 0))
    return wrong_call("data", "make wants --split train or --split test");
  if (!call.out)
    return wrong_call("data", "make wants --out DIR");
  call.config_path = argv[optind];
  int64_t n_examples, n_files;
  if (make(&call, &n_examples, &n_files) != VANE_OK)
    return failure();
  printf("wrote %" PRId64 " examples in %" PRId64 " file%s: %s/%s-*.tfrecord\n", n_examples,
         n_files, n_files == 1 ? "" : "s", call.out, call.split);
  return EXIT_GOOD;
}

/* --- check --- */

typedef struct check_call {
  const char *config_path;
  char *const *paths;
  int n_paths;
  bool json;
  vane_settings settings;
} check_call;

static void print_bad(void *user, const vane_check_bad *bad) {
  (void)user;
  printf("%s: record %" PRId64 " at byte %" PRId64 ": %s\n", bad->file, bad->record, bad->offset,
         bad->message);
}

static void gather_bad(void *user, const vane_check_bad *bad) {
  json_array_append_new(user,
                        json_pack("{s:o, s:I, s:I, s:o}", "file", json_of_text(bad->file), "record",
                                  (json_int_t)bad->record, "offset", (json_int_t)bad->offset,
                                  "message", json_of_text(bad->message)));
}

#define DEGREES_PER_RADIAN 57.295779513082320876798154814105

/* Mean and ends of a label, `factor` times as large as they are kept. */
static void print_range(const char *name, const vane_check_range *range, double factor) {
  if (range->n > 0)
    printf("  %-12s %10" PRId64 "   %.6g to %.6g, mean %.6g\n", name, range->n, factor * range->min,
           factor * range->max, factor * range->sum / (double)range->n);
  else
    printf("  %-12s %10d\n", name, 0);
}

static void print_summary(const vane_check_summary *s) {
  printf("files    %12" PRId64 "\nrecords  %12" PRId64 "\nbytes    %12" PRId64
         "\nbad      %12" PRId64 "\n",
         s->n_files, s->n_records, s->n_bytes, s->n_bad);
  printf("images\n");
  for (int64_t i = 0; i < s->n_image_kinds; i++) {
    const vane_check_images *kind = &s->images[i];
    char words[64];
    if (kind->raw_bytes > 0)
      snprintf(words, sizeof words, "raw, %" PRId64 " bytes", kind->raw_bytes);
    else
      snprintf(words, sizeof words, "PNG %" PRId64 " x %" PRId64 ", %s", kind->height, kind->width,
               kind->channels == 1 ? "grey" : "colour");
    printf("  %-24s %10" PRId64 "\n", words, kind->n);
  }
  if (s->n_other_images > 0)
    printf("  %-24s %10" PRId64 "\n", "of other sizes", s->n_other_images);
  printf("labels\n  %-12s %10" PRId64 "\n  %-12s %10" PRId64 "\n", "present", s->n_present,
         "absent", s->n_absent);
  print_range("angle (deg)", &s->angle_rad, DEGREES_PER_RADIAN);
  print_range("magnitude", &s->magnitude, 1);
  print_range("x", &s->x, 1);
  print_range("y", &s->y, 1);
}

static json_t *json_of_range(const vane_check_range *range, double factor) {
  bool any = range->n > 0;
  return json_pack("{s:I, s:o, s:o, s:o}", "n", (json_int_t)range->n, "min",
                   any ? json_real(factor * range->min) : json_null(), "max",
                   any ? json_real(factor * range->max) : json_null(), "mean",
                   any ? json_real(factor * range->sum / (double)range->n) : json_null());
}

static json_t *json_of_images(const vane_check_summary *s) {
  json_t *list = json_array();
  for (int64_t i = 0; i < s->n_image_kinds; i++) {
    const vane_check_images *kind = &s->images[i];
    json_t *entry =
        kind->raw_bytes > 0
            ? json_pack("{s:s, s:I, s:I}", "kind", "raw", "bytes", (json_int_t)kind->raw_bytes, "n",
                        (json_int_t)kind->n)
            : json_pack("{s:s, s:I, s:I, s:I, s:I}", "kind", "png", "height",
                        (json_int_t)kind->height, "width", (json_int_t)kind->width, "channels",
                        (json_int_t)kind->channels, "n", (json_int_t)kind->n);
    json_array_append_new(list, entry);
  }
  return list;
}

/* Takes ownership of `bad`. */
static void print_summary_json(const vane_check_summary *s, json_t *bad) {
  json_t *labels = json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "present", (json_int_t)s->n_present,
                             "absent", (json_int_t)s->n_absent, "angle_deg",
                             json_of_range(&s->angle_rad, DEGREES_PER_RADIAN), "magnitude",
                             json_of_range(&s->magnitude, 1), "x", json_of_range(&s->x, 1), "y",
                             json_of_range(&s->y, 1));
  json_print(json_pack("{s:I, s:I, s:I, s:o, s:I, s:o, s:I, s:o}", "files", (json_int_t)s->n_files,
                       "records", (json_int_t)s->n_records, "bytes", (json_int_t)s->n_bytes,
                       "images", json_of_images(s), "other_images", (json_int_t)s->n_other_images,
                       "labels", labels, "n_bad", (json_int_t)s->n_bad, "bad", bad));
}

/* No network is wanted here, so that settings_read, which checks one, is not used. */
static vane_status read_config(const check_call *call, vane_config *config) {
  vane_config_init(config);
  if (call->config_path)
    VANE_TRY(vane_config_read(config, call->config_path));
  return vane_config_set_all(config, call->settings.assignments, call->settings.n_assignments);
}

/* The files of all arguments in one list. */
static vane_status find_files(const check_call *call, vane_path_list *files) {
  for (int i = 0; i < call->n_paths; i++) {
    vane_path_list more;
    VANE_TRY(vane_path_list_match(call->paths[i], &more));
    char **paths = realloc(files->paths, (files->n_paths + more.n_paths) * sizeof *paths);
    if (!paths) {
      vane_path_list_finish(&more);
      return vane_fail(VANE_ERR_MEMORY, "no memory for a list of files");
    }
    memcpy(paths + files->n_paths, more.paths, more.n_paths * sizeof *paths);
    files->paths = paths;
    files->n_paths += more.n_paths;
    free(more.paths); /* the names themselves moved */
  }
  return VANE_OK;
}

static vane_status check(const check_call *call, vane_check_summary *summary, json_t *bad) {
  vane_config config;
  vane_path_list files = {0};
  VANE_TRY(read_config(call, &config));
  vane_status status = find_files(call, &files);
  if (status == VANE_OK)
    status = vane_check_files(&config, files.paths, (int64_t)files.n_paths,
                              call->json ? gather_bad : print_bad, bad, summary);
  vane_path_list_finish(&files);
  return status;
}

static int run_check(int argc, char **argv) {
  static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                          {"set", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  check_call call = {0};
  bool room = true;
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 'c':
      call.config_path = optarg;
      break;
    case 's':
      room = room && settings_add(&call.settings, optarg);
      break;
    case 'j':
      call.json = true;
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_GOOD;
    default:
      return EXIT_WRONG_CALL;
    }
  }
  if (!room)
    return wrong_call("data", "too many --set");
  if (optind == argc)
    return wrong_call("data", "check wants at least one file, pattern or folder");
  call.paths = argv + optind;
  call.n_paths = argc - optind;
  vane_check_summary summary;
  json_t *bad = json_array();
  if (check(&call, &summary, bad) != VANE_OK) {
    json_decref(bad);
    return failure();
  }
  if (call.json) {
    print_summary_json(&summary, bad);
  } else {
    print_summary(&summary);
    json_decref(bad);
  }
  return summary.n_bad > 0 ? EXIT_FAILED : EXIT_GOOD;
}

int command_data(int argc, char **argv) {
  if (argc >= 2 && strcmp(argv[1], "make") == 0)
    return run_make(argc - 1, argv + 1);
  if (argc >= 2 && strcmp(argv[1], "check") == 0)
    return run_check(argc - 1, argv + 1);
  if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(help, stdout);
    return EXIT_GOOD;
  }
  return wrong_call("data", "say make or check");
}
