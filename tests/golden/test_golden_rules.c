/* Adam's other rules and remedies against their papers' algorithms and PyTorch, over 1,000 steps
 * (make_rules.py). */
#include "golden.h"
#include "optim/record.h"

enum { N_STEPS = 1000, N_DECAY = 40, N_PLAIN = 23, N = N_DECAY + N_PLAIN };

/* The second segment begins on the next 64 bytes. */
enum { PLAIN_OFFSET = 48, N_BLOCK = PLAIN_OFFSET + N_PLAIN };
static const vane_segment segments[] = {
    {.offset = 0, .count = N_DECAY, .task = VANE_SHARED, .decay = 1},
    {.offset = PLAIN_OFFSET, .count = N_PLAIN, .task = VANE_SHARED, .decay = 0},
};

#define LEARNING_RATE 1e-2

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
      .optim_weight_decay = 0x1p-12 / LEARNING_RATE,
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

static void run_steps(vane_device *device, const vane_config *config, const vane_adam_desc *desc,
                      const vane_block *planned, const vane_adam_memory *memory, void *gradient,
                      uint64_t draws) {
  const int64_t counted[VANE_N_HEADS] = {0};
  float block[N_BLOCK];
  vane_step_record record = {.clip = 1, .coefficient = {[VANE_SHARED] = 1}};
  vane_step_record *on_device = golden_put_record(device, &record);
  for (int step = 0; step < N_STEPS; step++) {
    draw_gradient(&draws, step, block);
    vane_step_input_fill(config, step + 1, counted, &record.in);
    golden_ok(device->memory.put(device, gradient, block, N_BLOCK));
    golden_ok(device->memory.upload(device, on_device, &record.in, sizeof record.in));
    if (memory->limits)
      golden_ok(device->optim.limits(device, desc, planned, memory, on_device));
    golden_ok(device->optim.adam(device, desc, planned, memory, on_device));
    golden_ok(device->memory.synchronize(device));
  }
  device->memory.destroy(device, on_device);
}

/* Theta before and after. */
static void run_course(vane_device *device, const rule_case *c, double *start, double *last) {
  const vane_config config = config_of(c);
  vane_adam_desc desc;
  vane_adam_desc_fill(&config, &desc);
  uint64_t draws = 1;
  float values[N], block[N_BLOCK];
  golden_draw_array(&draws, 1, N, values);
  to_block(values, block);
  vane_block *planned = golden_plan_block(device, segments, 2);
  const bool limited = desc.update_clip > 0 || desc.adaptive_clip > 0;
  void *theta = golden_put(device, block, N_BLOCK), *gradient = golden_put(device, NULL, N_BLOCK);
  void *m = golden_put(device, NULL, N_BLOCK), *v = golden_put(device, NULL, N_BLOCK);
  void *v_max = desc.amsgrad ? golden_put(device, NULL, N_BLOCK) : NULL, *limits = NULL;
  if (limited)
    golden_ok(
        device->memory.create(device, (size_t)planned->n_parts * sizeof(vane_adam_limit), &limits));
  const vane_adam_memory memory = {
      .parameters = theta, .gradients = gradient, .m = m, .v = v, .v_max = v_max, .limits = limits};
  get_block(device, theta, start);
  run_steps(device, &config, &desc, planned, &memory, gradient, draws);
  get_block(device, theta, last);
  void *all[] = {theta, gradient, m, v, v_max, limits};
  for (int i = 0; i < 6; i++)
    device->memory.destroy(device, all[i]);
  device->block.destroy(device, planned);
}

static void test_a_thousand_steps_agree(void **state) {
  (void)state;
  vane_safetensors_file *file =
      golden_open_file(VANE_SOURCE_FOLDER "/tests/golden/rules.safetensors");
  for (int kind = 0; kind < GOLDEN_N_DEVICES; kind++) {
    vane_device *device = golden_open_device(kind);
    for (int i = 0; i < N_CASES; i++) {
      double start[N], last[N], exact[N];
      run_course(device, &cases[i], start, last);
      golden_read(file, cases[i].name, "theta_1000_double", N, exact);
      double off = golden_distance(last, exact, N) / golden_distance(exact, start, N);
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
