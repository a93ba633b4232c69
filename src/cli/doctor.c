/* vane doctor: what this machine and this build offer, and what is missing.
 *
 * The facts are gathered once, as JSON; the page for people is written from it. */
#include <cairo.h>
#include <dnnl.h>
#include <getopt.h>
#include <omp.h>
#include <png.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/processor.h"
#include "device/device.h"

static const char help[] = "usage: vane doctor [--json]\n"
                           "       vane doctor epsilon RUN|CHECKPOINT ...; its own --help says "
                           "more\n\n"
                           "Shows vane's version and compiler, the processor, the devices and what "
                           "device.kind auto takes\n"
                           "and why, the versions of libraries, the data sets found, and what is "
                           "missing with the command\n"
                           "that mends it. The exit status is 1 when no training device works.\n\n"
                           "  --json  one JSON object instead of a page\n"
                           "  --help  this text\n\n"
                           "example: vane doctor\n";

#define FASHION_FOLDER "/usr/share/datasets/fashion-mnist" /* Debian's dataset-fashion-mnist */

static void note_missing(json_t *missing, const char *what, const char *mend) {
  json_array_append_new(missing, json_pack("{s:s, s:s}", "what", what, "mend", mend));
}

/* --- the build --- */

static json_t *look_at_build(void) {
#if defined(__clang__)
  static const char compiler[] = "clang " __clang_version__;
#else
  static const char compiler[] = "gcc " __VERSION__;
#endif
  return json_pack("{s:s, s:s}", "version", VANE_VERSION, "compiler", compiler);
}

/* --- the processor --- */

/* What an x86 processor says of itself; elsewhere there is no such list. */
static json_t *list_instruction_sets(void) {
  json_t *sets = json_array();
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
#define ADD(set)                                                                                   \
  if (__builtin_cpu_supports(set))                                                                 \
  json_array_append_new(sets, json_string(set))
  ADD("sse4.2");
  ADD("avx");
  ADD("avx2");
  ADD("fma");
  ADD("avx512f");
  ADD("avx512bw");
  ADD("avx512vl");
  ADD("avx512vnni");
#undef ADD
#endif
  return sets;
}

static json_t *look_at_processor(void) {
  double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
  char name[256];
  processor_name(name, sizeof name);
  return json_pack("{s:o, s:o, s:i, s:o}", "name", json_of_text(name), "instruction_sets",
                   list_instruction_sets(), "cores", omp_get_num_procs(), "memory_gib",
                   json_of_number(bytes / (1 << 30)));
}

/* --- devices --- */

/* Opens the device to see whether it works; its words, or why it does not. */
static json_t *try_device(int kind, bool *works) {
  vane_device *device;
  vane_config config;
  vane_config_init(&config);
  vane_device_options options = vane_device_options_from_config(&config);
  options.kind = kind;
  vane_status status = vane_device_open(&options, &device);
  *works = status == VANE_OK;
  if (!*works)
    return json_pack("{s:b, s:o}", "works", 0, "description",
                     json_of_text(vane_error_get()->message));
  json_t *found = json_pack("{s:b, s:s, s:s}", "works", 1, "name", device->name, "description",
                            device->description);
  vane_device_close(device);
  return found;
}

static const char *why_auto(const char *name) {
  if (strcmp(name, "cuda") == 0)
    return "there is a GPU, and cuda works";
  return "cuda does not work here, so the processor computes";
}

static json_t *look_at_devices(json_t *missing) {
  bool works;
  json_t *devices = json_object();
  json_object_set_new(devices, "ref", try_device(VANE_DEVICE_REF, &works));
  json_object_set_new(devices, "cpu", try_device(VANE_DEVICE_CPU, &works));
  if (!works)
    note_missing(missing, "a working cpu device", "scripts/setup");
  json_object_set_new(devices, "cuda", try_device(VANE_DEVICE_CUDA, &works));
  json_t *chosen = try_device(VANE_DEVICE_AUTO, &works);
  if (works)
    json_object_set_new(chosen, "why",
                        json_string(why_auto(json_string_value(json_object_get(chosen, "name")))));
  json_object_set_new(devices, "auto", chosen);
  return devices;
}

/* --- libraries --- */

static json_t *look_at_libraries(void) {
  const dnnl_version_t *dnnl = dnnl_version();
  const char *zlib = zlibVersion(), *png = png_get_libpng_ver(NULL);
  return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s}", "oneDNN",
                   json_sprintf("%d.%d.%d", dnnl->major, dnnl->minor, dnnl->patch), "OpenMP",
                   json_sprintf("%d-%02d", _OPENMP / 100, _OPENMP % 100), "libpng", png, "zlib",
                   zlib, "libyaml", yaml_get_version_string(), "jansson", jansson_version_str(),
                   "protobuf-c", protobuf_c_version(), "cairo", cairo_version_string());
}

/* --- data sets --- */

static json_t *look_at_data(json_t *missing) {
  static const char *const files[] = {FASHION_FOLDER "/train-images-idx3-ubyte.gz",
                                      FASHION_FOLDER "/t10k-images-idx3-ubyte.gz"};
  bool found = true;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    found = found && vane_file_exists(files[i]);
  if (!found)
    note_missing(missing, "Fashion-MNIST, of which the rotfashion presets are made",
                 "apt-get install dataset-fashion-mnist");
  return json_pack("{s:o, s:s}", "Fashion-MNIST", found ? json_string(FASHION_FOLDER) : json_null(),
                   "scenes", "drawn, needs no files");
}

/* --- the page --- */

static void print_value(const json_t *value) {
  size_t i;
  json_t *item;
  switch (json_typeof(value)) {
  case JSON_STRING:
    printf("%s", json_string_value(value));
    break;
  case JSON_INTEGER:
    printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    break;
  case JSON_REAL:
    printf("%.1f", json_real_value(value));
    break;
  case JSON_ARRAY:
    json_array_foreach(value, i, item) {
      printf("%s", i ? " " : "");
      print_value(item);
    }
    break;
  default:
    printf("not found");
  }
}

static void print_section(const char *title, json_t *section) {
  const char *key;
  json_t *value;
  printf("%s\n", title);
  json_object_foreach(section, key, value) {
    printf("  %-18s", key);
    print_value(value);
    putchar('\n');
  }
}

static void print_devices(json_t *devices) {
  const char *key;
  json_t *device;
  printf("devices\n");
  json_object_foreach(devices, key, device) {
    const char *why = json_string_value(json_object_get(device, "why"));
    printf("  %-18s", key);
    if (why)
      printf("takes %s: %s\n", json_string_value(json_object_get(device, "name")), why);
    else
      printf("%s\n", json_string_value(json_object_get(device, "description")));
  }
}

static void print_missing(json_t *missing) {
  size_t i;
  json_t *item;
  if (json_array_size(missing) == 0)
    printf("nothing is missing\n");
  json_array_foreach(missing, i, item)
      printf("missing: %s\n  to mend it: %s\n", json_string_value(json_object_get(item, "what")),
             json_string_value(json_object_get(item, "mend")));
}

static void print_page(json_t *facts) {
  print_section("vane", json_object_get(facts, "vane"));
  print_section("processor", json_object_get(facts, "processor"));
  print_devices(json_object_get(facts, "devices"));
  print_section("libraries", json_object_get(facts, "libraries"));
  print_section("data sets", json_object_get(facts, "data"));
  print_missing(json_object_get(facts, "missing"));
}

int command_doctor(int argc, char **argv) {
  static const struct option options[] = {
      {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
  bool json = false;
  int option;
  if (argc > 1 && strcmp(argv[1], "epsilon") == 0)
    return command_doctor_epsilon(argc - 1, argv + 1);
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 'j':
      json = true;
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_GOOD;
    default:
      return EXIT_WRONG_CALL;
    }
  }
  if (optind < argc)
    return wrong_call("doctor", "no argument is wanted");
  json_t *missing = json_array();
  json_t *facts = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "vane", look_at_build(), "processor",
                            look_at_processor(), "devices", look_at_devices(missing), "libraries",
                            look_at_libraries(), "data", look_at_data(missing), "missing", missing);
  json_t *chosen = json_object_get(json_object_get(facts, "devices"), "auto");
  bool works = json_is_true(json_object_get(chosen, "works"));
  if (json) {
    json_print(facts);
  } else {
    print_page(facts);
    json_decref(facts);
  }
  return works ? EXIT_GOOD : EXIT_FAILED;
}
