#include "cli/paint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define PI 3.14159265358979323846

/* Warm to cold, apart also for eyes that do not tell red from green. */
static const vane_colour absent = {1.00, 0.42, 0.29}, unsure = {1.00, 0.82, 0.40},
                         present = {0.18, 0.90, 0.77};
static const vane_colour shadow = {0.03, 0.05, 0.08};

const vane_colour colour_background = {0.055, 0.067, 0.090}, colour_text = {0.90, 0.93, 0.95},
                  colour_faint = {0.55, 0.58, 0.62}, colour_truth = {1, 1, 1};

/* An arrow's length as a share of the image's shorter side. */
#define LONGEST_ARROW  0.42
#define SHORTEST_ARROW 0.08
#define UNKNOWN_ARROW  0.30 /* where nobody says how large the object is */

static vane_colour mix(vane_colour a, vane_colour b, double share) {
  return (vane_colour){a.red + share * (b.red - a.red), a.green + share * (b.green - a.green),
                       a.blue + share * (b.blue - a.blue)};
}

vane_colour colour_of_presence(double probability) {
  if (!(probability < 1))
    return present;
  return probability < 0.5 ? mix(absent, unsure, 2 * probability)
                           : mix(unsure, present, 2 * probability - 1);
}

void paint_set_colour(cairo_t *canvas, vane_colour colour, double opacity) {
  cairo_set_source_rgba(canvas, colour.red, colour.green, colour.blue, opacity);
}

/* --- arrows --- */

/* Calls `draw` once per way, with +x along the arrow and the arrow's foot as the origin. */
static void for_each_way(cairo_t *canvas, const vane_arrow *arrow,
                         void (*draw)(cairo_t *canvas, const vane_arrow *arrow)) {
  for (int way = 0; way < arrow->n_ways; way++) {
    cairo_save(canvas);
    cairo_translate(canvas, arrow->x, arrow->y);
    cairo_rotate(canvas, -(arrow->angle + 2 * PI * way / arrow->n_ways)); /* y points down */
    draw(canvas, arrow);
    cairo_restore(canvas);
  }
}

static void outline_bold(cairo_t *canvas, const vane_arrow *arrow) {
  double half = arrow->thickness / 2;
  if (arrow->n_ways > 1) {
    cairo_rectangle(canvas, 0, -half, arrow->length, arrow->thickness);
    return;
  }
  double head = fmin(3.6 * arrow->thickness, 0.7 * arrow->length), neck = arrow->length - head;
  cairo_move_to(canvas, 0, -half);
  cairo_line_to(canvas, neck + 0.15 * head, -half);
  cairo_line_to(canvas, neck, -head / 2);
  cairo_line_to(canvas, arrow->length, 0);
  cairo_line_to(canvas, neck, head / 2);
  cairo_line_to(canvas, neck + 0.15 * head, half);
  cairo_line_to(canvas, 0, half);
  cairo_close_path(canvas);
}

void paint_bold_arrow(cairo_t *canvas, const vane_arrow *arrow, vane_colour colour) {
  cairo_new_path(canvas);
  cairo_arc(canvas, arrow->x, arrow->y, 1.1 * arrow->thickness, 0, 2 * PI);
  cairo_close_path(canvas);
  for_each_way(canvas, arrow, outline_bold);
  cairo_set_line_join(canvas, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_width(canvas, 0.9 * arrow->thickness);
  paint_set_colour(canvas, shadow, 0.7);
  cairo_stroke_preserve(canvas);
  paint_set_colour(canvas, colour, 1);
  cairo_fill(canvas);
}

static void outline_thin(cairo_t *canvas, const vane_arrow *arrow) {
  double head = fmin(4.5 * arrow->thickness, 0.4 * arrow->length);
  cairo_move_to(canvas, 0, 0);
  cairo_line_to(canvas, arrow->length, 0);
  if (arrow->n_ways > 1)
    return;
  cairo_move_to(canvas, arrow->length - head, -0.7 * head);
  cairo_line_to(canvas, arrow->length, 0);
  cairo_line_to(canvas, arrow->length - head, 0.7 * head);
}

void paint_thin_arrow(cairo_t *canvas, const vane_arrow *arrow, vane_colour colour) {
  cairo_new_path(canvas);
  for_each_way(canvas, arrow, outline_thin);
  cairo_set_line_join(canvas, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_cap(canvas, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_width(canvas, 2.4 * arrow->thickness);
  paint_set_colour(canvas, shadow, 0.6);
  cairo_stroke_preserve(canvas);
  cairo_set_line_width(canvas, arrow->thickness);
  paint_set_colour(canvas, colour, 1);
  cairo_stroke(canvas);
}

/* --- an image with its arrows --- */

static cairo_surface_t *make_surface(const vane_overlay *overlay, const uint8_t *pixels) {
  cairo_surface_t *surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)overlay->width, (int)overlay->height);
  if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS)
    return surface;
  int64_t c = overlay->channels;
  size_t stride = (size_t)cairo_image_surface_get_stride(surface);
  unsigned char *rows = cairo_image_surface_get_data(surface);
  for (int64_t y = 0; y < overlay->height; y++)
    for (int64_t x = 0; x < overlay->width; x++) {
      const uint8_t *from = pixels + (y * overlay->width + x) * c;
      uint32_t red = from[0], green = from[c / 2], blue = from[c - 1]; /* grey: all the same */
      uint32_t value = red << 16 | green << 8 | blue;
      memcpy(rows + (size_t)y * stride + 4 * (size_t)x, &value, sizeof value);
    }
  cairo_surface_mark_dirty(surface);
  return surface;
}

static void trace_rounded(cairo_t *canvas, double x, double y, double width, double height,
                          double radius) {
  cairo_new_sub_path(canvas);
  cairo_arc(canvas, x + width - radius, y + radius, radius, -PI / 2, 0);
  cairo_arc(canvas, x + width - radius, y + height - radius, radius, 0, PI / 2);
  cairo_arc(canvas, x + radius, y + height - radius, radius, PI / 2, PI);
  cairo_arc(canvas, x + radius, y + radius, radius, PI, 3 * PI / 2);
  cairo_close_path(canvas);
}

static vane_status paint_image(cairo_t *canvas, const vane_overlay *overlay,
                               const vane_picture *picture, double scale) {
  cairo_surface_t *surface = make_surface(overlay, picture->pixels);
  cairo_status_t result = cairo_surface_status(surface);
  cairo_save(canvas);
  cairo_scale(canvas, scale, scale);
  cairo_set_source_surface(canvas, surface, 0, 0);
  cairo_pattern_set_filter(cairo_get_source(canvas), CAIRO_FILTER_BILINEAR);
  cairo_pattern_set_extend(cairo_get_source(canvas), CAIRO_EXTEND_PAD);
  cairo_paint(canvas);
  cairo_restore(canvas);
  cairo_surface_destroy(surface);
  if (result != CAIRO_STATUS_SUCCESS)
    return vane_fail_foreign(VANE_ERR_MEMORY, result, cairo_status_to_string(result),
                             "%s: cannot draw it", picture->name);
  return VANE_OK;
}

static double arrow_length(const vane_overlay *overlay, double magnitude) {
  double side = (double)(overlay->width < overlay->height ? overlay->width : overlay->height);
  if (!isfinite(magnitude) || !(overlay->longest > 0))
    return UNKNOWN_ARROW * side;
  double share = LONGEST_ARROW * magnitude / overlay->longest;
  return side * fmin(fmax(share, SHORTEST_ARROW), LONGEST_ARROW);
}

/* Centres of pixels have whole coordinates, canvas pixels begin at whole ones. Nobody says where:
 * the middle. */
static vane_arrow place_arrow(const vane_overlay *overlay, double x, double y, double angle,
                              double magnitude, double scale) {
  bool placed = isfinite(x) && isfinite(y);
  return (vane_arrow){.x = scale * (placed ? x + 0.5 : 0.5 * (double)overlay->width),
                      .y = scale * (placed ? y + 0.5 : 0.5 * (double)overlay->height),
                      .angle = angle,
                      .length = scale * arrow_length(overlay, magnitude),
                      .n_ways = overlay->n_ways};
}

/* One standard deviation either way. */
static void paint_spread(cairo_t *canvas, const vane_arrow *arrow, double deviation,
                         vane_colour colour) {
  double period = 2 * PI / arrow->n_ways, half = fmin(deviation, period / 2);
  paint_set_colour(canvas, colour, 0.2);
  for (int way = 0; way < arrow->n_ways; way++) {
    double angle = -(arrow->angle + way * period);
    cairo_move_to(canvas, arrow->x, arrow->y);
    cairo_arc(canvas, arrow->x, arrow->y, arrow->length, angle - half, angle + half);
    cairo_close_path(canvas);
  }
  cairo_fill(canvas);
}

static void paint_answer(cairo_t *canvas, const vane_overlay *overlay, const vane_answer *answer,
                         double scale, double thickness) {
  if (!isfinite(answer->angle))
    return;
  vane_arrow arrow =
      place_arrow(overlay, answer->x, answer->y, answer->angle, answer->magnitude, scale);
  vane_colour colour = colour_of_presence(answer->present);
  bool faint = answer->present < 0.5; /* then direction and size say little */
  arrow.thickness = thickness;
  if (isfinite(answer->angle_std) && !faint)
    paint_spread(canvas, &arrow, answer->angle_std, colour);
  cairo_push_group(canvas);
  paint_bold_arrow(canvas, &arrow, colour);
  cairo_pop_group_to_source(canvas);
  cairo_paint_with_alpha(canvas, faint ? 0.35 : 1);
}

static void paint_label(cairo_t *canvas, const vane_overlay *overlay, const vane_labels *labels,
                        double scale, double thickness) {
  if (!(labels->known & VANE_LABEL_ANGLE))
    return;
  bool placed = labels->known & VANE_LABEL_POSITION, sized = labels->known & VANE_LABEL_MAGNITUDE;
  vane_arrow arrow = place_arrow(overlay, placed ? (double)labels->x : (double)NAN,
                                 placed ? (double)labels->y : (double)NAN, (double)labels->angle,
                                 sized ? (double)labels->magnitude : (double)NAN, scale);
  arrow.thickness = thickness;
  paint_thin_arrow(canvas, &arrow, colour_truth);
}

vane_status paint_picture(cairo_t *canvas, const vane_overlay *overlay, const vane_picture *picture,
                          double x, double y, double width) {
  double scale = width / (double)overlay->width, height = scale * (double)overlay->height;
  double radius = 0.03 * width;
  cairo_save(canvas);
  trace_rounded(canvas, x, y, width, height, radius);
  cairo_clip(canvas);
  cairo_translate(canvas, x, y);
  vane_status status = paint_image(canvas, overlay, picture, scale);
  paint_answer(canvas, overlay, picture->answer, scale, 0.022 * width);
  paint_label(canvas, overlay, picture->labels, scale, 0.009 * width);
  cairo_restore(canvas);
  trace_rounded(canvas, x, y, width, height, radius);
  paint_set_colour(canvas, colour_of_presence(picture->answer->present), 0.55);
  cairo_set_line_width(canvas, 1.5);
  cairo_stroke(canvas);
  return status;
}

/* --- text --- */

static double text_width(cairo_t *canvas, const char *text) {
  cairo_text_extents_t extents;
  cairo_text_extents(canvas, text, &extents);
  return extents.x_advance;
}

/* Takes bytes off the end, whole UTF-8 characters, until the rest fits together with the dots. */
static void shorten(cairo_t *canvas, double most, char *text) {
  static const char dots[] = "\xe2\x80\xa6";
  size_t length = strlen(text);
  while (length > 0 && text_width(canvas, text) > most) {
    do
      length--;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80);
    strcpy(text + length, dots);
  }
}

double paint_text(cairo_t *canvas, double x, double y, double size, vane_font font,
                  vane_colour colour, double most, const char *text) {
  char fitted[512];
  snprintf(fitted, sizeof fitted - 4, "%s", text); /* the dots take three bytes */
  cairo_select_font_face(canvas, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                         font == FONT_BOLD ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(canvas, size);
  shorten(canvas, most, fitted);
  paint_set_colour(canvas, colour, 1);
  cairo_move_to(canvas, x, y);
  cairo_show_text(canvas, fitted);
  return x + text_width(canvas, fitted);
}
