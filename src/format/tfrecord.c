#include "format/tfrecord.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

uint32_t vane_crc32c(const void *bytes, size_t n_bytes) {
  /* ISA-L only reads, but its parameter is not const, and its length is an int. */
  unsigned char *next = (unsigned char *)(uintptr_t)bytes;
  uint32_t crc = 0xffffffffu;
  while (n_bytes > 0) {
    int n = n_bytes < INT_MAX ? (int)n_bytes : INT_MAX;
    crc = crc32_iscsi(next, n, crc);
    next += n;
    n_bytes -= (size_t)n;
  }
  return crc ^ 0xffffffffu;
}

uint32_t vane_crc32c_masked(const void *bytes, size_t n_bytes) {
  uint32_t crc = vane_crc32c(bytes, n_bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static uint64_t get_little_endian(const unsigned char *bytes, int n) {
  uint64_t value = 0;
  for (int i = 0; i < n; i++)
    value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

static void put_little_endian(unsigned char *bytes, int n, uint64_t value) {
  for (int i = 0; i < n; i++)
    bytes[i] = (unsigned char)(value >> (8 * i));
}

static bool is_header(const unsigned char header[VANE_TFRECORD_HEADER_BYTES]) {
  return get_little_endian(header + 8, 4) == vane_crc32c_masked(header, 8);
}

bool vane_tfrecord_detect(const void *bytes, size_t n_bytes) {
  return n_bytes >= VANE_TFRECORD_HEADER_BYTES && is_header(bytes);
}

static vane_status pread_exactly(int descriptor, int64_t offset, void *bytes, size_t n_bytes) {
  unsigned char *next = bytes;
  while (n_bytes > 0) {
    ssize_t n = pread(descriptor, next, n_bytes, (off_t)offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot read at byte %" PRId64,
                               offset);
    if (n == 0)
      return vane_fail(VANE_ERR_FORMAT,
                       "the file ends at byte %" PRId64 ", inside a record; it was cut short",
                       offset);
    next += n;
    offset += n;
    n_bytes -= (size_t)n;
  }
  return VANE_OK;
}

static vane_status read_header(int descriptor, int64_t offset, uint64_t *n_bytes) {
  unsigned char header[VANE_TFRECORD_HEADER_BYTES];
  VANE_TRY(pread_exactly(descriptor, offset, header, sizeof header));
  if (!is_header(header))
    return vane_fail(VANE_ERR_FORMAT,
                     "record at byte %" PRId64 ": the CRC of its length is wrong; the file is "
                     "damaged, or no TFRecord file",
                     offset);
  *n_bytes = get_little_endian(header, 8);
  return VANE_OK;
}

typedef struct span_list {
  vane_record_span *spans;
  int64_t n, capacity;
} span_list;

static vane_status span_list_add(span_list *list, int64_t offset, int64_t bytes) {
  if (list->n == list->capacity) {
    int64_t capacity = list->capacity ? 2 * list->capacity : 1024;
    vane_record_span *spans = realloc(list->spans, (size_t)capacity * sizeof *spans);
    if (!spans)
      return vane_fail(VANE_ERR_MEMORY, "no memory for the places of %" PRId64 " records",
                       capacity);
    list->spans = spans;
    list->capacity = capacity;
  }
  list->spans[list->n++] = (vane_record_span){.offset = offset, .bytes = bytes};
  return VANE_OK;
}

static vane_status index_descriptor(int descriptor, span_list *list) {
  struct stat facts;
  if (fstat(descriptor, &facts) != 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot ask for its size");
  if (!S_ISREG(facts.st_mode))
    return vane_fail(VANE_ERR_IO, "not a plain file");
  const int64_t end = facts.st_size;
  for (int64_t offset = 0; offset < end;) {
    uint64_t n_bytes;
    VANE_TRY(read_header(descriptor, offset, &n_bytes));
    int64_t room = end - offset - VANE_TFRECORD_HEADER_BYTES - VANE_TFRECORD_FOOTER_BYTES;
    if (room < 0 || n_bytes > (uint64_t)room)
      return vane_fail(VANE_ERR_FORMAT,
                       "record at byte %" PRId64 ": the file ends inside it; it was cut short",
                       offset);
    VANE_TRY(span_list_add(list, offset, (int64_t)n_bytes));
    offset = end - room + (int64_t)n_bytes;
  }
  return VANE_OK;
}

vane_status vane_tfrecord_index(const char *path, vane_record_span **spans, int64_t *n_spans) {
  span_list list = {0};
  vane_status status;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    status = vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot open it", path);
  } else {
    status = index_descriptor(descriptor, &list);
    if (status != VANE_OK)
      status = vane_error_add_context("%s", path);
    close(descriptor);
  }
  *spans = list.spans;
  *n_spans = list.n;
  return status;
}

vane_status vane_tfrecord_read(int descriptor, const vane_record_span *span, void *data) {
  uint64_t n_bytes;
  VANE_TRY(read_header(descriptor, span->offset, &n_bytes));
  if (n_bytes != (uint64_t)span->bytes)
    return vane_fail(VANE_ERR_FORMAT,
                     "record at byte %" PRId64 ": %" PRIu64 " bytes long, but it had %" PRId64
                     " when the file was opened; leave files alone while they are in use",
                     span->offset, n_bytes, span->bytes);
  int64_t offset = span->offset + VANE_TFRECORD_HEADER_BYTES;
  VANE_TRY(pread_exactly(descriptor, offset, data, n_bytes));
  unsigned char footer[VANE_TFRECORD_FOOTER_BYTES];
  VANE_TRY(pread_exactly(descriptor, offset + span->bytes, footer, sizeof footer));
  if (get_little_endian(footer, 4) != vane_crc32c_masked(data, n_bytes))
    return vane_fail(VANE_ERR_FORMAT,
                     "record at byte %" PRId64 ": the CRC of its %" PRId64
                     " bytes is wrong; the file is damaged",
                     span->offset, span->bytes);
  return VANE_OK;
}

void vane_tfrecord_frame(const void *data, size_t n_bytes,
                         unsigned char header[VANE_TFRECORD_HEADER_BYTES],
                         unsigned char footer[VANE_TFRECORD_FOOTER_BYTES]) {
  put_little_endian(header, 8, n_bytes);
  put_little_endian(header + 8, 4, vane_crc32c_masked(header, 8));
  put_little_endian(footer, 4, vane_crc32c_masked(data, n_bytes));
}

vane_status vane_tfrecord_write(vane_atomic_file *file, const void *data, size_t n_bytes) {
  unsigned char header[VANE_TFRECORD_HEADER_BYTES], footer[VANE_TFRECORD_FOOTER_BYTES];
  vane_tfrecord_frame(data, n_bytes, header, footer);
  VANE_TRY(vane_atomic_file_write(file, header, sizeof header));
  VANE_TRY(vane_atomic_file_write(file, data, n_bytes));
  return vane_atomic_file_write(file, footer, sizeof footer);
}
