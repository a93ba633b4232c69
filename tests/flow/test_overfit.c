/* A network that cannot learn a few pictures by heart is broken. */
#include "flow/small.h"

#include "train/evaluate.h"

static void a_few_pictures_are_learnt_by_heart(void **state) {
  (void)state;
  static const char *const kinds[] = {"sincos", "unit", "von_mises", "bins"};
  for (int i = 0; i < 4; i++) {
    char kind[64];
    snprintf(kind, sizeof kind, "model.heads.angle.kind=%s", kinds[i]);
    /* The test part has one fixed draw per example; trained on it, the network sees the same 24
     * pictures again and again. */
    const char *settings[] = {kind,
                              "data.train.part=test",
                              "data.train.count=24",
                              "train.batch=24",
                              "train.steps=300",
                              "model.norm=batch",
                              "model.heads.angle.hidden=[24]",
                              "optim.lr=0.01",
                              "optim.schedule=cosine"};
    vane_trainer *trainer = small_trainer(settings, 9);
    vane_loader *test;
    vane_scores before, after;
    assert_ok(vane_loader_open(&trainer->config, true, 24, 0, NULL, &test));
    assert_ok(vane_evaluate(trainer, test, &before));
    small_train(trainer, 300);
    assert_ok(vane_evaluate(trainer, test, &after));
    if (!(after.mae_deg < 6 && after.auroc > 0.999 && after.mape < 0.1 && after.mae_px < 0.6))
      fail_msg("%s: after 300 steps AUROC %.3f, angle %.1f degrees, magnitude %.3f, position %.2f",
               kinds[i], after.auroc, after.mae_deg, after.mape, after.mae_px);
    assert_true(before.mae_deg > 40);
    vane_loader_close(test);
    vane_trainer_destroy(trainer);
  }
}

/* Nothing before a first layer without weights learns, so its gradient for the image is not taken.
 */
static void a_trunk_may_begin_with_any_layer(void **state) {
  (void)state;
  static const char *const trunks[] = {
      "model.trunk=[{average_pool: {}}, flatten]",
      "model.trunk=[{max_pool: {}}, {conv: {channels: 5}}, flatten]",
      "model.trunk=[{average_pool: {}}, {max_pool: {}}, global_pool]",
      "model.trunk=[relu, flatten]",
      "model.trunk=[global_pool]",
      "model.trunk=[{block: {channels: 5}}, flatten]",
  };
  for (size_t i = 0; i < sizeof trunks / sizeof *trunks; i++) {
    vane_trainer *trainer = small_trainer((const char *const[]){trunks[i]}, 1);
    small_train(trainer, 2);
    assert_int_equal(small_record(trainer).skip, 0);
    vane_trainer_destroy(trainer);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_few_pictures_are_learnt_by_heart),
      cmocka_unit_test(a_trunk_may_begin_with_any_layer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
