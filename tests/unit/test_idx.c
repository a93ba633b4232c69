/* format/idx.h: IDX files, plain and gzipped. */
#include "scratch.h"

#include <zlib.h>

#include "format/idx.h"

/* Two images of 2 x 3 pixels. */
static const unsigned char plain[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                      0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
#define N_PLAIN sizeof plain

static const char *put_gzipped(scratch *area, const char *name, const void *bytes, size_t n) {
  gzFile file = gzopen(scratch_path(area, name), "wb");
  assert_non_null(file);
  if (n > 0)
    assert_int_equal(gzwrite(file, bytes, (unsigned)n), n);
  assert_int_equal(gzclose(file), Z_OK);
  return area->path;
}

static void assert_reads(const char *path) {
  vane_idx idx;
  assert_ok(vane_idx_read(path, &idx));
  assert_int_equal(idx.n_dims, 3);
  assert_true(idx.dims[0] == 2 && idx.dims[1] == 2 && idx.dims[2] == 3);
  assert_memory_equal(idx.values, plain + 16, 12);
  vane_idx_finish(&idx);
}

static void assert_refuses(const char *path, vane_status expected, const char *text) {
  vane_idx idx;
  assert_fails(vane_idx_read(path, &idx), expected, text);
  assert_message_contains(path);
  assert_null(idx.values);
  vane_idx_finish(&idx);
}

static void reads_plain_and_gzipped_files(void **state) {
  scratch *area = *state;
  assert_reads(scratch_put(area, "plain", plain, N_PLAIN));
  assert_reads(put_gzipped(area, "packed.gz", plain, N_PLAIN));
}

static void reads_a_list_and_no_images(void **state) {
  scratch *area = *state;
  vane_idx idx;
  assert_ok(vane_idx_read(scratch_put(area, "list", "\0\0\10\1\0\0\0\2ab", 10), &idx));
  assert_true(idx.n_dims == 1 && idx.dims[0] == 2 && idx.values[1] == 'b');
  vane_idx_finish(&idx);
  assert_ok(vane_idx_read(scratch_put(area, "none", "\0\0\10\1\0\0\0\0", 8), &idx));
  assert_true(idx.n_dims == 1 && idx.dims[0] == 0);
  vane_idx_finish(&idx);
}

static void a_wrong_header_is_told(void **state) {
  scratch *area = *state;
  assert_refuses(scratch_put(area, "a", "\1\0\10\1\0\0\0\0", 8), VANE_ERR_FORMAT,
                 "not an IDX file");
  assert_refuses(scratch_put(area, "b", "\0\0\15\1\0\0\0\0", 8), VANE_ERR_FORMAT, "IDX type 0x0d");
  assert_refuses(scratch_put(area, "c", "\0\0\10\0", 4), VANE_ERR_FORMAT, "0 dimensions");
  assert_refuses(scratch_put(area, "d", "\0\0\10\5", 4), VANE_ERR_FORMAT, "5 dimensions");
  assert_refuses(scratch_put(area, "e", "\0\0\10\2\377\377\377\377\377\377\377\377", 12),
                 VANE_ERR_FORMAT, "more than 4294967296 values");
}

static void a_file_cut_anywhere_is_refused(void **state) {
  scratch *area = *state;
  for (size_t n = 0; n < N_PLAIN; n++)
    assert_refuses(scratch_put(area, "cut", plain, n), VANE_ERR_FORMAT,
                   n < 16 ? "ends in its header" : "ends in its values");
  const char *path = put_gzipped(area, "packed.gz", plain, N_PLAIN);
  unsigned char packed[256];
  FILE *file = fopen(path, "rb");
  size_t n_packed = fread(packed, 1, sizeof packed, file);
  fclose(file);
  for (size_t n = 0; n < n_packed; n++)
    assert_refuses(scratch_put(area, "cut.gz", packed, n), VANE_ERR_FORMAT, "");
}

static void flipped_bits_of_a_gzipped_file_are_noticed(void **state) {
  scratch *area = *state;
  const char *path = put_gzipped(area, "packed.gz", plain, N_PLAIN);
  unsigned char packed[256];
  FILE *file = fopen(path, "rb");
  size_t n_packed = fread(packed, 1, sizeof packed, file);
  fclose(file);
  int n_unnoticed = 0;
  for (size_t bit = 8 * 10; bit < 8 * n_packed; bit++) { /* gzip's own header has no checksum */
    packed[bit / 8] ^= (unsigned char)(1 << bit % 8);
    vane_idx idx; /* a few bits of deflate are mere padding */
    vane_status status = vane_idx_read(scratch_put(area, "flipped.gz", packed, n_packed), &idx);
    n_unnoticed += status == VANE_OK;
    assert_true(status == VANE_ERR_FORMAT ||
                (status == VANE_OK && memcmp(idx.values, plain + 16, 12) == 0));
    vane_idx_finish(&idx);
    packed[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
  assert_true(n_unnoticed < 8);
}

static void bytes_behind_the_values_are_refused(void **state) {
  scratch *area = *state;
  unsigned char longer[N_PLAIN + 1] = {0};
  memcpy(longer, plain, N_PLAIN);
  assert_refuses(scratch_put(area, "plain", longer, sizeof longer), VANE_ERR_FORMAT,
                 "bytes follow its 12 values");
  assert_refuses(put_gzipped(area, "packed.gz", longer, sizeof longer), VANE_ERR_FORMAT,
                 "bytes follow its 12 values");
}

static void what_cannot_be_opened_is_named(void **state) {
  scratch *area = *state;
  assert_refuses(scratch_path(area, "missing"), VANE_ERR_IO, "cannot open it");
  char folder[64];
  memcpy(folder, area->folder, sizeof folder);
  assert_refuses(folder, VANE_ERR_IO, "cannot read it");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(reads_plain_and_gzipped_files),
      scratch_test(reads_a_list_and_no_images),
      scratch_test(a_wrong_header_is_told),
      scratch_test(a_file_cut_anywhere_is_refused),
      scratch_test(flipped_bits_of_a_gzipped_file_are_noticed),
      scratch_test(bytes_behind_the_values_are_refused),
      scratch_test(what_cannot_be_opened_is_named),
  };
  return cmocka_run_group_tests_name("idx", tests, NULL, NULL);
}
