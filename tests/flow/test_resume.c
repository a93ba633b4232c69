/* A run that was stopped and resumed equals the uninterrupted one, bit for bit. */
#include "flow/small.h"

#include <jansson.h>

#include "base/file.h"
#include "train/loop.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Trains from wherever the run in `folder` stands to `steps`, in a trainer of its own. */
static void train_until(const char *folder, const char *const *assignments, int n, int64_t steps,
                        int threads) {
  char checkpoint_path[512], last[64], loader_threads[64];
  vane_config config;
  vane_trainer *trainer;
  vane_run *run;
  vane_best best = {0};
  small_configure(&config, assignments, n);
  snprintf(last, sizeof last, "train.steps=%lld", (long long)steps);
  snprintf(loader_threads, sizeof loader_threads, "data.threads=%d", threads);
  assert_ok(vane_config_set(&config, last));
  assert_ok(vane_config_set(&config, loader_threads));
  if (vane_folder_exists(folder)) {
    vane_checkpoint *checkpoint;
    assert_ok(vane_run_find_checkpoint(folder, false, checkpoint_path, sizeof checkpoint_path));
    assert_ok(vane_checkpoint_open(checkpoint_path, &checkpoint));
    assert_ok(vane_trainer_create(&config, vane_checkpoint_choices(checkpoint), &trainer));
    assert_ok(vane_checkpoint_restore(checkpoint, trainer));
    assert_ok(vane_run_resume(folder, trainer->step, 99, &run));
    best = vane_checkpoint_best(checkpoint);
    vane_checkpoint_close(checkpoint);
  } else {
    assert_ok(vane_trainer_create(&config, NULL, &trainer));
    assert_ok(vane_network_draw(trainer->network));
    assert_ok(vane_run_create(folder, "seed: 1\n", 99, &run));
  }
  assert_ok(vane_train(trainer, run, best, NULL, NULL));
  vane_run_close(run);
  vane_trainer_destroy(trainer);
}

/* The next line of metrics without its speeds, NULL at the end. */
static json_t *read_line(FILE *file) {
  char *text = NULL;
  size_t capacity = 0;
  json_t *line = NULL;
  if (getline(&text, &capacity, file) > 0) {
    line = json_loads(text, 0, NULL);
    assert_non_null(line);
    json_object_del(line, "speed");
  }
  free(text);
  return line;
}

static FILE *open_metrics(const char *folder) {
  char path[600];
  snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  return file;
}

/* Two runs report the same numbers, to the last digit. Returns how many lines tell of Adam. */
static int assert_same_metrics(const char *folder_a, const char *folder_b) {
  FILE *a = open_metrics(folder_a), *b = open_metrics(folder_b);
  json_t *left = read_line(a), *right = read_line(b);
  int n_of_adam = 0;
  for (; left && right; left = read_line(a), right = read_line(b)) {
    if (!json_equal(left, right))
      fail_msg("%s and %s differ at step %lld", folder_a, folder_b,
               (long long)json_integer_value(json_object_get(left, "step")));
    n_of_adam += json_object_get(left, "adam") != NULL;
    json_decref(left);
    json_decref(right);
  }
  assert_true(!left && !right);
  fclose(a);
  fclose(b);
  return n_of_adam;
}

static void stopped_runs_end_in_the_same_bits(void **state) {
  const scratch *area = *state;
  static const char *const settings[][4] = {
      {"model.norm=batch", "optim.amsgrad=true", "train.eval_every=3", "optim.telemetry.every=1"},
      {"grad.weighting=uncertainty", "grad.space=parameters", "train.accumulate=2",
       "optim.telemetry={every: 3, tensors: true}"},
      {"grad.weighting=pcgrad", "optim.schedule=linear", "data.augment={rotate: 30, shift: 2}",
       "optim.telemetry.every=2"},
      /* Probed before and after the stop; the limit acts from the first probe on. */
      {"optim.guard={mode: on, every: 3, margin: 0.001}", "train.accumulate=2",
       "optim.epsilon=1e-8", "optim.telemetry.every=2"},
      /* The moments begin anew before the stop and after it, and the learning rate comes back. */
      {"optim.rule=adopt", "optim={reset_every: 3, reset_warmup: 2, spike_clip: 3}",
       "grad.clip.adaptive=0.05", "optim.telemetry.every=2"},
      {"optim.rule=radam", "optim={amsgrad: true, amsgrad_decay: 0.9, update_clip: 0.9}",
       "optim.beta2=0.9", "optim.telemetry.every=2"},
  };
  for (int i = 0; i < COUNT(settings); i++) {
    char whole[512], parts[512], a[600], b[600];
    snprintf(whole, sizeof whole, "%s/whole-%d", area->folder, i);
    snprintf(parts, sizeof parts, "%s/parts-%d", area->folder, i);
    train_until(whole, settings[i], 4, 8, 2);
    /* Schedules look at train.steps, so a stop is a run that ends with a step of the whole one. */
    train_until(parts, settings[i], 4, 8, 1);
    snprintf(a, sizeof a, "%s/checkpoints/step-00000004.safetensors", parts);
    snprintf(b, sizeof b, "%s/checkpoints/last.safetensors", parts);
    assert_int_equal(remove(b), 0);
    assert_int_equal(link(a, b), 0);
    train_until(parts, settings[i], 4, 8, 2);
    snprintf(a, sizeof a, "%s/checkpoints/step-00000008.safetensors", whole);
    snprintf(b, sizeof b, "%s/checkpoints/step-00000008.safetensors", parts);
    assert_true(small_same_tensors(a, b) > 30);
    assert_int_equal(assert_same_metrics(whole, parts), i == 0 ? 4 : 2);
  }
}

static volatile sig_atomic_t asked_to_stop;

static void ask_to_stop(void *user, const vane_progress *progress) {
  (void)user;
  (void)progress;
  asked_to_stop = 1;
}

/* A request to stop ends the run after the step under way, with a checkpoint of that step. */
static void a_request_to_stop_leaves_a_checkpoint(void **state) {
  const scratch *area = *state;
  char folder[128], path[256];
  snprintf(folder, sizeof folder, "%s/run", area->folder);
  vane_trainer *trainer = small_trainer(NULL, 0);
  vane_run *run;
  vane_checkpoint *checkpoint;
  vane_observer observer = {.progress = ask_to_stop, .stop = &asked_to_stop};
  trainer->config.train_log_every = 3;
  assert_ok(vane_run_create(folder, "seed: 1\n", 3, &run));
  assert_ok(vane_train(trainer, run, (vane_best){0}, NULL, &observer));
  assert_int_equal(trainer->step, 3); /* of 8: the first report asked */
  assert_ok(vane_run_find_checkpoint(folder, false, path, sizeof path));
  assert_ok(vane_checkpoint_open(path, &checkpoint));
  assert_int_equal(vane_checkpoint_step(checkpoint), 3);
  vane_checkpoint_close(checkpoint);
  vane_run_close(run);
  vane_trainer_destroy(trainer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(stopped_runs_end_in_the_same_bits),
      scratch_test(a_request_to_stop_leaves_a_checkpoint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
