/* vane bench: the call, and what is measured in a file of its own. */
#ifndef VANE_CLI_BENCH_H
#define VANE_CLI_BENCH_H

#include "cli/cli.h"

typedef enum bench_format { BENCH_TABLE, BENCH_JSON, BENCH_CSV } bench_format;

enum { BENCH_MOST_COUNTS = 32 };

typedef struct bench_counts {
  int64_t count[BENCH_MOST_COUNTS];
  int n;
} bench_counts;

typedef struct bench_call {
  const char *config_path;
  vane_settings settings;
  bench_format format;
  int64_t steps, batches; /* 0: not given */
  /* adam */
  bench_counts parameters, tensors; /* n 0: not given */
  int64_t largest;                  /* 0: not given */
  double seconds;                   /* for a line; 0: not given */
  const char *modes, *caches;       /* NULL: not given */
  const char *peer, *plot;
} bench_call;

/* bench_adam.c */
VANE_CHECKED
vane_status bench_adam(const bench_call *call);

#endif
