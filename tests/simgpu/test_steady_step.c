/* What a step of a running training does on the GPU: how many launches, of what, and that nothing
 * is allocated, waited for or read back. docs/gpu.md shows the table. */
#include "flow/small.h"

#include "docs_section.h"
#include "simgpu/simgpu.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { WARM_UP = 3, STEPS = 4 };

static const char *const presets[] = {"r64", "tf1", "rotfashion-360", "rotfashion-4", "scenes"};

/* The preset's own network; images are drawn and few, which changes no launch. */
static vane_trainer *create(const char *preset, const char *const *assignments, int n) {
  char path[512];
  vane_config config;
  vane_trainer *trainer;
  snprintf(path, sizeof path, "%s/presets/%s.yaml", VANE_SOURCE_FOLDER, preset);
  vane_config_init(&config);
  assert_ok(vane_config_read(&config, path));
  assert_ok(vane_config_set(&config, "data.train={source: scenes, count: 8, path: ''}"));
  assert_ok(vane_config_set(&config, "train.batch=2"));
  assert_ok(vane_config_set(&config, "device.kind=cuda"));
  for (int i = 0; i < n; i++)
    assert_ok(vane_config_set(&config, assignments[i]));
  assert_ok(vane_trainer_create(&config, NULL, &trainer));
  assert_ok(vane_network_draw(trainer->network));
  return trainer;
}

/* Counters over STEPS steps in the midst of a run. */
static simgpu_counters count_steps(vane_trainer *trainer) {
  small_train(trainer, WARM_UP);
  simgpu_drain();
  simgpu_count_reset();
  small_train(trainer, STEPS);
  simgpu_drain();
  return simgpu_count();
}

static void assert_never_stops(const simgpu_counters *c) {
  assert_int_equal(c->allocations + c->frees + c->pinned_allocations + c->pinned_frees, 0);
  assert_int_equal(c->device_synchronizes + c->stream_synchronizes + c->event_synchronizes, 0);
  assert_int_equal(c->hidden_synchronizes, 0);
  assert_int_equal(c->downloads, 0);
}

static uint64_t per_step(uint64_t count) {
  assert_int_equal(count % STEPS, 0);
  return count / STEPS;
}

static uint64_t launches_of(const char *kernel) {
  return per_step(simgpu_kernel_count(kernel).launches);
}

static void a_step_never_stops(void **state) {
  (void)state;
  static const char *const settings[][2] = {
      {"grad.space=trunk_output", "device.graphs=true"},
      {"grad.space=parameters", "device.graphs=true"},
      {"grad.space=trunk_output", "device.graphs=false"},
      {"grad.weighting=pcgrad", "grad.clip.global=0.1"},
      {"optim.rule=atan2", "optim.update_clip=1"},
      {"optim={reset_every: 2, spike_clip: 100}", "grad.clip.adaptive=0.01"},
  };
  for (int i = 0; i < COUNT(settings); i++) {
    vane_trainer *trainer = create("scenes", settings[i], 2);
    simgpu_counters c = count_steps(trainer);
    assert_never_stops(&c);
    assert_int_equal(c.graph_launches, trainer->config.device_graphs ? STEPS : 0);
    assert_int_equal(c.uploads, 3 * STEPS); /* pixels, targets, the step's scalars */
    vane_trainer_destroy(trainer);
  }
}

/* A step that is probed: one graph more, and of the host nothing more. */
static void a_probed_step_never_stops(void **state) {
  (void)state;
  static const char *const settings[][3] = {
      {"optim.guard={mode: on, every: 1}", "grad.space=trunk_output", "device.graphs=true"},
      {"optim.guard={mode: on, every: 1}", "grad.space=parameters", "device.graphs=true"},
      {"optim.guard={mode: watch, every: 1}", "grad.weighting=uncertainty", "train.accumulate=2"},
      {"optim.guard={mode: on, every: 1}", "grad.weighting=pcgrad", "device.graphs=false"},
  };
  for (int i = 0; i < COUNT(settings); i++) {
    vane_trainer *trainer = create("scenes", settings[i], 3);
    simgpu_counters c = count_steps(trainer);
    assert_never_stops(&c);
    assert_int_equal(c.graph_launches, trainer->config.device_graphs ? 2 * STEPS : 0);
    assert_int_equal(c.uploads, 3 * STEPS);
    assert_int_equal(launches_of("k_curvature"), 1);
    assert_int_equal(launches_of("k_adam"), 1);
    assert_true(small_record(trainer).guard.probes == WARM_UP + STEPS);
    vane_trainer_destroy(trainer);
  }
}

static void norms_clipping_and_combination_take_four_launches(void **state) {
  (void)state;
  vane_trainer *trainer = create("tf1", NULL, 0);
  count_steps(trainer);
  uint64_t together = launches_of("k_gram") + launches_of("k_coefficients") +
                      launches_of("k_combine") + launches_of("k_decide");
  assert_true(launches_of("k_gram") >= 1 && together <= 4);
  assert_int_equal(launches_of("k_adam"), 1);
  vane_trainer_destroy(trainer);
}

static void adam_moves_28_bytes_per_parameter(void **state) {
  (void)state;
  vane_trainer *trainer = create("r64", NULL, 0);
  count_steps(trainer);
  simgpu_kernel adam = simgpu_kernel_count("k_adam");
  double parameters = (double)vane_parameters_count(&trainer->network->parameters);
  double bytes = (double)(adam.load_bytes + adam.store_bytes) / (STEPS * parameters);
  print_message("Adam loads and stores %.3f bytes per parameter of R64\n", bytes);
  assert_true(bytes > 27.9 && bytes < 28.2); /* the record and the segments' table are read too */
  vane_trainer_destroy(trainer);
}

static bool ends_in_flatten(const vane_trainer *trainer) {
  const vane_config *config = &trainer->config;
  return config->model_trunk[config->n_model_trunk - 1].kind == VANE_LAYER_FLATTEN;
}

/* Weights are rounded by Adam and nobody else: what is converted are the weights' gradients that
 * convolutions write, and features and their gradient at the trunk's end. */
static void bf16_converts_no_weights(void **state) {
  (void)state;
  static const char *const bf16[] = {"device.precision=bf16"};
  static const char *const ends[] = {"scenes", "r64"}; /* a flattened image, and its mean */
  for (int i = 0; i < COUNT(ends); i++) {
    vane_trainer *trainer = create(ends[i], bf16, 1);
    simgpu_counters c = count_steps(trainer);
    assert_never_stops(&c);
    int64_t n = vane_trunk_n_convolutions(trainer->network->trunk);
    uint64_t at_the_end = ends_in_flatten(trainer) ? 2 : 0;
    assert_int_equal(launches_of("k_convert"), (uint64_t)n + at_the_end);
    vane_trainer_destroy(trainer);
  }
}

static void bf16_takes_two_bytes_more_per_parameter_of_the_trunk(void **state) {
  (void)state;
  static const char *const bf16[] = {"device.precision=bf16"};
  vane_trainer *trainer = create("r64", bf16, 1);
  count_steps(trainer);
  simgpu_kernel adam = simgpu_kernel_count("k_adam");
  double parameters = (double)vane_parameters_count(&trainer->network->parameters);
  double shared = (double)trainer->network->parameters.shared;
  double bytes = (double)(adam.load_bytes + adam.store_bytes) / (STEPS * parameters);
  print_message("in bf16 %.3f, with a shadow of %.0f of %.0f parameters\n", bytes, shared,
                parameters);
  assert_true(bytes > 27.9 + 2 * shared / parameters && bytes < 28.2 + 2 * shared / parameters);
  assert_int_equal(launches_of("k_adam"), 1);
  vane_trainer_destroy(trainer);
}

static void launches_stand_in_the_docs(void **state) {
  (void)state;
  char text[4096];
  size_t length = (size_t)snprintf(text, sizeof text,
                                   "| preset | parameters | vane's kernels | cuDNN and cuBLASLt | "
                                   "copies on the GPU | memsets |\n"
                                   "| --- | ---: | ---: | ---: | ---: | ---: |\n");
  for (int i = 0; i < COUNT(presets); i++) {
    vane_trainer *trainer = create(presets[i], NULL, 0);
    simgpu_counters c = count_steps(trainer);
    assert_never_stops(&c);
    length += (size_t)snprintf(
        text + length, sizeof text - length, "| %s | %lld | %llu | %llu | %llu | %llu |\n",
        presets[i], (long long)vane_parameters_count(&trainer->network->parameters),
        (unsigned long long)per_step(c.kernels), (unsigned long long)per_step(c.works),
        (unsigned long long)per_step(c.device_copies), (unsigned long long)per_step(c.memsets));
    vane_trainer_destroy(trainer);
  }
  docs_section_check("gpu.md", "launches", text);
}

/* What a probe adds: once in optim.guard.every steps. */
static void launches_of_a_probe_stand_in_the_docs(void **state) {
  (void)state;
  char text[4096];
  /* Without graphs: copies are counted as they are enqueued, kernels as they run. */
  static const char *const guards[][2] = {
      {"optim.guard.mode=off", "device.graphs=false"},
      {"optim.guard={mode: on, every: 1}", "device.graphs=false"}};
  size_t length = (size_t)snprintf(text, sizeof text,
                                   "| preset | vane's kernels | cuDNN and cuBLASLt | copies on the "
                                   "GPU |\n| --- | ---: | ---: | ---: |\n");
  for (int i = 0; i < COUNT(presets); i++) {
    simgpu_counters c[2];
    for (int guard = 0; guard < 2; guard++) {
      vane_trainer *trainer = create(presets[i], guards[guard], 2);
      c[guard] = count_steps(trainer);
      vane_trainer_destroy(trainer);
    }
    assert_int_equal(c[1].memsets, c[0].memsets);
    length +=
        (size_t)snprintf(text + length, sizeof text - length, "| %s | %llu | %llu | %llu |\n",
                         presets[i], (unsigned long long)per_step(c[1].kernels - c[0].kernels),
                         (unsigned long long)per_step(c[1].works - c[0].works),
                         (unsigned long long)per_step(c[1].device_copies - c[0].device_copies));
  }
  docs_section_check("gpu.md", "probe-launches", text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_step_never_stops),
      cmocka_unit_test(a_probed_step_never_stops),
      cmocka_unit_test(norms_clipping_and_combination_take_four_launches),
      cmocka_unit_test(adam_moves_28_bytes_per_parameter),
      cmocka_unit_test(bf16_takes_two_bytes_more_per_parameter_of_the_trunk),
      cmocka_unit_test(bf16_converts_no_weights),
      cmocka_unit_test(launches_stand_in_the_docs),
      cmocka_unit_test(launches_of_a_probe_stand_in_the_docs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
