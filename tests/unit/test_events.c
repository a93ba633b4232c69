/* format/events.h: TensorBoard's event files. */
#include "scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "format/events.h"
#include "format/tfrecord.h"

typedef struct seen {
  int n;
  int64_t steps[64];
  char tags[64][32];
  float values[64];
} seen;

static void note(void *user, int64_t step, const char *tag, float value) {
  seen *all = user;
  assert_true(all->n < 64);
  all->steps[all->n] = step;
  snprintf(all->tags[all->n], sizeof all->tags[0], "%s", tag);
  all->values[all->n++] = value;
}

/* Reads every record; returns their number. */
static int64_t read_events(const char *path, seen *all) {
  memset(all, 0, sizeof *all);
  vane_record_span *spans;
  int64_t n_spans;
  assert_ok(vane_tfrecord_index(path, &spans, &n_spans));
  int descriptor = open(path, O_RDONLY);
  for (int64_t i = 0; i < n_spans; i++) {
    unsigned char *data = malloc((size_t)spans[i].bytes + 1);
    assert_ok(vane_tfrecord_read(descriptor, &spans[i], data));
    assert_ok(vane_events_parse(data, (size_t)spans[i].bytes, note, all));
    free(data);
  }
  close(descriptor);
  free(spans);
  return n_spans;
}

static void write_step(const char *path, int64_t step) {
  vane_events_file *file;
  assert_ok(vane_events_open(path, &file));
  const vane_event_scalar scalars[] = {{"loss/angle", (float)step}, {"norm", 0.5f}};
  assert_ok(vane_events_write(file, 1.5, step, scalars, 2));
  vane_events_close(file);
}

static void reads_back_what_it_wrote(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "events");
  write_step(path, 7);
  seen all;
  assert_int_equal(read_events(path, &all), 2); /* the version, then the step */
  assert_int_equal(all.n, 2);
  assert_int_equal(all.steps[0], 7);
  assert_string_equal(all.tags[0], "loss/angle");
  assert_true(all.values[0] == 7.0f);
  assert_string_equal(all.tags[1], "norm");
  assert_true(all.values[1] == 0.5f);
  vane_events_close(NULL);
}

/* An Event of TensorFlow 2: wall time 1.5, step 7, "a/b" = 2.5. */
static const unsigned char golden[] = {0x09, 0,    0,    0,    0,    0,    0,    0xf8, 0x3f,
                                       0x10, 0x07, 0x2a, 0x0c, 0x0a, 0x0a, 0x0a, 0x03, 'a',
                                       '/',  'b',  0x15, 0,    0,    0x20, 0x40};

static void writes_what_tensorflow_writes(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "events");
  vane_events_file *file;
  assert_ok(vane_events_open(path, &file));
  const vane_event_scalar scalar = {"a/b", 2.5f};
  assert_ok(vane_events_write(file, 1.5, 7, &scalar, 1));
  vane_events_close(file);
  vane_record_span *spans;
  int64_t n_spans;
  assert_ok(vane_tfrecord_index(path, &spans, &n_spans));
  assert_int_equal(n_spans, 2);
  assert_int_equal(spans[1].bytes, sizeof golden);
  unsigned char data[sizeof golden], version[64] = {0};
  int descriptor = open(path, O_RDONLY);
  assert_true(spans[0].bytes < 64);
  assert_ok(vane_tfrecord_read(descriptor, &spans[0], version));
  assert_ok(vane_tfrecord_read(descriptor, &spans[1], data));
  close(descriptor);
  free(spans);
  assert_memory_equal(data, golden, sizeof golden);
  assert_int_equal(version[0], 0x09); /* wall time, then field 3 of 13 bytes */
  assert_string_equal((const char *)version + 9, "\x1a\x0d"
                                                 "brain.Event:2");
}

static void parses_events_without_scalars(void **state) {
  (void)state;
  seen all = {0};
  assert_ok(vane_events_parse("", 0, note, &all));
  assert_ok(vane_events_parse("\x10\x07\x2a\x05\x0a\x03\x0a\x01"
                              "a",
                              9, note, &all));                                     /* no value */
  assert_ok(vane_events_parse("\x2a\x07\x0a\x05\x15\0\0\x20\x40", 9, note, &all)); /* no tag */
  assert_int_equal(all.n, 0);
  assert_ok(vane_events_parse(golden, sizeof golden, note, &all));
  assert_int_equal(all.n, 1);
  assert_fails(vane_events_parse(golden, sizeof golden - 1, note, &all), VANE_ERR_FORMAT,
               "24 bytes are no TensorBoard event");
}

static void opening_again_appends(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "events");
  write_step(path, 1);
  write_step(path, 2);
  seen all;
  assert_int_equal(read_events(path, &all), 3);
  assert_int_equal(all.n, 4);
  assert_int_equal(all.steps[0], 1);
  assert_int_equal(all.steps[3], 2);
}

static void events_without_scalars_are_written(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "events");
  vane_events_file *file;
  assert_ok(vane_events_open(path, &file));
  assert_ok(vane_events_write(file, 1.5, 7, NULL, 0));
  vane_events_close(file);
  seen all;
  assert_int_equal(read_events(path, &all), 2);
  assert_int_equal(all.n, 0);
}

static void only_a_flush_brings_events_to_the_file(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "events");
  vane_events_file *file;
  assert_ok(vane_events_open(path, &file));
  const vane_event_scalar scalar = {"a", 1};
  assert_ok(vane_events_write(file, 1.5, 1, &scalar, 1));
  seen all;
  assert_int_equal(read_events(path, &all), 1);
  assert_ok(vane_events_flush(file));
  assert_int_equal(read_events(path, &all), 2);
  /* 64 KiB of events go out by themselves, in whole records. */
  for (int64_t i = 0; i < 3000; i++)
    assert_ok(vane_events_write(file, 1.5, i, &scalar, 0));
  assert_true(read_events(path, &all) > 2000);
  vane_events_close(file);
  assert_int_equal(read_events(path, &all), 3002);
}

static void a_torn_end_is_cut_off(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "events");
  write_step(path, 1);
  struct stat whole;
  assert_int_equal(stat(path, &whole), 0);
  vane_record_span *spans;
  int64_t n_spans;
  assert_ok(vane_tfrecord_index(path, &spans, &n_spans));
  off_t first = (off_t)spans[1].offset;
  free(spans);
  for (off_t size = first; size < whole.st_size; size++) {
    assert_int_equal(truncate(path, size), 0);
    write_step(path, 2);
    seen all;
    assert_int_equal(read_events(path, &all), 2);
    assert_int_equal(all.steps[0], 2);
  }
  /* Blocks that a file system never filled are longer than what is written over them. */
  assert_int_equal(truncate(path, whole.st_size + 1000), 0);
  write_step(path, 3);
  seen all;
  assert_int_equal(read_events(path, &all), 3);
  assert_int_equal(all.steps[3], 3);
}

/* A file that does not begin with a whole record is none of ours: it keeps every byte. */
static void other_files_are_left_alone(void **state) {
  scratch *area = *state;
  const char *path = scratch_put(area, "letter", "Dear reader, these are no events.", 33);
  vane_events_file *file;
  assert_fails(vane_events_open(path, &file), VANE_ERR_FORMAT, path);
  assert_null(file);
  struct stat facts;
  assert_int_equal(stat(path, &facts), 0);
  assert_int_equal(facts.st_size, 33);
  assert_fails(vane_events_open(area->folder, &file), VANE_ERR_IO, "cannot open it");
}

/* A limit on the size of files stands in for a full disk. */
static void a_full_disk_loses_nothing_once_there_is_room(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "events");
  vane_events_file *file;
  assert_ok(vane_events_open(path, &file));
  struct stat start;
  assert_int_equal(stat(path, &start), 0);
  const vane_event_scalar scalar = {"a", 1};
  assert_ok(vane_events_write(file, 1.5, 1, &scalar, 1));
  struct rlimit before, tight;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  tight = (struct rlimit){.rlim_cur = (rlim_t)start.st_size + 10, .rlim_max = before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
  vane_status full = vane_events_flush(file);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(full, VANE_ERR_IO);
  assert_message_contains("cannot write it");
  assert_ok(vane_events_write(file, 1.5, 2, &scalar, 1));
  vane_events_close(file);
  seen all;
  assert_int_equal(read_events(path, &all), 3);
  assert_true(all.n == 2 && all.steps[0] == 1 && all.steps[1] == 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(reads_back_what_it_wrote),
      scratch_test(writes_what_tensorflow_writes),
      cmocka_unit_test(parses_events_without_scalars),
      scratch_test(opening_again_appends),
      scratch_test(events_without_scalars_are_written),
      scratch_test(only_a_flush_brings_events_to_the_file),
      scratch_test(a_torn_end_is_cut_off),
      scratch_test(other_files_are_left_alone),
      scratch_test(a_full_disk_loses_nothing_once_there_is_room),
  };
  return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
