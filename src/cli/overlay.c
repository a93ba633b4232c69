#include "cli/overlay.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/json.h"
#include "cli/paint.h"

#define DEGREES_PER_RADIAN 57.295779513082320876798154814105

#define TWO_PI 6.283185307179586476925286766559

#define DEGREE     "\xc2\xb0"
#define PLUS_MINUS "\xc2\xb1"

/* Canvas pixels. A picture's image and a sheet's tiles are so wide; a sheet of few columns has room
 * for larger ones. */
#define PICTURE_WIDTH    448
#define WIDE_TILE_WIDTH  208
#define TILE_WIDTH       188
#define MOST_WIDE_TILES  6
#define MARGIN           20
#define GAP              16
#define CAPTION_HEIGHT   46
#define TILE_TEXT_HEIGHT 44
#define LEGEND_HEIGHT    42

vane_overlay overlay_for(const vane_config *config, const vane_answer *answers,
                         const vane_labels *labels, int64_t n) {
  vane_overlay overlay = {.height = config->model_input[0],
                          .width = config->model_input[1],
                          .channels = config->model_input[2],
                          .n_ways = (int)lround(TWO_PI / vane_answer_period(config))};
  for (int64_t i = 0; i < n; i++) {
    bool absent = answers[i].present < 0.5;
    if (!absent && answers[i].magnitude > overlay.longest)
      overlay.longest = answers[i].magnitude;
    if (labels[i].known & VANE_LABEL_MAGNITUDE)
      overlay.longest = fmax(overlay.longest, (double)labels[i].magnitude);
  }
  return overlay;
}

static double image_height(const vane_overlay *overlay, double width) {
  return round(width * (double)overlay->height / (double)overlay->width);
}

/* --- numbers in words --- */

typedef struct caption {
  char text[192];
} caption;

static void add_part(caption *words, const char *format, ...) VANE_PRINTF(2, 3);

static void add_part(caption *words, const char *format, ...) {
  size_t length = strlen(words->text);
  if (length > 0)
    length += (size_t)snprintf(words->text + length, sizeof words->text - length, "  ");
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words->text + length, sizeof words->text - length, format, arguments);
  va_end(arguments);
}

/* A caption has room for everything; under a tile there is none for positions and digits, nor for
 * the direction and size of what is not there. */
typedef enum detail { DETAIL_TILE, DETAIL_CARD } detail;

/* Radians to degrees that print without the sign of a rounded zero. */
static double shown_degrees(double angle, int digits) {
  double unit = pow(10, -digits);
  return unit * round(angle * DEGREES_PER_RADIAN / unit) + 0.0;
}

/* What is not told is left out. */
static caption describe_answer(const vane_answer *answer, detail how_much) {
  caption words = {""};
  int digits = how_much == DETAIL_CARD ? 1 : 0;
  double degrees = shown_degrees(answer->angle, digits);
  if (isfinite(answer->present))
    add_part(&words, "%.0f %%", 100 * answer->present);
  if (how_much == DETAIL_TILE && answer->present < 0.5)
    return words;
  if (isfinite(degrees) && isfinite(answer->angle_std))
    add_part(&words, "%.*f" DEGREE " " PLUS_MINUS "%.*f", digits, degrees, digits,
             answer->angle_std * DEGREES_PER_RADIAN);
  else if (isfinite(degrees))
    add_part(&words, "%.*f" DEGREE, digits, degrees);
  if (isfinite(answer->magnitude))
    add_part(&words, "%.2f", answer->magnitude);
  if (how_much == DETAIL_CARD && isfinite(answer->x) && isfinite(answer->y))
    add_part(&words, "(%.1f, %.1f)", answer->x, answer->y);
  return words;
}

static caption describe_labels(const vane_labels *labels, detail how_much) {
  caption words = {""};
  int digits = how_much == DETAIL_CARD ? 1 : 0;
  if ((labels->known & VANE_LABEL_PRESENT) && labels->present == 0)
    add_part(&words, "absent");
  if (labels->known & VANE_LABEL_ANGLE)
    add_part(&words, "%.*f" DEGREE, digits, shown_degrees((double)labels->angle, digits));
  if (labels->known & VANE_LABEL_MAGNITUDE)
    add_part(&words, "%.2f", (double)labels->magnitude);
  if (how_much == DETAIL_CARD && (labels->known & VANE_LABEL_POSITION))
    add_part(&words, "(%.1f, %.1f)", (double)labels->x, (double)labels->y);
  return words;
}

/* The name without its folders, in the UTF-8 that cairo insists on. */
static caption describe_name(const char *name) {
  caption words;
  const char *slash = strrchr(name, '/');
  json_t *utf8 = json_of_text(slash ? slash + 1 : name);
  snprintf(words.text, sizeof words.text, "%s", json_string_value(utf8));
  json_decref(utf8);
  return words;
}

/* --- canvases --- */

static vane_status open_canvas(double width, double height, const char *path, cairo_t **canvas) {
  cairo_surface_t *surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
  *canvas = cairo_create(surface);
  cairo_surface_destroy(surface); /* the canvas keeps it */
  cairo_status_t result = cairo_status(*canvas);
  if (result != CAIRO_STATUS_SUCCESS)
    return vane_fail_foreign(VANE_ERR_MEMORY, result, cairo_status_to_string(result),
                             "%s: cannot draw %.0f x %.0f pixels", path, width, height);
  paint_set_colour(*canvas, colour_background, 1);
  cairo_paint(*canvas);
  return VANE_OK;
}

static vane_status write_canvas(cairo_t *canvas, const char *path) {
  cairo_status_t result = cairo_status(canvas);
  errno = 0;
  if (result == CAIRO_STATUS_SUCCESS)
    result = cairo_surface_write_to_png(cairo_get_target(canvas), path);
  if (result == CAIRO_STATUS_SUCCESS)
    return VANE_OK;
  return vane_fail_foreign(VANE_ERR_IO, result,
                           errno ? strerror(errno) : cairo_status_to_string(result),
                           "%s: cannot write this picture", path);
}

/* --- one picture --- */

/* A line of the caption: what it is, in faint letters, and what it says. */
static void paint_line(cairo_t *canvas, double y, const char *title, vane_colour colour,
                       const char *text) {
  paint_text(canvas, MARGIN, y, 13, FONT_PLAIN, colour_faint, 80, title);
  paint_text(canvas, MARGIN + 82, y, 15, FONT_BOLD, colour, PICTURE_WIDTH - 82, text);
}

static vane_status paint_card(cairo_t *canvas, const vane_overlay *overlay,
                              const vane_picture *picture) {
  double height = image_height(overlay, PICTURE_WIDTH), y = MARGIN + height + 30;
  VANE_TRY(paint_picture(canvas, overlay, picture, MARGIN, MARGIN, PICTURE_WIDTH));
  caption answer = describe_answer(picture->answer, DETAIL_CARD);
  paint_line(canvas, y, "predicted", colour_of_presence(picture->answer->present), answer.text);
  caption labels = describe_labels(picture->labels, DETAIL_CARD);
  caption name = describe_name(picture->name);
  if (labels.text[0])
    paint_line(canvas, y + 24, "label", colour_truth, labels.text);
  else
    paint_text(canvas, MARGIN, y + 24, 13, FONT_PLAIN, colour_faint, PICTURE_WIDTH, name.text);
  return VANE_OK;
}

vane_status overlay_write_picture(const vane_overlay *overlay, const vane_picture *picture,
                                  const char *path) {
  cairo_t *canvas;
  vane_status status = open_canvas(
      PICTURE_WIDTH + 2 * MARGIN,
      image_height(overlay, PICTURE_WIDTH) + 2 * MARGIN + CAPTION_HEIGHT, path, &canvas);
  if (status == VANE_OK)
    status = paint_card(canvas, overlay, picture);
  if (status == VANE_OK)
    status = write_canvas(canvas, path);
  cairo_destroy(canvas);
  return status;
}

/* --- the sheet --- */

typedef struct sheet {
  int64_t n_columns, n_rows;
  double tile_width, image_height; /* of one tile */
  double width, height;
} sheet;

/* Once to three times as wide as high, with as few empty places as can be; of equals the one
 * nearest to twice as wide. */
static int64_t choose_columns(int64_t n) {
  int64_t best = (int64_t)ceil(sqrt(2.0 * (double)n)), most = (int64_t)sqrt(3.0 * (double)n);
  for (int64_t columns = (int64_t)ceil(sqrt((double)n)); columns <= most; columns++)
    if ((columns - n % columns) % columns < (best - n % best) % best)
      best = columns;
  return best < n ? best : n;
}

static sheet plan_sheet(const vane_overlay *overlay, int64_t n) {
  sheet plan = {.n_columns = choose_columns(n)};
  plan.n_rows = (n + plan.n_columns - 1) / plan.n_columns;
  plan.tile_width = plan.n_columns <= MOST_WIDE_TILES ? WIDE_TILE_WIDTH : TILE_WIDTH;
  plan.image_height = image_height(overlay, plan.tile_width);
  plan.width = 2 * MARGIN + (double)plan.n_columns * (plan.tile_width + GAP) - GAP;
  plan.height =
      2 * MARGIN + (double)plan.n_rows * (plan.image_height + TILE_TEXT_HEIGHT + GAP) - GAP;
  return plan;
}

static vane_status paint_tile(cairo_t *canvas, const vane_overlay *overlay, const sheet *plan,
                              int64_t i, const vane_picture *picture) {
  double x = MARGIN + (double)(i % plan->n_columns) * (plan->tile_width + GAP);
  double y = MARGIN + (double)(i / plan->n_columns) * (plan->image_height + TILE_TEXT_HEIGHT + GAP);
  VANE_TRY(paint_picture(canvas, overlay, picture, x, y, plan->tile_width));
  y += plan->image_height;
  caption answer = describe_answer(picture->answer, DETAIL_TILE);
  caption labels = describe_labels(picture->labels, DETAIL_TILE);
  caption name = describe_name(picture->name);
  paint_text(canvas, x + 1, y + 19, 13, FONT_BOLD, colour_of_presence(picture->answer->present),
             plan->tile_width, answer.text);
  paint_text(canvas, x + 1, y + 37, 12, FONT_PLAIN, labels.text[0] ? colour_text : colour_faint,
             plan->tile_width, labels.text[0] ? labels.text : name.text);
  return VANE_OK;
}

static void paint_presence_scale(cairo_t *canvas, double x, double y, double width) {
  cairo_pattern_t *gradient = cairo_pattern_create_linear(x, 0, x + width, 0);
  for (int stop = 0; stop <= 2; stop++) {
    vane_colour colour = colour_of_presence(0.5 * stop);
    cairo_pattern_add_color_stop_rgb(gradient, 0.5 * stop, colour.red, colour.green, colour.blue);
  }
  cairo_rectangle(canvas, x, y, width, 8);
  cairo_set_source(canvas, gradient);
  cairo_fill(canvas);
  cairo_pattern_destroy(gradient);
}

/* Only what the tiles show is explained. */
static void paint_legend(cairo_t *canvas, const sheet *plan, bool labelled, int n_ways) {
  double left = MARGIN + 5, x = left, y = plan->height + 10;
  vane_arrow arrow = {.x = x, .y = y, .length = 34, .thickness = 4, .n_ways = n_ways};
  arrow.x += n_ways > 1 ? arrow.length / 2 : 0;
  arrow.length /= n_ways > 1 ? 2 : 1;
  paint_bold_arrow(canvas, &arrow, colour_of_presence(1));
  x = paint_text(canvas, x + 44, y + 4, 13, FONT_PLAIN, colour_text, 100, "predicted") + 24;
  if (labelled) {
    arrow.x += x - left;
    arrow.thickness = 1.8;
    paint_thin_arrow(canvas, &arrow, colour_truth);
    x = paint_text(canvas, x + 44, y + 4, 13, FONT_PLAIN, colour_text, 100, "label") + 24;
  }
  x = paint_text(canvas, x, y + 4, 13, FONT_PLAIN, colour_faint, 100, "absent") + 8;
  paint_presence_scale(canvas, x, y - 4, 60);
  paint_text(canvas, x + 68, y + 4, 13, FONT_PLAIN, colour_faint, 100, "present");
}

static vane_status paint_sheet(cairo_t *canvas, const vane_overlay *overlay, const sheet *plan,
                               const vane_album *album) {
  bool labelled = false;
  for (int64_t i = 0; i < album->n; i++) {
    vane_picture picture;
    VANE_TRY(album->read(album->user, i, &picture));
    VANE_TRY(paint_tile(canvas, overlay, plan, i, &picture));
    labelled = labelled || (picture.labels->known & VANE_LABEL_ANGLE);
  }
  paint_legend(canvas, plan, labelled, overlay->n_ways);
  return VANE_OK;
}

vane_status overlay_write_sheet(const vane_overlay *overlay, const vane_album *album,
                                const char *path) {
  sheet plan = plan_sheet(overlay, album->n);
  cairo_t *canvas;
  vane_status status = open_canvas(plan.width, plan.height + LEGEND_HEIGHT, path, &canvas);
  if (status == VANE_OK)
    status = paint_sheet(canvas, overlay, &plan, album);
  if (status == VANE_OK)
    status = write_canvas(canvas, path);
  cairo_destroy(canvas);
  return status;
}
