/* What pictures of answers are made of: enlarged images, arrows, text. Lengths are canvas pixels;
 * angles radians, counter-clockwise as seen, although y points down. */
#ifndef VANE_CLI_PAINT_H
#define VANE_CLI_PAINT_H

#include <cairo.h>
#include <stdbool.h>

#include "cli/overlay.h"

typedef struct vane_colour {
  double red, green, blue;
} vane_colour;

extern const vane_colour colour_background, colour_text, colour_faint, colour_truth;

/* From absent (0) over unsure to present (1); NaN, where nobody asked, counts as present. */
vane_colour colour_of_presence(double probability);

void paint_set_colour(cairo_t *canvas, vane_colour colour, double opacity);

/* An arrow as predictions are drawn, and one as labels are. `n_ways` 1: an arrow; 2: a line with
 * two ends; 4: a cross; for objects that look the same after part of a turn. */
typedef struct vane_arrow {
  double x, y, angle, length, thickness;
  int n_ways;
} vane_arrow;
void paint_bold_arrow(cairo_t *canvas, const vane_arrow *arrow, vane_colour colour);
void paint_thin_arrow(cairo_t *canvas, const vane_arrow *arrow, vane_colour colour);

/* The picture's image, `width` wide, its top left corner at (x, y), with both arrows in it. */
vane_status paint_picture(cairo_t *canvas, const vane_overlay *overlay, const vane_picture *picture,
                          double x, double y, double width);

typedef enum vane_font { FONT_PLAIN, FONT_BOLD } vane_font;

/* Text whose line begins at (x, y); returns where it ends. Text that would be longer than `most` is
 * cut, with an ellipsis. */
double paint_text(cairo_t *canvas, double x, double y, double size, vane_font font,
                  vane_colour colour, double most, const char *text);

#endif
