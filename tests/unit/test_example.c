/* format/example.h: tf.Example messages. */
#include "scratch.h"

#include "format/example.h"

/* {"b": bytes 00 ff, "e": no list, "f": floats 1.5 -2, "i": int64s -1 300}, by TensorFlow 2. */
static const char golden_hex[] =
    "0a3e0a0b0a016212060a040a0200ff0a050a016512000a110a0166120c120a0a080000c03f000000c00a150a0169"
    "12101a0e0a0cffffffffffffffffff01ac02";

static size_t from_hex(const char *hex, unsigned char *bytes) {
  size_t n = strlen(hex) / 2;
  for (size_t i = 0; i < n; i++) {
    unsigned value;
    assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
    bytes[i] = (unsigned char)value;
  }
  return n;
}

static vane_example_message *parse_hex(const char *hex) {
  unsigned char bytes[256];
  vane_example_message *message;
  assert_ok(vane_example_parse(bytes, from_hex(hex, bytes), &message));
  return message;
}

static void assert_numbers(const vane_example_message *message, const char *feature, int64_t n,
                           const double *expected) {
  double numbers[8];
  int64_t count;
  assert_ok(vane_example_get_numbers(message, feature, numbers, 8, &count));
  assert_int_equal(count, n);
  for (int64_t i = 0; i < n; i++)
    assert_true(numbers[i] == expected[i]);
}

static void reads_what_tensorflow_writes(void **state) {
  (void)state;
  vane_example_message *message = parse_hex(golden_hex);
  const void *bytes;
  size_t n_bytes;
  assert_ok(vane_example_get_bytes(message, "b", &bytes, &n_bytes));
  assert_int_equal(n_bytes, 2);
  assert_memory_equal(bytes, "\x00\xff", 2);
  assert_numbers(message, "f", 2, (const double[]){1.5, -2});
  assert_numbers(message, "i", 2, (const double[]){-1, 300});
  assert_int_equal(vane_example_count(message), 4);
  const char *const names[] = {"b", "e", "f", "i"};
  const char *const types[] = {"bytes", "empty", "float", "int64"};
  const int64_t lengths[] = {2, 0, 2, 2};
  for (int64_t i = 0; i < 4; i++) {
    const char *name, *type;
    int64_t length;
    vane_example_describe(message, i, &name, &type, &length);
    assert_string_equal(name, names[i]);
    assert_string_equal(type, types[i]);
    assert_int_equal(length, lengths[i]);
  }
  vane_example_destroy(message);
  vane_example_destroy(NULL);
}

static void missing_and_empty_features_are_none(void **state) {
  (void)state;
  vane_example_message *message = parse_hex(golden_hex);
  const void *bytes;
  size_t n_bytes;
  for (int i = 0; i < 2; i++) {
    const char *feature = i == 0 ? "missing" : "e";
    assert_ok(vane_example_get_bytes(message, feature, &bytes, &n_bytes));
    assert_null(bytes);
    assert_int_equal(n_bytes, 0);
    assert_numbers(message, feature, 0, NULL);
  }
  vane_example_destroy(message);
  message = parse_hex(""); /* an Example without Features */
  assert_int_equal(vane_example_count(message), 0);
  assert_numbers(message, "i", 0, NULL);
  vane_example_destroy(message);
  message = parse_hex("0a090a070a016212020a00"); /* "b": a list of bytes without elements */
  assert_ok(vane_example_get_bytes(message, "b", &bytes, &n_bytes));
  assert_null(bytes);
  vane_example_destroy(message);
  message = parse_hex("0a050a030a0162"); /* "b": a name without feature */
  assert_ok(vane_example_get_bytes(message, "b", &bytes, &n_bytes));
  assert_null(bytes);
  vane_example_destroy(message);
}

static void another_type_is_named(void **state) {
  (void)state;
  vane_example_message *message = parse_hex(golden_hex);
  const void *bytes;
  size_t n_bytes;
  double number;
  int64_t count;
  assert_fails(vane_example_get_bytes(message, "f", &bytes, &n_bytes), VANE_ERR_FORMAT,
               "feature f holds numbers");
  assert_fails(vane_example_get_bytes(message, "i", &bytes, &n_bytes), VANE_ERR_FORMAT,
               "feature i holds numbers");
  assert_fails(vane_example_get_numbers(message, "b", &number, 1, &count), VANE_ERR_FORMAT,
               "feature b holds bytes");
  vane_example_destroy(message);
}

static void capacity_limits_what_is_written(void **state) {
  (void)state;
  vane_example_message *message = parse_hex(golden_hex);
  const char *const features[] = {"f", "i"};
  for (int i = 0; i < 2; i++) {
    double numbers[2] = {7, 7};
    int64_t count;
    assert_ok(vane_example_get_numbers(message, features[i], numbers, 1, &count));
    assert_int_equal(count, 2);
    assert_true(numbers[0] != 7 && numbers[1] == 7);
  }
  vane_example_destroy(message);
}

/* Old writers put a tag before every number instead of packing them. */
static void reads_unpacked_lists(void **state) {
  (void)state;
  vane_example_message *message = parse_hex("0a130a110a0166120c120a0d0000c03f0d000000c0");
  assert_numbers(message, "f", 2, (const double[]){1.5, -2});
  vane_example_destroy(message);
  message = parse_hex("0a0d0a0b0a016912061a0408050806");
  assert_numbers(message, "i", 2, (const double[]){5, 6});
  vane_example_destroy(message);
}

static void the_last_of_equal_names_counts(void **state) {
  (void)state;
  vane_example_message *message =
      parse_hex("0a1a0a0b0a016912061a040a0205050a0b0a016912061a040a020606");
  assert_numbers(message, "i", 2, (const double[]){6, 6});
  vane_example_destroy(message);
}

static void reads_back_what_it_wrote(void **state) {
  (void)state;
  const float floats[] = {0.25f, -1e30f};
  const int64_t integers[] = {INT64_MIN, 0, 1};
  const vane_example_feature features[] = {
      {.name = "image", .bytes = "a\0b", .n_values = 3},
      {.name = "nothing", .bytes = "", .n_values = 0},
      {.name = "floats", .floats = floats, .n_values = 2},
      {.name = "no floats", .floats = floats, .n_values = 0},
      {.name = "integers", .integers = integers, .n_values = 3},
  };
  unsigned char *bytes;
  size_t n_bytes;
  assert_ok(vane_example_print(features, 5, &bytes, &n_bytes));
  vane_example_message *message;
  assert_ok(vane_example_parse(bytes, n_bytes, &message));
  free(bytes);
  assert_int_equal(vane_example_count(message), 5);
  const void *image;
  assert_ok(vane_example_get_bytes(message, "image", &image, &n_bytes));
  assert_int_equal(n_bytes, 3);
  assert_memory_equal(image, "a\0b", 3);
  assert_ok(vane_example_get_bytes(message, "nothing", &image, &n_bytes));
  assert_non_null(image);
  assert_int_equal(n_bytes, 0);
  assert_numbers(message, "floats", 2, (const double[]){0.25, (double)-1e30f});
  assert_numbers(message, "no floats", 0, NULL);
  assert_numbers(message, "integers", 3, (const double[]){(double)INT64_MIN, 0, 1});
  vane_example_destroy(message);
}

static void prints_a_message_without_features(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t n_bytes;
  assert_ok(vane_example_print(NULL, 0, &bytes, &n_bytes));
  vane_example_message *message;
  assert_ok(vane_example_parse(bytes, n_bytes, &message));
  assert_int_equal(vane_example_count(message), 0);
  vane_example_destroy(message);
  free(bytes);
}

/* Neither may crash or leak; a cut inside the one top-level field must be noticed. */
static void survives_cuts_and_flipped_bits(void **state) {
  (void)state;
  unsigned char whole[256];
  size_t n = from_hex(golden_hex, whole);
  vane_example_message *message;
  for (size_t cut = 1; cut < n; cut++) {
    unsigned char *bytes = malloc(cut); /* of exactly this size, so that an overrun is seen */
    memcpy(bytes, whole, cut);
    assert_fails(vane_example_parse(bytes, cut, &message), VANE_ERR_FORMAT, "no tf.Example");
    assert_null(message);
    free(bytes);
  }
  int n_refused = 0;
  for (size_t bit = 0; bit < 8 * n; bit++) {
    whole[bit / 8] ^= (unsigned char)(1 << bit % 8);
    double number;
    int64_t count;
    if (vane_example_parse(whole, n, &message) == VANE_OK) {
      vane_status status = vane_example_get_numbers(message, "i", &number, 1, &count);
      assert_true(status == VANE_OK || status == VANE_ERR_FORMAT);
    } else {
      n_refused++;
    }
    vane_example_destroy(message);
    whole[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
  assert_true(n_refused > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_what_tensorflow_writes),
      cmocka_unit_test(missing_and_empty_features_are_none),
      cmocka_unit_test(another_type_is_named),
      cmocka_unit_test(capacity_limits_what_is_written),
      cmocka_unit_test(reads_unpacked_lists),
      cmocka_unit_test(the_last_of_equal_names_counts),
      cmocka_unit_test(reads_back_what_it_wrote),
      cmocka_unit_test(prints_a_message_without_features),
      cmocka_unit_test(survives_cuts_and_flipped_bits),
  };
  return cmocka_run_group_tests_name("example", tests, NULL, NULL);
}
