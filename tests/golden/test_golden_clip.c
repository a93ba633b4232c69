/* Clips and sums against TensorFlow and PyTorch: clip_by_average_norm and its gradient,
 * clip_grad_norm_, and the gradient of a vector of losses, which is that of their sum. */
#include "golden.h"
#include "optim/record.h"

#define FILE_PATH VANE_SOURCE_FOLDER "/tests/golden/clip.safetensors"

/* make_golden.py */
enum { N_CLIP = 32, N_DECAY = 40, N_PLAIN = 23, N = N_DECAY + N_PLAIN, N_FEATURES = 48 };

static void get(vane_device *device, const void *memory, int64_t n, double *values) {
  float narrow[N];
  golden_ok(device->memory.get(device, narrow, memory, n));
  for (int64_t i = 0; i < n; i++)
    values[i] = (double)narrow[i];
}

static void assert_agree(const char *device, const char *name, const char *what,
                         const double *values, const double *golden, int64_t n, double limit) {
  static const double zero[N];
  double off = golden_distance(values, golden, n) / golden_distance(golden, zero, n);
  golden_assert_at_most(off, limit, "%s %s %s", device, name, what);
}

/* ---- clip_by_average_norm ------------------------------------------------------------------ */

static void check_average(vane_device *device, const vane_safetensors_file *file, const char *name,
                          double limit, bool acts) {
  uint64_t draws = 2;
  float values[N_CLIP], upstream[N_CLIP];
  double result[N_CLIP], golden[N_CLIP];
  golden_draw_array(&draws, 8, N_CLIP, values);
  golden_draw_array(&draws, 1, N_CLIP, upstream);
  void *out = golden_put(device, values, N_CLIP), *seed = golden_put(device, upstream, N_CLIP);
  vane_step_record *record = golden_put_record(device, &(vane_step_record){.clip = 1});

  golden_ok(device->loss.clip_average(device, limit, out, N_CLIP, record));
  get(device, out, N_CLIP, result);
  golden_read(file, name, "output", N_CLIP, golden);
  assert_agree(device->name, name, "output", result, golden, N_CLIP, 3e-7);
  assert_true((golden_get_record(device, record).average_scale < 1) == acts);

  golden_ok(device->loss.clip_average_backward(device, limit, out, seed, N_CLIP, record));
  get(device, seed, N_CLIP, result);
  golden_read(file, name, "gradient", N_CLIP, golden);
  assert_agree(device->name, name, "gradient", result, golden, N_CLIP, 3e-7);

  device->memory.destroy(device, out);
  device->memory.destroy(device, seed);
  device->memory.destroy(device, record);
}

/* ---- clip_grad_norm_ ----------------------------------------------------------------------- */

static void check_norm(vane_device *device, const vane_safetensors_file *file, const char *name,
                       double limit, bool acts) {
  /* The second tensor on the next 64 bytes. */
  enum { PLAIN_OFFSET = 48, N_BLOCK = PLAIN_OFFSET + N_PLAIN };
  const vane_segment segments[] = {
      {.offset = 0, .count = N_DECAY, .task = VANE_SHARED, .decay = 1},
      {.offset = PLAIN_OFFSET, .count = N_PLAIN, .task = VANE_SHARED, .decay = 0},
  };
  uint64_t draws = 3;
  float values[N], block[N_BLOCK] = {0};
  golden_draw_array(&draws, 256, N, values);
  memcpy(block, values, N_DECAY * sizeof *block);
  memcpy(block + PLAIN_OFFSET, values + N_DECAY, N_PLAIN * sizeof *block);
  void *gradients = golden_put(device, block, N_BLOCK);
  void *parameters = golden_put(device, NULL, N_BLOCK), *samples = golden_put(device, NULL, 4);
  vane_step_record *record =
      golden_put_record(device, &(vane_step_record){.coefficient = {[VANE_SHARED] = 1}});

  vane_block *planned = golden_plan_block(device, segments, 2);
  const vane_decide_desc desc = {.clip_global = limit, .on_nonfinite = VANE_NONFINITE_STOP};
  golden_ok(
      device->reduce.decide(device, &desc, planned, parameters, gradients, samples, 1, record));
  vane_step_record after = golden_get_record(device, record);
  double norm, clipped[N], golden[N];
  golden_read(file, name, "norm", 1, &norm);
  golden_read(file, name, "gradient", N, golden);
  for (int i = 0; i < N; i++)
    clipped[i] = after.clip * (double)values[i];
  assert_agree(device->name, name, "norm", &after.gradient_norm, &norm, 1, 1e-12);
  /* PyTorch divides by the norm plus 1e-6: 1e-9 of it here. */
  assert_agree(device->name, name, "gradient", clipped, golden, N, 2e-9);
  assert_true((after.clip < 1) == acts);
  assert_int_equal(after.skip, 0);

  device->block.destroy(device, planned);
  device->memory.destroy(device, gradients);
  device->memory.destroy(device, parameters);
  device->memory.destroy(device, samples);
  device->memory.destroy(device, record);
}

/* ---- A vector of losses -------------------------------------------------------------------- */

static const char *const heads[VANE_N_HEADS] = {"presence", "angle", "magnitude", "position"};

static void put_slots(vane_device *device, const vane_safetensors_file *file,
                      void *slots[VANE_N_HEADS]) {
  for (int k = 0; k < VANE_N_HEADS; k++) {
    double golden[N_FEATURES];
    float values[N_FEATURES];
    golden_read(file, "vector", heads[k], N_FEATURES, golden);
    for (int i = 0; i < N_FEATURES; i++)
      values[i] = (float)golden[i];
    slots[k] = golden_put(device, values, N_FEATURES);
  }
}

/* One step of TensorFlow 1's Adam on the vector of five losses: the four slots combined, the fifth
 * from the weights themselves. */
static void check_vector(vane_device *device, const vane_safetensors_file *file) {
  const vane_segment segment = {.count = N_FEATURES, .task = VANE_SHARED, .decay = 1};
  const vane_config config = {.optim_lr = 1e-2,
                              .optim_beta1 = 0.9,
                              .optim_beta2 = 0.999,
                              .optim_epsilon = 1e-4,
                              .optim_epsilon_mode = VANE_EPSILON_HAT};
  uint64_t draws = 4;
  float start[N_FEATURES];
  golden_draw_array(&draws, 1, N_FEATURES, start);
  void *theta = golden_put(device, start, N_FEATURES);
  void *sum = golden_put(device, NULL, N_FEATURES), *m = golden_put(device, NULL, N_FEATURES),
       *v = golden_put(device, NULL, N_FEATURES);
  void *slots[VANE_N_HEADS];
  put_slots(device, file, slots);
  const void *const in[VANE_N_HEADS] = {slots[0], slots[1], slots[2], slots[3]};
  vane_step_record host = {.clip = 1};
  vane_adam_desc adam;
  vane_adam_desc_fill(&config, &adam);
  vane_step_input_fill(&config, 1, (const int64_t[VANE_N_HEADS]){1, 1, 1, 1}, &host.in);
  vane_step_record *record = golden_put_record(device, &host);

  vane_block *planned = golden_plan_block(device, &segment, 1);
  const vane_combine_desc combine = {.weighting = VANE_WEIGHTING_FIXED, .weight = {1, 1, 1, 1, 1}};
  double result[N_FEATURES], golden[N_FEATURES], l2;
  golden_ok(device->loss.regularization(device, planned, theta, record));
  golden_ok(device->reduce.gram(device, in, N_FEATURES, planned, NULL, NULL, record));
  golden_ok(device->reduce.coefficients(device, &combine, NULL, NULL, record));
  golden_ok(device->reduce.combine(device, sum, in, N_FEATURES, record));
  const vane_adam_memory memory = {.parameters = theta, .gradients = sum, .m = m, .v = v};
  golden_ok(device->optim.adam(device, &adam, planned, &memory, record));
  get(device, sum, N_FEATURES, result);
  golden_read(file, "vector", "sum", N_FEATURES, golden);
  assert_agree(device->name, "vector", "gradient", result, golden, N_FEATURES, 1e-7);
  get(device, theta, N_FEATURES, result);
  golden_read(file, "vector", "theta_1", N_FEATURES, golden);
  assert_agree(device->name, "vector", "step", result, golden, N_FEATURES, 1e-7);
  double loss = golden_get_record(device, record).loss[VANE_LOSS_REGULARIZATION];
  golden_read(file, "vector", "l2", 1, &l2);
  assert_agree(device->name, "vector", "regularisation", &loss, &l2, 1, 1e-7);

  void *all[] = {theta, sum, m, v, slots[0], slots[1], slots[2], slots[3], record};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    device->memory.destroy(device, all[i]);
  device->block.destroy(device, planned);
}

/* ---- Both devices ---------------------------------------------------------------------------- */

typedef void (*golden_check)(vane_device *device, const vane_safetensors_file *file);

static void on_both_devices(golden_check check) {
  vane_safetensors_file *file = golden_open_file(FILE_PATH);
  for (int kind = 0; kind < GOLDEN_N_DEVICES; kind++) {
    vane_device *device = golden_open_device(kind);
    check(device, file);
    vane_device_close(device);
  }
  vane_safetensors_close(file);
}

static void check_averages(vane_device *device, const vane_safetensors_file *file) {
  check_average(device, file, "average_acting", 0.7, true);
  check_average(device, file, "average_idle", 1, false);
}

static void check_norms(vane_device *device, const vane_safetensors_file *file) {
  check_norm(device, file, "norm_acting", 100, true);
  check_norm(device, file, "norm_idle", 5000, false);
}

static void test_clip_by_average_norm(void **state) {
  (void)state;
  on_both_devices(check_averages);
}

static void test_clip_grad_norm(void **state) {
  (void)state;
  on_both_devices(check_norms);
}

static void test_vector_of_losses(void **state) {
  (void)state;
  on_both_devices(check_vector);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clip_by_average_norm),
      cmocka_unit_test(test_clip_grad_norm),
      cmocka_unit_test(test_vector_of_losses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
