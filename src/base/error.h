/* Recording failures: each place that detects one says so once, with vane_fail. */
#ifndef VANE_BASE_ERROR_H
#define VANE_BASE_ERROR_H

#include "vane/status.h"

/* Records a failure for the calling thread and returns its status, so that a function ends with
 * `return vane_fail(VANE_ERR_IO, "%s: no such folder; create it first", path);`. The sentence names
 * what was touched and what to do. */
#define vane_fail(status, ...) vane_error_record((status), __FILE__, __LINE__, 0, "", __VA_ARGS__)

/* The same with the code and the text of the library that failed. */
#define vane_fail_foreign(status, code, text, ...)                                                 \
  vane_error_record((status), __FILE__, __LINE__, (int64_t)(code), (text), __VA_ARGS__)

/* Returns from the calling function when `call` fails. */
#define VANE_TRY(call)                                                                             \
  do {                                                                                             \
    vane_status vane_try_status_ = (call);                                                         \
    if (vane_try_status_ != VANE_OK)                                                               \
      return vane_try_status_;                                                                     \
  } while (0)

VANE_MODULE_API
vane_status vane_error_record(vane_status status, const char *file, int line, int64_t foreign_code,
                              const char *foreign, const char *format, ...) VANE_PRINTF(6, 7);

/* Puts `context` (a file, a record, a key) and ": " in front of the recorded message and returns
 * the recorded status. For callers that know a name which the failing function did not. */
VANE_MODULE_API
vane_status vane_error_add_context(const char *format, ...) VANE_PRINTF(1, 2);

/* Makes `error`, recorded by another thread, the calling thread's own; returns its status. */
vane_status vane_error_adopt(const vane_error *error);

#endif
