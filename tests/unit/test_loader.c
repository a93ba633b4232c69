/* data/loader.h: batches that depend on nothing but the seed and their number. */
#include "scratch.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

#include "base/error.h"
#include "data/augment.h"
#include "data/loader.h"
#include "data/shards.h"
#include "data/source.h"
#include "format/tfrecord.h"

#define SIDE        16
#define IMAGE_BYTES (SIDE * SIDE)
#define N_EXAMPLES  230

static vane_config config;

static void configure(void) {
  vane_config_init(&config);
  config.n_model_input = 3;
  config.model_input[0] = config.model_input[1] = SIDE;
  config.model_input[2] = 1;
  config.data_train_source = config.data_test_source = VANE_SOURCE_SCENES;
  config.data_train_count = config.data_test_count = N_EXAMPLES;
  config.data_window = 50;
  config.data_augment_rotate = 90.0;
  config.data_augment_flip = true;
}

/* Turns to TFRecord files that hold the training scenes. */
static void use_files(scratch *area) {
  int64_t n_examples, n_files;
  assert_ok(
      vane_shards_write(&config, false, 0, area->folder, "train", NULL, &n_examples, &n_files));
  config.data_train_source = config.data_test_source = VANE_SOURCE_TFRECORD;
  config.data_train_count = config.data_test_count = 0;
  snprintf(config.data_train_path, sizeof config.data_train_path, "%s/train-*", area->folder);
  snprintf(config.data_test_path, sizeof config.data_test_path, "%s/train-*", area->folder);
}

static vane_loader *open_loader(bool test, int64_t batch, int64_t first_batch) {
  vane_loader *loader;
  assert_ok(vane_loader_open(&config, test, batch, first_batch, NULL, &loader));
  return loader;
}

static const vane_batch *take(vane_loader *loader) {
  const vane_batch *batch;
  assert_ok(vane_loader_take(loader, &batch));
  return batch;
}

/* Everything of a batch in one number (FNV-1a). */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n) {
  const unsigned char *next = bytes;
  for (size_t i = 0; i < n; i++)
    hash = (hash ^ next[i]) * 0x100000001b3u;
  return hash;
}

static uint64_t hash_batch(const vane_batch *batch) {
  uint64_t hash = hash_bytes(0xcbf29ce484222325u, &batch->number, sizeof batch->number);
  hash = hash_bytes(hash, batch->pixels, (size_t)batch->n * IMAGE_BYTES);
  hash = hash_bytes(hash, batch->labels, (size_t)batch->n * sizeof *batch->labels);
  return hash_bytes(hash, batch->origins, (size_t)batch->n * sizeof *batch->origins);
}

static void read_hashes(int64_t batch, int64_t first, int64_t n, uint64_t *hashes) {
  vane_loader *loader = open_loader(false, batch, first);
  for (int64_t b = 0; b < n; b++) {
    const vane_batch *lent = take(loader);
    assert_int_equal(lent->number, first + b);
    assert_int_equal(lent->n, batch);
    hashes[b] = hash_batch(lent);
    vane_loader_give_back(loader, lent);
  }
  vane_loader_close(loader);
}

/* 40 batches of 37 pass over six epochs of 230. */
static void assert_same_bytes_whatever_the_threads(void) {
  uint64_t reference[40], hashes[40];
  config.data_threads = 1;
  config.data_prefetch = 4;
  read_hashes(37, 0, 40, reference);
  assert_memory_not_equal(&reference[0], &reference[1], sizeof *reference);
  const int64_t threads[] = {2, 5, 2, 16}, prefetch[] = {4, 1, 9, 2};
  for (int i = 0; i < 4; i++) {
    config.data_threads = threads[i];
    config.data_prefetch = prefetch[i];
    read_hashes(37, 0, 40, hashes);
    assert_memory_equal(hashes, reference, sizeof hashes);
  }
  for (int64_t first = 1; first < 40; first += 7) { /* resume */
    read_hashes(37, first, 40 - first, hashes);
    assert_memory_equal(hashes, reference + first, (size_t)(40 - first) * sizeof *hashes);
  }
  config.seed++;
  read_hashes(37, 0, 1, hashes);
  assert_memory_not_equal(hashes, reference, sizeof *hashes);
}

static void scenes_are_the_same_whatever_the_threads(void **state) {
  (void)state;
  configure();
  assert_same_bytes_whatever_the_threads();
}

static void records_are_the_same_whatever_the_threads(void **state) {
  scratch *area = *state;
  configure();
  use_files(area);
  assert_same_bytes_whatever_the_threads();
}

static void an_epoch_holds_every_example_once(void **state) {
  (void)state;
  configure();
  vane_loader *loader = open_loader(false, 23, 0);
  assert_int_equal(vane_loader_examples(loader), N_EXAMPLES);
  for (int64_t epoch = 0; epoch < 3; epoch++) {
    bool seen[N_EXAMPLES] = {false};
    for (int64_t b = 0; b < 10; b++) {
      const vane_batch *batch = take(loader);
      for (int64_t i = 0; i < 23; i++) {
        assert_int_equal(batch->origins[i].draw, (epoch * 10 + b) * 23 + i);
        assert_false(seen[batch->origins[i].index]);
        seen[batch->origins[i].index] = true;
      }
      vane_loader_give_back(loader, batch);
    }
  }
  vane_loader_close(loader);
}

static void a_batch_may_be_larger_than_the_source(void **state) {
  (void)state;
  configure();
  config.data_train_count = 3;
  vane_loader *loader = open_loader(false, 100, 2);
  const vane_batch *batch = take(loader);
  int64_t count[3] = {0};
  for (int64_t i = 0; i < 100; i++)
    count[batch->origins[i].index]++;
  for (int i = 0; i < 3; i++)
    assert_in_range(count[i], 33, 34);
  vane_loader_close(loader); /* with a batch still lent */
}

/* Without shuffling and augmentation, batches are what the source yields; with augmentation, what
 * the transform makes of it. */
static void assert_equals_source(bool test, bool augmented) {
  vane_source *source;
  assert_ok(vane_source_open(&config, test, NULL, &source));
  vane_loader *loader = open_loader(test, 50, 0);
  for (int64_t position = 0; position < N_EXAMPLES;) {
    const vane_batch *batch = take(loader);
    for (int64_t i = 0; i < batch->n; i++, position++) {
      uint8_t plain[IMAGE_BYTES], moved[IMAGE_BYTES];
      vane_labels labels;
      vane_origin origin = {position % N_EXAMPLES, (uint64_t)position};
      assert_ok(vane_source_read(source, origin, plain, &labels));
      vane_transform transform = vane_augment_draw(&config, (uint64_t)position);
      vane_transform_pixels(&transform, plain, SIDE, SIDE, 1, moved, SIDE, SIDE);
      if (augmented)
        vane_transform_labels(&transform, &labels);
      assert_memory_equal(batch->pixels + i * IMAGE_BYTES, augmented ? moved : plain, IMAGE_BYTES);
      assert_memory_equal(&batch->labels[i], &labels, sizeof labels);
      assert_memory_equal(&batch->origins[i], &origin, sizeof origin);
    }
    vane_loader_give_back(loader, batch);
  }
  vane_loader_close(loader);
  vane_source_close(source);
}

static void batches_are_what_the_source_yields(void **state) {
  (void)state;
  configure();
  config.data_shuffle = false;
  assert_equals_source(false, true);
  assert_equals_source(true, false);
}

static void assert_pass(vane_loader *loader, int64_t n_batches) {
  const vane_batch *batch;
  for (int64_t b = 0; b < n_batches; b++) {
    batch = take(loader);
    assert_non_null(batch);
    assert_int_equal(batch->number, b);
    assert_int_equal(batch->n, b < 4 ? 50 : 30);
    assert_int_equal(batch->origins[0].index, 50 * b);
    vane_loader_give_back(loader, batch);
  }
}

static void an_evaluation_ends_and_starts_over(void **state) {
  (void)state;
  configure();
  vane_loader *loader = open_loader(true, 50, 0);
  for (int pass = 0; pass < 5; pass++) {
    assert_pass(loader, 5);
    assert_null(take(loader));
    assert_null(take(loader));
    assert_ok(vane_loader_rewind(loader));
    assert_pass(loader, pass); /* in the middle, while threads are at work */
    assert_ok(vane_loader_rewind(loader));
  }
  vane_loader_close(loader);
  loader = open_loader(false, 50, 0);
  assert_fails(vane_loader_rewind(loader), VANE_ERR_ARGUMENT, "only an evaluation");
  vane_loader_close(loader);
}

/* Threads that still work on the old pass must not touch the new one. With two slots, either holds
 * other images by then. */
static void starting_over_waits_for_the_threads(void **state) {
  (void)state;
  configure();
  config.data_threads = 6;
  config.data_prefetch = 1;
  vane_loader *loader = open_loader(true, 40, 0);
  uint64_t expected[3] = {0};
  for (int pass = 0; pass < 300; pass++) {
    for (int b = 0; b < 3; b++) {
      const vane_batch *batch = take(loader);
      uint64_t hash = hash_batch(batch);
      assert_true(pass == 0 || hash == expected[b]);
      expected[b] = hash;
      vane_loader_give_back(loader, batch);
    }
    assert_ok(vane_loader_rewind(loader));
  }
  vane_loader_close(loader);
}

static void the_caller_may_hold_several_batches(void **state) {
  (void)state;
  configure();
  config.data_prefetch = 3;
  vane_loader *loader = open_loader(false, 8, 0);
  const vane_batch *held[4], *more;
  uint64_t hashes[4];
  for (int i = 0; i < 4; i++) {
    held[i] = take(loader);
    hashes[i] = hash_batch(held[i]);
  }
  assert_fails(vane_loader_take(loader, &more), VANE_ERR_ARGUMENT, "give one back");
  for (int i = 0; i < 4; i++)
    assert_true(hashes[i] == hash_batch(held[i]));
  vane_loader_give_back(loader, held[0]);
  more = take(loader);
  assert_int_equal(more->number, 4);
  vane_loader_close(loader);
}

static void waiting_is_counted(void **state) {
  (void)state;
  configure();
  config.data_threads = 2;
  vane_loader *loader = open_loader(false, 20, 0);
  double before_s = vane_loader_waited_s(loader);
  for (int i = 0; i < 50; i++)
    vane_loader_give_back(loader, take(loader));
  double hungry_s = vane_loader_waited_s(loader) - before_s;
  assert_true(hungry_s > 0.0 && hungry_s < 60.0);
  const vane_batch *batch = take(loader);
  struct timespec pause = {0, 300000000};
  nanosleep(&pause, NULL); /* long enough for the queue to fill */
  before_s = vane_loader_waited_s(loader);
  vane_loader_give_back(loader, take(loader));
  assert_true(vane_loader_waited_s(loader) == before_s);
  vane_loader_give_back(loader, batch);
  vane_loader_close(loader);
}

static void examples_are_described(void **state) {
  scratch *area = *state;
  configure();
  use_files(area);
  vane_loader *loader = open_loader(false, 8, 0);
  char text[512];
  vane_loader_describe(loader, (vane_origin){0, 5}, text, sizeof text);
  assert_non_null(strstr(text, "train-00000-of-00001.tfrecord, record 0 at byte 0"));
  vane_loader_describe(loader, (vane_origin){17, 5}, text, sizeof text);
  assert_non_null(strstr(text, "record 17 at byte "));
  vane_loader_close(loader);
}

/* One record each in 400 files, and a limit of 300 open ones. */
static void many_files_need_few_descriptors(void **state) {
  scratch *area = *state;
  configure();
  use_files(area);
  unsigned char *shard;
  size_t n_bytes;
  char path[256];
  snprintf(path, sizeof path, "%s/train-00000-of-00001.tfrecord", area->folder);
  assert_ok(vane_file_read(path, &shard, &n_bytes));
  vane_record_span *spans;
  int64_t n_spans;
  assert_ok(vane_tfrecord_index(path, &spans, &n_spans));
  for (int f = 0; f < 400; f++) {
    char name[32];
    snprintf(name, sizeof name, "one-%03d", f);
    const vane_record_span *span = &spans[f % N_EXAMPLES];
    scratch_put(area, name, shard + span->offset,
                (size_t)span->bytes + VANE_TFRECORD_HEADER_BYTES + VANE_TFRECORD_FOOTER_BYTES);
  }
  free(spans);
  free(shard);
  snprintf(config.data_train_path, sizeof config.data_train_path, "%s/one-*", area->folder);
  struct rlimit before, low;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  low = before;
  low.rlim_cur = 300;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  uint64_t reference[30], hashes[30];
  config.data_threads = 1;
  read_hashes(100, 0, 30, reference);
  config.data_threads = 5;
  read_hashes(100, 0, 30, hashes);
  assert_memory_equal(hashes, reference, sizeof hashes);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scenes_are_the_same_whatever_the_threads),
      scratch_test(records_are_the_same_whatever_the_threads),
      cmocka_unit_test(an_epoch_holds_every_example_once),
      cmocka_unit_test(a_batch_may_be_larger_than_the_source),
      cmocka_unit_test(batches_are_what_the_source_yields),
      cmocka_unit_test(an_evaluation_ends_and_starts_over),
      cmocka_unit_test(starting_over_waits_for_the_threads),
      cmocka_unit_test(the_caller_may_hold_several_batches),
      cmocka_unit_test(waiting_is_counted),
      scratch_test(examples_are_described),
      scratch_test(many_files_need_few_descriptors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
