/* data/transform.h: what is drawn in the image is found again where the labels say. */
#include "scratch.h"

#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/transform.h"

#define HEIGHT 61
#define WIDTH  75
#define PI     3.1415926535897932384626433832795

#define ALL_LABELS                                                                                 \
  (VANE_LABEL_PRESENT | VANE_LABEL_ANGLE | VANE_LABEL_MAGNITUDE | VANE_LABEL_POSITION)

/* A soft spot that bilinear sampling moves without distorting its centre of gravity. */
static void add_spot(uint8_t *pixels, double x, double y, double brightness) {
  for (int row = 0; row < HEIGHT; row++)
    for (int column = 0; column < WIDTH; column++) {
      double d2 = pow(column - x, 2.0) + pow(row - y, 2.0);
      double value = pixels[row * WIDTH + column] + brightness * exp(-d2 / 8.0);
      pixels[row * WIDTH + column] = (uint8_t)lround(fmin(value, 255.0));
    }
}

static void find_spot(const uint8_t *pixels, double *x, double *y) {
  double sum = 0.0, sum_x = 0.0, sum_y = 0.0;
  for (int row = 0; row < HEIGHT; row++)
    for (int column = 0; column < WIDTH; column++) {
      double value = pixels[row * WIDTH + column];
      sum += value;
      sum_x += value * column;
      sum_y += value * row;
    }
  *x = sum_x / sum;
  *y = sum_y / sum;
}

static const vane_transform identity = {
    .scale = 1.0, .from_x = 37.0, .from_y = 30.0, .to_x = 37.0, .to_y = 30.0};

static void apply(const vane_transform *transform, const uint8_t *input, uint8_t *output) {
  vane_transform_pixels(transform, input, HEIGHT, WIDTH, 1, output, HEIGHT, WIDTH);
}

static void the_identity_changes_nothing(void **state) {
  (void)state;
  static uint8_t input[HEIGHT * WIDTH], output[HEIGHT * WIDTH];
  for (size_t i = 0; i < sizeof input; i++)
    input[i] = (uint8_t)(i * 37 + i / 11);
  apply(&identity, input, output);
  assert_memory_equal(input, output, sizeof input);
  vane_labels labels = {1.0f, 0.5f, 2.0f, 3.0f, 4.0f, ALL_LABELS}, before = labels;
  vane_transform_labels(&identity, &labels);
  assert_memory_equal(&labels, &before, sizeof labels);
}

static void whole_shifts_move_pixels_and_let_black_in(void **state) {
  (void)state;
  static uint8_t input[HEIGHT * WIDTH * 3], output[HEIGHT * WIDTH * 3];
  for (size_t i = 0; i < sizeof input; i++)
    input[i] = (uint8_t)(1 + i % 255);
  vane_transform shift = identity;
  shift.to_x += 3.0;
  shift.to_y -= 2.0;
  vane_transform_pixels(&shift, input, HEIGHT, WIDTH, 3, output, HEIGHT, WIDTH);
  for (int row = 0; row < HEIGHT; row++)
    for (int column = 0; column < WIDTH; column++)
      for (int c = 0; c < 3; c++) {
        bool inside = column >= 3 && row < HEIGHT - 2;
        uint8_t expected = inside ? input[((row + 2) * WIDTH + column - 3) * 3 + c] : 0;
        assert_int_equal(output[(row * WIDTH + column) * 3 + c], expected);
      }
}

/* A quarter turn counter-clockwise brings what was right of the centre above it. */
static void a_quarter_turn_brings_the_right_side_to_the_top(void **state) {
  (void)state;
  static uint8_t input[HEIGHT * WIDTH], output[HEIGHT * WIDTH];
  memset(input, 0, sizeof input);
  input[30 * WIDTH + 37 + 10] = 200;
  vane_transform turn = identity;
  turn.angle = PI / 2;
  apply(&turn, input, output);
  assert_int_equal(output[(30 - 10) * WIDTH + 37], 200);
  vane_labels labels = {1.0f, 0.0f, 1.0f, 47.0f, 30.0f, ALL_LABELS};
  vane_transform_labels(&turn, &labels);
  assert_float_equal(labels.angle, PI / 2, 1e-6);
  assert_float_equal(labels.x, 37.0, 1e-5);
  assert_float_equal(labels.y, 20.0, 1e-5);
}

static void a_mirror_changes_left_and_right(void **state) {
  (void)state;
  static uint8_t input[HEIGHT * WIDTH], output[HEIGHT * WIDTH];
  memset(input, 0, sizeof input);
  input[20 * WIDTH + 50] = 90;
  vane_transform mirror = identity;
  mirror.flip = true;
  apply(&mirror, input, output);
  assert_int_equal(output[20 * WIDTH + 24], 90);
  vane_labels labels = {1.0f, (float)(PI / 6), 1.0f, 50.0f, 20.0f, ALL_LABELS};
  vane_transform_labels(&mirror, &labels);
  assert_float_equal(labels.angle, (5 * PI / 6), 1e-6);
  assert_float_equal(labels.x, 24.0, 1e-5);
  assert_float_equal(labels.y, 20.0, 1e-5);
}

static double uniform(uint64_t draw, uint64_t index, double low, double high) {
  return low + (high - low) * vane_random_uniform(1, VANE_RANDOM_AUGMENT, draw, index);
}

/* The object is a spot at its position and one in its direction at 5 pixels times its magnitude.
 * Both are found by their centre of gravity in the moved image. */
static void labels_turn_along_with_pixels(void **state) {
  (void)state;
  static uint8_t here[HEIGHT * WIDTH], ahead[HEIGHT * WIDTH], moved[HEIGHT * WIDTH];
  for (uint64_t draw = 0; draw < 200; draw++) {
    vane_labels labels = {.present = 1.0f, .magnitude = 1.0f, .known = ALL_LABELS};
    labels.angle = (float)uniform(draw, 0, -PI, PI);
    labels.x = (float)uniform(draw, 1, 34.0, 40.0);
    labels.y = (float)uniform(draw, 2, 27.0, 33.0);
    double tip_x = (double)labels.x + 5.0 * cos((double)labels.angle);
    double tip_y = (double)labels.y - 5.0 * sin((double)labels.angle);
    memset(here, 0, sizeof here);
    memset(ahead, 0, sizeof ahead);
    add_spot(here, (double)labels.x, (double)labels.y, 200.0);
    add_spot(ahead, tip_x, tip_y, 200.0);
    vane_transform transform = {
        .flip = draw % 2 == 1,
        .angle = uniform(draw, 3, -PI, PI),
        .scale = uniform(draw, 4, 0.7, 1.5),
        .from_x = 37.0,
        .from_y = 30.0,
        .to_x = 37.0 + uniform(draw, 5, -3.0, 3.0),
        .to_y = 30.0 + uniform(draw, 6, -3.0, 3.0),
    };
    vane_transform_labels(&transform, &labels);
    assert_float_equal(labels.magnitude, transform.scale, 1e-6);
    assert_true(labels.angle >= -3.1415927f && labels.angle <= 3.1415927f);
    double x, y;
    apply(&transform, here, moved);
    find_spot(moved, &x, &y);
    assert_true(hypot(x - (double)labels.x, y - (double)labels.y) < 0.1);
    apply(&transform, ahead, moved);
    find_spot(moved, &x, &y);
    double reach = 5.0 * (double)labels.magnitude;
    assert_true(hypot(x - (double)labels.x - reach * cos((double)labels.angle),
                      y - (double)labels.y + reach * sin((double)labels.angle)) < 0.1);
  }
}

static void unknown_labels_stay_unknown(void **state) {
  (void)state;
  vane_transform transform = {true, 1.0, 2.0, 5.0, 5.0, 9.0, 3.0};
  vane_labels labels = {.known = VANE_LABEL_PRESENT}, before = labels;
  vane_transform_labels(&transform, &labels);
  assert_memory_equal(&labels, &before, sizeof labels);
}

static void augmentation_keeps_to_its_limits(void **state) {
  (void)state;
  static vane_config config;
  vane_config_init(&config);
  config.n_model_input = 3;
  config.model_input[0] = 21;
  config.model_input[1] = 41;
  assert_false(vane_augment_wanted(&config));
  config.data_augment_rotate = 30.0;
  config.data_augment_flip = true;
  config.data_augment_scale = 2.0;
  config.data_augment_shift = 4.0;
  assert_true(vane_augment_wanted(&config));
  double low_angle = 9, high_angle = -9, low_scale = 9, high_scale = 0, low_x = 99, high_y = -99;
  int n_flips = 0;
  for (uint64_t draw = 0; draw < 4000; draw++) {
    vane_transform t = vane_augment_draw(&config, draw);
    assert_true(t.from_x == 20.0 && t.from_y == 10.0);
    low_angle = fmin(low_angle, t.angle);
    high_angle = fmax(high_angle, t.angle);
    low_scale = fmin(low_scale, t.scale);
    high_scale = fmax(high_scale, t.scale);
    low_x = fmin(low_x, t.to_x);
    high_y = fmax(high_y, t.to_y);
    n_flips += t.flip;
  }
  assert_true(low_angle >= -PI / 6 && low_angle < -0.51 && high_angle <= PI / 6 &&
              high_angle > 0.51);
  assert_true(low_scale >= 0.5 && low_scale < 0.51 && high_scale <= 2.0 && high_scale > 1.97);
  assert_true(low_x >= 16.0 && low_x < 16.1 && high_y <= 14.0 && high_y > 13.9);
  assert_in_range(n_flips, 1850, 2150);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_identity_changes_nothing),
      cmocka_unit_test(whole_shifts_move_pixels_and_let_black_in),
      cmocka_unit_test(a_quarter_turn_brings_the_right_side_to_the_top),
      cmocka_unit_test(a_mirror_changes_left_and_right),
      cmocka_unit_test(labels_turn_along_with_pixels),
      cmocka_unit_test(unknown_labels_stay_unknown),
      cmocka_unit_test(augmentation_keeps_to_its_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
