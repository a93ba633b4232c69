/* A small network on drawn scenes, for tests of the whole flow. */
#ifndef TESTS_FLOW_SMALL_H
#define TESTS_FLOW_SMALL_H

#include <math.h>

#include "scratch.h"

#include "base/error.h"
#include "data/loader.h"
#include "format/safetensors.h"
#include "train/step.h"

/* The same tests run on the simulated GPU, and on a real one. */
#if defined(VANE_SIMULATED) || defined(VANE_CHECK_CUDA)
#define SMALL_DEVICE "cuda"
#else
#define SMALL_DEVICE "cpu"
#endif

/* 20x20 grey scenes, a trunk with every kind of layer that has weights, batches of 12. */
static const char *const small_config =
    "model: {input: [20, 20, 1], trunk: [{conv: {channels: 5, kernel: 5, stride: 2}},"
    " {block: {channels: 8, stride: 2}}, {block: {channels: 8}}, {max_pool: {}}, flatten],"
    " heads: {presence: {hidden: [6]}, angle: {hidden: [7]}, position: {scale: 5}}}\n"
    "data: {train: {source: scenes, count: 96}, test: {source: scenes, count: 24}, threads: 1}\n"
    "train: {batch: 12, steps: 8, log_every: 4, save_every: 4, eval_every: 0}\n"
    "optim: {lr: 0.002}\n"
    "device: {kind: " SMALL_DEVICE ", convolution: direct, threads: 2}\n";

/* The small configuration with `n` assignments (KEY=VALUE) on top. */
static inline void small_configure(vane_config *config, const char *const *assignments, int n) {
  vane_config_init(config);
  assert_ok(vane_config_parse(config, "small", small_config, strlen(small_config)));
  for (int i = 0; i < n; i++)
    assert_ok(vane_config_set(config, assignments[i]));
}

/* A trainer with drawn weights. */
static inline vane_trainer *small_trainer(const char *const *assignments, int n) {
  vane_config config;
  small_configure(&config, assignments, n);
  vane_trainer *trainer;
  assert_ok(vane_trainer_create(&config, NULL, &trainer));
  assert_ok(vane_network_draw(trainer->network));
  return trainer;
}

/* `steps` steps on the configured data, from the trainer's own position on. */
static inline void small_train(vane_trainer *trainer, int64_t steps) {
  vane_loader *loader;
  assert_ok(vane_loader_open(&trainer->config, false, trainer->config.train_batch, trainer->step,
                             NULL, &loader));
  for (int64_t i = 0; i < steps; i++) {
    const vane_batch *batch;
    assert_ok(vane_loader_take(loader, &batch));
    assert_ok(vane_step_run(trainer, batch));
    vane_loader_give_back(loader, batch);
  }
  vane_loader_close(loader);
}

/* A block laid out like the weights, in plain host order: fresh memory, all tensors in a row. */
static inline float *small_read(const vane_trainer *trainer, const void *block, int64_t *count) {
  const vane_parameters *parameters = &trainer->network->parameters;
  *count = vane_parameters_count(parameters);
  float *values = malloc((size_t)*count * sizeof *values), *at = values;
  assert_non_null(values);
  for (int64_t i = 0; i < parameters->n; i++) {
    assert_ok(vane_parameters_get(parameters, trainer->device, block, i, at));
    at += parameters->items[i].count;
  }
  return values;
}

/* Distance of two blocks relative to the first one's norm. */
static inline double small_distance(const float *a, const float *b, int64_t count) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < count; i++) {
    double d = (double)a[i] - (double)b[i];
    difference += d * d;
    norm += (double)a[i] * (double)a[i];
  }
  return sqrt(norm > 0 ? difference / norm : difference);
}

/* The step record, on the host. */
static inline vane_step_record small_record(const vane_trainer *trainer) {
  vane_step_record record;
  vane_device *device = trainer->device;
  assert_ok(device->memory.download(device, &record, trainer->record, sizeof record));
  assert_ok(device->memory.synchronize(device));
  return record;
}

/* All tensors of two checkpoints have the same bytes; the metadata may name other settings. Returns
 * how many they are. */
static inline int64_t small_same_tensors(const char *path_a, const char *path_b) {
  vane_safetensors_file *a, *b;
  assert_ok(vane_safetensors_open(path_a, &a));
  assert_ok(vane_safetensors_open(path_b, &b));
  int64_t n = vane_safetensors_count(a);
  assert_int_equal(n, vane_safetensors_count(b));
  for (int64_t i = 0; i < n; i++) {
    const vane_safetensor *left = vane_safetensors_at(a, i);
    const vane_safetensor *right = vane_safetensors_find(b, left->name);
    assert_non_null(right);
    assert_int_equal(left->bytes, right->bytes);
    if (memcmp(left->data, right->data, left->bytes) != 0)
      fail_msg("%s differs between %s and %s", left->name, path_a, path_b);
  }
  vane_safetensors_close(a);
  vane_safetensors_close(b);
  return n;
}

#endif
