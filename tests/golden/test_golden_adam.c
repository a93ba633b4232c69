/* Adam against TensorFlow 1 and PyTorch over 1,000 steps, and one step against doubles. */
#include "golden.h"
#include "optim/record.h"

/* ---- 1,000 steps ----------------------------------------------------------------------------- */

enum { N_STEPS = 1000, N_DECAY = 40, N_PLAIN = 23, N = N_DECAY + N_PLAIN };

/* The second segment begins on the next 64 bytes. */
enum { PLAIN_OFFSET = 48, N_BLOCK = PLAIN_OFFSET + N_PLAIN };
static const vane_segment segments[] = {
    {.offset = 0, .count = N_DECAY, .task = VANE_SHARED, .decay = 1},
    {.offset = PLAIN_OFFSET, .count = N_PLAIN, .task = VANE_SHARED, .decay = 0},
};

/* The settings of make_golden.py. DECOUPLED times the learning rate is 2^-12: PyTorch multiplies by
 * 1 - lr decay in float32, which would otherwise set its float32 and float64 runs further apart
 * than the limit. */
#define LEARNING_RATE 1e-2
#define DECOUPLED     (0x1p-12 / LEARNING_RATE)

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

static void to_block(const float *values, float *block) {
  memset(block, 0, N_BLOCK * sizeof *block);
  memcpy(block, values, N_DECAY * sizeof *block);
  memcpy(block + PLAIN_OFFSET, values + N_DECAY, N_PLAIN * sizeof *block);
}

static void get_block(vane_device *device, const void *memory, double *values) {
  float block[N_BLOCK];
  golden_ok(device->memory.get(device, block, memory, N_BLOCK));
  for (int i = 0; i < N; i++)
    values[i] = (double)block[i < N_DECAY ? i : i - N_DECAY + PLAIN_OFFSET];
}

/* make_golden.py, gradient() */
static void draw_gradient(uint64_t *draws, int step, float *block) {
  float values[N];
  for (int i = 0; i < N; i++)
    values[i] = (float)ldexp(golden_draw(draws) + (i % 5 - 2) / 4.0, -(i % 8) - step / 256);
  to_block(values, block);
}

typedef struct adam_course {
  double start[N], first[N], last[N], m[N], v[N];
} adam_course;

static void run_course(vane_device *device, const adam_case *c, adam_course *course) {
  const vane_config config = config_of(c);
  const int64_t counted[VANE_N_HEADS] = {0};
  vane_adam_desc desc;
  vane_adam_desc_fill(&config, &desc);
  uint64_t draws = 1;
  float values[N], block[N_BLOCK];
  golden_draw_array(&draws, 1, N, values);
  to_block(values, block);
  void *theta = golden_put(device, block, N_BLOCK), *gradient = golden_put(device, NULL, N_BLOCK);
  void *m = golden_put(device, NULL, N_BLOCK), *v = golden_put(device, NULL, N_BLOCK);
  void *v_max = c->amsgrad ? golden_put(device, NULL, N_BLOCK) : NULL;
  const vane_adam_memory memory = {
      .parameters = theta, .gradients = gradient, .m = m, .v = v, .v_max = v_max};
  vane_step_record record = {.clip = 1, .coefficient = {[VANE_SHARED] = 1}};
  vane_step_record *on_device = golden_put_record(device, &record);
  vane_block *planned = golden_plan_block(device, segments, 2);
  get_block(device, theta, course->start);
  for (int step = 0; step < N_STEPS; step++) {
    draw_gradient(&draws, step, block);
    vane_step_input_fill(&config, step + 1, counted, &record.in);
    golden_ok(device->memory.put(device, gradient, block, N_BLOCK));
    golden_ok(device->memory.upload(device, on_device, &record.in, sizeof record.in));
    golden_ok(device->optim.adam(device, &desc, planned, &memory, on_device));
    golden_ok(device->memory.synchronize(device));
    if (step == 0)
      get_block(device, theta, course->first);
  }
  get_block(device, theta, course->last);
  get_block(device, m, course->m);
  get_block(device, v, course->v);
  void *all[] = {theta, gradient, m, v, v_max, on_device};
  for (int i = 0; i < 6; i++)
    device->memory.destroy(device, all[i]);
  device->block.destroy(device, planned);
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
      run_course(device, &cases[i], &course);
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
