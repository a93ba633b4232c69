/* data/order.h: each epoch is a permutation that depends on the seed and the epoch alone. */
#include "scratch.h"

#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "data/order.h"

#define MAX_EXAMPLES 5000

static vane_order *create(const int64_t *file_first, int64_t n_files, bool shuffle, int64_t window,
                          uint64_t seed) {
  vane_order *order;
  assert_ok(vane_order_create(file_first, n_files, shuffle, window, seed, &order));
  return order;
}

static void read_epoch(vane_order *order, int64_t epoch, int64_t n, int64_t *examples) {
  for (int64_t i = 0; i < n; i++)
    examples[i] = vane_order_at(order, epoch * n + i);
}

static void assert_permutation(const int64_t *examples, int64_t n) {
  bool seen[MAX_EXAMPLES] = {false};
  for (int64_t i = 0; i < n; i++) {
    assert_in_range(examples[i], 0, n - 1);
    assert_false(seen[examples[i]]);
    seen[examples[i]] = true;
  }
}

static void every_epoch_holds_every_example_once(void **state) {
  (void)state;
  static int64_t examples[MAX_EXAMPLES];
  const int64_t windows[] = {1, 2, 10, 997, 1000000};
  const int64_t layouts[][4] = {
      {0, 1, 1, 1}, {0, 0, 5, 12}, {0, 1000, 1001, 3000}, {0, 7, 7, 5000}};
  for (int w = 0; w < 5; w++)
    for (int l = 0; l < 4; l++) {
      vane_order *order = create(layouts[l], 3, true, windows[w], 9);
      for (int64_t epoch = 0; epoch < 3; epoch++) {
        read_epoch(order, epoch, layouts[l][3], examples);
        assert_permutation(examples, layouts[l][3]);
      }
      vane_order_destroy(order);
    }
}

static void depends_on_seed_and_epoch_alone(void **state) {
  (void)state;
  const int64_t files[] = {0, 300, 1000};
  static int64_t first[1000], second[1000], other[1000], again[1000];
  vane_order *order = create(files, 2, true, 100, 5);
  read_epoch(order, 0, 1000, first);
  read_epoch(order, 1, 1000, second);
  read_epoch(order, 0, 1000, again); /* back again */
  assert_memory_equal(first, again, sizeof first);
  assert_memory_not_equal(first, second, sizeof first);
  vane_order_destroy(order);
  order = create(files, 2, true, 100, 5);
  for (int64_t i = 999; i >= 0; i--) /* from a place in the middle, and backwards */
    assert_int_equal(vane_order_at(order, 1000 + i), second[i]);
  vane_order_destroy(order);
  order = create(files, 2, true, 100, 6);
  read_epoch(order, 0, 1000, other);
  assert_memory_not_equal(first, other, sizeof first);
  vane_order_destroy(order);
}

static void without_shuffling_examples_come_as_they_lie(void **state) {
  (void)state;
  const int64_t files[] = {0, 3, 3, 10};
  vane_order *order = create(files, 3, false, 4, 1);
  for (int64_t i = 0; i < 35; i++)
    assert_int_equal(vane_order_at(order, i), i % 10);
  vane_order_destroy(order);
}

static void a_window_of_one_shuffles_only_files(void **state) {
  (void)state;
  int64_t files[11], n_in_place = 0;
  for (int f = 0; f <= 10; f++)
    files[f] = 10 * f;
  vane_order *order = create(files, 10, true, 1, 3);
  for (int64_t epoch = 0; epoch < 20; epoch++)
    for (int64_t f = 0; f < 10; f++) {
      int64_t first = vane_order_at(order, epoch * 100 + 10 * f);
      assert_int_equal(first % 10, 0);
      n_in_place += first == 10 * f;
      for (int64_t i = 1; i < 10; i++)
        assert_int_equal(vane_order_at(order, epoch * 100 + 10 * f + i), first + i);
    }
  /* One of ten stays in place on average: 20 in 20 epochs, standard deviation 4.5. */
  assert_in_range(n_in_place, 2, 45);
  vane_order_destroy(order);
}

/* A reader that holds w examples cannot hand out one before it was read. */
static void an_example_comes_at_most_a_window_early(void **state) {
  (void)state;
  const int64_t files[] = {0, 5000};
  static int64_t examples[5000];
  vane_order *order = create(files, 1, true, 64, 12);
  read_epoch(order, 0, 5000, examples);
  int64_t n_moved = 0;
  for (int64_t i = 0; i < 5000; i++) {
    assert_true(examples[i] < i + 64);
    n_moved += examples[i] != i;
  }
  assert_true(n_moved > 4500);
  vane_order_destroy(order);
}

/* With a window as wide as the set every example is as likely at every place. */
static void a_full_window_shuffles_evenly(void **state) {
  (void)state;
  const int64_t files[] = {0, 8};
  const int64_t n_epochs = 8000;
  int64_t count[8][8] = {{0}};
  vane_order *order = create(files, 1, true, 8, 77);
  for (int64_t i = 0; i < 8 * n_epochs; i++)
    count[i % 8][vane_order_at(order, i)]++;
  double chi_squared = 0.0;
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 8; j++)
      chi_squared += pow((double)count[i][j] - 1000.0, 2.0) / 1000.0;
  /* 49 degrees of freedom: mean 49, standard deviation 10. */
  assert_true(chi_squared < 100.0);
  vane_order_destroy(order);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_epoch_holds_every_example_once),
      cmocka_unit_test(depends_on_seed_and_epoch_alone),
      cmocka_unit_test(without_shuffling_examples_come_as_they_lie),
      cmocka_unit_test(a_window_of_one_shuffles_only_files),
      cmocka_unit_test(an_example_comes_at_most_a_window_early),
      cmocka_unit_test(a_full_window_shuffles_evenly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
