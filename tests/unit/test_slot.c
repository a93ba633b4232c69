/* data/slot.h: what went wrong in a batch, in one order whatever the threads did. */
#include "scratch.h"

#include "base/error.h"
#include "data/slot.h"

static void note(vane_slot *slot, int64_t place, int64_t attempt) {
  assert_int_equal(vane_fail(VANE_ERR_FORMAT, "place %d", (int)place), VANE_ERR_FORMAT);
  assert_ok(vane_slot_note_bad(slot, place, attempt, 100 * place + attempt));
}

static void bad_records_are_sorted_by_place_and_attempt(void **state) {
  (void)state;
  vane_slot slot;
  assert_ok(vane_slot_init(&slot, 4, 10));
  vane_slot_restart(&slot, 7, 4);
  assert_int_equal(slot.batch.number, 7);
  for (int round = 0; round < 5; round++) { /* more than the first table holds */
    note(&slot, 3, 2 * round);
    note(&slot, 1, 2 * round + 1);
    note(&slot, 3, 2 * round + 1);
    note(&slot, 1, 2 * round);
  }
  vane_slot_sort_bad(&slot);
  assert_int_equal(slot.n_bad, 20);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(slot.bad[i].place, i < 10 ? 1 : 3);
    assert_int_equal(slot.bad[i].attempt, i % 10);
    assert_int_equal(slot.bad[i].index, 100 * slot.bad[i].place + i % 10);
    assert_string_equal(slot.bad[i].message, i < 10 ? "place 1" : "place 3");
  }
  vane_slot_restart(&slot, 8, 2);
  assert_int_equal(slot.n_bad, 0);
  vane_slot_finish(&slot);
}

static void the_first_empty_place_is_the_batchs_failure(void **state) {
  (void)state;
  vane_slot slot;
  assert_ok(vane_slot_init(&slot, 4, 10));
  vane_slot_restart(&slot, 0, 4);
  assert_int_equal(slot.failed_at, -1);
  const int64_t places[] = {2, 1, 3};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(vane_fail(VANE_ERR_IO, "place %d", (int)places[i]), VANE_ERR_IO);
    vane_slot_note_failure(&slot, places[i]);
  }
  assert_int_equal(slot.failed_at, 1);
  assert_string_equal(slot.error.message, "place 1");
  vane_slot_finish(&slot);
  vane_slot_finish(&slot);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_records_are_sorted_by_place_and_attempt),
      cmocka_unit_test(the_first_empty_place_is_the_batchs_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
