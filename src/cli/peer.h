/* Another program that measures the same work: asked and answering in JSON, one object per line. */
#ifndef VANE_CLI_PEER_H
#define VANE_CLI_PEER_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "vane/status.h"

typedef struct peer {
  const char *command; /* borrowed; NULL: there is none */
  pid_t process;
  FILE *to, *from;
} peer;

/* Starts `command` by the shell; NULL starts nothing. A peer that goes away no longer ends this
 * process: writing to it fails. */
VANE_CHECKED
vane_status peer_open(peer *p, const char *command);

/* Releases `question`, which goes to the peer's standard input; *answer is the object that it
 * prints next, released by the caller, or NULL where there is no peer. VANE_ERR_IO: it has ended;
 * VANE_ERR_FORMAT: what it printed is no JSON object. */
VANE_CHECKED
vane_status peer_ask(peer *p, json_t *question, json_t **answer);

/* Its standard input ends; waits until it does so too. */
void peer_close(peer *p);

#endif
