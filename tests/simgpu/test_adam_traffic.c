/* What Adam moves on a GPU, counted: 28 bytes per parameter (p, g, m, v read; p, m, v written), 36
 * with AMSGrad, in accesses of 128 bits and one launch; 2 more where it has a shadow in bf16, in
 * stores of 64 bits. */
#include "ops/side.h"
#include "simgpu/simgpu.h"

/* Whole chunks, a chunk and a bit, tails of one to three reals, nothing, a task and a decay each.
 */
static const vane_segment segments[] = {
    {0, 262144, VANE_SHARED, 1},           {262144, 64, VANE_SHARED, 0},
    {262208, 36864, VANE_SHARED, 1},       {299072, 4097, VANE_SHARED, 0},
    {303184, 0, VANE_LOSS_PRESENCE, 1},    {303184, 8191, VANE_LOSS_PRESENCE, 1},
    {311376, 1, VANE_LOSS_PRESENCE, 0},    {311392, 65538, VANE_LOSS_ANGLE, 1},
    {376944, 72, VANE_LOSS_ANGLE, 0},      {377024, 3, VANE_LOSS_MAGNITUDE, 1},
    {377040, 16387, VANE_LOSS_POSITION, 1}};
enum { n_segments = sizeof segments / sizeof segments[0], n_shared = 4, block = 377040 + 16387 };

/* What the tables cost beside: an entry per chunk and what a block of threads takes from the step's
 * record. 100 chunks of 20 words come to 0.02 bytes per parameter. */
#define ALLOWANCE_BYTES 0.05
/* In a step that is watched also seven doubles, read and written, and four more words. */
#define TELEMETRY_BYTES (2 * 7 * 8 + 4 * 8)

enum { THETA, GRADIENT, M, V, V_MAX, N_ARRAYS };

typedef struct traffic {
  simgpu_counters all;
  simgpu_kernel adam;
} traffic;

typedef struct mode {
  bool amsgrad, bf16;
  enum { NO_TELEMETRY, NOT_WATCHED, WATCHED } telemetry;
  int32_t skip;
} mode;

static vane_device *open_gpu(bool bf16) {
  vane_device *device = NULL;
  const vane_device_options options = {
      .kind = VANE_DEVICE_CUDA, .precision = bf16 ? VANE_PRECISION_BF16 : VANE_PRECISION_FP32};
  check_ok(vane_device_open(&options, &device));
  return device;
}

static const vane_block *plan_and_bind(side *s, void *parameters) {
  vane_device *device = s->device;
  const size_t shadow_bytes = side_plan_block(s, segments, n_segments)->shadow_bytes;
  void *shadow = shadow_bytes ? side_bytes(s, shadow_bytes) : NULL;
  check_ok(device->block.bind(device, s->planned[0], parameters, shadow));
  return s->planned[0];
}

static traffic count_step(mode how) {
  const bool amsgrad = how.amsgrad;
  vane_device *device = open_gpu(how.bf16);
  side s = side_begin(device);
  void *arrays[N_ARRAYS];
  for (int i = 0; i < N_ARRAYS; i++) {
    arrays[i] = side_reals(&s, block);
    check_ok(device->memory.clear(device, arrays[i], block * sizeof(float)));
  }
  const vane_step_record record = {.in = {.step = 1,
                                          .lr = 1e-3,
                                          .bias1 = 0.1,
                                          .bias2 = 0.001,
                                          .watch = how.telemetry == WATCHED},
                                   .coefficient = {1, 1, 1, 1, 1, 1},
                                   .clip = 1,
                                   .skip = how.skip};
  const vane_adam_desc desc = {
      .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .amsgrad = amsgrad, .weight_decay = 0.01};
  const vane_step_record *on_device = side_put_record(&s, &record);
  const vane_block *planned = plan_and_bind(&s, arrays[THETA]);
  size_t bytes = (size_t)planned->n_parts * sizeof(vane_adam_telemetry);
  void *parts = side_bytes(&s, bytes);
  check_ok(device->memory.clear(device, parts, bytes));
  check_ok(device->memory.synchronize(device));
  simgpu_count_reset();
  const vane_adam_memory memory = {.parameters = arrays[THETA],
                                   .gradients = arrays[GRADIENT],
                                   .m = arrays[M],
                                   .v = arrays[V],
                                   .v_max = amsgrad ? arrays[V_MAX] : NULL,
                                   .telemetry = how.telemetry == NO_TELEMETRY ? NULL : parts};
  check_ok(device->optim.adam(device, &desc, planned, &memory, on_device));
  traffic counted = {.all = simgpu_count()};
  check_ok(device->memory.synchronize(device));
  counted.adam = simgpu_kernel_count("k_adam");
  side_end(&s);
  vane_device_close(device);
  return counted;
}

static int64_t n_parameters(int n_first) {
  int64_t count = 0;
  for (int i = 0; i < n_first; i++)
    count += segments[i].count;
  return count;
}

/* Accesses of four reals, and of one, that the first segments take in each array. */
static void count_accesses(int n_first, uint64_t *fours, uint64_t *ones) {
  *fours = *ones = 0;
  for (int i = 0; i < n_first; i++) {
    *fours += (uint64_t)segments[i].count / 4;
    *ones += (uint64_t)segments[i].count % 4;
  }
}

static void assert_near(uint64_t bytes, double per_parameter) {
  double counted = (double)bytes / (double)n_parameters(n_segments);
  print_message("%.3f bytes per parameter\n", counted);
  assert_true(counted >= per_parameter && counted <= per_parameter + ALLOWANCE_BYTES);
}

static void check_traffic(mode how) {
  const uint64_t stored = how.amsgrad ? 4 : 3, loaded = stored + 1;
  const int n_shadowed = how.bf16 ? n_shared : 0;
  const double share = (double)n_parameters(n_shadowed) / (double)n_parameters(n_segments);
  uint64_t fours, ones, shadow_fours, shadow_ones;
  traffic counted = count_step(how);
  const uint64_t words =
      how.telemetry == WATCHED ? counted.adam.blocks : 0; /* each, of its telemetry */
  count_accesses(n_segments, &fours, &ones);
  count_accesses(n_shadowed, &shadow_fours, &shadow_ones);
  assert_int_equal(counted.all.launches, 1);
  assert_int_equal(counted.all.stream_synchronizes + counted.all.device_synchronizes +
                       counted.all.hidden_synchronizes + counted.all.allocations,
                   0);
  assert_int_equal(counted.adam.launches, 1);
  assert_near(counted.adam.load_bytes + counted.adam.store_bytes - words * TELEMETRY_BYTES,
              (how.amsgrad ? 36 : 28) + 2 * share);
  assert_int_equal(counted.adam.stores16, stored * fours);
  assert_int_equal(counted.adam.stores,
                   stored * (fours + ones) + shadow_fours + shadow_ones + 7 * words);
  /* A chunk's entry may be one access of 16 bytes or several narrower ones. */
  assert_in_range(counted.adam.loads16, loaded * fours, loaded * fours + counted.adam.blocks);
  assert_in_range(counted.adam.loads, loaded * (fours + ones),
                  loaded * (fours + ones) + 21 * counted.adam.blocks + 11 * words);
}

static void test_plain(void **state) {
  (void)state;
  check_traffic((mode){.bf16 = false});
  check_traffic((mode){.bf16 = true});
}

static void test_amsgrad(void **state) {
  (void)state;
  check_traffic((mode){.amsgrad = true});
  check_traffic((mode){.amsgrad = true, .bf16 = true});
}

static void test_telemetry_that_rests(void **state) {
  (void)state;
  check_traffic((mode){.telemetry = NOT_WATCHED});
  check_traffic((mode){.telemetry = NOT_WATCHED, .amsgrad = true});
}

static void test_telemetry_at_work(void **state) {
  (void)state;
  check_traffic((mode){.telemetry = WATCHED});
  check_traffic((mode){.telemetry = WATCHED, .amsgrad = true});
  check_traffic((mode){.telemetry = WATCHED, .amsgrad = true, .bf16 = true});
}

static void test_a_skipped_step_moves_nothing(void **state) {
  (void)state;
  traffic counted = count_step((mode){.bf16 = true, .telemetry = WATCHED, .skip = 1});
  assert_int_equal(counted.adam.launches, 1);
  assert_int_equal(counted.adam.stores, 0);
  assert_near(counted.adam.load_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_amsgrad),
                                     cmocka_unit_test(test_telemetry_that_rests),
                                     cmocka_unit_test(test_telemetry_at_work),
                                     cmocka_unit_test(test_a_skipped_step_moves_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
