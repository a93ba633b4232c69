/* data/record.h: the labels and the image of a tf.Example. */
#include "scratch.h"

#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "data/record.h"
#include "format/png.h"

#define PI 3.1415926535897932384626433832795

static vane_config config;

static vane_example_message *make(const vane_example_feature *features, int64_t n) {
  unsigned char *bytes;
  size_t n_bytes;
  vane_example_message *message;
  assert_ok(vane_example_print(features, n, &bytes, &n_bytes));
  assert_ok(vane_example_parse(bytes, n_bytes, &message));
  free(bytes);
  return message;
}

static vane_status read_labels(const vane_example_feature *features, int64_t n,
                               vane_labels *labels) {
  vane_example_message *message = make(features, n);
  vane_status status = vane_record_labels(&config, message, labels);
  vane_example_destroy(message);
  return status;
}

#define FLOATS(feature, n, ...)                                                                    \
  { .name = (feature), .floats = (const float[]){__VA_ARGS__}, .n_values = (n) }
#define INTEGERS(feature, n, ...)                                                                  \
  { .name = (feature), .integers = (const int64_t[]){__VA_ARGS__}, .n_values = (n) }

static int configure(void **state) {
  (void)state;
  vane_config_init(&config);
  config.n_model_input = 3;
  config.model_input[0] = 3;
  config.model_input[1] = 4;
  config.model_input[2] = 1;
  return 0;
}

static void floats_and_integers_are_labels(void **state) {
  (void)state;
  const vane_example_feature floats[] = {FLOATS("present", 1, 1.0f), FLOATS("angle", 1, 90.0f),
                                         FLOATS("magnitude", 1, 2.5f),
                                         FLOATS("position", 2, 3.5f, -1.0f)};
  vane_labels labels;
  assert_ok(read_labels(floats, 4, &labels));
  assert_int_equal(labels.known, 15);
  assert_float_equal(labels.angle, (PI / 2), 1e-6);
  assert_true(labels.present == 1.0f && labels.magnitude == 2.5f && labels.x == 3.5f &&
              labels.y == -1.0f);
  const vane_example_feature integers[] = {INTEGERS("angle", 1, 450), INTEGERS("magnitude", 1, 7),
                                           INTEGERS("position", 2, 30, 40),
                                           INTEGERS("present", 1, 1)};
  assert_ok(read_labels(integers, 4, &labels));
  assert_float_equal(labels.angle, (PI / 2), 1e-6);
  assert_true(labels.magnitude == 7.0f && labels.x == 30.0f && labels.y == 40.0f);
}

static void angles_come_in_either_unit_or_as_sine_and_cosine(void **state) {
  (void)state;
  vane_labels labels;
  const vane_example_feature sin_cos[] = {FLOATS("sin_cos", 2, -3.0f, 0.0f)};
  assert_ok(read_labels(sin_cos, 1, &labels));
  assert_float_equal(labels.angle, (-PI / 2), 1e-6);
  /* The angle itself goes first. */
  const vane_example_feature both[] = {FLOATS("sin_cos", 2, -3.0f, 0.0f), FLOATS("angle", 1, 2.0f)};
  config.data_angle_unit = VANE_ANGLE_UNIT_RAD;
  assert_ok(read_labels(both, 2, &labels));
  assert_float_equal(labels.angle, 2.0, 1e-6);
}

static void features_have_the_names_of_the_settings(void **state) {
  (void)state;
  snprintf(config.data_features_angle, sizeof config.data_features_angle, "heading");
  snprintf(config.data_features_magnitude, sizeof config.data_features_magnitude, "speed");
  const vane_example_feature features[] = {FLOATS("heading", 1, 45.0f), FLOATS("speed", 1, 6.0f),
                                           FLOATS("magnitude", 1, 1.0f)};
  vane_labels labels;
  assert_ok(read_labels(features, 3, &labels));
  assert_float_equal(labels.angle, (PI / 4), 1e-6);
  assert_true(labels.magnitude == 6.0f);
}

static void a_missing_label_is_unknown_and_an_absent_object_has_none(void **state) {
  (void)state;
  vane_labels labels;
  assert_ok(read_labels(NULL, 0, &labels));
  assert_true(labels.present == 1.0f && labels.known == VANE_LABEL_PRESENT);
  assert_true(labels.angle == 0.0f && labels.magnitude == 0.0f && labels.x == 0.0f);
  const vane_example_feature absent[] = {INTEGERS("present", 1, 0), FLOATS("angle", 1, 10.0f),
                                         FLOATS("magnitude", 1, 1.0f),
                                         FLOATS("position", 2, 1.0f, 1.0f)};
  assert_ok(read_labels(absent, 4, &labels));
  assert_true(labels.present == 0.0f && labels.known == VANE_LABEL_PRESENT);
  assert_true(labels.angle == 0.0f && labels.magnitude == 0.0f && labels.y == 0.0f);
}

static void labels_that_are_none_are_refused(void **state) {
  (void)state;
  const struct {
    vane_example_feature feature;
    const char *message;
  } bad[] = {
      {FLOATS("angle", 1, NAN), "feature 'angle' is nan"},
      {FLOATS("magnitude", 1, INFINITY), "feature 'magnitude' is inf"},
      {FLOATS("position", 2, 0.0f, -INFINITY), "feature 'position' is -inf"},
      {FLOATS("position", 1, 1.0f), "feature 'position' has 1 values instead of 2"},
      {FLOATS("angle", 2, 1.0f, 2.0f), "feature 'angle' has 2 values instead of 1"},
      {FLOATS("sin_cos", 2, 0.0f, 1e-9f), "points nowhere"},
      {FLOATS("sin_cos", 3, 0.0f, 1.0f, 0.0f), "feature 'sin_cos' has 3 values"},
      {FLOATS("present", 1, 0.5f), "feature 'present' is 0.5"},
      {INTEGERS("present", 1, 2), "feature 'present' is 2"},
      {{.name = "magnitude", .bytes = "7", .n_values = 1}, "magnitude"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    vane_labels labels;
    assert_fails(read_labels(&bad[i].feature, 1, &labels), VANE_ERR_FORMAT, bad[i].message);
  }
}

static void images_are_png_files_or_raw_pixels(void **state) {
  (void)state;
  const uint8_t image[12] = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 255};
  uint8_t pixels[12];
  assert_ok(vane_record_pixels(image, 12, 3, 4, 1, pixels));
  assert_memory_equal(pixels, image, 12);
  unsigned char *png;
  size_t n_bytes;
  assert_ok(vane_png_encode(image, 3, 4, 1, &png, &n_bytes));
  memset(pixels, 0, sizeof pixels);
  assert_ok(vane_record_pixels(png, n_bytes, 3, 4, 1, pixels));
  assert_memory_equal(pixels, image, 12);
  assert_fails(vane_record_pixels(png, n_bytes, 4, 3, 1, pixels), VANE_ERR_FORMAT, "3 x 4");
  assert_fails(vane_record_pixels(png, n_bytes - 9, 3, 4, 1, pixels), VANE_ERR_FORMAT, "PNG");
  assert_fails(vane_record_pixels(image, 11, 3, 4, 1, pixels), VANE_ERR_FORMAT,
               "would be 12 bytes instead of 11");
  free(png);
}

static void a_record_without_an_image_is_refused(void **state) {
  (void)state;
  const vane_example_feature other = {.name = "picture", .bytes = "x", .n_values = 1};
  vane_example_message *message = make(&other, 1);
  const void *bytes;
  size_t n_bytes;
  assert_fails(vane_record_image(&config, message, &bytes, &n_bytes), VANE_ERR_FORMAT,
               "no feature 'image'");
  vane_example_destroy(message);
}

static void assert_round_trip(const uint8_t *image, const vane_labels *labels) {
  unsigned char *record;
  size_t n_bytes;
  vane_example_message *message;
  assert_ok(vane_record_print(&config, image, labels, &record, &n_bytes));
  assert_ok(vane_example_parse(record, n_bytes, &message));
  free(record);
  vane_labels read;
  assert_ok(vane_record_labels(&config, message, &read));
  assert_int_equal(read.known, labels->known);
  assert_true(read.present == labels->present && read.magnitude == labels->magnitude);
  assert_true(read.x == labels->x && read.y == labels->y);
  assert_float_equal(read.angle, labels->angle, 3e-7);
  const void *bytes;
  uint8_t pixels[12];
  assert_ok(vane_record_image(&config, message, &bytes, &n_bytes));
  assert_ok(vane_record_pixels(bytes, n_bytes, 3, 4, 1, pixels));
  assert_memory_equal(pixels, image, 12);
  vane_example_destroy(message);
}

static void what_is_written_reads_back(void **state) {
  (void)state;
  const uint8_t image[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const vane_labels labels[] = {
      {1.0f, -2.5f, 3.25f, 10.125f, -4.0f, 15},
      {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, VANE_LABEL_PRESENT},
      {1.0f, 1.0f, 0.0f, 0.0f, 0.0f, VANE_LABEL_PRESENT | VANE_LABEL_ANGLE},
  };
  for (int unit = 0; unit < 2; unit++)
    for (int i = 0; i < 3; i++) {
      config.data_angle_unit = unit ? VANE_ANGLE_UNIT_RAD : VANE_ANGLE_UNIT_DEG;
      assert_round_trip(image, &labels[i]);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(floats_and_integers_are_labels, configure),
      cmocka_unit_test_setup(angles_come_in_either_unit_or_as_sine_and_cosine, configure),
      cmocka_unit_test_setup(features_have_the_names_of_the_settings, configure),
      cmocka_unit_test_setup(a_missing_label_is_unknown_and_an_absent_object_has_none, configure),
      cmocka_unit_test_setup(labels_that_are_none_are_refused, configure),
      cmocka_unit_test_setup(images_are_png_files_or_raw_pixels, configure),
      cmocka_unit_test_setup(a_record_without_an_image_is_refused, configure),
      cmocka_unit_test_setup(what_is_written_reads_back, configure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
