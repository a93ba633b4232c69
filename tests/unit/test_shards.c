/* data/shards.h and data/check.h: what is made reads back, and every damage is found. */
#include "scratch.h"

#include <stdbool.h>

#include "base/error.h"
#include "base/file.h"
#include "data/check.h"
#include "data/shards.h"
#include "data/source.h"

#define SIDE        24
#define IMAGE_BYTES (SIDE * SIDE * 3)

static vane_config config;

static void configure(void) {
  vane_config_init(&config);
  config.n_model_input = 3;
  config.model_input[0] = config.model_input[1] = SIDE;
  config.model_input[2] = 3;
  config.data_train_source = config.data_test_source = VANE_SOURCE_SCENES;
  config.data_train_count = 2300;
  config.data_test_count = 30;
}

static void make(const char *folder, bool test, int64_t count, int64_t expected_files) {
  int64_t n_examples, n_files;
  const char *name = test ? "test" : "train";
  assert_ok(vane_shards_write(&config, test, count, folder, name, NULL, &n_examples, &n_files));
  assert_int_equal(n_files, expected_files);
}

/* Reads the shards as a source and compares each example with what it was made from. */
static void assert_equal_to_source(const char *folder, bool test, int64_t count) {
  vane_source *made, *read;
  assert_ok(vane_source_open(&config, test, NULL, &made));
  vane_config files = config;
  files.data_train_source = VANE_SOURCE_TFRECORD;
  files.data_train_count = 0;
  snprintf(files.data_train_path, sizeof files.data_train_path, "%s/%s-*-of-*.tfrecord", folder,
           test ? "test" : "train");
  assert_ok(vane_source_open(&files, false, NULL, &read));
  assert_int_equal(vane_source_count(read), count);
  for (int64_t i = 0; i < count; i++) {
    uint8_t expected[IMAGE_BYTES], pixels[IMAGE_BYTES];
    vane_labels expected_labels, labels;
    vane_origin origin = {i % vane_source_count(made), (uint64_t)i};
    assert_ok(vane_source_read(made, origin, expected, &expected_labels));
    assert_ok(vane_source_read(read, (vane_origin){i, 0}, pixels, &labels));
    assert_memory_equal(pixels, expected, IMAGE_BYTES);
    assert_int_equal(labels.known, expected_labels.known);
    assert_float_equal(labels.angle, expected_labels.angle, 3e-7);
    assert_true(labels.present == expected_labels.present &&
                labels.magnitude == expected_labels.magnitude && labels.x == expected_labels.x &&
                labels.y == expected_labels.y);
  }
  vane_source_close(made);
  vane_source_close(read);
}

static void shards_read_back_equal(void **state) {
  scratch *area = *state;
  configure();
  char folder[128];
  snprintf(folder, sizeof folder, "%s/new/folder", area->folder);
  make(folder, false, 0, 3);
  assert_equal_to_source(folder, false, 2300);
  config.data_angle_unit = VANE_ANGLE_UNIT_RAD;
  make(folder, true, 12, 1);
  config.data_test_count = 12;
  assert_equal_to_source(folder, true, 12);
}

static void a_drawn_source_goes_on_with_fresh_draws(void **state) {
  scratch *area = *state;
  configure();
  config.data_train_count = 40;
  make(area->folder, false, 100, 1);
  assert_equal_to_source(area->folder, false, 100);
  int64_t n_examples, n_files;
  assert_fails(
      vane_shards_write(&config, true, 31, area->folder, "test", NULL, &n_examples, &n_files),
      VANE_ERR_ARGUMENT, "31 examples asked for, but the source holds 30");
}

static void bytes_do_not_depend_on_threads(void **state) {
  scratch *area = *state;
  configure();
  char folders[2][128];
  for (int i = 0; i < 2; i++) {
    snprintf(folders[i], sizeof folders[i], "%s/%d", area->folder, i);
    config.data_threads = i ? 3 : 1;
    make(folders[i], false, 2300, 3);
  }
  for (int shard = 0; shard < 3; shard++) {
    unsigned char *bytes[2];
    size_t n_bytes[2];
    for (int i = 0; i < 2; i++) {
      char path[256];
      snprintf(path, sizeof path, "%s/train-%05d-of-00003.tfrecord", folders[i], shard);
      assert_ok(vane_file_read(path, &bytes[i], &n_bytes[i]));
    }
    assert_int_equal(n_bytes[0], n_bytes[1]);
    assert_memory_equal(bytes[0], bytes[1], n_bytes[0]);
    free(bytes[0]);
    free(bytes[1]);
  }
}

static void sets_of_one_name_do_not_mix(void **state) {
  scratch *area = *state;
  configure();
  make(area->folder, false, 1001, 2);
  make(area->folder, false, 1500, 2); /* the same names: written anew */
  int64_t n_examples, n_files;
  assert_fails(
      vane_shards_write(&config, false, 1000, area->folder, "train", NULL, &n_examples, &n_files),
      VANE_ERR_ARGUMENT, "shards of another set");
  make(area->folder, true, 0, 1);
  assert_fails(
      vane_shards_write(&config, false, 10, area->folder, "a/b", NULL, &n_examples, &n_files),
      VANE_ERR_ARGUMENT, "no name for a file");
}

typedef struct findings {
  vane_check_bad bad[16];
  char files[16][256], messages[16][512];
  int64_t n;
} findings;

static void note(void *user, const vane_check_bad *bad) {
  findings *found = user;
  assert_true(found->n < 16);
  found->bad[found->n] = *bad;
  snprintf(found->files[found->n], sizeof found->files[0], "%s", bad->file);
  snprintf(found->messages[found->n], sizeof found->messages[0], "%s", bad->message);
  found->n++;
}

static void check(const char *folder, findings *found, vane_check_summary *summary) {
  vane_path_list files;
  memset(found, 0, sizeof *found);
  assert_ok(vane_path_list_match(folder, &files));
  assert_ok(vane_check_files(&config, files.paths, (int64_t)files.n_paths, note, found, summary));
  vane_path_list_finish(&files);
}

static void the_check_counts_what_is_there(void **state) {
  scratch *area = *state;
  configure();
  make(area->folder, false, 0, 3);
  vane_source *source;
  assert_ok(vane_source_open(&config, false, NULL, &source));
  vane_check_summary expected = {.angle_rad = {0, 9, -9, 0}};
  for (int64_t i = 0; i < 2300; i++) {
    uint8_t pixels[IMAGE_BYTES];
    vane_labels labels;
    assert_ok(vane_source_read(source, (vane_origin){i, (uint64_t)i}, pixels, &labels));
    expected.n_present += labels.present != 0.0f;
    if (labels.known & VANE_LABEL_ANGLE) {
      double angle = (double)labels.angle;
      expected.angle_rad.min = angle < expected.angle_rad.min ? angle : expected.angle_rad.min;
      expected.angle_rad.max = angle > expected.angle_rad.max ? angle : expected.angle_rad.max;
      expected.angle_rad.sum += angle;
    }
  }
  vane_source_close(source);
  for (int64_t n_threads = 1; n_threads < 5; n_threads++) {
    config.data_threads = n_threads;
    findings found;
    vane_check_summary summary;
    check(area->folder, &found, &summary);
    assert_int_equal(summary.n_files, 3);
    assert_int_equal(summary.n_records, 2300);
    assert_int_equal(summary.n_bad, 0);
    assert_int_equal(summary.n_present, expected.n_present);
    assert_int_equal(summary.n_absent, 2300 - expected.n_present);
    assert_int_equal(summary.angle_rad.n, expected.n_present);
    assert_int_equal(summary.x.n, expected.n_present);
    assert_float_equal(summary.angle_rad.min, expected.angle_rad.min, 1e-6);
    assert_float_equal(summary.angle_rad.max, expected.angle_rad.max, 1e-6);
    assert_float_equal(summary.angle_rad.sum, expected.angle_rad.sum, 1e-3);
    assert_true(summary.magnitude.min >= 2.5 && summary.magnitude.max <= 6.0);
    assert_int_equal(summary.n_image_kinds, 1);
    assert_int_equal(summary.images[0].n, 2300);
    assert_true(summary.images[0].height == SIDE && summary.images[0].width == SIDE &&
                summary.images[0].channels == 3);
  }
}

static void overwrite(const char *folder, const char *name, int64_t offset, unsigned char byte) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb+");
  assert_non_null(file);
  assert_int_equal(fseek(file, (long)offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
  assert_int_equal(fputc(byte, file), byte);
  assert_int_equal(fclose(file), 0);
}

static void the_check_finds_every_damage_in_order(void **state) {
  scratch *area = *state;
  configure();
  make(area->folder, false, 0, 3);
  scratch_put(area, "train-00003-of-00003.tfrecord", "this is no record file", 22);
  overwrite(area->folder, "train-00000-of-00003.tfrecord", 300, 0x55); /* data of record 0 */
  overwrite(area->folder, "train-00002-of-00003.tfrecord", -2, 0x55);  /* CRC of the last */
  overwrite(area->folder, "train-00001-of-00003.tfrecord", 300, 0x55);
  assert_int_equal(truncate(scratch_path(area, "train-00001-of-00003.tfrecord"), 5000), 0);
  for (int64_t n_threads = 1; n_threads < 5; n_threads++) {
    config.data_threads = n_threads;
    findings found;
    vane_check_summary summary;
    check(area->folder, &found, &summary);
    assert_int_equal(summary.n_bad, 5);
    assert_int_equal(found.n, 5);
    const char *const names[] = {"00000-of", "00001-of", "00001-of", "00002-of", "00003-of"};
    for (int i = 0; i < 5; i++)
      assert_non_null(strstr(found.files[i], names[i]));
    assert_int_equal(found.bad[0].record, 0);
    assert_non_null(strstr(found.messages[0], "CRC"));
    assert_int_equal(found.bad[1].record, 0);
    assert_true(found.bad[2].record > 0 && found.bad[2].offset < 5000);
    assert_non_null(strstr(found.messages[2], "cut short"));
    assert_int_equal(found.bad[3].record, 299);
    assert_int_equal(found.bad[4].record, 0);
    assert_int_equal(summary.n_records, 1000 + found.bad[2].record + 300);
    assert_int_equal(summary.images[0].n, summary.n_records - 3);
  }
}

static void the_check_needs_files_that_open(void **state) {
  (void)state;
  configure();
  char path[] = "/tmp/vane-no-such-file";
  char *const paths[] = {path};
  vane_check_summary summary;
  assert_fails(vane_check_files(&config, paths, 1, NULL, NULL, &summary), VANE_ERR_IO, path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(shards_read_back_equal),
      scratch_test(a_drawn_source_goes_on_with_fresh_draws),
      scratch_test(bytes_do_not_depend_on_threads),
      scratch_test(sets_of_one_name_do_not_mix),
      scratch_test(the_check_counts_what_is_there),
      scratch_test(the_check_finds_every_damage_in_order),
      cmocka_unit_test(the_check_needs_files_that_open),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
