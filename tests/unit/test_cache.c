/* data/cache.h: an example is kept whole, the first of equals stays, threads see all or nothing. */
#include "scratch.h"

#include "base/error.h"
#include "base/parallel.h"
#include "data/cache.h"

#define N_BYTES 1000

static void an_example_is_found_once_it_was_kept(void **state) {
  (void)state;
  vane_example_cache *cache;
  uint8_t pixels[N_BYTES], found[N_BYTES];
  vane_labels labels = {.present = 1.0f, .angle = 0.5f, .known = 3}, other;
  assert_ok(vane_example_cache_create(5, N_BYTES, &cache));
  assert_false(vane_example_cache_find(cache, 4, found, &other));
  memset(pixels, 7, sizeof pixels);
  vane_example_cache_keep(cache, 4, pixels, &labels);
  assert_false(vane_example_cache_find(cache, 3, found, &other));
  memset(pixels, 8, sizeof pixels);
  vane_example_cache_keep(cache, 4, pixels, &labels);
  assert_true(vane_example_cache_find(cache, 4, found, &other));
  assert_true(found[0] == 7 && found[N_BYTES - 1] == 7);
  assert_memory_equal(&labels, &other, sizeof labels);
  vane_example_cache_destroy(cache);
}

/* Every task keeps and finds examples that others do too; a torn one would hold two values. */
static vane_status keep_and_find(void *user, int64_t task) {
  vane_example_cache *cache = user;
  uint8_t pixels[N_BYTES], found[N_BYTES];
  vane_labels labels;
  for (int64_t i = 0; i < 64; i++) {
    int64_t index = (i * 5 + task) % 64;
    memset(pixels, (int)index, sizeof pixels);
    labels = (vane_labels){.angle = (float)index};
    vane_example_cache_keep(cache, index, pixels, &labels);
    if (!vane_example_cache_find(cache, index, found, &labels))
      continue; /* another thread is about to keep it */
    if (memcmp(pixels, found, sizeof found) != 0 || labels.angle != (float)index)
      return vane_fail(VANE_ERR_DATA, "example %d is torn", (int)index);
  }
  return VANE_OK;
}

static void threads_see_all_or_nothing(void **state) {
  (void)state;
  for (int round = 0; round < 50; round++) {
    vane_example_cache *cache;
    assert_ok(vane_example_cache_create(64, N_BYTES, &cache));
    const vane_parallel threads = {.work = keep_and_find, .user = cache};
    assert_ok(vane_parallel_run(&threads, 8, 4));
    vane_example_cache_destroy(cache);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_example_is_found_once_it_was_kept),
      cmocka_unit_test(threads_see_all_or_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
