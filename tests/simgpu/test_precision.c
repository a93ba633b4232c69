/* Training in tf32 and bf16, beside fp32: the same start, the same batches,
 * and losses that fall alike. A recorded step equals an enqueued one here too; and whatever happens
 * in a run, convolutions find in bf16 the weights that Adam has in fp32. */
#include "flow/small.h"

#include "train/checkpoint.h"
#include "train/evaluate.h"
#ifdef VANE_SIMULATED
#include "simgpu/simgpu.h"
#endif

enum { N_PRECISIONS = 3, STEPS = 60, LAST = 10 };

static const char *const precisions[N_PRECISIONS] = {
    "device.precision=fp32", "device.precision=tf32", "device.precision=bf16"};

typedef struct course {
  int64_t count;
  float *first_gradient, *weights;
  double first_loss, last_loss; /* all heads together: of the first step, mean of the last LAST */
} course;

static double loss_of(const vane_step_sum *sum) {
  double total = 0;
  for (int k = 0; k < VANE_N_HEADS; k++)
    total += sum->loss[k] / sum->steps;
  return total;
}

static vane_step_sum sum_of(const vane_trainer *trainer) {
  return small_record(trainer).sum;
}

static course run(const char *precision, const char *norm, const char *graphs) {
  const char *const settings[] = {precision, norm, graphs, "optim.lr=0.003"};
  vane_trainer *trainer = small_trainer(settings, 4);
  course c;
  small_train(trainer, 1);
  c.first_gradient = small_read(trainer, trainer->slots.gradients, &c.count);
  vane_step_sum first = sum_of(trainer);
  c.first_loss = loss_of(&first);
  small_train(trainer, STEPS - LAST - 1);
  vane_step_sum before = sum_of(trainer);
  small_train(trainer, LAST);
  vane_step_sum after = sum_of(trainer);
  assert_true(after.steps == STEPS && after.skipped == 0);
  after.steps -= before.steps;
  for (int k = 0; k < VANE_N_HEADS; k++)
    after.loss[k] -= before.loss[k];
  c.last_loss = loss_of(&after);
  c.weights = small_read(trainer, trainer->network->weights, &c.count);
  vane_trainer_destroy(trainer);
  return c;
}

static void finish(course *c) {
  free(c->first_gradient);
  free(c->weights);
}

/* A gradient comes through some ten layers, each of which rounds what it reads: 2^-12 of a value in
 * tf32, 2^-9 in bf16, and a ReLU near zero may open or shut. Losses of a whole run differ by less:
 * errors of that kind do not pile up in one direction. */
static void compare(const char *norm) {
  static const double gradient_limits[N_PRECISIONS] = {0, 0.02, 0.15};
  static const double loss_limits[N_PRECISIONS] = {0, 0.05, 0.15};
  course of[N_PRECISIONS];
  for (int i = 0; i < N_PRECISIONS; i++)
    of[i] = run(precisions[i], norm, "device.graphs=true");
  for (int i = 0; i < N_PRECISIONS; i++) {
    double apart = small_distance(of[0].first_gradient, of[i].first_gradient, of[0].count);
    print_message("%s, %s: first gradient %.1e from fp32's, loss %.4f to %.4f\n", precisions[i],
                  norm, apart, of[i].first_loss, of[i].last_loss);
    assert_true(apart <= gradient_limits[i]);
    assert_true((apart > 0) == (i > 0)); /* the precision does something */
    assert_true(of[i].last_loss < 0.7 * of[i].first_loss);
    assert_true(fabs(of[i].last_loss - of[0].last_loss) <= loss_limits[i] * of[0].last_loss);
  }
  for (int i = 0; i < N_PRECISIONS; i++)
    finish(&of[i]);
}

/* An old GPU has fp32 alone. */
static void skip_where_unsupported(void) {
  vane_device *device;
  const vane_device_options options = {.kind = VANE_DEVICE_CUDA, .precision = VANE_PRECISION_BF16};
  vane_status status = vane_device_open(&options, &device);
  vane_device_close(device);
  if (status != VANE_ERR_UNSUPPORTED)
    return;
  print_message("SKIPPED: %s\n", vane_error_get()->message);
  skip();
}

static void training_takes_the_same_course(void **state) {
  (void)state;
  skip_where_unsupported();
  compare("model.norm=none");
  compare("model.norm=batch");
}

static void recorded_steps_give_the_same_bits(void **state) {
  (void)state;
  skip_where_unsupported();
  for (int i = 1; i < N_PRECISIONS; i++) {
    course recorded = run(precisions[i], "model.norm=batch", "device.graphs=true");
    course enqueued = run(precisions[i], "model.norm=batch", "device.graphs=false");
    assert_memory_equal(recorded.weights, enqueued.weights,
                        (size_t)recorded.count * sizeof *recorded.weights);
    finish(&recorded);
    finish(&enqueued);
  }
}

/* ---- The weights as convolutions read them ---- */

/* Every number of the shadow, padding included. */
static void assert_shadow(const vane_trainer *trainer, const char *after) {
  vane_device *device = trainer->device;
  const vane_network *network = trainer->network;
  const size_t bytes = network->block->shadow_bytes, n = bytes / sizeof(uint16_t);
  float *weights = malloc(n * sizeof *weights + 1);
  uint16_t *numbers = malloc(bytes + 1);
  assert_true(weights && numbers && n >= (size_t)network->parameters.shared - 15);
  assert_ok(device->memory.get(device, weights, network->weights, (int64_t)n));
  assert_ok(device->memory.download(device, numbers, network->shadow, bytes));
  assert_ok(device->memory.synchronize(device));
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, &weights[i], sizeof bits);
    assert_true(isfinite(weights[i]));
    if (numbers[i] != (bits + 0x7fff + (bits >> 16 & 1)) >> 16)
      fail_msg("after %s: number %zu of the shadow is 0x%04x, the weight %a", after, i, numbers[i],
               (double)weights[i]);
  }
  free(weights);
  free(numbers);
}

/* A step whose gradient is not finite. */
static void spoil_a_step(vane_trainer *trainer) {
  vane_loader *loader;
  const vane_batch *batch;
  assert_ok(
      vane_loader_open(&trainer->config, false, trainer->config.train_batch, 0, NULL, &loader));
  assert_ok(vane_loader_take(loader, &batch));
  for (int64_t i = 0; i < batch->n; i++) {
    batch->labels[i].present = 1;
    batch->labels[i].magnitude = 1e30f;
  }
  assert_ok(vane_step_run(trainer, batch));
  assert_int_equal(small_record(trainer).skip, 1);
  vane_loader_give_back(loader, batch);
  vane_loader_close(loader);
}

static void evaluate(vane_trainer *trainer) {
  vane_loader *loader;
  vane_scores scores;
  assert_ok(
      vane_loader_open(&trainer->config, true, trainer->config.train_batch, 0, NULL, &loader));
  assert_ok(vane_evaluate(trainer, loader, &scores));
  vane_loader_close(loader);
}

static vane_trainer *resume(const vane_config *config, const char *path) {
  vane_checkpoint *checkpoint;
  vane_trainer *trainer;
  assert_ok(vane_checkpoint_open(path, &checkpoint));
  assert_ok(vane_trainer_create(config, vane_checkpoint_choices(checkpoint), &trainer));
  assert_ok(vane_checkpoint_restore(checkpoint, trainer));
  vane_checkpoint_close(checkpoint);
  return trainer;
}

static void convolutions_read_the_weights_rounded(void **state) {
  scratch *area = *state;
  static const char *const settings[] = {"device.precision=bf16", "model.norm=batch",
                                         "train.on_nonfinite=skip"};
  char path[256];
  vane_run *run;
  skip_where_unsupported();
  vane_trainer *trainer = small_trainer(settings, 3);
  assert_shadow(trainer, "initial values");
  small_train(trainer, 5);
  assert_shadow(trainer, "steps");
  spoil_a_step(trainer);
  assert_shadow(trainer, "a skipped step");
  evaluate(trainer);
  assert_shadow(trainer, "an evaluation");
  assert_ok(vane_run_create(scratch_path(area, "run"), "seed: 1\n", 3, &run));
  assert_ok(vane_checkpoint_save(trainer, run, (vane_best){0}, false));
  assert_ok(vane_run_find_checkpoint(scratch_path(area, "run"), false, path, sizeof path));
  vane_run_close(run);

  vane_trainer *resumed = resume(&trainer->config, path);
  assert_shadow(resumed, "a resumption");
  small_train(trainer, 3);
  small_train(resumed, 3);
  assert_shadow(resumed, "resumed steps");
  int64_t count;
  float *straight = small_read(trainer, trainer->network->weights, &count);
  float *stopped = small_read(resumed, resumed->network->weights, &count);
  assert_memory_equal(straight, stopped, (size_t)count * sizeof *straight);
  free(straight);
  free(stopped);
  vane_trainer_destroy(trainer);
  vane_trainer_destroy(resumed);
}

static void fp32_has_no_shadow(void **state) {
  (void)state;
  vane_trainer *trainer = small_trainer(NULL, 0);
  assert_int_equal(trainer->network->block->shadow_bytes, 0);
  assert_null(trainer->network->shadow);
  vane_trainer_destroy(trainer);
}

#ifdef VANE_SIMULATED
static void an_old_gpu_refuses(void **state) {
  (void)state;
  static const int narrow[] = {VANE_PRECISION_TF32, VANE_PRECISION_BF16};
  simgpu_settings *gpu = simgpu_setup();
  const simgpu_settings before = *gpu;
  gpu->major = 7;
  gpu->minor = 5;
  for (int i = 0; i < 2; i++) {
    vane_device *device;
    const vane_device_options options = {.kind = VANE_DEVICE_CUDA, .precision = narrow[i]};
    assert_int_equal(vane_device_open(&options, &device), VANE_ERR_UNSUPPORTED);
    assert_null(device);
    assert_message_contains("needs a GPU of compute capability 8.0");
    assert_message_contains("has 7.5; choose fp32");
  }
  *gpu = before;
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
#ifdef VANE_SIMULATED
      cmocka_unit_test(an_old_gpu_refuses),
#endif
      cmocka_unit_test(training_takes_the_same_course),
      cmocka_unit_test(recorded_steps_give_the_same_bits),
      scratch_test(convolutions_read_the_weights_rounded),
      cmocka_unit_test(fp32_has_no_shadow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
