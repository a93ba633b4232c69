/* Adam against TensorFlow 1 and PyTorch over 1,000 steps. */
#include "course.h"

/* The settings of make_golden.py. */
typedef struct adam_case {
  const char *name;
  double beta1, beta2, epsilon;
  int epsilon_mode;
  bool amsgrad;
  double decay;
  int decay_mode;
} adam_case;

static const adam_case cases[] = {
    {"tf1_1e-8", 0.9, 0.999, 1e-8, VANE_EPSILON_HAT, false, 0, VANE_DECAY_L2},
    {"tf1_1e-4", 0.9, 0.999, 1e-4, VANE_EPSILON_HAT, false, 0, VANE_DECAY_L2},
    {"adam", 0.9, 0.999, 1e-8, VANE_EPSILON_OUTSIDE, false, 0, VANE_DECAY_L2},
    {"adam_1e-4", 0.8, 0.99, 1e-4, VANE_EPSILON_OUTSIDE, false, 0, VANE_DECAY_L2},
    {"adam_l2", 0.9, 0.999, 1e-8, VANE_EPSILON_OUTSIDE, false, 0.02, VANE_DECAY_L2},
    {"adamw", 0.9, 0.999, 1e-8, VANE_EPSILON_OUTSIDE, false, DECOUPLED, VANE_DECAY_DECOUPLED},
    {"amsgrad", 0.9, 0.99, 1e-8, VANE_EPSILON_OUTSIDE, true, 0, VANE_DECAY_L2},
    {"amsgrad_l2", 0.9, 0.99, 1e-8, VANE_EPSILON_OUTSIDE, true, 0.02, VANE_DECAY_L2},
    {"amsgradw", 0.9, 0.99, 1e-8, VANE_EPSILON_OUTSIDE, true, DECOUPLED, VANE_DECAY_DECOUPLED},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static vane_config config_of(const adam_case *c) {
  return (vane_config){.train_steps = N_STEPS,
                       .optim_lr = LEARNING_RATE,
                       .optim_beta1 = c->beta1,
                       .optim_beta2 = c->beta2,
                       .optim_epsilon = c->epsilon,
                       .optim_epsilon_mode = c->epsilon_mode,
                       .optim_amsgrad = c->amsgrad,
                       .optim_weight_decay = c->decay,
                       .optim_decay_mode = c->decay_mode};
}

static void check_course(const vane_safetensors_file *file, const char *device, const adam_case *c,
                         const adam_course *course) {
  static const double zero[N];
  double first[N], last[N], exact[N], m[N], v[N];
  golden_read(file, c->name, "theta_1", N, first);
  golden_read(file, c->name, "theta_1000", N, last);
  golden_read(file, c->name, "theta_1000_double", N, exact);
  golden_read(file, c->name, "m_1000", N, m);
  golden_read(file, c->name, "v_1000", N, v);
  double moved = golden_distance(exact, course->start, N);
  double off = golden_distance(course->last, last, N) / moved;
  double off_exact = golden_distance(course->last, exact, N) / moved;
  print_message("%s %-10s after 1,000 steps: %.1e of the distance moved from float32, %.1e from "
                "float64\n",
                device, c->name, off, off_exact);
  golden_assert_at_most(off, 1e-5, "%s %s theta", device, c->name);
  golden_assert_at_most(off_exact, 1e-5, "%s %s theta, float64", device, c->name);
  golden_assert_at_most(golden_distance(course->first, first, N) /
                            golden_distance(first, course->start, N),
                        1e-5, "%s %s first step", device, c->name);
  golden_assert_at_most(golden_distance(course->m, m, N) / golden_distance(m, zero, N), 1e-5,
                        "%s %s m", device, c->name);
  golden_assert_at_most(golden_distance(course->v, v, N) / golden_distance(v, zero, N), 2e-5,
                        "%s %s v", device, c->name);
}

static void test_a_thousand_steps_agree(void **state) {
  (void)state;
  vane_safetensors_file *file =
      golden_open_file(VANE_SOURCE_FOLDER "/tests/golden/adam.safetensors");
  for (int kind = 0; kind < GOLDEN_N_DEVICES; kind++) {
    vane_device *device = golden_open_device(kind);
    for (int i = 0; i < N_CASES; i++) {
      adam_course course;
      const vane_config config = config_of(&cases[i]);
      run_course(device, &config, &course);
      check_course(file, device->name, &cases[i], &course);
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
