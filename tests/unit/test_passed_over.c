/* Places that the stream of examples leaves out. */
#include "scratch.h"

#include "data/passed_over.h"

/* Beside a list of flags, one per place. */
static void assert_as_flags(const vane_config *config, const bool *left_out, int64_t n) {
  int64_t delivered = 0;
  for (int64_t place = 0; place < n; place++)
    if (!left_out[place])
      assert_int_equal(vane_passed_over_place(config, delivered++), place);
}

static void entries_merge_in_every_order(void **state) {
  (void)state;
  static const int64_t spans[][2] = {{10, 3}, {20, 5}, {13, 1}, {11, 1}, {0, 2},
                                     {24, 6}, {18, 2}, {40, 1}, {5, 30}, {41, 1}};
  enum { N = 10, PLACES = 64 };
  for (int turn = 0; turn < N; turn++) {
    vane_config config;
    bool left_out[PLACES] = {false};
    vane_config_init(&config);
    for (int i = 0; i < N; i++) {
      const int64_t *span = spans[(i * 3 + turn) % N];
      assert_ok(vane_passed_over_add(&config, span[0], span[1]));
      for (int64_t place = span[0]; place < span[0] + span[1]; place++)
        left_out[place] = true;
      assert_as_flags(&config, left_out, PLACES);
      for (int64_t e = 2; e < config.n_data_train_passed_over; e += 2)
        assert_true(config.data_train_passed_over[e - 2] + config.data_train_passed_over[e - 1] <
                    config.data_train_passed_over[e]);
    }
    assert_int_equal(config.n_data_train_passed_over, 6); /* 0..1, 5..34, 40..41 */
  }
}

static void a_full_list_stays_what_it_is(void **state) {
  (void)state;
  vane_config config, before;
  vane_config_init(&config);
  for (int64_t i = 0; i < 64; i++)
    assert_ok(vane_passed_over_add(&config, 10 * i, 2));
  before = config;
  assert_fails(vane_passed_over_add(&config, 5, 1), VANE_ERR_STATE, "64 entries");
  assert_memory_equal(&before, &config, sizeof config);
  assert_ok(vane_passed_over_add(&config, 12, 3)); /* touches the second: 10 .. 14 */
  assert_int_equal(vane_passed_over_place(&config, 7), 9);
  assert_int_equal(vane_passed_over_place(&config, 8), 15);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_merge_in_every_order),
      cmocka_unit_test(a_full_list_stays_what_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
