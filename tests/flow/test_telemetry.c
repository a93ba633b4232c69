/* What a run says of Adam (N40): the metrics that its reports carry, and a warning where moments
 * are damaged. */
#include "flow/small.h"

#include <jansson.h>

#include "train/loop.h"

/* Trains 8 steps with reports at 4 and 8; the object "adam" of the report at 8, NULL: it has none.
 * The run is the scratch folder's. */
static json_t *train_and_read(const scratch *area, vane_trainer *trainer, const vane_log *log) {
  char folder[128], path[256];
  vane_run *run;
  snprintf(folder, sizeof folder, "%s/run", area->folder);
  assert_ok(vane_run_create(folder, "seed: 1\n", 3, &run));
  assert_ok(vane_train(trainer, run, (vane_best){0}, log, NULL));
  vane_run_close(run);
  snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  json_t *adam = NULL, *line;
  while ((line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL))) {
    if (json_integer_value(json_object_get(line, "step")) == 8 && json_object_get(line, "adam"))
      adam = json_incref(json_object_get(line, "adam"));
    json_decref(line);
  }
  fclose(file);
  return adam;
}

static double number(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  if (!json_is_real(value))
    fail_msg("%s: no number", name);
  return json_real_value(value);
}

static void assert_plausible(const json_t *seen) {
  assert_in_range((int)(1000 * number(seen, "rms")), 1, 30000);
  assert_true(number(seen, "largest_update") > 0.01 && number(seen, "largest_update") < 7.28);
  assert_true(number(seen, "update_to_weight") > 0 && number(seen, "update_to_weight") < 1);
  assert_true(number(seen, "below_epsilon") >= 0 && number(seen, "below_epsilon") <= 1);
  assert_true(number(seen, "v_underflows") >= 0);
}

static void a_report_sums_up_all_tensors(void **state) {
  static const char *const settings[] = {"optim.telemetry.every=2"};
  vane_trainer *trainer = small_trainer(settings, 1);
  json_t *adam = train_and_read(*state, trainer, NULL);
  assert_non_null(adam);
  assert_int_equal(json_object_size(adam), 5);
  assert_plausible(adam);
  json_decref(adam);
  vane_trainer_destroy(trainer);
}

/* The largest of all is that of the tensor that has it. */
static void tensors_are_reported_where_wanted(void **state) {
  static const char *const settings[] = {"optim.telemetry={every: 1, tensors: true}"};
  vane_trainer *trainer = small_trainer(settings, 1);
  json_t *adam = train_and_read(*state, trainer, NULL);
  const vane_parameters *parameters = &trainer->network->parameters;
  double largest = 0, underflows = 0;
  assert_non_null(adam);
  assert_int_equal(json_object_size(adam), 5 + parameters->n);
  for (int64_t i = 0; i < parameters->n; i++) {
    const json_t *tensor = json_object_get(adam, parameters->items[i].name);
    assert_non_null(tensor);
    largest = fmax(largest, number(tensor, "largest_update"));
    underflows += number(tensor, "v_underflows");
  }
  assert_true(largest == number(adam, "largest_update"));
  assert_true(underflows == number(adam, "v_underflows"));
  json_decref(adam);
  vane_trainer_destroy(trainer);
}

static void nothing_is_said_where_nothing_was_seen(void **state) {
  const scratch *area = *state;
  static const char *const settings[][1] = {{"optim.telemetry.every=0"},
                                            {"optim.telemetry.every=9"}};
  for (int i = 0; i < 2; i++) {
    scratch inner = *area;
    snprintf(inner.folder, sizeof inner.folder, "%.40s/%d", area->folder, i);
    vane_trainer *trainer = small_trainer(settings[i], 1);
    assert_int_equal(trainer->telemetry == NULL, i == 0);
    assert_null(train_and_read(&inner, trainer, NULL));
    vane_trainer_destroy(trainer);
  }
}

/* What a run of its own says of a setting. */
static double number_with(const scratch *area, const char *setting, const char *name) {
  const char *const settings[] = {"optim.telemetry.every=1", setting};
  scratch inner;
  snprintf(inner.folder, sizeof inner.folder, "%.40s/%.20s", area->folder, setting);
  vane_trainer *trainer = small_trainer(settings, 2);
  json_t *adam = train_and_read(&inner, trainer, NULL);
  assert_non_null(adam);
  double value = number(adam, name);
  json_decref(adam);
  vane_trainer_destroy(trainer);
  return value;
}

/* Limits of whole tensors (N67, N68) take part in every step. */
static void limits_of_tensors_are_felt(void **state) {
  double plain = number_with(*state, "optim.epsilon=1e-8", "update_to_weight");
  double shorter = number_with(*state, "optim.update_clip=1e-3", "update_to_weight");
  assert_true(shorter > 0 && shorter < 0.01 * plain);
  assert_true(number_with(*state, "optim.beta2=0.999", "below_epsilon") < 0.5);
  assert_true(number_with(*state, "grad.clip.adaptive=1e-12", "below_epsilon") == 1);
}

/* ---- Damaged moments ------------------------------------------------------------------------- */

typedef struct heard {
  int n_warnings;
  char last[400];
} heard;

static void hear(void *user, vane_log_level level, const char *message) {
  heard *said = user;
  if (level != VANE_LOG_WARNING)
    return;
  said->n_warnings++;
  snprintf(said->last, sizeof said->last, "%s", message);
}

static void damaged_moments_are_reported(void **state) {
  static const char *const settings[] = {"optim.telemetry.every=1"};
  heard said = {0};
  const vane_log log = {.write = hear, .user = &said};
  vane_trainer *trainer = small_trainer(settings, 1);
  /* A first moment without its second. */
  const float large = 1e6f;
  assert_ok(trainer->device->memory.put(trainer->device, trainer->m, &large, 1));
  json_decref(train_and_read(*state, trainer, &log));
  assert_in_range(said.n_warnings, 1, 2); /* at step 4, and 8 unless it has faded */
  assert_non_null(strstr(said.last, "moments are damaged"));
  vane_trainer_destroy(trainer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(a_report_sums_up_all_tensors),
      scratch_test(tensors_are_reported_where_wanted),
      scratch_test(nothing_is_said_where_nothing_was_seen),
      scratch_test(limits_of_tensors_are_felt),
      scratch_test(damaged_moments_are_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
