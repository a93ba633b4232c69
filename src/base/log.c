#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static void write_line(const vane_log *log, vane_log_level level, const char *format,
                       va_list arguments) {
  if (!log || !log->write)
    return;
  char text[2048];
  vsnprintf(text, sizeof text, format, arguments);
  log->write(log->user, level, text);
}

void vane_log_info(const vane_log *log, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line(log, VANE_LOG_INFO, format, arguments);
  va_end(arguments);
}

void vane_log_warning(const vane_log *log, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line(log, VANE_LOG_WARNING, format, arguments);
  va_end(arguments);
}
