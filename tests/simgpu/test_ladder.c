/* The n-th call to CUDA, cuDNN or cuBLASLt fails, for each n: while the device is opened, the
 * network planned, three steps run (the second is recorded, the third replayed), a checkpoint saved
 * and all given back. Each time there is an error that names the call, and nothing is left over. */
#include "flow/small.h"

#include "simgpu/simgpu.h"
#include "train/checkpoint.h"

/* One layer of each kind, so that every call is made, few times. In bf16: that makes each call that
 * fp32 makes, and some more often. */
static const char *const settings[] = {
    "model.input=[16, 16, 1]",
    "model.trunk=[{conv: {channels: 4, stride: 4}}, {block: {channels: 4}}, max_pool, flatten]",
    "model.norm=batch",
    "model.heads.presence.hidden=[16]",
    "model.heads.angle.hidden=[]",
    "train.batch=3",
    "grad.weighting=uncertainty",
    "optim.guard={mode: on, every: 1}",
    "device.precision=bf16",
};

/* Calls whose failure is no error: a candidate that cannot be planned is passed over, and what goes
 * wrong while things are given back has nobody to be told to. */
static bool may_be_survived(const char *name) {
  return strstr(name, "Destroy") || strstr(name, "Free") ||
         strcmp(name, "cudnnBackendFinalize") == 0 || strcmp(name, "cudaStreamSynchronize") == 0;
}

/* The call as errors name it: of kernels they name the launcher. */
static const char *name_in_errors(const char *failed) {
  return strncmp(failed + strspn(failed, "("), "k_", 2) == 0 ? "vane_launch_" : failed;
}

static vane_status train_three_steps(vane_trainer *trainer) {
  vane_loader *loader;
  vane_status status = vane_network_draw(trainer->network);
  assert_ok(
      vane_loader_open(&trainer->config, false, trainer->config.train_batch, 0, NULL, &loader));
  for (int i = 0; i < 3 && status == VANE_OK; i++) {
    const vane_batch *batch;
    assert_ok(vane_loader_take(loader, &batch));
    status = vane_step_run(trainer, batch);
    vane_loader_give_back(loader, batch);
  }
  vane_loader_close(loader);
  return status;
}

static vane_status live(const vane_config *config, vane_run *run) {
  vane_trainer *trainer;
  vane_status status = vane_trainer_create(config, NULL, &trainer);
  if (status == VANE_OK)
    status = train_three_steps(trainer);
  if (status == VANE_OK)
    status = vane_checkpoint_save(trainer, run, (vane_best){0}, false);
  vane_trainer_destroy(trainer);
  return status;
}

/* Whether the n-th call's failure went as it should. */
static bool went_well(vane_status status, const char *failed, uint64_t n) {
  const char *message = vane_error_get()->message;
  bool well = true;
  if (status == VANE_OK && !may_be_survived(failed)) {
    print_error("call %llu, %s, failed and nobody noticed\n", (unsigned long long)n, failed);
    well = false;
  }
  if (status != VANE_OK && !strstr(message, name_in_errors(failed))) {
    print_error("call %llu, %s, failed, and the error says \"%s\"\n", (unsigned long long)n, failed,
                message);
    well = false;
  }
  if (simgpu_leaks()) {
    print_error("call %llu, %s, failed and left something over:\n", (unsigned long long)n, failed);
    simgpu_print_leaks();
    well = false;
  }
  return well;
}

static void every_call_may_fail(void **state) {
  scratch *area = *state;
  vane_config config;
  vane_run *run;
  int n_survived = 0, n_bad = 0;
  uint64_t n = 1;
  small_configure(&config, settings, (int)(sizeof settings / sizeof *settings));
  assert_ok(vane_run_create(scratch_path(area, "run"), "seed: 1\n", 99, &run));
  for (; n_bad < 10; n++) {
    simgpu_reset();
    simgpu_fail_call(n);
    vane_status status = live(&config, run);
    const char *failed = simgpu_failed_name();
    if (!failed) {
      assert_ok(status); /* fewer calls than n: the whole life went well */
      break;
    }
    n_survived += status == VANE_OK;
    n_bad += !went_well(status, failed, n);
  }
  print_message("%llu calls failed in turn; %d failures were survived\n", (unsigned long long)n - 1,
                n_survived);
  assert_int_equal(n_bad, 0);
  assert_true(n > 500);
  vane_run_close(run);
}

int main(void) {
  const struct CMUnitTest tests[] = {scratch_test(every_call_may_fail)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
