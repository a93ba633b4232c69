/* TFRecord framing: length (8 bytes, little endian), masked CRC32C of the length, the data, masked
 * CRC32C of the data. Masked: rotated right by 15 bits plus 0xa282ead8 (TensorFlow, record_writer).
 * CRC32C comes from ISA-L, which uses the processor's instruction where there is one. */
#ifndef VANE_FORMAT_TFRECORD_H
#define VANE_FORMAT_TFRECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "vane/status.h"

#define VANE_TFRECORD_HEADER_BYTES 12
#define VANE_TFRECORD_FOOTER_BYTES 4

uint32_t vane_crc32c(const void *bytes, size_t n_bytes);
uint32_t vane_crc32c_masked(const void *bytes, size_t n_bytes);

/* True if the bytes begin like a TFRecord file: a length and its CRC. */
bool vane_tfrecord_detect(const void *bytes, size_t n_bytes);

/* Where one record's data lies in its file. */
typedef struct vane_record_span {
  int64_t offset; /* of the record's header, bytes from the start of the file */
  int64_t bytes;  /* of the data alone */
} vane_record_span;

/* Walks the headers of a file without reading the data: fresh spans that the caller frees. A header
 * with a wrong CRC, or a file that ends inside a record, is VANE_ERR_FORMAT naming file and offset;
 * `spans` then holds the records before it (frameable, so a caller may go on with them). */
VANE_CHECKED
vane_status vane_tfrecord_index(const char *path, vane_record_span **spans, int64_t *n_spans);

/* Reads one record's data from an open file descriptor into `data` (span->bytes) and checks the
 * header against the span and the data against its CRC. Thread-safe (pread). The message names the
 * offset; the caller adds the file. */
VANE_CHECKED
vane_status vane_tfrecord_read(int descriptor, const vane_record_span *span, void *data);

/* The bytes that stand before and after a record's data. */
void vane_tfrecord_frame(const void *data, size_t n_bytes,
                         unsigned char header[VANE_TFRECORD_HEADER_BYTES],
                         unsigned char footer[VANE_TFRECORD_FOOTER_BYTES]);

/* Appends one framed record. */
VANE_CHECKED
vane_status vane_tfrecord_write(vane_atomic_file *file, const void *data, size_t n_bytes);

#endif
