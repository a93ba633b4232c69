#include "lab/workers.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define MAX_JOBS 64

/* What a failed task says last: this mark, its status, the message. */
#define FAILURE_MARK '!'

struct vane_lab_mouth {
  int pipe;
};

typedef struct worker {
  pid_t process;
  int pipe;
  int64_t task;
  char *text; /* what came and is no whole line yet; owned */
  size_t n_bytes, capacity;
} worker;

typedef struct crew {
  const vane_lab_workers *orders;
  worker workers[MAX_JOBS];
  int n_workers;
} crew;

int64_t vane_lab_processors(void) {
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? count : 1;
}

/* --- in the task's process --- */

static vane_status write_all(int pipe, const char *bytes, size_t n_bytes) {
  while (n_bytes > 0) {
    ssize_t written = write(pipe, bytes, n_bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno),
                               "nobody listens to this task any more");
    bytes += written;
    n_bytes -= (size_t)written;
  }
  return VANE_OK;
}

vane_status vane_lab_say(const vane_lab_mouth *mouth, const char *line) {
  VANE_TRY(write_all(mouth->pipe, line, strlen(line)));
  return write_all(mouth->pipe, "\n", 1);
}

vane_status vane_lab_say_json(const vane_lab_mouth *mouth, json_t *object) {
  char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  vane_status status =
      line ? vane_lab_say(mouth, line) : vane_fail(VANE_ERR_MEMORY, "no memory for a result");
  free(line);
  return status;
}

/* Never returns. What the calling process had open or would do at its end is left alone. */
static void do_task(const vane_lab_workers *orders, int64_t task, int pipe) {
  const vane_lab_mouth mouth = {pipe};
  signal(SIGPIPE, SIG_IGN);
  vane_status status = orders->work(orders->user, task, &mouth);
  if (status == VANE_OK)
    _exit(EXIT_SUCCESS);
  char line[sizeof((vane_error *)0)->message + 16];
  snprintf(line, sizeof line, "%c%d %s", FAILURE_MARK, (int)status, vane_error_get()->message);
  for (char *c = line; *c; c++)
    if (*c == '\n')
      *c = ' ';
  status = vane_lab_say(&mouth, line);
  _exit(EXIT_FAILURE);
}

/* --- in the calling process --- */

static vane_status begin(crew *all, int64_t task) {
  int ends[2];
  if (pipe(ends) != 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot start a task");
  fflush(NULL); /* or the task would print it too */
  pid_t process = fork();
  if (process < 0) {
    close(ends[0]);
    close(ends[1]);
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot start a task");
  }
  if (process == 0) {
    close(ends[0]);
    do_task(all->orders, task, ends[1]);
  }
  close(ends[1]);
  all->workers[all->n_workers++] = (worker){.process = process, .pipe = ends[0], .task = task};
  return VANE_OK;
}

static vane_status hear_line(const crew *all, const worker *from, char *line) {
  if (line[0] != FAILURE_MARK)
    return all->orders->hear(all->orders->user, from->task, line);
  char *message;
  vane_status status = (vane_status)strtol(line + 1, &message, 10);
  return vane_fail(status, "%s", message + (*message == ' '));
}

/* Hands on every whole line and keeps the rest. */
static vane_status hear_lines(const crew *all, worker *from) {
  char *begin_of_line = from->text, *end = from->text + from->n_bytes;
  vane_status status = VANE_OK;
  for (char *stop; status == VANE_OK && begin_of_line < end &&
                   (stop = memchr(begin_of_line, '\n', (size_t)(end - begin_of_line)));
       begin_of_line = stop + 1) {
    *stop = 0;
    status = hear_line(all, from, begin_of_line);
  }
  from->n_bytes = (size_t)(end - begin_of_line);
  memmove(from->text, begin_of_line, from->n_bytes);
  return status;
}

/* Reads what is there; `over` where the task has closed its end. */
static vane_status listen(const crew *all, worker *from, bool *over) {
  const size_t more = 4096;
  *over = false;
  if (from->capacity - from->n_bytes < more) {
    char *text = realloc(from->text, from->capacity + 2 * more);
    if (!text)
      return vane_fail(VANE_ERR_MEMORY, "no memory to listen to a task");
    from->text = text;
    from->capacity += 2 * more;
  }
  ssize_t n = read(from->pipe, from->text + from->n_bytes, more);
  if (n < 0 && errno == EINTR)
    return VANE_OK;
  *over = n <= 0;
  if (*over)
    return VANE_OK;
  from->n_bytes += (size_t)n;
  return hear_lines(all, from);
}

/* Waits for the process, whose end of the pipe is closed or which was told to end. */
static int take_leave(crew *all, int index) {
  worker left = all->workers[index];
  all->workers[index] = all->workers[--all->n_workers];
  int result = 0;
  while (waitpid(left.process, &result, 0) < 0 && errno == EINTR)
    continue;
  close(left.pipe);
  free(left.text);
  return result;
}

static vane_status check_end(int64_t task, int result) {
  if (WIFEXITED(result) && WEXITSTATUS(result) == EXIT_SUCCESS)
    return VANE_OK;
  if (WIFSIGNALED(result))
    return vane_fail(VANE_ERR_IO, "task %" PRId64 " was ended by signal %d (%s)", task,
                     WTERMSIG(result), strsignal(WTERMSIG(result)));
  return vane_fail(VANE_ERR_IO, "task %" PRId64 " failed without a word", task);
}

/* Waits until someone has something to say, and listens. */
static vane_status listen_to_all(crew *all) {
  struct pollfd pipes[MAX_JOBS];
  for (int i = 0; i < all->n_workers; i++)
    pipes[i] = (struct pollfd){.fd = all->workers[i].pipe, .events = POLLIN};
  if (poll(pipes, (nfds_t)all->n_workers, -1) < 0)
    return errno == EINTR
               ? VANE_OK
               : vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot wait for tasks");
  for (int i = all->n_workers - 1; i >= 0; i--) {
    if (!pipes[i].revents)
      continue;
    bool over;
    VANE_TRY(listen(all, &all->workers[i], &over));
    int64_t task = all->workers[i].task;
    if (over)
      VANE_TRY(check_end(task, take_leave(all, i)));
  }
  return VANE_OK;
}

vane_status vane_lab_workers_run(const vane_lab_workers *workers, int64_t n_tasks, int64_t n_jobs) {
  crew all = {.orders = workers};
  vane_status status = VANE_OK;
  n_jobs = n_jobs < MAX_JOBS ? n_jobs : MAX_JOBS;
  for (int64_t next = 0; status == VANE_OK && (next < n_tasks || all.n_workers > 0);) {
    if (next < n_tasks && all.n_workers < n_jobs)
      status = begin(&all, next++);
    else
      status = listen_to_all(&all);
  }
  while (all.n_workers > 0) {
    kill(all.workers[0].process, SIGTERM);
    take_leave(&all, 0);
  }
  return status;
}
