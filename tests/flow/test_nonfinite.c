/* A loss that is not finite writes nothing, and is named: loss, step, example. */
#include "flow/small.h"

#include "train/loop.h"

/* One step on a batch in which the magnitude of one present image overflows a float when squared.
 */
static vane_step_record step_with_bad_magnitude(vane_trainer *trainer, int64_t *bad_index) {
  vane_loader *loader;
  const vane_batch *batch;
  assert_ok(
      vane_loader_open(&trainer->config, false, trainer->config.train_batch, 0, NULL, &loader));
  assert_ok(vane_loader_take(loader, &batch));
  *bad_index = -1;
  for (int64_t i = 0; i < batch->n && *bad_index < 0; i++)
    if (batch->labels[i].present > 0.5f)
      *bad_index = i;
  assert_true(*bad_index >= 0);
  batch->labels[*bad_index].magnitude = 1e30f;
  assert_ok(vane_step_run(trainer, batch));
  vane_loader_give_back(loader, batch);
  vane_loader_close(loader);
  return small_record(trainer);
}

static void nothing_is_written(void **state) {
  (void)state;
  static const char *const stop[] = {"model.norm=batch", "train.on_nonfinite=stop"};
  static const char *const skip[] = {"model.norm=batch", "train.on_nonfinite=skip"};
  for (int stops = 0; stops < 2; stops++) {
    vane_trainer *trainer = small_trainer(stops ? stop : skip, 2);
    vane_device *device = trainer->device;
    int64_t running = vane_trunk_running_count(trainer->network->trunk);
    int64_t count, bad_index;
    float *before = small_read(trainer, trainer->network->weights, &count);
    float *statistics = malloc((size_t)running * sizeof *statistics);
    float *statistics_after = malloc((size_t)running * sizeof *statistics);
    assert_ok(device->memory.get(device, statistics, trainer->network->running, running));
    vane_step_record record = step_with_bad_magnitude(trainer, &bad_index);
    float *after = small_read(trainer, trainer->network->weights, &count);
    float *m = small_read(trainer, trainer->m, &count);
    assert_ok(device->memory.get(device, statistics_after, trainer->network->running, running));

    assert_int_equal(record.skip, 1);
    assert_int_equal(record.halted, stops);
    assert_int_equal(record.n_bad_steps, 1);
    assert_true(record.bad_steps[0].note.step == 1);
    assert_int_equal(record.bad_steps[0].kind, VANE_BAD_NONFINITE);
    assert_int_equal(record.bad_steps[0].loss, VANE_LOSS_MAGNITUDE);
    assert_int_equal(record.bad_steps[0].n_samples, 1);
    assert_int_equal(record.bad_steps[0].samples[0], bad_index);
    assert_memory_equal(before, after, (size_t)count * sizeof *before);
    assert_memory_equal(statistics, statistics_after, (size_t)running * sizeof *statistics);
    for (int64_t i = 0; i < count; i++)
      assert_true(m[i] == 0);

    /* The next, sound step: a run that skips goes on, one that stops does not move again. */
    small_train(trainer, 1);
    float *later = small_read(trainer, trainer->network->weights, &count);
    int moved = memcmp(before, later, (size_t)count * sizeof *before) != 0;
    assert_int_equal(moved, !stops);
    free(before);
    free(after);
    free(later);
    free(m);
    free(statistics);
    free(statistics_after);
    vane_trainer_destroy(trainer);
  }
}

/* Learning rates beyond reason: the loop must notice and say which loss, step and example. */
static void the_loop_names_loss_step_and_examples(void **state) {
  const scratch *area = *state;
  static const char *const settings[] = {"optim.lr=1e6", "train.steps=200", "data.shuffle=false"};
  char folder[128];
  snprintf(folder, sizeof folder, "%s/run", area->folder);
  vane_trainer *trainer = small_trainer(settings, 3);
  vane_run *run;
  assert_ok(vane_run_create(folder, "seed: 1\n", 3, &run));
  assert_int_equal(vane_train(trainer, run, (vane_best){0}, NULL, NULL), VANE_ERR_NUMERIC);
  assert_message_contains("step ");
  assert_message_contains("not finite");
  assert_message_contains("scene");
  int64_t count;
  float *weights = small_read(trainer, trainer->network->weights, &count);
  for (int64_t i = 0; i < count; i++)
    assert_true(isfinite(weights[i]));
  free(weights);
  vane_run_close(run);
  vane_trainer_destroy(trainer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_written),
      scratch_test(the_loop_names_loss_step_and_examples),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
