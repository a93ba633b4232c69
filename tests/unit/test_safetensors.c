/* format/safetensors.h: checkpoints' container. */
#include "scratch.h"

#include "base/file.h"
#include "format/safetensors.h"

static const float floats[6] = {1, -2, 3.5f, 0, 5, 6};
static const double doubles[2] = {1e300, -0.1};

static void reads_back_what_it_wrote(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "file");
  const vane_safetensor tensors[] = {
      {"w", 2, {2, 3}, "F32", floats, 24},
      {"empty", 2, {0, 7}, "F32", floats, 0},
      {"scalar", 0, {0}, "F32", floats + 4, 4},
      {"d", 1, {2}, "F64", doubles, 16},
  };
  const vane_safetensors_text texts[] = {{"config", "a: \"b\"\n\tc\\"},
                                         {"\xc3\xa9", "\xe2\x82\xac"}};
  assert_ok(vane_safetensors_write(path, tensors, 4, texts, 2));
  vane_safetensors_file *file;
  assert_ok(vane_safetensors_open(path, &file));
  assert_int_equal(vane_safetensors_count(file), 4);
  assert_string_equal(vane_safetensors_at(file, 0)->name, "d"); /* doubles first */
  for (int i = 0; i < 4; i++) {
    const vane_safetensor *tensor = vane_safetensors_find(file, tensors[i].name);
    assert_non_null(tensor);
    assert_string_equal(tensor->name, tensors[i].name);
    assert_string_equal(tensor->dtype, tensors[i].dtype);
    assert_int_equal(tensor->n_dims, tensors[i].n_dims);
    assert_memory_equal(tensor->dims, tensors[i].dims, sizeof tensor->dims);
    assert_int_equal(tensor->bytes, tensors[i].bytes);
    if (tensor->bytes > 0)
      assert_memory_equal(tensor->data, tensors[i].data, tensor->bytes);
    assert_int_equal((uintptr_t)tensor->data % 4, 0);
  }
  assert_null(vane_safetensors_find(file, "v"));
  assert_string_equal(vane_safetensors_text_of(file, "config"), texts[0].text);
  assert_string_equal(vane_safetensors_text_of(file, texts[1].key), texts[1].text);
  assert_null(vane_safetensors_text_of(file, "w"));
  vane_safetensors_close(file);
  vane_safetensors_close(NULL);
}

static void writes_an_empty_file(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "file");
  assert_ok(vane_safetensors_write(path, NULL, 0, NULL, 0));
  vane_safetensors_file *file;
  assert_ok(vane_safetensors_open(path, &file));
  assert_int_equal(vane_safetensors_count(file), 0);
  assert_null(vane_safetensors_text_of(file, "a"));
  vane_safetensors_close(file);
}

static void data_begin_on_a_cache_line(void **state) {
  scratch *area = *state;
  char name[80];
  for (int length = 1; length < 80; length += 7) {
    memset(name, 'n', sizeof name);
    name[length] = 0;
    const vane_safetensor tensor = {name, 1, {6}, "F32", floats, 24};
    const char *path = scratch_path(area, "file");
    assert_ok(vane_safetensors_write(path, &tensor, 1, NULL, 0));
    unsigned char *contents;
    size_t n_bytes;
    assert_ok(vane_file_read(path, &contents, &n_bytes));
    assert_int_equal(n_bytes % 64, 24);
    assert_int_equal(contents[8], '{');
    assert_memory_equal(contents + n_bytes - 24, floats, 24);
    free(contents);
  }
}

static void refuses_to_write_nonsense(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "file");
  const struct {
    vane_safetensor tensors[2];
    const char *text;
  } cases[] = {
      {{{"a", 1, {2}, "I32", floats, 8}}, "file: tensor a: only F32 and F64"},
      {{{"a", 1, {3}, "F32", floats, 8}}, "does not make up its 8 bytes"},
      {{{"a", 1, {-1}, "F32", floats, 8}}, "does not make up"},
      {{{"a", 9, {1}, "F32", floats, 4}}, "does not make up"},
      {{{"a", 2, {INT64_MAX, 4}, "F32", floats, 8}}, "does not make up"},
      {{{"a", 1, {1}, "F32", floats, 4}, {"a", 1, {1}, "F32", floats, 4}}, "a is given twice"},
      {{{"__metadata__", 1, {1}, "F32", floats, 4}}, "reserved"},
      {{{"\xff", 1, {1}, "F32", floats, 4}}, "not UTF-8"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_fails(
        vane_safetensors_write(path, cases[i].tensors, cases[i].tensors[1].name ? 2 : 1, NULL, 0),
        VANE_ERR_ARGUMENT, cases[i].text);
  const vane_safetensors_text twice[] = {{"k", "a"}, {"k", "b"}}, bad = {"k", "\xff"};
  assert_fails(vane_safetensors_write(path, NULL, 0, twice, 2), VANE_ERR_ARGUMENT, "k is given");
  assert_fails(vane_safetensors_write(path, NULL, 0, &bad, 1), VANE_ERR_ARGUMENT, "not UTF-8");
  assert_false(vane_file_exists(path));
  assert_fails(vane_safetensors_write(scratch_path(area, "none/file"), NULL, 0, NULL, 0),
               VANE_ERR_IO, "none/file");
}

/* A file of this header and of `n_data` bytes 0, 1, 2, ... */
static const char *put(scratch *area, const char *header, size_t n_data) {
  unsigned char bytes[1024] = {0};
  size_t n_header = strlen(header);
  bytes[0] = (unsigned char)n_header;
  bytes[1] = (unsigned char)(n_header >> 8);
  memcpy(bytes + 8, header, n_header);
  for (size_t i = 0; i < n_data; i++)
    bytes[8 + n_header + i] = (unsigned char)i;
  return scratch_put(area, "file", bytes, 8 + n_header + n_data);
}

static void damaged_headers_are_told(void **state) {
  scratch *area = *state;
#define TENSOR(rest) "{\"a\":{\"dtype\":\"F32\"," rest "}}"
  const struct {
    const char *header;
    const char *text;
  } cases[] = {
      {"", "no JSON"},
      {"{", "no JSON"},
      {"[]", "no JSON object"},
      {"{} x", "no JSON"},
      {"{\"a\":1,\"a\":1}", "no JSON: duplicate object key"},
      {"{\"__metadata__\":1}", "__metadata__ is no JSON object"},
      {"{\"__metadata__\":{\"k\":1}}", "__metadata__: k is no text"},
      {"{\"a\":1}", "tensor a: it has no dtype"},
      {"{\"a\":{\"dtype\":1}}", "tensor a: it has no dtype"},
      {TENSOR("\"data_offsets\":[0,8]"), "tensor a: its shape is no list"},
      {TENSOR("\"shape\":2,\"data_offsets\":[0,8]"), "its shape is no list"},
      {TENSOR("\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]"), "at most 8 sizes"},
      {TENSOR("\"shape\":[1,2.0],\"data_offsets\":[0,8]"), "size 1 of its shape is no count"},
      {TENSOR("\"shape\":[-2],\"data_offsets\":[0,8]"), "size 0 of its shape is no count"},
      {TENSOR("\"shape\":[18446744073709551616],\"data_offsets\":[0,8]"), "no JSON"},
      {TENSOR("\"shape\":[2]"), "its data_offsets are no two integers"},
      {TENSOR("\"shape\":[2],\"data_offsets\":[0]"), "no two integers"},
      {TENSOR("\"shape\":[2],\"data_offsets\":[0,8,8]"), "no two integers"},
      {TENSOR("\"shape\":[2],\"data_offsets\":[0,\"8\"]"), "no two integers"},
      {TENSOR("\"shape\":[2],\"data_offsets\":[-1,7]"), "outside the file's 8 bytes"},
      {TENSOR("\"shape\":[2],\"data_offsets\":[8,0]"), "outside the file's 8 bytes"},
      {TENSOR("\"shape\":[2],\"data_offsets\":[0,9]"), "outside the file's 8 bytes"},
      {TENSOR("\"shape\":[1],\"data_offsets\":[0,8]"), "does not make up its 8 bytes of F32"},
      {TENSOR("\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]"), "does not make up"},
      {TENSOR("\"shape\":[1],\"data_offsets\":[0,4]"), "4 bytes at its end belong to no tensor"},
      {TENSOR("\"shape\":[1],\"data_offsets\":[4,8]"), "tensor a: its data leave a gap"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
       "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
       "tensor b: its data overlap"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
       "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}",
       "tensor b: its data overlap"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *path = put(area, cases[i].header, 8);
    vane_safetensors_file *file;
    assert_fails(vane_safetensors_open(path, &file), VANE_ERR_FORMAT, cases[i].text);
    assert_message_contains(path);
    assert_null(file);
  }
}

static void lengths_that_lead_nowhere_are_told(void **state) {
  scratch *area = *state;
  vane_safetensors_file *file;
  assert_fails(vane_safetensors_open(scratch_put(area, "a", "\2\0\0\0\0\0\0\0{", 9), &file),
               VANE_ERR_FORMAT, "ends inside its header of 2 bytes");
  assert_fails(vane_safetensors_open(
                   scratch_put(area, "b", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), &file),
               VANE_ERR_FORMAT, "a header of 18446744073709551615 bytes");
  const char *missing = scratch_path(area, "missing");
  assert_fails(vane_safetensors_open(missing, &file), VANE_ERR_IO, missing);
}

/* What vane never writes can still be listed. */
static void any_dtype_can_be_read(void **state) {
  scratch *area = *state;
  const char *path = put(area,
                         "{\"b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[3,11]},"
                         "\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},"
                         "\"n\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[11,13]}}",
                         13);
  vane_safetensors_file *file;
  assert_ok(vane_safetensors_open(path, &file));
  assert_int_equal(vane_safetensors_count(file), 3);
  const vane_safetensor *tensor = vane_safetensors_at(file, 0); /* in the order of their data */
  assert_string_equal(tensor->name, "a");
  assert_string_equal(tensor->dtype, "BOOL");
  assert_memory_equal(tensor->data, "\0\1\2", 3);
  assert_string_equal(vane_safetensors_at(file, 2)->dtype, "F4");
  vane_safetensors_close(file);
}

/* torch.tensor([[1., 2.]]) and an int8 [3], by the safetensors package. */
static void reads_what_the_package_writes(void **state) {
  scratch *area = *state;
  const char *path = scratch_path(area, "file");
  static const char header[] = "{\"__metadata__\":{\"k\":\"v\"},"
                               "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                               "\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[8,9]}}   ";
  unsigned char bytes[8 + sizeof header + 8] = {sizeof header - 1};
  assert_int_equal(sizeof header - 1, 0x88);
  memcpy(bytes + 8, header, sizeof header - 1);
  memcpy(bytes + 8 + sizeof header - 1, "\0\0\x80\x3f\0\0\0\x40\3", 9);
  scratch_put(area, "file", bytes, sizeof bytes);
  vane_safetensors_file *file;
  assert_ok(vane_safetensors_open(path, &file));
  assert_memory_equal(vane_safetensors_find(file, "b")->data, ((const float[]){1, 2}), 8);
  assert_string_equal(vane_safetensors_text_of(file, "k"), "v");
  vane_safetensors_close(file);
}

static void cuts_and_flipped_bits_do_no_harm(void **state) {
  scratch *area = *state;
  const vane_safetensor tensors[] = {{"w", 2, {2, 3}, "F32", floats, 24},
                                     {"d", 1, {2}, "F64", doubles, 16}};
  const vane_safetensors_text text = {"k", "v"};
  const char *path = scratch_path(area, "file");
  assert_ok(vane_safetensors_write(path, tensors, 2, &text, 1));
  unsigned char *bytes;
  size_t n_bytes;
  assert_ok(vane_file_read(path, &bytes, &n_bytes));
  vane_safetensors_file *file;
  for (size_t cut = 0; cut < n_bytes; cut++) {
    assert_int_equal(vane_safetensors_open(scratch_put(area, "file", bytes, cut), &file),
                     VANE_ERR_FORMAT);
    assert_message_contains(path);
  }
  int n_refused = 0;
  for (size_t bit = 0; bit < 8 * (n_bytes - 40); bit += 3) {
    bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    vane_status status = vane_safetensors_open(scratch_put(area, "file", bytes, n_bytes), &file);
    assert_true(status == VANE_OK || status == VANE_ERR_FORMAT);
    n_refused += status != VANE_OK;
    vane_safetensors_close(file);
    bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
  assert_true(n_refused > 150);
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(reads_back_what_it_wrote),
      scratch_test(writes_an_empty_file),
      scratch_test(data_begin_on_a_cache_line),
      scratch_test(refuses_to_write_nonsense),
      scratch_test(damaged_headers_are_told),
      scratch_test(lengths_that_lead_nowhere_are_told),
      scratch_test(any_dtype_can_be_read),
      scratch_test(reads_what_the_package_writes),
      scratch_test(cuts_and_flipped_bits_do_no_harm),
  };
  return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
