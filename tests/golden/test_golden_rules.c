/* Adam's other rules and remedies against their papers' algorithms and PyTorch, over 1,000 steps
 * (make_rules.py). */
#include "course.h"

/* The settings of make_rules.py: what a case changes of Adam's own. */
typedef struct rule_case {
  const char *name;
  vane_config config;
} rule_case;

static const rule_case cases[] = {
    {"adopt", {.optim_rule = VANE_RULE_ADOPT, .optim_adopt_clip = true}},
    {"adopt_unlimited", {.optim_rule = VANE_RULE_ADOPT}},
    {"atan2", {.optim_rule = VANE_RULE_ATAN2}},
    {"adabelief", {.optim_rule = VANE_RULE_ADABELIEF}},
    {"radam", {.optim_rule = VANE_RULE_RADAM, .optim_epsilon_mode = VANE_EPSILON_HAT}},
    {"radam_l2",
     {.optim_rule = VANE_RULE_RADAM,
      .optim_epsilon_mode = VANE_EPSILON_HAT,
      .optim_weight_decay = 0.02,
      .optim_decay_mode = VANE_DECAY_L2}},
    {"radam_decoupled",
     {.optim_rule = VANE_RULE_RADAM,
      .optim_epsilon_mode = VANE_EPSILON_HAT,
      .optim_weight_decay = DECOUPLED,
      .optim_decay_mode = VANE_DECAY_DECOUPLED}},
    {"amsgrad_decay", {.optim_amsgrad = true, .optim_amsgrad_decay = 0.95}},
    {"spam", {.optim_spike_clip = 3, .optim_reset_every = 300, .optim_reset_warmup = 40}},
    {"update_clip", {.optim_update_clip = 1}},
    {"adaptive_clip", {.grad_clip_adaptive = 0.02}},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static vane_config config_of(const rule_case *c) {
  vane_config config = c->config;
  config.train_steps = N_STEPS;
  config.optim_lr = LEARNING_RATE;
  config.optim_beta1 = 0.9;
  config.optim_beta2 = 0.99;
  config.optim_epsilon = 1e-8;
  return config;
}

static void test_a_thousand_steps_agree(void **state) {
  (void)state;
  vane_safetensors_file *file =
      golden_open_file(VANE_SOURCE_FOLDER "/tests/golden/rules.safetensors");
  for (int kind = 0; kind < GOLDEN_N_DEVICES; kind++) {
    vane_device *device = golden_open_device(kind);
    for (int i = 0; i < N_CASES; i++) {
      double exact[N];
      adam_course course;
      const vane_config config = config_of(&cases[i]);
      run_course(device, &config, &course);
      golden_read(file, cases[i].name, "theta_1000_double", N, exact);
      double off = golden_distance(course.last, exact, N) / golden_distance(exact, course.start, N);
      print_message("%s %-15s after 1,000 steps: %.1e of the distance moved\n", device->name,
                    cases[i].name, off);
      golden_assert_at_most(off, 2e-6, "%s %s theta", device->name, cases[i].name);
    }
    vane_device_close(device);
  }
  vane_safetensors_close(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_thousand_steps_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
