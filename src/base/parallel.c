#include "base/parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

typedef struct crew {
  const vane_parallel *parallel;
  int64_t n_items;
  pthread_mutex_t lock;
  pthread_cond_t turn_changed;
  int64_t next; /* to begin */
  int64_t turn; /* to finish */
  bool failed;
  vane_error error;
} crew;

/* Waits until all lower items are finished, then finishes this one. */
static void finish_in_turn(crew *all, int64_t item, vane_status status) {
  pthread_mutex_lock(&all->lock);
  while (all->turn != item)
    pthread_cond_wait(&all->turn_changed, &all->lock);
  bool failed = all->failed;
  pthread_mutex_unlock(&all->lock);
  /* The turn itself keeps the others out of here. */
  if (status == VANE_OK && !failed && all->parallel->finish)
    status = all->parallel->finish(all->parallel->user, item);
  pthread_mutex_lock(&all->lock);
  if (status != VANE_OK && !failed) {
    all->failed = true;
    all->error = *vane_error_get();
  }
  all->turn++;
  pthread_cond_broadcast(&all->turn_changed);
  pthread_mutex_unlock(&all->lock);
}

static void *join_in(void *argument) {
  crew *all = argument;
  for (;;) {
    pthread_mutex_lock(&all->lock);
    int64_t item = all->failed ? all->n_items : all->next;
    if (item < all->n_items)
      all->next++;
    pthread_mutex_unlock(&all->lock);
    if (item >= all->n_items)
      return NULL;
    finish_in_turn(all, item, all->parallel->work(all->parallel->user, item));
  }
}

vane_status vane_parallel_run(const vane_parallel *parallel, int64_t n_items, int64_t n_threads) {
  crew all = {.parallel = parallel, .n_items = n_items};
  int64_t n_wanted = (n_threads < n_items ? n_threads : n_items) - 1, n_started = 0;
  pthread_t *threads = calloc((size_t)(n_wanted > 0 ? n_wanted : 1), sizeof *threads);
  if (!threads)
    return vane_fail(VANE_ERR_MEMORY, "no memory for threads");
  pthread_mutex_init(&all.lock, NULL);
  pthread_cond_init(&all.turn_changed, NULL);
  /* Signals are the main thread's business. */
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  /* Where the system refuses a thread, fewer do the work. */
  while (n_started < n_wanted && pthread_create(&threads[n_started], NULL, join_in, &all) == 0)
    n_started++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  join_in(&all);
  for (int64_t i = 0; i < n_started; i++)
    pthread_join(threads[i], NULL);
  pthread_cond_destroy(&all.turn_changed);
  pthread_mutex_destroy(&all.lock);
  free(threads);
  return all.failed ? vane_error_adopt(&all.error) : VANE_OK;
}
