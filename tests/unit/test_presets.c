/* The ready configurations: each reads, fits together and prints to itself, and each is what its
 * first lines say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"

#define PRESETS VANE_SOURCE_FOLDER "/presets"

static vane_config *read_preset(const char *path) {
  vane_config *config = test_malloc(sizeof *config);
  vane_config_init(config);
  if (vane_config_read(config, path) != VANE_OK || vane_config_check(config) != VANE_OK)
    fail_msg("%s", vane_error_get()->message);
  return config;
}

/* Weights and biases of one convolution; with batch norm a scale and a shift take the bias's place.
 */
static int64_t count_convolution(int64_t in, int64_t out, int64_t kernel, bool norm) {
  return in * out * kernel * kernel + out * (norm ? 2 : 1);
}

static int64_t count_head(const int64_t *hidden, int64_t n_hidden, int64_t in, int64_t out) {
  int64_t count = 0;
  for (int64_t i = 0; i < n_hidden; i++) {
    count += (in + 1) * hidden[i];
    in = hidden[i];
  }
  return count + (in + 1) * out;
}

/* Parameters as the twins in PyTorch count them. */
static int64_t count_parameters(const vane_config *config) {
  int64_t count = 0, size = config->model_input[0], channels = config->model_input[2];
  for (int64_t i = 0; i < config->n_model_trunk; i++) {
    const vane_layer_config *layer = &config->model_trunk[i];
    bool norm = config->model_norm == VANE_NORM_BATCH;
    int64_t padding = layer->kind == VANE_LAYER_BLOCK ? layer->kernel / 2 : layer->padding;
    if (layer->kind == VANE_LAYER_FLATTEN)
      channels *= size * size;
    if (layer->channels == 0)
      continue;
    bool block = layer->kind == VANE_LAYER_BLOCK;
    count +=
        count_convolution(channels, layer->channels, layer->kernel, norm && (block || layer->norm));
    if (block) {
      count += count_convolution(layer->channels, layer->channels, layer->kernel, norm);
      if (layer->stride != 1 || layer->channels != channels)
        count += count_convolution(channels, layer->channels, 1, false);
    }
    channels = layer->channels;
    size = (size + 2 * padding - layer->kernel) / layer->stride + 1;
  }
  int64_t n_angle =
      config->model_heads_angle_kind == VANE_ANGLE_BINS ? config->model_heads_angle_bins : 2;
  count += count_head(config->model_heads_presence_hidden, config->n_model_heads_presence_hidden,
                      channels, 1);
  count += count_head(config->model_heads_angle_hidden, config->n_model_heads_angle_hidden,
                      channels, n_angle);
  count += count_head(config->model_heads_magnitude_hidden, config->n_model_heads_magnitude_hidden,
                      channels, 1);
  return count + count_head(config->model_heads_position_hidden,
                            config->n_model_heads_position_hidden, channels, 2);
}

/* Those that people start from, and those of the laboratory. */
static const char *const patterns[] = {PRESETS "/*.yaml", PRESETS "/lab/*.yaml"};

static void read_fit_and_print(const char *pattern) {
  vane_path_list list = {0};
  assert_int_equal(vane_path_list_match(pattern, &list), VANE_OK);
  assert_true(list.n_paths >= 5);
  for (size_t i = 0; i < list.n_paths; i++) {
    vane_config *config = read_preset(list.paths[i]);
    vane_config *again = test_malloc(sizeof *again);
    char *text = NULL;
    assert_int_equal(vane_config_print(config, &text), VANE_OK);
    vane_config_init(again);
    assert_int_equal(vane_config_parse(again, "printed", text, strlen(text)), VANE_OK);
    assert_memory_equal(config, again, sizeof *config);
    free(text);
    test_free(again);
    test_free(config);
  }
  vane_path_list_finish(&list);
}

static void every_preset_reads_fits_and_prints_to_itself(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
    read_fit_and_print(patterns[i]);
}

static void expect_comment(const char *pattern) {
  vane_path_list list = {0};
  assert_int_equal(vane_path_list_match(pattern, &list), VANE_OK);
  for (size_t i = 0; i < list.n_paths; i++) {
    unsigned char *text = NULL;
    size_t n_bytes = 0;
    assert_int_equal(vane_file_read(list.paths[i], &text, &n_bytes), VANE_OK);
    assert_int_equal(text[0], '#');
    free(text);
  }
  vane_path_list_finish(&list);
}

static void every_preset_says_what_it_is_for(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
    expect_comment(patterns[i]);
}

static void tf1_is_the_network_and_the_optimiser_to_the_letter(void **state) {
  (void)state;
  vane_config *config = read_preset(PRESETS "/tf1.yaml");
  assert_int_equal(config->model_input[0], 64);
  assert_int_equal(config->model_input[2], 3);
  assert_int_equal(config->model_norm, VANE_NORM_NONE);
  assert_int_equal(config->train_batch, 200);
  assert_int_equal(config->train_steps, 200000);
  assert_int_equal(config->model_heads_angle_kind, VANE_ANGLE_SINCOS);
  assert_true(config->loss_weights_regularization > 0);
  assert_true(config->grad_clip_average_norm == 2.0);
  assert_true(config->optim_lr == 1e-4 && config->optim_epsilon == 1e-4);
  assert_int_equal(config->optim_epsilon_mode, VANE_EPSILON_HAT);
  assert_int_equal(config->optim_schedule, VANE_SCHEDULE_CONSTANT);
  assert_int_equal(config->data_train_source, VANE_SOURCE_TFRECORD);
  int64_t n_blocks = 0;
  for (int64_t i = 0; i < config->n_model_trunk; i++)
    n_blocks += config->model_trunk[i].kind == VANE_LAYER_BLOCK;
  assert_true(n_blocks > 0 && n_blocks + 1 < config->n_model_trunk);
  test_free(config);
}

static void rotfashion_360_is_the_pilot_in_size(void **state) {
  (void)state;
  vane_config *config = read_preset(PRESETS "/rotfashion-360.yaml");
  int64_t n_parameters = count_parameters(config);
  assert_in_range(n_parameters, 220000, 240000);
  assert_int_equal(config->data_rotfashion_set, VANE_ROTFASHION_360);
  assert_int_equal(config->train_batch * config->train_steps, 8 * config->data_train_count);
  assert_int_equal(config->model_heads_angle_kind, VANE_ANGLE_BINS);
  assert_true(config->loss_weights_angle > 0 && config->loss_weights_presence <= 0);
  assert_true(config->loss_weights_magnitude <= 0 && config->loss_weights_position <= 0);
  test_free(config);
}

static void rotfashion_4_is_the_twins_network(void **state) {
  (void)state;
  vane_config *config = read_preset(PRESETS "/rotfashion-4.yaml");
  assert_int_equal(count_parameters(config), 443004);
  assert_int_equal(config->data_rotfashion_set, VANE_ROTFASHION_4);
  assert_int_equal(config->train_batch, 128);
  assert_int_equal(config->train_steps, 2000);
  assert_true(config->model_heads_magnitude_log && config->model_heads_magnitude_scale == 0.25);
  assert_true(config->model_heads_position_scale == 8.0);
  assert_true(config->model_heads_position_offset[1] == 31.5);
  assert_int_equal(config->optim_schedule, VANE_SCHEDULE_COSINE);
  test_free(config);
}

static void r64_is_the_benchmark_network(void **state) {
  (void)state;
  vane_config *config = read_preset(PRESETS "/r64.yaml");
  assert_int_equal(count_parameters(config), 729158);
  assert_int_equal(config->train_batch, 200);
  assert_int_equal(config->model_norm, VANE_NORM_NONE);
  assert_true(config->optim_lr == 1e-4 && config->optim_epsilon == 1e-4);
  assert_int_equal(config->optim_epsilon_mode, VANE_EPSILON_OUTSIDE);
  test_free(config);
}

static void scenes_needs_no_files(void **state) {
  (void)state;
  vane_config *config = read_preset(PRESETS "/scenes.yaml");
  assert_int_equal(config->data_train_source, VANE_SOURCE_SCENES);
  assert_int_equal(config->data_test_source, VANE_SOURCE_SCENES);
  assert_true(count_parameters(config) < 250000);
  test_free(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_preset_reads_fits_and_prints_to_itself),
      cmocka_unit_test(every_preset_says_what_it_is_for),
      cmocka_unit_test(tf1_is_the_network_and_the_optimiser_to_the_letter),
      cmocka_unit_test(rotfashion_360_is_the_pilot_in_size),
      cmocka_unit_test(rotfashion_4_is_the_twins_network),
      cmocka_unit_test(r64_is_the_benchmark_network),
      cmocka_unit_test(scenes_needs_no_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
