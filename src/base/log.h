/* Messages for people. Rooms below the command line never print: they write to a log that the
 * caller passes, and the command line decides where the lines go. */
#ifndef VANE_BASE_LOG_H
#define VANE_BASE_LOG_H

#include "vane/status.h"

typedef enum vane_log_level { VANE_LOG_INFO, VANE_LOG_WARNING } vane_log_level;

/* A borrowed sink. `write` may be NULL: the message is discarded. It is called from one thread at a
 * time per log. */
typedef struct vane_log {
  void (*write)(void *user, vane_log_level level, const char *text);
  void *user;
} vane_log;

/* `log` may be NULL. */
void vane_log_info(const vane_log *log, const char *format, ...) VANE_PRINTF(2, 3);
void vane_log_warning(const vane_log *log, const char *format, ...) VANE_PRINTF(2, 3);

#endif
