#include "data/transform.h"

#include <math.h>

#define TWO_PI 6.283185307179586476925286766559

/* A point of the input between its pixels. */
typedef struct image_view {
  const uint8_t *pixels;
  int64_t height, width, channels;
} image_view;

static double pixel_or_black(const image_view *image, int64_t x, int64_t y, int64_t channel) {
  if (x < 0 || y < 0 || x >= image->width || y >= image->height)
    return 0.0;
  return image->pixels[(y * image->width + x) * image->channels + channel];
}

static double blend(double top_left, double top_right, double bottom_left, double bottom_right,
                    double right, double down) {
  double top = top_left + (top_right - top_left) * right;
  double bottom = bottom_left + (bottom_right - bottom_left) * right;
  return top + (bottom - top) * down;
}

static void sample(const image_view *image, double x, double y, uint8_t *output) {
  int64_t channels = image->channels;
  if (!(x > -1.0 && y > -1.0 && x < (double)image->width && y < (double)image->height)) {
    for (int64_t c = 0; c < channels; c++)
      output[c] = 0;
    return;
  }
  /* Both are above -1, so that truncating after adding 1 rounds down. */
  int64_t left = (int64_t)(x + 1.0) - 1, top = (int64_t)(y + 1.0) - 1;
  double right = x - (double)left, down = y - (double)top;
  if (left >= 0 && top >= 0 && left + 1 < image->width && top + 1 < image->height) {
    const uint8_t *above = image->pixels + (top * image->width + left) * channels;
    const uint8_t *below = above + image->width * channels;
    for (int64_t c = 0; c < channels; c++)
      output[c] = (uint8_t)(0.5 + blend(above[c], above[channels + c], below[c],
                                        below[channels + c], right, down));
    return;
  }
  for (int64_t c = 0; c < channels; c++)
    output[c] = (uint8_t)(0.5 + blend(pixel_or_black(image, left, top, c),
                                      pixel_or_black(image, left + 1, top, c),
                                      pixel_or_black(image, left, top + 1, c),
                                      pixel_or_black(image, left + 1, top + 1, c), right, down));
}

void vane_transform_pixels(const vane_transform *transform, const uint8_t *input, int64_t height,
                           int64_t width, int64_t channels, uint8_t *output, int64_t out_height,
                           int64_t out_width) {
  image_view image = {input, height, width, channels};
  /* The way back: from a step in the output to the step in the input. y points down, so a turn
   * counter-clockwise as seen takes (1, 0) to (cos, -sin). */
  double across = transform->flip ? -1.0 : 1.0;
  double cosine = cos(transform->angle) / transform->scale;
  double sine = sin(transform->angle) / transform->scale;
  for (int64_t row = 0; row < out_height; row++) {
    double dy = (double)row - transform->to_y;
    for (int64_t column = 0; column < out_width; column++) {
      double dx = (double)column - transform->to_x;
      double x = transform->from_x + across * (cosine * dx - sine * dy);
      double y = transform->from_y + (sine * dx + cosine * dy);
      sample(&image, x, y, output + (row * out_width + column) * channels);
    }
  }
}

void vane_transform_labels(const vane_transform *transform, vane_labels *labels) {
  if (labels->known & VANE_LABEL_ANGLE) {
    double angle = transform->flip ? TWO_PI / 2 - (double)labels->angle : (double)labels->angle;
    labels->angle = (float)remainder(angle + transform->angle, TWO_PI);
  }
  if (labels->known & VANE_LABEL_MAGNITUDE)
    labels->magnitude = (float)((double)labels->magnitude * transform->scale);
  if (labels->known & VANE_LABEL_POSITION) {
    double dx = (double)labels->x - transform->from_x, dy = (double)labels->y - transform->from_y;
    if (transform->flip)
      dx = -dx;
    double cosine = cos(transform->angle) * transform->scale;
    double sine = sin(transform->angle) * transform->scale;
    labels->x = (float)(transform->to_x + cosine * dx + sine * dy);
    labels->y = (float)(transform->to_y - sine * dx + cosine * dy);
  }
}
