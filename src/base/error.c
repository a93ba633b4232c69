#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local vane_error last_error;

const vane_error *vane_error_get(void) {
  return &last_error;
}

const char *vane_status_name(vane_status status) {
  switch (status) {
  case VANE_OK:
    return "ok";
  case VANE_ERR_ARGUMENT:
    return "argument";
  case VANE_ERR_MEMORY:
    return "memory";
  case VANE_ERR_IO:
    return "io";
  case VANE_ERR_FORMAT:
    return "format";
  case VANE_ERR_CONFIG:
    return "config";
  case VANE_ERR_DATA:
    return "data";
  case VANE_ERR_DEVICE:
    return "device";
  case VANE_ERR_UNSUPPORTED:
    return "unsupported";
  case VANE_ERR_NUMERIC:
    return "numeric";
  case VANE_ERR_STATE:
    return "state";
  }
  return "unknown";
}

vane_status vane_error_record(vane_status status, const char *file, int line, int64_t foreign_code,
                              const char *foreign, const char *format, ...) {
  /* Arguments may point into the record itself, so the message is built aside first. */
  char message[sizeof last_error.message];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  last_error.status = status;
  last_error.file = file;
  last_error.line = line;
  last_error.foreign_code = foreign_code;
  snprintf(last_error.foreign, sizeof last_error.foreign, "%s", foreign);
  memcpy(last_error.message, message, sizeof message);
  return status;
}

vane_status vane_error_add_context(const char *format, ...) {
  char context[sizeof last_error.message];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(context, sizeof context, format, arguments);
  va_end(arguments);
  size_t used = strlen(context);
  if (used + 3 < sizeof context)
    snprintf(context + used, sizeof context - used, ": %.*s", (int)(sizeof context - used - 3),
             last_error.message);
  memcpy(last_error.message, context, sizeof context);
  return last_error.status;
}

vane_status vane_error_adopt(const vane_error *error) {
  last_error = *error;
  return last_error.status;
}
