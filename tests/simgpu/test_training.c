/* Whole training runs on the simulated device: the presets' networks, shrunk, under every weighting
 * and clip, beside ref and cpu on the same batches; recorded steps beside steps that are enqueued
 * one by one. */
#include "flow/small.h"

#include "base/random.h"

#define COUNT(array)    ((int)(sizeof(array) / sizeof *(array)))
#define MAX_ASSIGNMENTS 24

enum { STEPS = 200, N_STAGES = 4, STAGE = STEPS / N_STAGES, N_STARTS = 7 };

/* Structure, heads, losses and optimiser are the preset's; images, channels and batch are small. */
typedef struct shrunk {
  const char *preset;
  const char *assignments[MAX_ASSIGNMENTS];
} shrunk;

static const shrunk presets[] = {
    {"tf1",
     {"model.input=[16, 16, 3]",
      "model.trunk=[{conv: {channels: 4, kernel: 5, stride: 2}}, {conv: {channels: 8, stride: 2}},"
      " {block: {channels: 8}}, {block: {channels: 12, stride: 2}}, {block: {channels: 12}},"
      " {conv: {channels: 16, stride: 2}}, flatten]",
      "model.heads.presence.hidden=[16]", "model.heads.angle.hidden=[16]",
      "model.heads.magnitude.hidden=[16]", "model.heads.position.hidden=[16]"}},
    {"rotfashion-360",
     {"model.input=[16, 16, 1]",
      "model.trunk=[{conv: {channels: 4}}, {block: {channels: 6, stride: 2}},"
      " {block: {channels: 8, stride: 2}}, {block: {channels: 8, stride: 2}},"
      " {conv: {channels: 6, kernel: 1, norm: false}}, flatten]",
      "model.heads.angle.hidden=[10]"}},
    {"rotfashion-4",
     {"model.input=[16, 16, 1]",
      "model.trunk=[{conv: {channels: 4, kernel: 5, stride: 2}}, {block: {channels: 6, stride: 2}},"
      " {block: {channels: 8, stride: 2}}, {block: {channels: 12, stride: 2}},"
      " {conv: {channels: 6, kernel: 1, norm: false}}, flatten]",
      "model.heads.presence.hidden=[16]", "model.heads.angle.hidden=[16]",
      "model.heads.magnitude.hidden=[16]", "model.heads.position.hidden=[16]"}},
};

static const char *const common[] = {
    "data.train={source: scenes, count: 48, path: ''}",
    "data.test={source: none, path: ''}",
    "data.threads=1",
    "train.batch=6",
    "train.steps=200",
    "device={convolution: direct, threads: 1}",
};

static const char *const weightings[] = {"fixed", "uncertainty", "pcgrad"};
static const char *const clips[] = {
    "grad.clip={per_loss: 0, global: 0, average_norm: 0}",
    "grad.clip={per_loss: 0.2, global: 0, average_norm: 0}",
    "grad.clip={per_loss: 0, global: 0.5, average_norm: 0}",
    "grad.clip={per_loss: 0, global: 0, average_norm: 0.02}", /* acts: limit x sqrt(n) is small */
};

typedef struct variant {
  const shrunk *preset;
  int weighting, clip;
  bool parameters; /* grad.space */
  bool guard;
} variant;

static void describe(const variant *v, char *text, size_t bytes) {
  snprintf(text, bytes, "%s, %s, %s, space %s", v->preset->preset, weightings[v->weighting],
           clips[v->clip], v->parameters ? "parameters" : "trunk_output");
}

static void assign(vane_config *config, const char *assignment) {
  assert_ok(vane_config_set(config, assignment));
}

static vane_trainer *create(const variant *v, const char *device, bool graphs) {
  char path[512], text[128];
  vane_config config;
  vane_trainer *trainer;
  snprintf(path, sizeof path, "%s/presets/%s.yaml", VANE_SOURCE_FOLDER, v->preset->preset);
  vane_config_init(&config);
  assert_ok(vane_config_read(&config, path));
  for (int i = 0; i < COUNT(common); i++)
    assign(&config, common[i]);
  for (int i = 0; i < MAX_ASSIGNMENTS && v->preset->assignments[i]; i++)
    assign(&config, v->preset->assignments[i]);
  snprintf(text, sizeof text, "grad.weighting=%s", weightings[v->weighting]);
  assign(&config, text);
  assign(&config, clips[v->clip]);
  assign(&config, v->parameters ? "grad.space=parameters" : "grad.space=trunk_output");
  if (v->guard)
    assign(&config, "optim.guard={mode: on, every: 7, margin: 0.05}");
  snprintf(text, sizeof text, "device={kind: %s, graphs: %s}", device, graphs ? "true" : "false");
  assign(&config, text);
  assert_ok(vane_trainer_create(&config, NULL, &trainer));
  assert_ok(vane_network_draw(trainer->network));
  return trainer;
}

/* What a run leaves behind. */
typedef struct trace {
  int64_t count;
  float *start, *first_gradient;
  float *weights[N_STAGES];
  vane_step_record first;
} trace;

/* Every weight goes to the float above or below it, or stays. */
static void nudge(vane_trainer *trainer, uint64_t seed) {
  const vane_parameters *parameters = &trainer->network->parameters;
  void *block = trainer->network->weights;
  float *values = malloc((size_t)vane_parameters_largest(parameters) * sizeof *values);
  assert_non_null(values);
  for (int64_t i = 0; i < parameters->n; i++) {
    assert_ok(vane_parameters_get(parameters, trainer->device, block, i, values));
    for (int64_t j = 0; j < parameters->items[i].count; j++) {
      const float ways[] = {-INFINITY, values[j], INFINITY};
      values[j] = nextafterf(
          values[j], ways[vane_random_below(seed, VANE_RANDOM_BENCH, (uint64_t)i, (uint64_t)j, 3)]);
    }
    assert_ok(vane_parameters_put(parameters, trainer->device, block, i, values));
  }
  free(values);
}

/* Start 0 is the drawn weights, others are an ULP beside them. */
static trace run(const variant *v, const char *device, bool graphs, uint64_t start) {
  trace t;
  vane_trainer *trainer = create(v, device, graphs);
  if (start)
    nudge(trainer, start);
  t.start = small_read(trainer, trainer->network->weights, &t.count);
  small_train(trainer, 1);
  t.first_gradient = small_read(trainer, trainer->slots.gradients, &t.count);
  t.first = small_record(trainer);
  for (int i = 0; i < N_STAGES; i++) {
    small_train(trainer, STAGE * (i + 1) - trainer->step);
    t.weights[i] = small_read(trainer, trainer->network->weights, &t.count);
  }
  assert_true(small_record(trainer).sum.skipped == 0);
  vane_trainer_destroy(trainer);
  return t;
}

static void finish(trace *t) {
  free(t->start);
  free(t->first_gradient);
  for (int i = 0; i < N_STAGES; i++)
    free(t->weights[i]);
}

/* How far a run is from `ref` after a stage, in units of the way that ref has gone by then. */
static double distance(const trace *ref, const trace *other, int stage) {
  double apart = 0, way = 0;
  for (int64_t i = 0; i < ref->count; i++) {
    double a = (double)ref->weights[stage][i];
    apart += pow((double)other->weights[stage][i] - a, 2);
    way += pow((double)ref->start[i] - a, 2);
  }
  return sqrt(apart / way);
}

static double largest_distance(const trace *ref, const trace *other) {
  double largest = 0;
  for (int i = 0; i < N_STAGES; i++)
    largest = fmax(largest, distance(ref, other, i));
  return largest;
}

static void compare_first_step(const char *text, const trace *ref, const trace *cuda) {
  double gradient = small_distance(ref->first_gradient, cuda->first_gradient, ref->count);
  print_message("%s: first gradient %.1e from ref's\n", text, gradient);
  if (!(gradient <= 1e-5))
    fail_msg("%s: the first gradient is %.2e from ref's", text, gradient);
  for (int k = 0; k < VANE_N_LOSSES; k++)
    assert_true(fabs(cuda->first.loss[k] - ref->first.loss[k]) <=
                1e-6 * (1 + fabs(ref->first.loss[k])));
}

/* Where a ReLU's input is all but zero, an ULP opens or shuts it, and from there on the ways part:
 * on an H200 two of 36 runs ended 3e-2 and 8e-2 from ref instead of 2e-6, and the like happens to
 * runs on cpu that begin an ULP apart. So cuda must keep near ref from one of a few starts. */
static void compare(const variant *v) {
  char text[256];
  describe(v, text, sizeof text);
  trace ref = run(v, "ref", true, 0);
  double of_cpu = HUGE_VAL, of_cuda = HUGE_VAL;
  uint64_t start = 0;
  do {
    trace cpu = run(v, "cpu", true, start), cuda = run(v, "cuda", true, start);
    if (start == 0)
      compare_first_step(text, &ref, &cuda);
    of_cpu = fmin(of_cpu, largest_distance(&ref, &cpu));
    of_cuda = fmin(of_cuda, largest_distance(&ref, &cuda));
    print_message("%s, start %d: after %d steps cuda %.1e, cpu %.1e from ref\n", text, (int)start,
                  STEPS, of_cuda, of_cpu);
    finish(&cpu);
    finish(&cuda);
  } while (++start < N_STARTS && !(of_cuda <= 3 * of_cpu));
  if (!(of_cuda <= 3 * of_cpu))
    fail_msg("%s: cuda is %.2e from ref, cpu only %.2e", text, of_cuda, of_cpu);
  finish(&ref);
}

static void compare_preset(const shrunk *preset) {
  int turn = 0;
  for (int weighting = 0; weighting < COUNT(weightings); weighting++)
    for (int clip = 0; clip < COUNT(clips); clip++)
      compare(&(variant){preset, weighting, clip, turn++ % 2, false});
}

static void tf1_trains_as_on_ref(void **state) {
  (void)state;
  compare_preset(&presets[0]);
}

static void rotfashion_360_trains_as_on_ref(void **state) {
  (void)state;
  compare_preset(&presets[1]);
}

static void rotfashion_4_trains_as_on_ref(void **state) {
  (void)state;
  compare_preset(&presets[2]);
}

static void recorded_steps_give_the_same_bits(void **state) {
  (void)state;
  for (int p = 0; p < COUNT(presets); p++) {
    variant v = {&presets[p], p % COUNT(weightings), 1 + p % 3, p % 2, true};
    trace recorded = run(&v, "cuda", true, 0), enqueued = run(&v, "cuda", false, 0);
    for (int i = 0; i < N_STAGES; i++)
      assert_memory_equal(recorded.weights[i], enqueued.weights[i],
                          (size_t)recorded.count * sizeof(float));
    finish(&recorded);
    finish(&enqueued);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tf1_trains_as_on_ref),
      cmocka_unit_test(rotfashion_360_trains_as_on_ref),
      cmocka_unit_test(rotfashion_4_trains_as_on_ref),
      cmocka_unit_test(recorded_steps_give_the_same_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
