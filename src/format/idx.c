#include "format/idx.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"

/* MNIST and its kin hold up to 5e8 values: a much larger product means a damaged header. */
#define MAX_VALUES ((int64_t)1 << 32)
#define PIECE      (1 << 26) /* bytes a read; gzread counts in unsigned int */

/* Reads up to `n_bytes`; `n` 0 at the end of the file. */
static vane_status read_piece(gzFile file, void *bytes, unsigned n_bytes, int *n) {
  *n = gzread(file, bytes, n_bytes);
  int code; /* a gzip stream that is cut short gives no bytes and says why only here */
  const char *text = gzerror(file, &code);
  if (*n > 0 || code == Z_OK)
    return VANE_OK;
  if (code == Z_ERRNO)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "cannot read it");
  if (code == Z_MEM_ERROR)
    return vane_fail(VANE_ERR_MEMORY, "no memory to unpack it");
  return vane_fail_foreign(VANE_ERR_FORMAT, code, text, "its gzip stream is damaged or cut short");
}

static vane_status read_exactly(gzFile file, void *bytes, int64_t n_bytes, const char *what) {
  unsigned char *next = bytes;
  for (int64_t left = n_bytes; left > 0;) {
    int n;
    VANE_TRY(read_piece(file, next, left < PIECE ? (unsigned)left : PIECE, &n));
    if (n == 0)
      return vane_fail(VANE_ERR_FORMAT, "the file ends in its %s, %" PRId64 " bytes too early",
                       what, left);
    next += n;
    left -= n;
  }
  return VANE_OK;
}

static vane_status read_dims(gzFile file, vane_idx *idx) {
  unsigned char magic[4];
  VANE_TRY(read_exactly(file, magic, sizeof magic, "header"));
  if (magic[0] != 0 || magic[1] != 0)
    return vane_fail(VANE_ERR_FORMAT, "not an IDX file: it does not begin with two zero bytes");
  if (magic[2] != 8)
    return vane_fail(VANE_ERR_FORMAT,
                     "values of IDX type 0x%02x; only unsigned bytes (0x08) are read", magic[2]);
  if (magic[3] < 1 || magic[3] > 4)
    return vane_fail(VANE_ERR_FORMAT, "%d dimensions; 1 to 4 are read", magic[3]);
  idx->n_dims = magic[3];
  for (int64_t d = 0; d < idx->n_dims; d++) {
    unsigned char size[4];
    VANE_TRY(read_exactly(file, size, sizeof size, "header"));
    idx->dims[d] = (int64_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
  }
  return VANE_OK;
}

static vane_status count_values(const vane_idx *idx, int64_t *count) {
  *count = 1;
  for (int64_t d = 0; d < idx->n_dims; d++) {
    if (idx->dims[d] > 0 && *count > MAX_VALUES / idx->dims[d])
      return vane_fail(VANE_ERR_FORMAT,
                       "its header announces more than %" PRId64 " values; it is damaged",
                       MAX_VALUES);
    *count *= idx->dims[d];
  }
  return VANE_OK;
}

static vane_status read_file(gzFile file, vane_idx *idx) {
  VANE_TRY(read_dims(file, idx));
  int64_t count;
  VANE_TRY(count_values(idx, &count));
  idx->values = malloc((size_t)count + 1); /* malloc may answer NULL to a request for nothing */
  if (!idx->values)
    return vane_fail(VANE_ERR_MEMORY, "no memory for its %" PRId64 " values", count);
  VANE_TRY(read_exactly(file, idx->values, count, "values"));
  unsigned char beyond;
  int n;
  VANE_TRY(read_piece(file, &beyond, 1, &n)); /* where zlib checks the stream's CRC, too */
  if (n > 0)
    return vane_fail(VANE_ERR_FORMAT, "bytes follow its %" PRId64 " values; it is damaged", count);
  return VANE_OK;
}

vane_status vane_idx_read(const char *path, vane_idx *idx) {
  memset(idx, 0, sizeof *idx);
  errno = 0;
  gzFile file = gzopen(path, "rbe");
  if (!file && errno == 0)
    return vane_fail(VANE_ERR_MEMORY, "%s: no memory to unpack it", path);
  if (!file)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot open it", path);
  vane_status status = read_file(file, idx);
  gzclose(file);
  if (status != VANE_OK) {
    vane_idx_finish(idx);
    return vane_error_add_context("%s", path);
  }
  return VANE_OK;
}

void vane_idx_finish(vane_idx *idx) {
  free(idx->values);
  memset(idx, 0, sizeof *idx);
}
