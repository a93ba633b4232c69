/* Adam on the GPU and on the CPU give the same bits, in every mode, over several steps: both round
 * in the same order. Where the CPU backend is compiled without fused multiply-adds it rounds more
 * often, and the conformance check (ops/test_adam) says how far that leads. */
#include <string.h>

#include "base/random.h"
#include "ops/side.h"

static const vane_segment segments[] = {
    {0, 37, VANE_SHARED, 1},           {48, 5, VANE_SHARED, 0},
    {64, 1, VANE_LOSS_PRESENCE, 1},    {80, 0, VANE_LOSS_PRESENCE, 1},
    {80, 64, VANE_LOSS_ANGLE, 0},      {144, 8195, VANE_LOSS_ANGLE, 1},
    {8352, 15, VANE_LOSS_POSITION, 1}, {8368, 4096, VANE_LOSS_MAGNITUDE, 1},
};
enum { n_segments = sizeof segments / sizeof segments[0], block = 8368 + 4096, n_steps = 3 };
enum { THETA, M, V, V_MAX, N_STATE, GRADIENT = N_STATE };

/* Host copies of one device's state. */
typedef struct adam_state {
  float array[N_STATE][block];
} adam_state;

static double normal(int array, int64_t i) {
  return vane_random_normal(7, VANE_RANDOM_INIT, (uint64_t)array, (uint64_t)i);
}

/* Gradients of all sizes, from those whose square is not a normal float to those whose square is
 * nearly the largest; zero now and then. */
static double gradient_of(int step, int64_t i) {
  static const double sizes[] = {1.0, 0.1, 1e-4, 1e-21, 1e18, 0.0};
  return i % 37 < 6 ? sizes[i % 37] * normal(10 + step, i) : 0.1 * normal(10 + step, i);
}

static double start_of(int array, int64_t i) {
  double x = normal(array, i);
  switch (array) {
  case THETA:
    return i % 101 ? x : 0.0;
  case M:
    return 0.1 * x;
  default:
    return i % 53 ? 0.01 * x * x : 0.0;
  }
}

static void put(vane_device *device, void *to, double (*value)(int, int64_t), int array) {
  static float host[block];
  memset(host, 0, sizeof host);
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i)
      host[i] = (float)value(array, i);
  check_ok(device->memory.put(device, to, host, block));
}

static vane_step_record record_of(const vane_adam_desc *desc, int64_t step) {
  return (vane_step_record){.in = {.step = step,
                                   .lr = 1e-3 / (double)step,
                                   .bias1 = 1.0 - pow(desc->beta1, (double)step),
                                   .bias2 = 1.0 - pow(desc->beta2, (double)step),
                                   .rectification = step == 2 ? 0.3 : 0.0,
                                   .adopt_limit = pow((double)step - 1.0, 0.25),
                                   .reset = step == 3},
                            .coefficient = {1.0, 0.7, 1.0, 0.3, 0.01, 1.0},
                            .clip = step % 2 ? 0.6 : 1.0};
}

static void run(vane_device *device, const vane_adam_desc *desc, adam_state *after) {
  side s = side_begin(device);
  void *arrays[N_STATE + 1];
  for (int a = 0; a <= N_STATE; ++a)
    arrays[a] = side_reals(&s, block);
  for (int a = 0; a < N_STATE; ++a)
    put(device, arrays[a], start_of, a);
  const vane_block *planned = side_plan_block(&s, segments, n_segments);
  const vane_adam_memory memory = {.parameters = arrays[THETA],
                                   .gradients = arrays[GRADIENT],
                                   .m = arrays[M],
                                   .v = arrays[V],
                                   .v_max = desc->amsgrad ? arrays[V_MAX] : NULL};
  for (int step = 1; step <= n_steps; ++step) {
    const vane_step_record record = record_of(desc, step);
    put(device, arrays[GRADIENT], gradient_of, step);
    check_ok(device->optim.adam(device, desc, planned, &memory, side_put_record(&s, &record)));
  }
  for (int a = 0; a < N_STATE; ++a)
    check_ok(device->memory.get(device, after->array[a], arrays[a], block));
  side_end(&s);
}

static void assert_same_bits(const adam_state *gpu, const adam_state *cpu, int mode) {
  static const char *const names[] = {"theta", "m", "v", "v_max"};
  for (int a = 0; a < N_STATE; ++a)
    for (int64_t i = 0; i < block; ++i)
      if (memcmp(&gpu->array[a][i], &cpu->array[a][i], sizeof(float)) != 0)
        fail_msg("mode %d: %s[%lld] is %a on the GPU, %a on the CPU", mode, names[a], (long long)i,
                 (double)gpu->array[a][i], (double)cpu->array[a][i]);
}

static void test_same_bits(void **state) {
  (void)state;
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  static adam_state on_gpu, on_cpu;
  vane_device *gpu = NULL, *cpu = NULL;
  check_ok(vane_device_open(&(vane_device_options){.kind = VANE_DEVICE_CUDA}, &gpu));
  check_ok(vane_device_open(&(vane_device_options){.kind = VANE_DEVICE_CPU, .threads = 2}, &cpu));
  for (int rule = VANE_RULE_ADAM; rule <= VANE_RULE_RADAM; ++rule)
    for (int bits = 0; bits < 32; bits += rule == VANE_RULE_ADAM ? 1 : 3) {
      const vane_adam_desc desc = {.rule = rule,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .epsilon = bits & 8 ? 1e-4 : 1e-8,
                                   .epsilon_mode =
                                       bits & 1 ? VANE_EPSILON_HAT : VANE_EPSILON_OUTSIDE,
                                   .amsgrad = bits & 2 && rule != VANE_RULE_ADOPT,
                                   .amsgrad_decay = bits & 4 ? 0.9 : 0.0,
                                   .weight_decay = bits & 8 ? 0.1 : 0.0,
                                   .decay_mode = bits & 4 ? VANE_DECAY_L2 : VANE_DECAY_DECOUPLED,
                                   .spike_clip = bits & 16 ? 100.0 : 0.0,
                                   .resets = bits & 16};
      run(gpu, &desc, &on_gpu);
      run(cpu, &desc, &on_cpu);
      assert_same_bits(&on_gpu, &on_cpu, 100 * rule + bits);
    }
  vane_device_close(gpu);
  vane_device_close(cpu);
#else
  skip(); /* the CPU backend has no fused multiply-add here */
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
