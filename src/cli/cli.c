#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int wrong_call(const char *command, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "vane %s: ", command);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, "; vane %s --help says more\n", command);
  return EXIT_WRONG_CALL;
}

int failure(void) {
  const vane_error *error = vane_error_get();
  fprintf(stderr, "vane: %s\n", error->message);
  if (error->foreign[0])
    fprintf(stderr, "      (%s, code %lld)\n", error->foreign, (long long)error->foreign_code);
  bool call = error->status == VANE_ERR_CONFIG || error->status == VANE_ERR_ARGUMENT;
  return call ? EXIT_WRONG_CALL : EXIT_FAILED;
}

static void write_to_stderr(void *user, vane_log_level level, const char *text) {
  (void)user;
  fprintf(stderr, "%s%s\n", level == VANE_LOG_WARNING ? "warning: " : "", text);
}

const vane_log stderr_log = {.write = write_to_stderr};

bool settings_add(vane_settings *settings, const char *assignment) {
  int most = (int)(sizeof settings->assignments / sizeof *settings->assignments);
  if (settings->n_assignments == most)
    return false;
  settings->assignments[settings->n_assignments++] = assignment;
  return true;
}

bool settings_add_device(vane_settings *settings, const char *name) {
  snprintf(settings->device, sizeof settings->device, "device.kind=%s", name);
  return settings_add(settings, settings->device);
}

vane_status settings_apply(const vane_settings *settings, vane_config *config) {
  VANE_TRY(vane_config_set_all(config, settings->assignments, settings->n_assignments));
  return vane_config_check(config);
}

vane_status settings_read(const vane_settings *settings, const char *path, vane_config *config) {
  vane_config_init(config);
  if (path)
    VANE_TRY(vane_config_read(config, path));
  return settings_apply(settings, config);
}

bool count_read(const char *text, int64_t *count) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  *count = value;
  return errno == 0 && end != text && *end == 0 && value >= 1;
}

int wrong_count(const char *command, const char *option) {
  return wrong_call(command, "--%s %s is not a whole number above 0", option, optarg);
}
