/* The same work on many numbered tasks, each in a process of its own: a task may use all of vane
 * without minding the others' threads, and what it leaves behind goes with it. */
#ifndef VANE_LAB_WORKERS_H
#define VANE_LAB_WORKERS_H

#include <jansson.h>
#include <stdint.h>

#include "vane/status.h"

/* A task's way to say something to the process that began it. */
typedef struct vane_lab_mouth vane_lab_mouth;

/* One line of text without its end. */
VANE_CHECKED
vane_status vane_lab_say(const vane_lab_mouth *mouth, const char *line);

/* The same with a JSON object, which it releases; NULL is memory that ran out. */
VANE_CHECKED
vane_status vane_lab_say_json(const vane_lab_mouth *mouth, json_t *object);

typedef struct vane_lab_workers {
  /* In the task's own process. A failure is handed to the caller of run. */
  vane_status (*work)(void *user, int64_t task, const vane_lab_mouth *mouth);
  /* In the calling process: a line that the task has said, without its end. */
  vane_status (*hear)(void *user, int64_t task, const char *line);
  void *user; /* borrowed; a task sees it as it was when the task began */
} vane_lab_workers;

/* Does tasks 0 .. n_tasks - 1 in order, up to `n_jobs` at a time. After a failure no further one is
 * begun, those under way are ended, and it is returned; a task that died is VANE_ERR_IO. No thread
 * of the calling process may hold a lock meanwhile, for the tasks begin as its copies. */
VANE_CHECKED
vane_status vane_lab_workers_run(const vane_lab_workers *workers, int64_t n_tasks, int64_t n_jobs);

/* Processors at hand, at least 1. */
int64_t vane_lab_processors(void);

#endif
