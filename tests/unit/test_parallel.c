/* base/parallel.h: every item once, finished in order, the lowest failure. */
#include "scratch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/error.h"
#include "base/parallel.h"

#define N_ITEMS 200

typedef struct ledger {
  atomic_int worked[N_ITEMS];
  int64_t finished[N_ITEMS], n_finished;
  int64_t bad_work, bad_finish; /* items that fail; -1: none */
} ledger;

static vane_status work(void *user, int64_t item) {
  ledger *book = user;
  book->worked[item]++;
  /* The first items take longest, so that later ones are done before them. */
  struct timespec pause = {0, item < 4 ? 3000000 : 1000};
  nanosleep(&pause, NULL);
  if (book->bad_work >= 0 && item >= book->bad_work)
    return vane_fail(VANE_ERR_DATA, "item %d", (int)item);
  return VANE_OK;
}

static vane_status finish(void *user, int64_t item) {
  ledger *book = user;
  assert_int_equal(book->worked[item], 1);
  book->finished[book->n_finished++] = item;
  return item == book->bad_finish ? vane_fail(VANE_ERR_IO, "finish %d", (int)item) : VANE_OK;
}

static void run(ledger *book, int64_t n_items, int64_t n_threads, vane_status expected) {
  const vane_parallel parallel = {work, finish, book};
  assert_int_equal(vane_parallel_run(&parallel, n_items, n_threads), expected);
  for (int64_t i = 0; i < book->n_finished; i++)
    assert_int_equal(book->finished[i], i);
}

static void does_every_item_once_and_finishes_in_order(void **state) {
  (void)state;
  const int64_t threads[] = {1, 2, 7, 500};
  for (int i = 0; i < 4; i++) {
    ledger book = {.bad_work = -1, .bad_finish = -1};
    run(&book, N_ITEMS, threads[i], VANE_OK);
    assert_int_equal(book.n_finished, N_ITEMS);
  }
  ledger empty = {.bad_work = -1, .bad_finish = -1};
  run(&empty, 0, 4, VANE_OK);
  assert_int_equal(empty.n_finished, 0);
}

static void returns_the_lowest_failure(void **state) {
  (void)state;
  for (int64_t n_threads = 1; n_threads < 6; n_threads++) {
    ledger book = {.bad_work = 2, .bad_finish = -1};
    run(&book, N_ITEMS, n_threads, VANE_ERR_DATA);
    assert_message_contains("item 2");
    assert_int_equal(book.n_finished, 2);
    assert_int_equal(book.worked[N_ITEMS - 1], 0);
    ledger other = {.bad_work = 60, .bad_finish = 50};
    run(&other, N_ITEMS, n_threads, VANE_ERR_IO);
    assert_message_contains("finish 50");
    assert_int_equal(other.n_finished, 51);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(does_every_item_once_and_finishes_in_order),
      cmocka_unit_test(returns_the_lowest_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
