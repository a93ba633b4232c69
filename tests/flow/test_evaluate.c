/* An evaluation, however often it is asked for and whether the device recorded it or not, gives the
 * same scores, and training goes on as if it had not been. */
#include "flow/small.h"

#include "train/evaluate.h"

static const char *const settings[] = {"model.norm=batch", "train.steps=6"};

static vane_loader *open_test(const vane_trainer *trainer) {
  vane_loader *loader;
  assert_ok(
      vane_loader_open(&trainer->config, true, trainer->config.train_batch, 0, NULL, &loader));
  return loader;
}

static void the_same_weights_get_the_same_scores(void **state) {
  (void)state;
  vane_trainer *trainer = small_trainer(settings, 2);
  vane_loader *test = open_test(trainer);
  vane_scores first;
  small_train(trainer, 3);
  assert_ok(vane_evaluate(trainer, test, &first));
  for (int turn = 0; turn < 3; turn++) {
    vane_scores again;
    assert_ok(vane_evaluate(trainer, test, &again));
    assert_int_equal(again.images, first.images);
    for (int k = 0; k < VANE_N_LOSSES; k++)
      assert_true(again.loss[k] == first.loss[k] && isfinite(first.loss[k]));
    assert_true(again.total == first.total && again.auroc == first.auroc);
    assert_true(again.mae_deg == first.mae_deg && again.mae_px == first.mae_px);
  }
  vane_loader_close(test);
  vane_trainer_destroy(trainer);
}

static void training_goes_on_as_if_it_had_not_been(void **state) {
  (void)state;
  vane_trainer *plain = small_trainer(settings, 2), *evaluated = small_trainer(settings, 2);
  vane_loader *test = open_test(evaluated);
  int64_t count;
  for (int step = 0; step < 4; step++) {
    vane_scores scores;
    small_train(plain, 1);
    small_train(evaluated, 1);
    assert_ok(vane_evaluate(evaluated, test, &scores));
  }
  float *expected = small_read(plain, plain->network->weights, &count);
  float *weights = small_read(evaluated, evaluated->network->weights, &count);
  float *expected_m = small_read(plain, plain->m, &count);
  float *m = small_read(evaluated, evaluated->m, &count);
  assert_memory_equal(weights, expected, (size_t)count * sizeof *weights);
  assert_memory_equal(m, expected_m, (size_t)count * sizeof *m);
  int64_t running = vane_trunk_running_count(plain->network->trunk);
  float *statistics = malloc(2 * (size_t)running * sizeof *statistics);
  assert_non_null(statistics);
  assert_ok(plain->device->memory.get(plain->device, statistics, plain->network->running, running));
  assert_ok(evaluated->device->memory.get(evaluated->device, statistics + running,
                                          evaluated->network->running, running));
  assert_memory_equal(statistics, statistics + running, (size_t)running * sizeof *statistics);
  free(statistics);
  free(expected);
  free(weights);
  free(expected_m);
  free(m);
  vane_loader_close(test);
  vane_trainer_destroy(plain);
  vane_trainer_destroy(evaluated);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_weights_get_the_same_scores),
      cmocka_unit_test(training_goes_on_as_if_it_had_not_been),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
