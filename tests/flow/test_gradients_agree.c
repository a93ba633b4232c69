/* Ways that must lead to the same gradient: both spaces, one batch or micro-batches, ref or cpu. */
#include "flow/small.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* The combined gradient of the first step under `assignments`, and its record. */
static float *first_gradient(const char *const *assignments, int n, int64_t *count,
                             vane_step_record *record) {
  vane_trainer *trainer = small_trainer(assignments, n);
  small_train(trainer, 1);
  float *gradient = small_read(trainer, trainer->slots.gradients, count);
  *record = small_record(trainer);
  vane_trainer_destroy(trainer);
  return gradient;
}

/* Both gradients are as Adam takes them in: the trunk's combined, the heads' scaled by coefficients
 * that are compared too. */
static void assert_agree(const char *const *a, int n_a, const char *const *b, int n_b,
                         bool same_space, double tolerance) {
  int64_t count;
  vane_step_record record_a, record_b;
  float *gradient_a = first_gradient(a, n_a, &count, &record_a);
  float *gradient_b = first_gradient(b, n_b, &count, &record_b);
  double distance = small_distance(gradient_a, gradient_b, count);
  if (!(distance <= tolerance))
    fail_msg("gradients are %.2g apart, allowed %.2g", distance, tolerance);
  assert_true(distance >= 0 && record_a.gradient_norm > 0);
  for (int k = 0; k < VANE_N_LOSSES; k++) {
    assert_true(fabs(record_a.loss[k] - record_b.loss[k]) <= 1e-6 * (1 + fabs(record_a.loss[k])));
    assert_true(fabs(record_a.coefficient[k] - record_b.coefficient[k]) <=
                1e-4 * (fabs(record_a.coefficient[k]) + 1e-9));
    for (int j = 0; j < VANE_N_LOSSES && same_space; j++)
      assert_true(fabs(record_a.gram[k][j] - record_b.gram[k][j]) <=
                  1e-4 * sqrt(record_a.gram[k][k] * record_a.gram[j][j]));
  }
  free(gradient_a);
  free(gradient_b);
}

static void both_spaces_give_one_gradient(void **state) {
  (void)state;
  const char *const features[] = {"grad.space=trunk_output", "loss.weights.angle=0.3"};
  const char *const parameters[] = {"grad.space=parameters", "loss.weights.angle=0.3"};
  assert_agree(features, 2, parameters, 2, false, 1e-6);
  const char *const features_norm[] = {"grad.space=trunk_output", "model.norm=batch"};
  const char *const parameters_norm[] = {"grad.space=parameters", "model.norm=batch"};
  assert_agree(features_norm, 2, parameters_norm, 2, false, 1e-5);
}

static void micro_batches_give_the_large_batch_s_gradient(void **state) {
  (void)state;
  static const char *const settings[][3] = {
      {"grad.space=trunk_output", "grad.weighting=fixed", "grad.clip.per_loss=0"},
      {"grad.space=trunk_output", "grad.weighting=pcgrad", "grad.clip.per_loss=0.01"},
      {"grad.space=parameters", "grad.weighting=pcgrad", "grad.clip.per_loss=0.1"},
      {"grad.space=parameters", "grad.weighting=uncertainty", "grad.clip.global=0.1"},
      {"grad.space=trunk_output", "grad.clip.average_norm=0.0001", "grad.clip.per_loss=0"},
  };
  for (int i = 0; i < COUNT(settings); i++) {
    const char *large[4], *micro[4];
    memcpy(large, settings[i], sizeof settings[i]);
    memcpy(micro, settings[i], sizeof settings[i]);
    large[3] = "train.accumulate=1";
    micro[3] = i % 2 ? "train.accumulate=4" : "train.accumulate=3";
    assert_agree(large, 4, micro, 4, true, 2e-6);
  }
}

static void cpu_agrees_with_ref(void **state) {
  (void)state;
  static const char *const settings[][2] = {
      {"grad.weighting=uncertainty", "grad.space=parameters"},
      {"model.norm=none", "model.heads.angle.kind=sincos"},
      {"model.norm=batch", "model.heads.angle.kind=bins"},
      {"model.norm=none", "model.heads.angle.kind=von_mises"},
      {"model.norm=batch", "model.heads.angle.kind=unit"},
  };
  for (int i = 0; i < COUNT(settings); i++) {
    const char *ref[] = {settings[i][0], settings[i][1], "device.kind=ref"};
    const char *cpu[] = {settings[i][0], settings[i][1], "device.kind=cpu"};
    assert_agree(ref, 3, cpu, 3, true, 1e-5);
  }
}

/* The comparison itself must be able to fail: the second batch, at the same weights. */
static void another_batch_has_another_gradient(void **state) {
  (void)state;
  const char *const standstill[] = {"optim.lr=0"};
  vane_trainer *trainer = small_trainer(standstill, 1);
  int64_t count;
  small_train(trainer, 1);
  float *first = small_read(trainer, trainer->slots.gradients, &count);
  small_train(trainer, 1);
  float *second = small_read(trainer, trainer->slots.gradients, &count);
  assert_true(small_distance(first, second, count) > 1e-3);
  free(first);
  free(second);
  vane_trainer_destroy(trainer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_spaces_give_one_gradient),
      cmocka_unit_test(micro_batches_give_the_large_batch_s_gradient),
      cmocka_unit_test(cpu_agrees_with_ref),
      cmocka_unit_test(another_batch_has_another_gradient),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
