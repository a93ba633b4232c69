/* Damaged records: named, counted once, replaced alike by any number of threads, up to a limit. */
#include "scratch.h"

#include <stdbool.h>

#include "base/error.h"
#include "base/file.h"
#include "data/loader.h"
#include "data/shards.h"
#include "data/source.h"
#include "format/tfrecord.h"

#define SIDE        16
#define IMAGE_BYTES (SIDE * SIDE)
#define N_EXAMPLES  60
#define SHARD       "train-00000-of-00001.tfrecord"

static vane_config config;

/* What the log was told. */
typedef struct journal {
  char lines[64][700];
  int n;
} journal;

static void write_line(void *user, vane_log_level level, const char *text) {
  journal *book = user;
  assert_int_equal(level, VANE_LOG_WARNING);
  assert_true(book->n < 64);
  snprintf(book->lines[book->n++], sizeof book->lines[0], "%s", text);
}

static void make_files(scratch *area) {
  vane_config_init(&config);
  config.n_model_input = 3;
  config.model_input[0] = config.model_input[1] = SIDE;
  config.model_input[2] = 1;
  config.data_train_source = VANE_SOURCE_SCENES;
  config.data_train_count = N_EXAMPLES;
  int64_t n_examples, n_files;
  assert_ok(
      vane_shards_write(&config, false, 0, area->folder, "train", NULL, &n_examples, &n_files));
  config.data_train_source = config.data_test_source = VANE_SOURCE_TFRECORD;
  config.data_train_count = 0;
  snprintf(config.data_train_path, sizeof config.data_train_path, "%s", area->folder);
  snprintf(config.data_test_path, sizeof config.data_test_path, "%s", area->folder);
}

/* Turns one byte of each record's data, so that its CRC is wrong. */
static void damage(scratch *area, const int64_t *records, int64_t n) {
  vane_record_span *spans;
  int64_t n_spans;
  assert_ok(vane_tfrecord_index(scratch_path(area, SHARD), &spans, &n_spans));
  assert_int_equal(n_spans, N_EXAMPLES);
  FILE *file = fopen(area->path, "rb+");
  assert_non_null(file);
  for (int64_t i = 0; i < n; i++) {
    long place = (long)(spans[records[i]].offset + VANE_TFRECORD_HEADER_BYTES + 5);
    assert_int_equal(fseek(file, place, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, place, SEEK_SET), 0);
    fputc(byte ^ 0x10, file);
  }
  assert_int_equal(fclose(file), 0);
  free(spans);
}

typedef struct passage {
  vane_labels labels[400];
  vane_origin origins[400];
  uint8_t pixels[400 * IMAGE_BYTES];
  journal book;
  int64_t n_taken; /* batches of 20, until the end or a failure */
  int64_t n_bad;
  vane_status status;
} passage;

/* Takes up to 20 batches of 20 with so many threads. */
static passage *run(int64_t n_threads) {
  passage *done = test_calloc(1, sizeof *done);
  vane_log log = {write_line, &done->book};
  config.data_threads = n_threads;
  vane_loader *loader;
  done->status = vane_loader_open(&config, false, 20, 0, &log, &loader);
  if (done->status != VANE_OK)
    return done;
  for (; done->n_taken < 20; done->n_taken++) {
    const vane_batch *batch;
    done->status = vane_loader_take(loader, &batch);
    if (done->status != VANE_OK)
      break;
    int64_t at = 20 * done->n_taken;
    memcpy(done->labels + at, batch->labels, 20 * sizeof *batch->labels);
    memcpy(done->origins + at, batch->origins, 20 * sizeof *batch->origins);
    memcpy(done->pixels + at * IMAGE_BYTES, batch->pixels, 20 * IMAGE_BYTES);
    vane_loader_give_back(loader, batch);
  }
  done->n_bad = vane_loader_bad_records(loader);
  if (done->status != VANE_OK) { /* once failed, it stays so */
    const vane_batch *batch;
    assert_int_equal(vane_loader_take(loader, &batch), done->status);
    assert_null(batch);
  }
  vane_loader_close(loader);
  return done;
}

static void bad_records_are_replaced_alike_by_any_number_of_threads(void **state) {
  scratch *area = *state;
  make_files(area);
  passage *whole = run(2);
  assert_int_equal(whole->book.n, 0);
  int64_t records[20]; /* a third, so that replacements are bad too */
  for (int i = 0; i < 20; i++)
    records[i] = 3 * i;
  damage(area, records, 20);
  passage *one = run(1);
  assert_int_equal(one->status, VANE_OK);
  assert_int_equal(one->n_bad, 20);
  assert_int_equal(one->book.n, 20); /* each is named once, in seven epochs */
  for (int i = 0; i < 20; i++) {
    assert_non_null(strstr(one->book.lines[i], SHARD ", record "));
    assert_non_null(strstr(one->book.lines[i], "CRC"));
  }
  int n_replaced = 0, n_other = 0;
  int64_t last[N_EXAMPLES] = {0}; /* each record's latest replacement; 0 is bad itself */
  for (int i = 0; i < 400; i++) {
    assert_true(one->origins[i].index % 3 != 0);
    if (whole->origins[i].index % 3 == 0) {
      int64_t *latest = &last[whole->origins[i].index];
      n_replaced++;
      n_other += *latest != 0 && *latest != one->origins[i].index;
      *latest = one->origins[i].index;
      continue;
    }
    assert_memory_equal(&one->origins[i], &whole->origins[i], sizeof(vane_origin));
    assert_memory_equal(one->pixels + i * IMAGE_BYTES, whole->pixels + i * IMAGE_BYTES,
                        IMAGE_BYTES);
  }
  assert_in_range(n_replaced, 120, 140);
  assert_true(n_other > 90); /* another one in every epoch */
  const int64_t threads[] = {2, 5};
  for (int i = 0; i < 2; i++) {
    passage *more = run(threads[i]);
    assert_memory_equal(one, more, sizeof *one);
    test_free(more);
  }
  test_free(one);
  test_free(whole);
}

static void the_run_ends_at_the_limit(void **state) {
  scratch *area = *state;
  make_files(area);
  damage(area, (const int64_t[]){4, 9, 33, 50}, 4);
  config.data_bad_records = 4;
  passage *done = run(2);
  assert_int_equal(done->status, VANE_OK);
  assert_int_equal(done->n_bad, 4);
  test_free(done);
  config.data_bad_records = 3;
  passage *one = run(1), *more = run(5);
  assert_int_equal(one->status, VANE_ERR_DATA);
  assert_message_contains("data.bad_records allows 3");
  assert_message_contains(SHARD ", record ");
  assert_true(one->n_taken < 3); /* within the first epoch */
  assert_memory_equal(one, more, sizeof *one);
  test_free(one);
  test_free(more);
  config.data_bad_records = 0;
  done = run(2);
  assert_int_equal(done->status, VANE_ERR_DATA);
  assert_int_equal(done->n_bad, 1);
  test_free(done);
}

static void a_source_of_nothing_but_bad_records_ends(void **state) {
  scratch *area = *state;
  make_files(area);
  int64_t records[N_EXAMPLES];
  for (int i = 0; i < N_EXAMPLES; i++)
    records[i] = i;
  damage(area, records, N_EXAMPLES);
  config.data_bad_records = 1000000;
  passage *done = run(2);
  assert_int_equal(done->status, VANE_ERR_DATA);
  assert_message_contains("vane data check");
  test_free(done);
}

static void an_evaluation_takes_no_other_image(void **state) {
  scratch *area = *state;
  make_files(area);
  damage(area, (const int64_t[]){31, 27}, 2);
  for (int64_t n_threads = 1; n_threads < 5; n_threads += 3) {
    vane_loader *loader;
    const vane_batch *batch;
    config.data_threads = n_threads;
    assert_ok(vane_loader_open(&config, true, 20, 0, NULL, &loader));
    assert_ok(vane_loader_take(loader, &batch));
    vane_loader_give_back(loader, batch);
    assert_fails(vane_loader_take(loader, &batch), VANE_ERR_FORMAT, "record 27 at byte");
    assert_fails(vane_loader_take(loader, &batch), VANE_ERR_FORMAT, "record 27 at byte");
    vane_loader_close(loader);
  }
}

static void a_file_that_breaks_off_counts_as_one(void **state) {
  scratch *area = *state;
  make_files(area);
  scratch_put(area, "notes.txt", "these are no records at all", 27);
  assert_int_equal(truncate(scratch_path(area, SHARD), 9000), 0);
  passage *done = run(3);
  assert_int_equal(done->status, VANE_OK);
  assert_int_equal(done->n_bad, 2);
  assert_int_equal(done->book.n, 2);
  assert_non_null(strstr(done->book.lines[0], "notes.txt"));
  assert_non_null(strstr(done->book.lines[0], "the 0 records before the damage are used"));
  assert_non_null(strstr(done->book.lines[1], SHARD));
  test_free(done);
  config.data_bad_records = 1;
  done = run(3);
  assert_int_equal(done->status, VANE_ERR_DATA);
  test_free(done);
  vane_loader *loader;
  assert_fails(vane_loader_open(&config, true, 20, 0, NULL, &loader), VANE_ERR_FORMAT, "notes.txt");
}

/* What the system refuses is no bad record: the next run would see other images. */
static void a_file_that_vanishes_ends_the_run(void **state) {
  scratch *area = *state;
  make_files(area);
  vane_source *source;
  assert_ok(vane_source_open(&config, false, NULL, &source));
  assert_int_equal(unlink(scratch_path(area, SHARD)), 0);
  uint8_t pixels[IMAGE_BYTES];
  vane_labels labels;
  assert_fails(vane_source_read(source, (vane_origin){0, 0}, pixels, &labels), VANE_ERR_IO,
               "record 0 at byte 0");
  vane_source_close(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(bad_records_are_replaced_alike_by_any_number_of_threads),
      scratch_test(the_run_ends_at_the_limit),
      scratch_test(a_source_of_nothing_but_bad_records_ends),
      scratch_test(an_evaluation_takes_no_other_image),
      scratch_test(a_file_that_breaks_off_counts_as_one),
      scratch_test(a_file_that_vanishes_ends_the_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
