#include "cli/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

enum { READ, WRITE };

static void close_both(int ends[2]) {
  close(ends[READ]);
  close(ends[WRITE]);
}

/* In the new process, which ends here whatever happens. */
static _Noreturn void become(const char *command, int question[2], int answer[2]) {
  dup2(question[READ], STDIN_FILENO);
  dup2(answer[WRITE], STDOUT_FILENO);
  close_both(question);
  close_both(answer);
  execl("/bin/sh", "sh", "-c", command, (char *)NULL);
  _exit(127);
}

static vane_status start(peer *p, int question[2], int answer[2]) {
  p->process = fork();
  if (p->process == 0)
    become(p->command, question, answer);
  if (p->process < 0) {
    close_both(question);
    close_both(answer);
    return vane_fail(VANE_ERR_IO, "%s does not start: %s", p->command, strerror(errno));
  }
  close(question[READ]);
  close(answer[WRITE]);
  p->to = fdopen(question[WRITE], "w");
  p->from = fdopen(answer[READ], "r");
  if (p->to && p->from)
    return VANE_OK;
  return vane_fail(VANE_ERR_MEMORY, "no memory to talk to %s", p->command);
}

vane_status peer_open(peer *p, const char *command) {
  int question[2], answer[2];
  *p = (peer){.command = command};
  if (!command)
    return VANE_OK;
  signal(SIGPIPE, SIG_IGN);
  if (pipe(question) != 0)
    return vane_fail(VANE_ERR_IO, "%s does not start: %s", command, strerror(errno));
  if (pipe(answer) != 0) {
    close_both(question);
    return vane_fail(VANE_ERR_IO, "%s does not start: %s", command, strerror(errno));
  }
  return start(p, question, answer);
}

static vane_status tell(peer *p, const json_t *question) {
  if (json_dumpf(question, p->to, JSON_COMPACT) != 0 || fputc('\n', p->to) == EOF ||
      fflush(p->to) != 0)
    return vane_fail(VANE_ERR_IO, "%s has ended", p->command);
  return VANE_OK;
}

vane_status peer_ask(peer *p, json_t *question, json_t **answer) {
  *answer = NULL;
  vane_status status = p->command ? tell(p, question) : VANE_OK;
  json_decref(question);
  if (!p->command || status != VANE_OK)
    return status;
  char *line = NULL;
  size_t capacity = 0;
  if (getline(&line, &capacity, p->from) < 0) {
    status = vane_fail(VANE_ERR_IO, "%s has ended without an answer", p->command);
  } else {
    *answer = json_loads(line, 0, NULL);
    if (!json_is_object(*answer))
      status =
          vane_fail(VANE_ERR_FORMAT, "%s answers what is no JSON object: %.200s", p->command, line);
  }
  free(line);
  if (status == VANE_OK)
    return VANE_OK;
  json_decref(*answer);
  *answer = NULL;
  return status;
}

void peer_close(peer *p) {
  if (p->to)
    fclose(p->to);
  if (p->from)
    fclose(p->from);
  if (p->process > 0)
    waitpid(p->process, NULL, 0);
  *p = (peer){0};
}
