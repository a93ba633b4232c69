#include "data/record.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/png.h"

#define RADIANS_PER_DEGREE 0.017453292519943295769236907684886
#define TWO_PI             6.283185307179586476925286766559

/* Shorter than this, rounding decides where a (sine, cosine) points. */
#define SHORTEST_DIRECTION 1e-6

/* Reads a feature of exactly `n` finite numbers; `found` is false where the record lacks it. */
static vane_status get_finite(const vane_example_message *message, const char *feature, int64_t n,
                              double *numbers, bool *found) {
  int64_t count;
  VANE_TRY(vane_example_get_numbers(message, feature, numbers, n, &count));
  *found = count > 0;
  if (count == 0)
    return VANE_OK;
  if (count != n)
    return vane_fail(VANE_ERR_FORMAT, "feature '%s' has %" PRId64 " values instead of %" PRId64,
                     feature, count, n);
  for (int64_t i = 0; i < n; i++)
    if (!isfinite((float)numbers[i]))
      return vane_fail(VANE_ERR_FORMAT, "feature '%s' is %g, which is no label", feature,
                       numbers[i]);
  return VANE_OK;
}

static vane_status get_present(const vane_config *config, const vane_example_message *message,
                               vane_labels *labels) {
  double present;
  bool found;
  VANE_TRY(get_finite(message, config->data_features_present, 1, &present, &found));
  if (!found)
    present = 1.0;
  if (present != 0.0 && present != 1.0)
    return vane_fail(VANE_ERR_FORMAT, "feature '%s' is %g; 0 and 1 are expected",
                     config->data_features_present, present);
  labels->present = (float)present;
  labels->known |= VANE_LABEL_PRESENT;
  return VANE_OK;
}

static vane_status get_angle(const vane_config *config, const vane_example_message *message,
                             vane_labels *labels) {
  double values[2];
  bool found;
  VANE_TRY(get_finite(message, config->data_features_angle, 1, values, &found));
  double angle = values[0];
  if (found && config->data_angle_unit == VANE_ANGLE_UNIT_DEG)
    angle = remainder(angle, 360.0) * RADIANS_PER_DEGREE;
  if (!found) {
    VANE_TRY(get_finite(message, config->data_features_sin_cos, 2, values, &found));
    if (!found)
      return VANE_OK;
    if (hypot(values[0], values[1]) < SHORTEST_DIRECTION)
      return vane_fail(VANE_ERR_FORMAT, "feature '%s' is (%g, %g), which points nowhere",
                       config->data_features_sin_cos, values[0], values[1]);
    angle = atan2(values[0], values[1]);
  }
  labels->angle = (float)remainder(angle, TWO_PI);
  labels->known |= VANE_LABEL_ANGLE;
  return VANE_OK;
}

vane_status vane_record_labels(const vane_config *config, const vane_example_message *message,
                               vane_labels *labels) {
  memset(labels, 0, sizeof *labels);
  VANE_TRY(get_present(config, message, labels));
  /* The others are checked for an absent object too: a NaN anywhere tells of a broken writer. */
  VANE_TRY(get_angle(config, message, labels));
  double values[2];
  bool found;
  VANE_TRY(get_finite(message, config->data_features_magnitude, 1, values, &found));
  if (found) {
    labels->magnitude = (float)values[0];
    labels->known |= VANE_LABEL_MAGNITUDE;
  }
  VANE_TRY(get_finite(message, config->data_features_position, 2, values, &found));
  if (found) {
    labels->x = (float)values[0];
    labels->y = (float)values[1];
    labels->known |= VANE_LABEL_POSITION;
  }
  if (labels->present == 0.0f)
    *labels = (vane_labels){.known = VANE_LABEL_PRESENT};
  return VANE_OK;
}

vane_status vane_record_image(const vane_config *config, const vane_example_message *message,
                              const void **bytes, size_t *n_bytes) {
  VANE_TRY(vane_example_get_bytes(message, config->data_features_image, bytes, n_bytes));
  if (!*bytes)
    return vane_fail(VANE_ERR_FORMAT,
                     "no feature '%s'; data.features.image names the one that holds the image",
                     config->data_features_image);
  return VANE_OK;
}

vane_status vane_record_pixels(const void *bytes, size_t n_bytes, int64_t height, int64_t width,
                               int64_t channels, uint8_t *pixels) {
  if (vane_png_detect(bytes, n_bytes))
    return vane_png_decode(bytes, n_bytes, height, width, channels, pixels);
  if (n_bytes != (size_t)(height * width * channels))
    return vane_fail(VANE_ERR_FORMAT,
                     "the image is no PNG file, and raw pixels of %" PRId64 " x %" PRId64
                     " x %" PRId64 " would be %" PRId64 " bytes instead of %zu",
                     height, width, channels, height * width * channels, n_bytes);
  memcpy(pixels, bytes, n_bytes);
  return VANE_OK;
}

vane_status vane_record_print(const vane_config *config, const uint8_t *pixels,
                              const vane_labels *labels, unsigned char **bytes, size_t *n_bytes) {
  const int64_t *size = config->model_input;
  unsigned char *png;
  size_t png_bytes;
  VANE_TRY(vane_png_encode(pixels, size[0], size[1], size[2], &png, &png_bytes));
  int64_t present = labels->present != 0.0f;
  bool degrees = config->data_angle_unit == VANE_ANGLE_UNIT_DEG;
  float angle = degrees ? (float)((double)labels->angle / RADIANS_PER_DEGREE) : labels->angle;
  float position[2] = {labels->x, labels->y};
  vane_example_feature features[5] = {
      {.name = config->data_features_image, .bytes = png, .n_values = (int64_t)png_bytes}};
  int64_t n = 1;
  if (labels->known & VANE_LABEL_PRESENT)
    features[n++] = (vane_example_feature){
        .name = config->data_features_present, .integers = &present, .n_values = 1};
  if (labels->known & VANE_LABEL_ANGLE)
    features[n++] = (vane_example_feature){
        .name = config->data_features_angle, .floats = &angle, .n_values = 1};
  if (labels->known & VANE_LABEL_MAGNITUDE)
    features[n++] = (vane_example_feature){
        .name = config->data_features_magnitude, .floats = &labels->magnitude, .n_values = 1};
  if (labels->known & VANE_LABEL_POSITION)
    features[n++] = (vane_example_feature){
        .name = config->data_features_position, .floats = position, .n_values = 2};
  vane_status status = vane_example_print(features, n, bytes, n_bytes);
  free(png);
  return status;
}
