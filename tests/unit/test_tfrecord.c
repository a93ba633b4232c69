/* format/tfrecord.h: framing and its two CRCs. */
#include "scratch.h"

#include <fcntl.h>

#include "format/tfrecord.h"

/* Two records, "hello" and nothing, as TensorFlow 2's TFRecordWriter writes them. */
static const unsigned char golden[] = {0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0xb2,
                                       0x04, 0x3e, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0xbb, 0x1f, 0x1c,
                                       0x19, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29,
                                       0x03, 0x98, 0x07, 0xd8, 0xea, 0x82, 0xa2};

static void crc_matches_published_values(void **state) {
  (void)state;
  unsigned char bytes[32];
  assert_int_equal(vane_crc32c("123456789", 9), 0xe3069283);
  assert_int_equal(vane_crc32c("", 0), 0);
  memset(bytes, 0, sizeof bytes);
  assert_int_equal(vane_crc32c(bytes, 32), 0x8a9136aa); /* RFC 3720, B.4 */
  memset(bytes, 0xff, sizeof bytes);
  assert_int_equal(vane_crc32c(bytes, 32), 0x62a8ab43);
  for (int i = 0; i < 32; i++)
    bytes[i] = (unsigned char)i;
  assert_int_equal(vane_crc32c(bytes, 32), 0x46dd794e);
}

static void write_records(const char *path, const size_t *sizes, int n) {
  vane_atomic_file *file;
  assert_ok(vane_atomic_file_open(path, &file));
  for (int i = 0; i < n; i++) {
    unsigned char data[2000];
    memset(data, 'a' + i, sizes[i]);
    assert_ok(vane_tfrecord_write(file, data, sizes[i]));
  }
  assert_ok(vane_atomic_file_commit(file));
}

static void writes_what_tensorflow_writes(void **state) {
  scratch *area = *state;
  vane_atomic_file *file;
  const char *path = scratch_path(area, "golden");
  assert_ok(vane_atomic_file_open(path, &file));
  assert_ok(vane_tfrecord_write(file, "hello", 5));
  assert_ok(vane_tfrecord_write(file, "", 0));
  assert_ok(vane_atomic_file_commit(file));
  unsigned char *contents;
  size_t n_bytes;
  assert_ok(vane_file_read(path, &contents, &n_bytes));
  assert_int_equal(n_bytes, sizeof golden);
  assert_memory_equal(contents, golden, sizeof golden);
  free(contents);
}

static void reads_back_what_it_wrote(void **state) {
  scratch *area = *state;
  const size_t sizes[] = {0, 1, 3, 2000, 17};
  const char *path = scratch_path(area, "records");
  write_records(path, sizes, 5);
  vane_record_span *spans;
  int64_t n_spans, offset = 0;
  assert_ok(vane_tfrecord_index(path, &spans, &n_spans));
  assert_int_equal(n_spans, 5);
  int descriptor = open(path, O_RDONLY);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(spans[i].offset, offset);
    assert_int_equal(spans[i].bytes, sizes[i]);
    offset += spans[i].bytes + VANE_TFRECORD_HEADER_BYTES + VANE_TFRECORD_FOOTER_BYTES;
    unsigned char data[2000], expected[2000];
    memset(expected, 'a' + i, sizes[i]);
    assert_ok(vane_tfrecord_read(descriptor, &spans[i], data));
    assert_memory_equal(data, expected, sizes[i]);
  }
  close(descriptor);
  free(spans);
}

static void indexes_more_records_than_its_first_table(void **state) {
  scratch *area = *state;
  static size_t sizes[3000];
  const char *path = scratch_path(area, "many");
  write_records(path, sizes, 3000);
  vane_record_span *spans;
  int64_t n_spans;
  assert_ok(vane_tfrecord_index(path, &spans, &n_spans));
  assert_int_equal(n_spans, 3000);
  assert_int_equal(spans[2999].offset, 2999 * 16);
  free(spans);
}

static void an_empty_file_has_no_records(void **state) {
  scratch *area = *state;
  vane_record_span *spans;
  int64_t n_spans;
  assert_ok(vane_tfrecord_index(scratch_put(area, "empty", "", 0), &spans, &n_spans));
  assert_int_equal(n_spans, 0);
  free(spans);
}

static void a_file_cut_anywhere_keeps_its_whole_records(void **state) {
  scratch *area = *state;
  for (size_t n = 0; n < sizeof golden; n++) {
    const char *path = scratch_put(area, "cut", golden, n);
    vane_record_span *spans;
    int64_t n_spans;
    vane_status status = vane_tfrecord_index(path, &spans, &n_spans);
    assert_int_equal(n_spans, n < 21 ? 0 : 1);
    if (n == 0 || n == 21) {
      assert_int_equal(status, VANE_OK);
    } else {
      assert_int_equal(status, VANE_ERR_FORMAT);
      assert_message_contains(path);
      assert_message_contains("cut short");
    }
    free(spans);
  }
}

/* Status of indexing the bytes and reading every record found. */
static vane_status read_all(scratch *area, const unsigned char *bytes, size_t n_bytes) {
  const char *path = scratch_put(area, "bytes", bytes, n_bytes);
  vane_record_span *spans;
  int64_t n_spans;
  vane_status status = vane_tfrecord_index(path, &spans, &n_spans);
  int descriptor = open(path, O_RDONLY);
  unsigned char data[sizeof golden];
  for (int64_t i = 0; status == VANE_OK && i < n_spans; i++)
    status = vane_tfrecord_read(descriptor, &spans[i], data);
  close(descriptor);
  free(spans);
  return status;
}

static void every_flipped_bit_is_noticed(void **state) {
  scratch *area = *state;
  unsigned char bytes[sizeof golden];
  memcpy(bytes, golden, sizeof golden);
  assert_ok(read_all(area, bytes, sizeof bytes));
  for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
    bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    assert_fails(read_all(area, bytes, sizeof bytes), VANE_ERR_FORMAT, "the CRC of its");
    bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
}

static void messages_name_the_place(void **state) {
  scratch *area = *state;
  unsigned char bytes[sizeof golden];
  memcpy(bytes, golden, sizeof golden);
  bytes[13] ^= 1;
  assert_fails(read_all(area, bytes, sizeof bytes), VANE_ERR_FORMAT, "record at byte 0: the CRC");
  bytes[13] ^= 1;
  bytes[30] ^= 1;
  assert_fails(read_all(area, bytes, sizeof bytes), VANE_ERR_FORMAT, "bytes: record at byte 21");
}

/* A length with a good CRC that leads beyond the end, also by overflow. */
static void a_length_beyond_the_file_is_noticed(void **state) {
  scratch *area = *state;
  const uint64_t lengths[] = {6, UINT64_MAX, INT64_MAX, UINT64_MAX - 15};
  for (size_t i = 0; i < 4; i++) {
    unsigned char bytes[sizeof golden];
    memcpy(bytes, golden, sizeof golden);
    memcpy(bytes, &lengths[i], 8);
    uint32_t crc = vane_crc32c_masked(bytes, 8);
    memcpy(bytes + 8, &crc, 4);
    assert_fails(read_all(area, bytes, 21), VANE_ERR_FORMAT, "ends inside it");
  }
}

static void a_file_that_changes_in_use_is_noticed(void **state) {
  scratch *area = *state;
  const char *path = scratch_put(area, "file", golden, sizeof golden);
  int descriptor = open(path, O_RDWR);
  vane_record_span span = {.offset = 0, .bytes = 4};
  unsigned char data[8];
  assert_fails(vane_tfrecord_read(descriptor, &span, data), VANE_ERR_FORMAT, "5 bytes long");
  span.bytes = 5;
  assert_int_equal(ftruncate(descriptor, 14), 0);
  assert_fails(vane_tfrecord_read(descriptor, &span, data), VANE_ERR_FORMAT, "cut short");
  close(descriptor);
  assert_fails(vane_tfrecord_read(-1, &span, data), VANE_ERR_IO, "cannot read at byte 0");
}

static void what_is_no_plain_file_is_refused(void **state) {
  scratch *area = *state;
  vane_record_span *spans;
  int64_t n_spans;
  const char *missing = scratch_path(area, "missing");
  assert_fails(vane_tfrecord_index(missing, &spans, &n_spans), VANE_ERR_IO, missing);
  assert_fails(vane_tfrecord_index(area->folder, &spans, &n_spans), VANE_ERR_IO, "not a plain");
  assert_null(spans);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(crc_matches_published_values),
      scratch_test(writes_what_tensorflow_writes),
      scratch_test(reads_back_what_it_wrote),
      scratch_test(indexes_more_records_than_its_first_table),
      scratch_test(an_empty_file_has_no_records),
      scratch_test(a_file_cut_anywhere_keeps_its_whole_records),
      scratch_test(every_flipped_bit_is_noticed),
      scratch_test(messages_name_the_place),
      scratch_test(a_length_beyond_the_file_is_noticed),
      scratch_test(a_file_that_changes_in_use_is_noticed),
      scratch_test(what_is_no_plain_file_is_refused),
  };
  return cmocka_run_group_tests_name("tfrecord", tests, NULL, NULL);
}
