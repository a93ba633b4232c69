/* The guard in whole steps: what it measures, what it leaves alone, and that it limits the learning
 * rate where it is on, and only there. */
#include "flow/small.h"

#include "train/probe.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { N_SETTINGS = 3 };

/* Every place where losses meet, clips that act, decay of both kinds, both places of epsilon. */
static const char *const variants[][N_SETTINGS] = {
    {"model.norm=batch", "loss.weights.regularization=0.01", "optim.amsgrad=true"},
    {"grad={space: parameters, clip: {global: 0.2}}", "train.accumulate=2", "optim.epsilon=1e-3"},
    {"grad={weighting: pcgrad, clip: {per_loss: 0.1}}", "optim.weight_decay=0.1",
     "optim.epsilon_mode=hat"},
    {"grad={weighting: uncertainty, space: parameters}", "model.heads.angle.kind=bins",
     "optim={weight_decay: 0.1, decay_mode: l2}"},
    {"grad={weighting: uncertainty, clip: {average_norm: 0.02}}", "model.norm=batch",
     "train.accumulate=3"},
};

static vane_trainer *guarded(const char *const settings[N_SETTINGS], const char *guard) {
  const char *all[N_SETTINGS + 1] = {settings[0], settings[1], settings[2], guard};
  return small_trainer(all, N_SETTINGS + 1);
}

static void assert_same_block(const vane_trainer *a, const void *block_a, const vane_trainer *b,
                              const void *block_b, const char *what) {
  int64_t count;
  float *left = small_read(a, block_a, &count), *right = small_read(b, block_b, &count);
  if (memcmp(left, right, (size_t)count * sizeof *left) != 0)
    fail_msg("watched, %s differ", what);
  free(left);
  free(right);
}

static void assert_same_running(const vane_trainer *a, const vane_trainer *b) {
  float left[256], right[256];
  int64_t count = vane_trunk_running_count(a->network->trunk);
  assert_true(count <= 256);
  if (!count)
    return;
  assert_ok(a->device->memory.get(a->device, left, a->network->running, count));
  assert_ok(b->device->memory.get(b->device, right, b->network->running, count));
  assert_memory_equal(left, right, (size_t)count * sizeof *left);
}

/* Watched, a run is the same to the bit, and so is all that it says of itself. */
static void watching_changes_nothing(void **state) {
  (void)state;
  for (int i = 0; i < COUNT(variants); i++) {
    vane_trainer *plain = guarded(variants[i], "optim.guard.mode=off");
    vane_trainer *watched =
        guarded(variants[i], "optim.guard={mode: watch, every: 2, margin: 0.001}");
    small_train(plain, 6);
    small_train(watched, 6);
    assert_same_block(plain, plain->network->weights, watched, watched->network->weights,
                      "weights");
    assert_same_block(plain, plain->slots.gradients, watched, watched->slots.gradients,
                      "gradients");
    assert_same_block(plain, plain->m, watched, watched->m, "first moments");
    assert_same_block(plain, plain->v, watched, watched->v, "second moments");
    assert_same_running(plain, watched);
    vane_step_record a = small_record(plain), b = small_record(watched);
    assert_int_equal(a.guard.probes, 0);
    assert_int_equal(b.guard.probes, 3);
    assert_true(b.guard.curvature > 0 && b.guard.largest_lr == 0);
    b.guard = a.guard;
    for (int n = 0; n < VANE_N_NOTES; n++)
      b.notes[n].curvature = b.notes[n].bound = 0; /* a has none */
    assert_memory_equal(&a, &b, sizeof a);
    vane_trainer_destroy(plain);
    vane_trainer_destroy(watched);
  }
}

/* A probe's record has the step's coefficients, though the losses are others by now. */
static void a_probe_keeps_the_coefficients(void **state) {
  (void)state;
  for (int i = 0; i < COUNT(variants); i++) {
    vane_trainer *trainer = guarded(variants[i], "optim.guard={mode: watch, every: 3}");
    vane_device *device = trainer->device;
    small_train(trainer, 3);
    vane_step_record step = small_record(trainer), probe;
    assert_ok(device->memory.download(device, &probe, trainer->probe.record, sizeof probe));
    assert_ok(device->memory.synchronize(device));
    assert_memory_equal(step.coefficient, probe.coefficient, sizeof step.coefficient);
    assert_memory_equal(step.mix, probe.mix, sizeof step.mix);
    assert_true(step.clip == probe.clip);
    for (int k = 0; k < VANE_N_HEADS; k++)
      assert_true(step.loss[k] != probe.loss[k]);
    vane_trainer_destroy(trainer);
  }
}

/* --- finite differences --- */

/* The gradient as Adam takes it: clip (coefficient grad + [decay] coefficient_5 theta). */
static double slope(const vane_trainer *trainer, const vane_step_record *record,
                    const float *gradient, const float *theta, const float *direction) {
  const vane_parameters *parameters = &trainer->network->parameters;
  double sum = 0;
  for (int64_t s = 0, at = 0; s < parameters->n; s++) {
    const vane_segment *segment = &parameters->segments[s];
    double own = record->clip * record->coefficient[segment->task];
    double decay =
        segment->decay ? record->clip * record->coefficient[VANE_LOSS_REGULARIZATION] : 0;
    for (int64_t i = 0; i < parameters->items[s].count; i++, at++)
      sum += (double)direction[at] * (own * (double)gradient[at] + decay * (double)theta[at]);
  }
  return sum;
}

static void put(const vane_trainer *trainer, const float *values) {
  const vane_parameters *parameters = &trainer->network->parameters;
  for (int64_t i = 0; i < parameters->n; i++) {
    assert_ok(
        vane_parameters_put(parameters, trainer->device, trainer->network->weights, i, values));
    values += parameters->items[i].count;
  }
}

/* What the held coefficients weigh, at theta + way * direction. */
static double total_at(vane_trainer *trainer, const float *theta, const float *direction,
                       int64_t count, double way) {
  vane_device *device = trainer->device;
  vane_step_record record;
  float *moved = malloc((size_t)count * sizeof *moved);
  assert_non_null(moved);
  for (int64_t i = 0; i < count; i++)
    moved[i] = (float)((double)theta[i] + way * (double)direction[i]);
  put(trainer, moved);
  free(moved);
  assert_ok(vane_probe_gradient(trainer));
  assert_ok(device->memory.download(device, &record, trainer->probe.record, sizeof record));
  assert_ok(device->memory.synchronize(device));
  double total = 0;
  for (int k = 0; k < VANE_N_LOSSES; k++)
    total += record.clip * record.coefficient[k] * record.loss[k];
  return total;
}

/* Without projection the shared gradient is that of the weighed losses, and a held gradient that of
 * the same sum elsewhere: their slopes are central differences of it. */
static void held_gradients_are_slopes(void **state) {
  (void)state;
  static const char *const settings[][N_SETTINGS] = {
      {"model.norm=batch", "loss.weights.regularization=0.01", "grad.clip.global=0.2"},
      {"grad.space=parameters", "train.accumulate=2", "grad.clip.per_loss=0.1"},
      {"grad.weighting=uncertainty", "model.heads.angle.kind=von_mises", "optim.lr=0.002"},
  };
  for (int i = 0; i < COUNT(settings); i++) {
    vane_trainer *trainer = guarded(settings[i], "optim.guard.mode=watch");
    vane_device *device = trainer->device;
    small_train(trainer, 3);
    vane_loader *loader;
    const vane_batch *batch;
    vane_step_record before = small_record(trainer), record, after;
    int64_t count;
    assert_ok(
        vane_loader_open(&trainer->config, false, trainer->config.train_batch, 3, NULL, &loader));
    assert_ok(vane_loader_take(loader, &batch));
    assert_ok(vane_probe_hold(trainer, batch));
    vane_loader_give_back(loader, batch);
    vane_loader_close(loader);
    assert_ok(device->memory.download(device, &record, trainer->probe.record, sizeof record));
    float *theta = small_read(trainer, trainer->network->weights, &count);
    float *first = small_read(trainer, trainer->slots.gradients, &count);
    float *direction = small_read(trainer, trainer->m, &count);
    double norm = 0;
    for (int64_t p = 0; p < count; p++)
      norm += pow((double)direction[p], 2);
    for (int64_t p = 0; p < count; p++) /* the log variances are held too: they do not move */
      direction[p] =
          p < count - (i == 2 ? VANE_N_HEADS : 0) ? (float)((double)direction[p] / sqrt(norm)) : 0;

    const double way = 0.003;
    double up = total_at(trainer, theta, direction, count, way);
    double down = total_at(trainer, theta, direction, count, -way);
    double here = slope(trainer, &record, first, theta, direction);
    double difference = (up - down) / (2 * way);
    print_message("slope %g, by differences %g\n", here, difference);
    assert_true(fabs(here - difference) <= 1e-2 * fabs(here));

    total_at(trainer, theta, direction, count, 0);
    float *again = small_read(trainer, trainer->probe.slots.gradients, &count);
    for (int64_t p = 0; i == 2 && p < VANE_N_HEADS; p++)
      again[count - 1 - p] = first[count - 1 - p]; /* a held gradient has none for them */
    assert_memory_equal(first, again, (size_t)count * sizeof *first);
    after = small_record(trainer);
    assert_memory_equal(&before, &after, sizeof before);
    free(theta), free(first), free(direction), free(again);
    vane_trainer_destroy(trainer);
  }
}

/* The curvature of a probe is that of the step it follows: (G' - G) along theta' - theta, both read
 * back, in the metric of v. */
static void the_curvature_is_that_of_the_step(void **state) {
  (void)state;
  for (int i = 0; i < COUNT(variants); i++) {
    vane_trainer *trainer = guarded(variants[i], "optim.guard={mode: watch, every: 4}");
    vane_device *device = trainer->device;
    const vane_config *config = &trainer->config;
    const vane_parameters *parameters = &trainer->network->parameters;
    int64_t count;
    small_train(trainer, 3);
    float *theta = small_read(trainer, trainer->network->weights, &count);
    small_train(trainer, 1);
    vane_step_record record = small_record(trainer);
    float *moved = small_read(trainer, trainer->network->weights, &count);
    float *before = small_read(trainer, trainer->slots.gradients, &count);
    float *v = small_read(trainer, trainer->v_max ? trainer->v_max : trainer->v, &count);
    assert_ok(vane_probe_gradient(trainer)); /* of the same batch, still there */
    float *after = small_read(trainer, trainer->probe.slots.gradients, &count);
    double change = 0, square = 0;
    bool l2 = config->optim_decay_mode == VANE_DECAY_L2;
    for (int64_t s = 0, at = 0; s < parameters->n; s++) {
      const vane_segment *segment = &parameters->segments[s];
      double own = record.clip * record.coefficient[segment->task];
      double decay = segment->decay ? record.clip * record.coefficient[VANE_LOSS_REGULARIZATION] +
                                          (l2 ? config->optim_weight_decay : 0)
                                    : 0;
      for (int64_t p = 0; p < parameters->items[s].count; p++, at++) {
        if (s == trainer->network->log_variances)
          continue;
        double step = (double)moved[at] - (double)theta[at];
        double metric = config->optim_epsilon_mode == VANE_EPSILON_HAT
                            ? (sqrt((double)v[at]) + config->optim_epsilon) / sqrt(record.in.bias2)
                            : sqrt((double)v[at] / record.in.bias2) + config->optim_epsilon;
        change += step * (own * ((double)after[at] - (double)before[at]) + decay * step);
        square += step * metric * step;
      }
    }
    print_message("curvature %g, read back %g\n", record.guard.curvature, change / square);
    assert_true(fabs(record.guard.curvature - fmax(change / square, 0)) <=
                1e-3 * record.guard.curvature);
    assert_ok(device->memory.synchronize(device));
    free(theta), free(moved), free(before), free(v), free(after);
    vane_trainer_destroy(trainer);
  }
}

/* --- what it does --- */

static void a_guard_that_is_on_limits_the_learning_rate(void **state) {
  (void)state;
  static const char *const settings[N_SETTINGS] = {"optim.lr=0.002", "optim.epsilon=1e-8",
                                                   "seed=3"};
  vane_trainer *trainer =
      guarded(settings, "optim.guard={mode: on, every: 2, margin: 0.001, decay: 0.5}");
  small_train(trainer, 4);
  double limit = 0.001 * 38 / small_record(trainer).guard.bound;
  assert_true(limit < 0.0015);
  int64_t count;
  float *theta = small_read(trainer, trainer->network->weights, &count);
  small_train(trainer, 1);
  vane_step_record record = small_record(trainer);
  print_message("at most %g: %g\n", limit, record.guard.largest_lr);
  assert_true(fabs(record.guard.largest_lr - limit) <= 1e-12 * limit);
  float *moved = small_read(trainer, trainer->network->weights, &count);
  double longest = 0;
  for (int64_t i = 0; i < count; i++)
    longest = fmax(longest, fabs((double)moved[i] - (double)theta[i]));
  /* After so few steps of about the same gradients a weight moves by about the learning rate. */
  assert_true(longest > 0.2 * limit && longest < 2 * limit);
  free(theta), free(moved);
  vane_trainer_destroy(trainer);
}

static void a_guard_that_is_off_takes_no_memory(void **state) {
  (void)state;
  for (int on = 0; on < 2; on++) {
    const char *mode = on ? "optim.guard.mode=on" : "optim.guard.mode=off";
    vane_trainer *trainer = small_trainer(&mode, 1);
    char *text;
    assert_ok(vane_trainer_describe_memory(trainer, &text));
    assert_true((strstr(text, "guard ") != NULL) == on);
    free(text);
    vane_trainer_destroy(trainer);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(watching_changes_nothing),
      cmocka_unit_test(a_probe_keeps_the_coefficients),
      cmocka_unit_test(held_gradients_are_slopes),
      cmocka_unit_test(the_curvature_is_that_of_the_step),
      cmocka_unit_test(a_guard_that_is_on_limits_the_learning_rate),
      cmocka_unit_test(a_guard_that_is_off_takes_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
