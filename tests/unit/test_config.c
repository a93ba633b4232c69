/* Settings from YAML: what is taken, what is refused and with which words, and that what is printed
 * reads back to the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/random.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/layers.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const char good[] = "model:\n"
                           "  input: [32, 32, 3]\n"
                           "  trunk: [conv: {channels: 8}, global_pool]\n";

/* Two configurations on the heap, for they are some 30 kB each. */
typedef struct pair {
  vane_config a, b;
} pair;

static pair *fresh_pair(void) {
  pair *both = test_malloc(sizeof *both);
  vane_config_init(&both->a);
  vane_config_init(&both->b);
  return both;
}

static const char *message(void) {
  return vane_error_get()->message;
}

static vane_status parse(vane_config *config, const char *text) {
  return vane_config_parse(config, "x.yaml", text, strlen(text));
}

static void assert_parses(vane_config *config, const char *text) {
  if (parse(config, text) != VANE_OK)
    fail_msg("%s", message());
}

static void defaults_are_those_declared(void **state) {
  (void)state;
  pair *both = fresh_pair();
  assert_int_equal(both->a.seed, 1);
  assert_int_equal(both->a.train_batch, 128);
  assert_true(both->a.data_shuffle);
  assert_string_equal(both->a.data_features_sin_cos, "sin_cos");
  assert_true(both->a.optim_epsilon == 1e-8);
  assert_int_equal(both->a.n_model_trunk, 0);
  assert_int_equal(both->a.n_model_heads_angle_hidden, 0);
  test_free(both);
}

static void values_of_every_type_are_read(void **state) {
  (void)state;
  pair *both = fresh_pair();
  vane_config *config = &both->a;
  assert_parses(config, "seed: 9007199254740991 # 2^53 - 1\n"
                        "optim: {lr: 1e-4, epsilon: 1e-8, beta1: 0, amsgrad: true}\n"
                        "data:\n"
                        "  shuffle: false\n"
                        "  mean: [.5, 1, -2.5e-1]\n"
                        "  train.path: 'a: \"b\"'\n"
                        "  test:\n"
                        "    path: 2024\n"
                        "  rotfashion: {set: 4}\n"
                        "model.heads.angle.hidden: [64, 32]\n"
                        "train.log_every: +7\n");
  assert_true(config->seed == 9007199254740991);
  assert_true(config->optim_lr == 1e-4 && config->optim_epsilon == 1e-8);
  assert_true(config->optim_beta1 == 0.0 && config->optim_amsgrad && !config->data_shuffle);
  assert_int_equal(config->n_data_mean, 3);
  assert_true(config->data_mean[0] == 0.5 && config->data_mean[1] == 1.0);
  assert_true(config->data_mean[2] == -0.25);
  assert_string_equal(config->data_train_path, "a: \"b\"");
  assert_string_equal(config->data_test_path, "2024");
  assert_int_equal(config->data_rotfashion_set, VANE_ROTFASHION_4);
  assert_int_equal(config->n_model_heads_angle_hidden, 2);
  assert_int_equal(config->model_heads_angle_hidden[1], 32);
  assert_int_equal(config->train_log_every, 7);
  test_free(both);
}

static void layers_are_read_with_their_defaults(void **state) {
  (void)state;
  pair *both = fresh_pair();
  vane_config *config = &both->a;
  assert_parses(config, "model:\n"
                        "  trunk:\n"
                        "    - conv: {channels: 32, kernel: 5, stride: 2, norm: false}\n"
                        "    - conv: {channels: 16, kernel: 1, relu: false}\n"
                        "    - conv: {channels: 16, padding: 0}\n"
                        "    - block: {channels: 64, stride: 2}\n"
                        "    - max_pool\n"
                        "    - average_pool: {kernel: 3, stride: 1, padding: 1}\n"
                        "    - relu: {}\n"
                        "    - flatten\n");
  static const vane_layer_config expected[] = {
      {VANE_LAYER_CONV, 32, 5, 2, 2, 0, 1},    {VANE_LAYER_CONV, 16, 1, 1, 0, 1, 0},
      {VANE_LAYER_CONV, 16, 3, 1, 0, 1, 1},    {VANE_LAYER_BLOCK, 64, 3, 2, 0, 0, 0},
      {VANE_LAYER_MAX_POOL, 0, 2, 2, 0, 0, 0}, {VANE_LAYER_AVERAGE_POOL, 0, 3, 1, 1, 0, 0},
      {VANE_LAYER_RELU, 0, 0, 0, 0, 0, 0},     {VANE_LAYER_FLATTEN, 0, 0, 0, 0, 0, 0}};
  assert_int_equal(config->n_model_trunk, LENGTH(expected));
  assert_memory_equal(config->model_trunk, expected, sizeof expected);
  /* A second list takes the first one's place. */
  assert_parses(config, "model.trunk: [relu]");
  assert_int_equal(config->n_model_trunk, 1);
  assert_int_equal(config->model_trunk[1].channels, 0);
  test_free(both);
}

static void all_spellings_of_a_key_mean_the_same(void **state) {
  (void)state;
  static const char *const spellings[] = {
      "data: {train: {path: a, count: 3}, angle_unit: rad}",
      "data.train: {path: a, count: 3}\ndata.angle_unit: rad",
      "data: {train.path: a, train.count: 3}\ndata.angle_unit: rad",
      "---\n\"data\":\r\n  \"train.path\": 'a'\r\n  train: {count: 3}\r\n  angle_unit: \"rad\"\r\n",
      "data: {train: &t {path: &p a, count: 3}, test: *t, angle_unit: &u rad, test.source: none}"};
  for (size_t i = 0; i < LENGTH(spellings); i++) {
    pair *both = fresh_pair();
    assert_parses(&both->a, spellings[i]);
    assert_string_equal(both->a.data_train_path, "a");
    assert_int_equal(both->a.data_train_count, 3);
    assert_int_equal(both->a.data_angle_unit, VANE_ANGLE_UNIT_RAD);
    test_free(both);
  }
}

static void an_empty_document_changes_nothing(void **state) {
  (void)state;
  static const char *const texts[] = {"", "\n", "# only a remark\n", "{}"};
  for (size_t i = 0; i < LENGTH(texts); i++) {
    pair *both = fresh_pair();
    assert_parses(&both->a, texts[i]);
    assert_memory_equal(&both->a, &both->b, sizeof both->a);
    test_free(both);
  }
}

static const struct {
  const char *text, *message;
} bad_texts[] = {
    {"optim:\n  lrr: 1", "x.yaml:2: optim.lrr: no such key; did you mean optim.lr?"},
    {"optim.lrr: 1", "x.yaml:1: optim.lrr: no such key; did you mean optim.lr?"},
    {"\n\nlr: 1", "x.yaml:3: lr: no such key; did you mean optim.lr?"},
    {"optmi: {lr: 1}", "x.yaml:1: optmi: no such key; did you mean optim?"},
    {"data: {test: {pat: a}}",
     "x.yaml:1: data.test.pat: no such key; did you mean data.test.path?"},
    {"data: {tset.path: a}", "x.yaml:1: data.tset.path: no such key; did you mean data.test.path?"},
    {"wombat: 1", "x.yaml:1: wombat: no such key; `vane train --help-keys` lists all"},
    {"seed.x: 1", "x.yaml:1: seed.x: no such key; did you mean seed?"},
    {"\"\": 1", "x.yaml:1: : no such key; `vane train --help-keys` lists all"},
    {"<<: {seed: 1}", "x.yaml:1: <<: no such key; `vane train --help-keys` lists all"},
    {"? [a]\n: 1", "x.yaml:1: top: a key must be a word"},
    {"optim: {~: 1}", "x.yaml:1: optim: a key must be a word"},
    {"seed: 1\nseed: 2", "x.yaml:2: seed: given twice, first on line 1"},
    {"optim:\n  lr: 1\noptim:\n  beta1: 0", "x.yaml:3: optim: given twice, first on line 1"},
    {"optim:\n  lr: 1\noptim.lr: 1", "x.yaml:3: optim.lr: given twice, first on line 2"},
    {"model.trunk: []\nmodel: {trunk: []}", "x.yaml:2: model.trunk: given twice, first on line 1"},
    {"optim: 3", "x.yaml:1: optim: wants a map of keys, found 3"},
    {"optim: [lr]", "x.yaml:1: optim: wants a map of keys, found a list"},
    {"optim:", "x.yaml:1: optim: wants a map of keys, found no value"},
    {"3", "x.yaml:1: wants a map of settings, such as `seed: 1`"},
    {"\n- seed: 1", "x.yaml:2: wants a map of settings, such as `seed: 1`"},
    {"train.batch: 1.5", "x.yaml:1: train.batch: wants an integer, found 1.5"},
    {"train.batch: 1e2", "x.yaml:1: train.batch: wants an integer, found 1e2"},
    {"train.batch: 100.0", "x.yaml:1: train.batch: wants an integer, found 100.0"},
    {"train.batch: 0x10", "x.yaml:1: train.batch: wants an integer, found 0x10"},
    {"train.batch: \"3\"", "x.yaml:1: train.batch: wants an integer, found the text \"3\""},
    {"train.batch: '3'", "x.yaml:1: train.batch: wants an integer, found the text \"3\""},
    {"train.batch: {n: 3}", "x.yaml:1: train.batch: wants an integer, found a map"},
    {"train.batch: [3]", "x.yaml:1: train.batch: wants an integer, found a list"},
    {"train.batch: ~", "x.yaml:1: train.batch: wants an integer, found no value"},
    {"train.batch:", "x.yaml:1: train.batch: wants an integer, found no value"},
    {"train.batch: null", "x.yaml:1: train.batch: wants an integer, found no value"},
    {"train.batch: !!int 3",
     "x.yaml:1: train.batch: wants an integer, found the tag tag:yaml.org,2002:int"},
    {"train.batch: 0", "x.yaml:1: train.batch: 0 is out of range: 1 to 1000000 images"},
    {"train.batch: 99999999999999999999",
     "x.yaml:1: train.batch: 99999999999999999999 is out of range: 1 to 1000000 images"},
    {"seed: 9007199254740992",
     "x.yaml:1: seed: 9007199254740992 is out of range: 0 to 9007199254740991"},
    {"optim.lr: fast", "x.yaml:1: optim.lr: wants a number, found fast"},
    {"optim.lr: \"1e-4\"", "x.yaml:1: optim.lr: wants a number, found the text \"1e-4\""},
    {"optim.lr: 1e", "x.yaml:1: optim.lr: wants a number, found 1e"},
    {"optim.lr: .", "x.yaml:1: optim.lr: wants a number, found ."},
    {"optim.lr: .nan", "x.yaml:1: optim.lr: wants a number, found .nan"},
    {"optim.lr: nan", "x.yaml:1: optim.lr: wants a number, found nan"},
    {"optim.lr: 0x1p3", "x.yaml:1: optim.lr: wants a number, found 0x1p3"},
    {"optim.lr: 1e999", "x.yaml:1: optim.lr: 1e999 is out of range: 0 to 1000000"},
    {"optim.lr: -1e-9", "x.yaml:1: optim.lr: -1e-9 is out of range: 0 to 1000000"},
    {"optim.beta2: 1", "x.yaml:1: optim.beta2: 1 is out of range: 0 to 0.9999999"},
    {"data.augment: {\n  rotate: 181}",
     "x.yaml:2: data.augment.rotate: 181 is out of range: 0 to 180 degrees"},
    {"data.shuffle: yes", "x.yaml:1: data.shuffle: wants true or false, found yes"},
    {"data.shuffle: True", "x.yaml:1: data.shuffle: wants true or false, found True"},
    {"data.shuffle: 1", "x.yaml:1: data.shuffle: wants true or false, found 1"},
    {"data.shuffle: 'true'",
     "x.yaml:1: data.shuffle: wants true or false, found the text \"true\""},
    {"data.train.path: [a]", "x.yaml:1: data.train.path: wants a text, found a list"},
    {"data.train.path:", "x.yaml:1: data.train.path: wants a text, found no value"},
    {"data.train.path: \"a\\0b\"", "x.yaml:1: data.train.path: holds a zero byte"},
    {"device.kind: gpu", "x.yaml:1: device.kind: wants one of auto, cpu, ref, cuda, found gpu"},
    {"device.kind: Auto", "x.yaml:1: device.kind: wants one of auto, cpu, ref, cuda, found Auto"},
    {"device.kind: aut", "x.yaml:1: device.kind: wants one of auto, cpu, ref, cuda, found aut"},
    {"device.kind: auto|cpu",
     "x.yaml:1: device.kind: wants one of auto, cpu, ref, cuda, found auto|cpu"},
    {"data.rotfashion.set: 3", "x.yaml:1: data.rotfashion.set: wants one of 360, 4, found 3"},
    {"data.mean: 0.5", "x.yaml:1: data.mean: wants a list of numbers, found 0.5"},
    {"data.mean: [0.5, x]", "x.yaml:1: data.mean: entry 2: wants a number, found x"},
    {"data.mean: [0, 0, 0, 0, 0]", "x.yaml:1: data.mean: has 5 entries, at most 4 fit"},
    {"model.input: 64", "x.yaml:1: model.input: wants a list of integers, found 64"},
    {"model:\n  input:\n    [64, 64.5, 3]",
     "x.yaml:2: model.input: entry 2: wants an integer, found 64.5"},
    {"model.input: [64, 0, 3]",
     "x.yaml:1: model.input: entry 2: 0 is out of range: 1 to 16384 pixels, pixels, channels"},
    {"model.trunk: conv", "x.yaml:1: model.trunk: wants a list of at most 256 layers"},
    {"model.trunk:\n  - cnov: {channels: 3}",
     "x.yaml:2: model.trunk[0].cnov: no such layer; did you mean conv?"},
    {"model.trunk: [relu, elephant]",
     "x.yaml:1: model.trunk[1].elephant: no such layer; there are conv, block, max_pool, "
     "average_pool, global_pool, flatten, relu"},
    {"model.trunk: [conv]", "x.yaml:1: model.trunk[0].conv: channels is required"},
    {"model.trunk: [conv: {kernel: 3}]", "x.yaml:1: model.trunk[0].conv: channels is required"},
    {"model.trunk: [conv: 3]", "x.yaml:1: model.trunk[0].conv: wants a map of its keys, found 3"},
    {"model.trunk: [flatten: ]",
     "x.yaml:1: model.trunk[0].flatten: wants a map of its keys, found no value"},
    {"model.trunk: [[conv]]",
     "x.yaml:1: model.trunk[0]: wants one layer, such as `conv: {channels: 32}`"},
    {"model.trunk: [{relu: {}, flatten: {}}]",
     "x.yaml:1: model.trunk[0]: wants one layer, such as `conv: {channels: 32}`"},
    {"model.trunk: [~]",
     "x.yaml:1: model.trunk[0]: wants one layer, such as `conv: {channels: 32}`"},
    {"model.trunk:\n  - conv:\n      channels: 3\n      kernle: 3",
     "x.yaml:4: model.trunk[0].conv.kernle: no such key; did you mean kernel?"},
    {"model.trunk: [block: {channels: 3, padding: 1}]",
     "x.yaml:1: model.trunk[0].block.padding: no such key; block has channels, kernel, stride"},
    {"model.trunk: [flatten: {channels: 3}]",
     "x.yaml:1: model.trunk[0].flatten.channels: no such key; flatten has no keys"},
    {"model.trunk: [conv: {channels: 3, channels: 4}]",
     "x.yaml:1: model.trunk[0].conv.channels: given twice"},
    {"model.trunk: [conv: {channels: 0}]",
     "x.yaml:1: model.trunk[0].conv.channels: 0 is out of range: 1 to 65536"},
    {"model.trunk: [conv: {channels: 3, norm: 1}]",
     "x.yaml:1: model.trunk[0].conv.norm: wants true or false, found 1"},
    {"seed: 1\n---\nseed: 2", "x.yaml:2: a second document begins here; settings stand in one"},
    {"seed: [", "x.yaml:2:1: this is not YAML: while parsing a flow node, did not find expected "
                "node content"},
    {"seed: 1\n  x: 2", "x.yaml:2:4: this is not YAML: mapping values are not allowed in this "
                        "context"},
    {"seed: *a", "x.yaml:1:7: this is not YAML: found undefined alias"},
    {"seed: 1\nx: \x01", "x.yaml:2:4: this is not YAML: control characters are not allowed"},
    {"seed: \xff", "x.yaml:1:7: this is not YAML: invalid leading UTF-8 octet"},
    {"optim: &o {lr: 1, optim: *o}",
     "x.yaml:1: optim.optim: no such key; `vane train --help-keys` lists all"},
};

static void bad_texts_are_refused_and_change_nothing(void **state) {
  (void)state;
  pair *both = fresh_pair();
  for (size_t i = 0; i < LENGTH(bad_texts); i++) {
    if (parse(&both->a, bad_texts[i].text) != VANE_ERR_CONFIG)
      fail_msg("taken: %s", bad_texts[i].text);
    assert_string_equal(message(), bad_texts[i].message);
    assert_memory_equal(&both->a, &both->b, sizeof both->a);
  }
  test_free(both);
}

static const struct {
  const char *assignment, *message;
} bad_assignments[] = {
    {"optim.lrr=1", "--set optim.lrr=1: no such key; did you mean optim.lr?"},
    {"optim.lr=fast", "--set optim.lr=fast: wants a number, found fast"},
    {"optim.lr=", "--set optim.lr=: wants a value after the ="},
    {"optim.lr=~", "--set optim.lr=~: wants a number, found no value"},
    {"optim.lr", "--set optim.lr: wants KEY=VALUE, such as optim.lr=1e-4"},
    {"=1", "--set =1: wants KEY=VALUE, such as optim.lr=1e-4"},
    {"", "--set : wants KEY=VALUE, such as optim.lr=1e-4"},
    {"optim=1", "--set optim=1: wants a map of keys, found 1"},
    {"optim={lrr: 1}", "--set optim={lrr: 1}: optim.lrr: no such key; did you mean optim.lr?"},
    {"optim={lr: x}", "--set optim={lr: x}: optim.lr: wants a number, found x"},
    {"model.trunk=[conv]", "--set model.trunk=[conv]: model.trunk[0].conv: channels is required"},
    {"seed=1\n--- 2", "--set seed=1\n--- 2: a second document begins here; settings stand in one"},
    {"data.train.path=*.tfrecord",
     "--set data.train.path=*.tfrecord: the value is not YAML: while scanning an alias, did not "
     "find expected alphabetic or numeric character; put it in quotes"},
};

static void bad_assignments_are_refused_and_change_nothing(void **state) {
  (void)state;
  pair *both = fresh_pair();
  for (size_t i = 0; i < LENGTH(bad_assignments); i++) {
    assert_int_equal(vane_config_set(&both->a, bad_assignments[i].assignment), VANE_ERR_CONFIG);
    assert_string_equal(message(), bad_assignments[i].message);
    assert_memory_equal(&both->a, &both->b, sizeof both->a);
  }
  test_free(both);
}

static void assignments_override(void **state) {
  (void)state;
  pair *both = fresh_pair();
  vane_config *config = &both->a;
  assert_parses(config, good);
  assert_int_equal(vane_config_set(config, "optim.lr=1e-4"), VANE_OK);
  assert_int_equal(vane_config_set(config, "data.train.path=data/*.tfrecord"), VANE_OK);
  assert_int_equal(vane_config_set(config, "data.test.path=\"a=b\""), VANE_OK);
  assert_int_equal(vane_config_set(config, "model.input=[64, 48, 1]"), VANE_OK);
  assert_int_equal(vane_config_set(config, "optim={beta1: 0.5, amsgrad: true}"), VANE_OK);
  assert_true(config->optim_lr == 1e-4 && config->optim_beta1 == 0.5 && config->optim_amsgrad);
  assert_string_equal(config->data_train_path, "data/*.tfrecord");
  assert_string_equal(config->data_test_path, "a=b");
  assert_int_equal(config->model_input[1], 48);
  assert_int_equal(config->n_model_trunk, 2);
  test_free(both);
}

/* Each on top of `good`; NULL: fine. */
static const struct {
  const char *text, *message;
} checks[] = {
    {"", NULL},
    {"model.input: [64, 64]", "model.input: wants [height, width, channels], found 2 numbers"},
    {"model.input: []", "model.input: wants [height, width, channels], found 0 numbers"},
    {"model.trunk: []",
     "model.trunk: no layers given; write a list that ends in global_pool or flatten"},
    {"model.trunk: [relu]", "model.trunk[0].relu: the last layer must be global_pool or flatten"},
    {"model.trunk: [flatten, flatten]",
     "model.trunk[0].flatten: only the last layer may be global_pool or flatten"},
    {"model.trunk: [conv: {channels: 1, kernel: 31, padding: 0}, flatten]", NULL},
    {"model.trunk: [max_pool, conv: {channels: 1, kernel: 17, padding: 0}, flatten]",
     "model.trunk[1].conv: a window of 17 does not fit into 16x16 pixels; take a smaller kernel or "
     "fewer strides before"},
    {"model.trunk: [max_pool, max_pool, max_pool, max_pool, max_pool, flatten]", NULL},
    {"model.trunk: [max_pool, max_pool, max_pool, max_pool, max_pool, max_pool, flatten]",
     "model.trunk[5].max_pool: a window of 2 does not fit into 1x1 pixels; take a smaller kernel "
     "or "
     "fewer strides before"},
    {"model.trunk: [block: {channels: 4, kernel: 2}, flatten]",
     "model.trunk[0].block: a block's kernel must be odd, found 2"},
    {"model.trunk: [max_pool: {kernel: 3, padding: 1}, flatten]", NULL},
    {"model.trunk: [average_pool: {kernel: 3, padding: 2}, flatten]",
     "model.trunk[0].average_pool: padding 2 is more than half the kernel of 3"},
    {"data.mean: [0.5, 0.5, 0.5]\ndata.std: [1, 1, 1]", NULL},
    {"data.mean: [0.5]", "data.mean: 1 numbers for 3 channels of model.input; give one each or "
                         "none"},
    {"data.std: [1, 1]", "data.std: 2 numbers for 3 channels of model.input; give one each or "
                         "none"},
    {"model.heads.position.offset: [1]",
     "model.heads.position.offset: wants [x, y], found 1 number"},
    {"data.train.source: tfrecord",
     "data.train.path: is empty, but data.train.source reads files; name them"},
    {"data.test.source: idx", "data.test.path: is empty, but data.test.source reads files; name "
                              "them"},
    {"data.train.source: rotfashion", NULL},
    {"data.test.source: scenes", "data.test.count: drawn scenes need a number of examples"},
    {"train: {batch: 12, accumulate: 4}", NULL},
    {"train: {batch: 12, accumulate: 5}", "train.accumulate: 5 does not divide train.batch 12"},
    {"loss.weights: {presence: 0, angle: 0, magnitude: 0, position: 0, regularization: 1}",
     "loss.weights: presence, angle, magnitude and position are all 0; nothing would be learned"},
    {"train.steps: 10\noptim.warmup: 10", NULL},
    {"train.steps: 10\noptim.warmup: 11", "optim.warmup: 11 steps do not fit into train.steps 10"},
    {"data: {train: {passed_over: [0, 3, 4, 1, 900, 100]}}", NULL},
    {"data: {train: {passed_over: [0, 3, 4]}}",
     "data.train.passed_over: wants [first, count, ...], found 3 numbers"},
    {"data: {train: {passed_over: [0, 4, 4, 1]}}",
     "data.train.passed_over: 1 records from place 4 on do not come behind the entry before with "
     "one "
     "at least between"},
    {"data: {train: {passed_over: [7, 0]}}", "data.train.passed_over: 0 records from place 7 on do "
                                             "not come behind the entry before with one "
                                             "at least between"},
    {"optim: {lr: 1e-3, lr_final: 2e-3}", NULL},
    {"optim: {lr: 1e-3, lr_final: 2e-3, schedule: cosine}",
     "optim.lr_final: 0.002 is above optim.lr 0.001"},
    {"optim: {amsgrad: true, amsgrad_decay: 0.9, rule: radam, update_clip: 1}", NULL},
    {"optim: {amsgrad_decay: 0.9}",
     "optim.amsgrad_decay: nothing is kept that could shrink; set optim.amsgrad"},
    {"optim: {rule: adopt, amsgrad: true}", "optim.amsgrad: optim.rule adopt has no such variant"},
    {"optim: {rule: adopt, update_clip: 1}",
     "optim.update_clip: optim.rule adopt does not divide by the mean of g^2, which this clip "
     "judges g by"},
    {"optim: {rule: adabelief, update_clip: 1}",
     "optim.update_clip: optim.rule adabelief does not divide by the mean of g^2, which this clip "
     "judges g by"},
    {"{optim: {update_clip: 1}, grad: {clip: {adaptive: 0.1}}}",
     "optim.update_clip and grad.clip.adaptive: one at a time; each judges the gradient that the "
     "other one changes"},
    {"optim: {rule: atan2, guard: {mode: watch}}",
     "optim.guard.mode: the guard knows the metric of optim.rule adam alone, without "
     "optim.update_clip and grad.clip.adaptive"},
};

static void settings_must_fit_each_other(void **state) {
  (void)state;
  for (size_t i = 0; i < LENGTH(checks); i++) {
    pair *both = fresh_pair();
    assert_parses(&both->a, good);
    assert_parses(&both->a, checks[i].text);
    vane_status status = vane_config_check(&both->a);
    if (!checks[i].message && status != VANE_OK)
      fail_msg("%s: %s", checks[i].text, message());
    if (checks[i].message) {
      assert_int_equal(status, VANE_ERR_CONFIG);
      assert_string_equal(message(), checks[i].message);
    }
    test_free(both);
  }
}

static void assert_round_trip(pair *both) {
  char *text = NULL;
  assert_int_equal(vane_config_print(&both->a, &text), VANE_OK);
  vane_config_init(&both->b);
  assert_parses(&both->b, text);
  assert_memory_equal(&both->a, &both->b, sizeof both->a);
  free(text);
}

/* Random values for everything: stream 0 is none of vane's own. */
typedef struct dice {
  uint64_t round, index;
} dice;

static uint64_t roll(dice *self, uint64_t bound) {
  return vane_random_below(1, 0, self->round, self->index++, bound);
}

static int64_t roll_integer(dice *self, double min, double max) {
  return (int64_t)min + (int64_t)roll(self, (uint64_t)(max - min) + 1);
}

static double roll_real(dice *self, double min, double max) {
  switch (roll(self, 4)) {
  case 0:
    return min;
  case 1:
    return max;
  default:
    return min + (max - min) * vane_random_uniform(1, 0, self->round, self->index++);
  }
}

static void roll_text(dice *self, char *text) {
  static const char *const parts[] = {"a",
                                      " ",
                                      "\n",
                                      "\t",
                                      "\"",
                                      "\\",
                                      "#",
                                      ": ",
                                      "'",
                                      "-",
                                      "{",
                                      "%",
                                      "\x7f",
                                      "\xc3\xa4",
                                      "\x01",
                                      "~",
                                      "*",
                                      "\r\n",
                                      "null",
                                      "\xc2\x85",
                                      "\xef\xbb\xbf",
                                      "\xe2\x80\xa8",
                                      "\xf0\x9f\x90\xb3",
                                      "\xc2\x80",
                                      "0x1",
                                      "!"};
  for (uint64_t n = roll(self, 40); n > 0; n--)
    strcat(text, parts[roll(self, LENGTH(parts))]);
}

static void roll_trunk(dice *self, vane_config *config) {
  config->n_model_trunk = roll_integer(self, 0, VANE_CONFIG_MAX_LAYERS);
  for (int64_t i = 0; i < config->n_model_trunk; i++) {
    vane_layer_config *layer = &config->model_trunk[i];
    layer->kind = (vane_layer_kind)roll(self, VANE_N_LAYER_KINDS);
    for (int64_t k = 0; k < vane_n_layer_keys; k++) {
      const vane_layer_key *key = &vane_layer_keys[k];
      if (key->kind != layer->kind)
        continue;
      int64_t value = roll_integer(self, (double)key->min, (double)key->max);
      *(int64_t *)(void *)((char *)layer + key->offset) = value < 0 ? 0 : value;
    }
  }
}

static void roll_key(dice *self, vane_config *config, const vane_key *key) {
  char *field = (char *)config + key->offset;
  void *value = field, *count = (char *)config + key->count_offset;
  int64_t n = key->max_count > 0 ? (int64_t)roll(self, (uint64_t)key->max_count + 1) : 0;
  int n_words = 1;
  switch (key->type) {
  case VANE_KEY_INTEGER:
    *(int64_t *)value = roll_integer(self, key->min, key->max);
    break;
  case VANE_KEY_REAL:
    *(double *)value = roll_real(self, key->min, key->max);
    break;
  case VANE_KEY_BOOLEAN:
    *(bool *)value = roll(self, 2) == 1;
    break;
  case VANE_KEY_TEXT:
    memset(field, 0, VANE_CONFIG_TEXT_BYTES);
    roll_text(self, field);
    break;
  case VANE_KEY_CHOICE:
    for (const char *at = key->words; *at != '\0'; at++)
      n_words += *at == '|';
    *(int *)value = (int)roll(self, (uint64_t)n_words);
    break;
  case VANE_KEY_REALS:
    for (int64_t i = 0; i < n; i++)
      ((double *)value)[i] = roll_real(self, key->min, key->max);
    *(int64_t *)count = n;
    break;
  case VANE_KEY_INTEGERS:
    for (int64_t i = 0; i < n; i++)
      ((int64_t *)value)[i] = roll_integer(self, key->min, key->max);
    *(int64_t *)count = n;
    break;
  case VANE_KEY_LAYERS:
    roll_trunk(self, config);
    break;
  }
}

static void printed_settings_read_back_to_the_same_bits(void **state) {
  (void)state;
  pair *both = fresh_pair();
  assert_round_trip(both);
  for (uint64_t round = 0; round < 100; round++) {
    dice self = {.round = round};
    vane_config_init(&both->a);
    for (int64_t i = 0; i < VANE_N_KEYS; i++)
      roll_key(&self, &both->a, &vane_keys[i]);
    assert_round_trip(both);
  }
  test_free(both);
}

static void the_longest_text_fits_and_a_longer_one_does_not(void **state) {
  (void)state;
  pair *both = fresh_pair();
  char text[VANE_CONFIG_TEXT_BYTES + 32] = "data.train.path: ";
  size_t used = strlen(text);
  memset(text + used, 'x', VANE_CONFIG_TEXT_BYTES - 1);
  assert_parses(&both->a, text);
  assert_int_equal(strlen(both->a.data_train_path), VANE_CONFIG_TEXT_BYTES - 1);
  assert_round_trip(both);
  text[used + VANE_CONFIG_TEXT_BYTES - 1] = 'x';
  assert_int_equal(parse(&both->a, text), VANE_ERR_CONFIG);
  assert_string_equal(message(), "x.yaml:1: data.train.path: is longer than 1023 bytes");
  test_free(both);
}

static void a_file_is_read_under_its_own_name(void **state) {
  (void)state;
  pair *both = fresh_pair();
  char folder[] = "/tmp/vane-config-XXXXXX", path[64], expected[160];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/a.yaml", folder);
  assert_int_equal(vane_config_read(&both->a, path), VANE_ERR_IO);
  assert_non_null(strstr(message(), path));
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs("seed: 5\n", file);
  fclose(file);
  assert_int_equal(vane_config_read(&both->a, path), VANE_OK);
  assert_int_equal(both->a.seed, 5);
  file = fopen(path, "w");
  assert_non_null(file);
  fputs("seed: 6\nsede: 5\n", file);
  fclose(file);
  assert_int_equal(vane_config_read(&both->a, path), VANE_ERR_CONFIG);
  snprintf(expected, sizeof expected, "%s:2: sede: no such key; did you mean seed?", path);
  assert_string_equal(message(), expected);
  assert_int_equal(both->a.seed, 5);
  unlink(path);
  rmdir(folder);
  test_free(both);
}

static void the_help_names_every_key(void **state) {
  (void)state;
  char *text = NULL;
  size_t n_bytes = 0;
  FILE *stream = open_memstream(&text, &n_bytes);
  assert_non_null(stream);
  vane_config_print_help(stream);
  fclose(stream);
  for (int64_t i = 0; i < VANE_N_KEYS; i++) {
    char line[VANE_KEY_NAME_BYTES + 4];
    assert_true(strlen(vane_keys[i].name) < VANE_KEY_NAME_BYTES);
    snprintf(line, sizeof line, "\n%s: ", vane_keys[i].name);
    assert_non_null(strstr(text, i == 0 ? line + 1 : line));
    assert_non_null(strstr(text, vane_keys[i].help));
  }
  assert_non_null(strstr(text, "optim.lr: number, 0 to 1000000; default 0.001\n"));
  assert_non_null(strstr(text, "seed: integer, 0 to 9007199254740991; default 1\n"));
  for (int64_t i = 0; i < vane_n_layer_keys; i++)
    assert_non_null(strstr(text, vane_layer_keys[i].help));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_are_those_declared),
      cmocka_unit_test(values_of_every_type_are_read),
      cmocka_unit_test(layers_are_read_with_their_defaults),
      cmocka_unit_test(all_spellings_of_a_key_mean_the_same),
      cmocka_unit_test(an_empty_document_changes_nothing),
      cmocka_unit_test(bad_texts_are_refused_and_change_nothing),
      cmocka_unit_test(bad_assignments_are_refused_and_change_nothing),
      cmocka_unit_test(assignments_override),
      cmocka_unit_test(settings_must_fit_each_other),
      cmocka_unit_test(printed_settings_read_back_to_the_same_bits),
      cmocka_unit_test(the_longest_text_fits_and_a_longer_one_does_not),
      cmocka_unit_test(a_file_is_read_under_its_own_name),
      cmocka_unit_test(the_help_names_every_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
