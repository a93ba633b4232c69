/* Drawn scenes: an arrow among discs and bars on a noisy slope of brightness. No files, exact
 * labels, any image size.
 *
 * The arrow's angle is where it points, its position the middle between tail and tip, its magnitude
 * the length in tenths of the image's shorter side (2.5 to 6). Where it is absent there is one
 * distractor more, so that counting shapes tells nothing; discs and bars look the same after half a
 * turn, so that they tell nothing about an angle. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "data/source_kind.h"

#define PI 3.1415926535897932384626433832795

#define PRESENT_SHARE 0.75 /* as in RotFashion-4 */

/* The noise of a scene is drawn beside its shapes: from this index of the stream on. */
#define FIRST_NOISE_INDEX ((uint64_t)1 << 32)

typedef struct scenes {
  int64_t height, width, channels;
  uint64_t seed;
  vane_draws_rule draws;
} scenes;

typedef enum shape_kind { SHAPE_DISC, SHAPE_BAR, SHAPE_ARROW } shape_kind;

typedef struct shape {
  shape_kind kind;
  double x, y; /* centre, pixels */
  double cosine, sine;
  double length, width; /* pixels; of a disc, its diameter twice */
  float colour[3];      /* 0 to 1 */
} shape;

typedef struct canvas {
  float *values; /* [height, width, channels], 0 to 1 */
  int64_t height, width, channels;
} canvas;

static void close_scenes(void *state) {
  free(state);
}

static void describe_scenes(const void *state, vane_origin origin, char *text, size_t n_bytes) {
  const scenes *set = state;
  if (set->draws != VANE_DRAWS_FRESH)
    snprintf(text, n_bytes, "scene %" PRId64, origin.index);
  else
    snprintf(text, n_bytes, "scene %" PRIu64 " of seed %" PRIu64, origin.draw, set->seed);
}

/* Distance to the edge in pixels, negative inside; `along` and `across` are the shape's own axes.
 * For corners it is a lower bound, which is all that smoothing the edge needs. */
static double signed_distance(const shape *drawn, double along, double across) {
  double side = fabs(across);
  if (drawn->kind == SHAPE_DISC)
    return hypot(along, across) - 0.5 * drawn->length;
  if (drawn->kind == SHAPE_BAR)
    return fmax(fabs(along) - 0.5 * drawn->length, side - 0.5 * drawn->width);
  /* The arrow: a head of 0.45 of the length and 0.56 of it wide, a shaft of 0.2 of it wide. */
  double tip = 0.5 * drawn->length, neck = 0.05 * drawn->length;
  double shaft = fmax(fmax(-tip - along, along - neck - 1.0), side - 0.1 * drawn->length);
  double slope = hypot(0.45, 0.28);
  double head = fmax(neck - along, (0.28 * (along - tip) + 0.45 * side) / slope);
  return fmin(shaft, head);
}

static void draw_shape(canvas *paper, const shape *drawn) {
  double reach = 0.5 * hypot(drawn->length, drawn->width) + 1.0;
  int64_t top = (int64_t)fmax(0.0, floor(drawn->y - reach));
  int64_t left = (int64_t)fmax(0.0, floor(drawn->x - reach));
  int64_t bottom = (int64_t)fmin((double)paper->height - 1.0, ceil(drawn->y + reach));
  int64_t right = (int64_t)fmin((double)paper->width - 1.0, ceil(drawn->x + reach));
  for (int64_t row = top; row <= bottom; row++)
    for (int64_t column = left; column <= right; column++) {
      double dx = (double)column - drawn->x, dy = (double)row - drawn->y;
      double along = drawn->cosine * dx - drawn->sine * dy; /* y points down */
      double across = drawn->sine * dx + drawn->cosine * dy;
      float cover = (float)fmin(1.0, fmax(0.0, 0.5 - signed_distance(drawn, along, across)));
      float *value = paper->values + (row * paper->width + column) * paper->channels;
      for (int64_t c = 0; cover > 0.0f && c < paper->channels; c++)
        value[c] += cover * (drawn->colour[c] - value[c]);
    }
}

/* Fills the canvas with a slope and returns its mean brightness. */
static double draw_background(canvas *paper, vane_draws *draws) {
  double mean = vane_draws_uniform(draws, 0.3, 0.7);
  double direction = vane_draws_uniform(draws, -PI, PI);
  double rise = vane_draws_uniform(draws, 0.0, 0.2);
  for (int64_t row = 0; row < paper->height; row++)
    for (int64_t column = 0; column < paper->width; column++) {
      double u = 2.0 * ((double)column + 0.5) / (double)paper->width - 1.0;
      double v = 2.0 * ((double)row + 0.5) / (double)paper->height - 1.0;
      float value = (float)(mean + rise * (u * cos(direction) + v * sin(direction)) / sqrt(2.0));
      float *pixel = paper->values + (row * paper->width + column) * paper->channels;
      for (int64_t c = 0; c < paper->channels; c++)
        pixel[c] = value;
    }
  return mean;
}

/* Brighter or darker than the background by 0.25 to 0.5, more or less so per channel. */
static void draw_colour(vane_draws *draws, double background, shape *drawn) {
  bool brighter = background < 0.5;
  double contrast = vane_draws_uniform(draws, 0.25, 0.5);
  for (int c = 0; c < 3; c++) {
    double tint = vane_draws_uniform(draws, -0.1, 0.1);
    double value = background + (brighter ? contrast : -contrast) + tint;
    drawn->colour[c] = (float)fmin(1.0, fmax(0.0, value));
  }
}

static shape draw_distractor(const scenes *set, vane_draws *draws, double background) {
  double unit = (double)(set->height < set->width ? set->height : set->width);
  shape drawn = {.kind = vane_draws_below(draws, 2) ? SHAPE_BAR : SHAPE_DISC};
  double angle = vane_draws_uniform(draws, -PI, PI);
  drawn.cosine = cos(angle);
  drawn.sine = sin(angle);
  drawn.length = unit * vane_draws_uniform(draws, 0.1, 0.3);
  drawn.width = drawn.kind == SHAPE_DISC ? drawn.length : drawn.length * 0.4;
  drawn.x = vane_draws_uniform(draws, 0.0, (double)(set->width - 1));
  drawn.y = vane_draws_uniform(draws, 0.0, (double)(set->height - 1));
  draw_colour(draws, background, &drawn);
  return drawn;
}

static shape draw_arrow(const scenes *set, vane_draws *draws, double background,
                        vane_labels *labels) {
  double unit = (double)(set->height < set->width ? set->height : set->width);
  double angle = vane_draws_uniform(draws, -PI, PI);
  double share = vane_draws_uniform(draws, 0.25, 0.6);
  shape drawn = {.kind = SHAPE_ARROW, .cosine = cos(angle), .sine = sin(angle)};
  drawn.length = unit * share;
  drawn.width = 0.56 * drawn.length;
  double room = 0.5 * drawn.length;
  drawn.x = vane_draws_uniform(draws, room, (double)(set->width - 1) - room);
  drawn.y = vane_draws_uniform(draws, room, (double)(set->height - 1) - room);
  draw_colour(draws, background, &drawn);
  labels->angle = (float)angle;
  labels->magnitude = (float)(10.0 * share);
  labels->x = (float)drawn.x;
  labels->y = (float)drawn.y;
  labels->known |= VANE_LABEL_ANGLE | VANE_LABEL_MAGNITUDE | VANE_LABEL_POSITION;
  return drawn;
}

/* Bytes with uniform noise of up to `strength` either way; one Philox block serves 16 of them. */
static void print_pixels(const canvas *paper, const vane_draws *draws, float strength,
                         uint8_t *pixels) {
  int64_t n = paper->height * paper->width * paper->channels;
  uint32_t words[4] = {0};
  for (int64_t i = 0; i < n; i++) {
    if (i % 16 == 0)
      vane_random_words(draws->seed, draws->stream, draws->step,
                        FIRST_NOISE_INDEX + (uint64_t)i / 16, words);
    float noise = (float)(words[i % 16 / 4] >> (8 * (i % 4)) & 0xff) / 127.5f - 1.0f;
    float value = 255.0f * (paper->values[i] + strength * noise) + 0.5f;
    pixels[i] = (uint8_t)(value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value);
  }
}

static vane_status read_scene(void *state, vane_origin origin, uint8_t *pixels,
                              vane_labels *labels) {
  const scenes *set = state;
  vane_draws draws = vane_draws_begin(set->draws, set->seed, origin.draw, origin.index);
  canvas paper = {.height = set->height, .width = set->width, .channels = set->channels};
  paper.values = malloc((size_t)(set->height * set->width * set->channels) * sizeof(float));
  if (!paper.values)
    return vane_fail(VANE_ERR_MEMORY, "no memory to draw a scene");
  bool present = vane_draws_uniform(&draws, 0.0, 1.0) < PRESENT_SHARE;
  double background = draw_background(&paper, &draws);
  float strength = (float)vane_draws_uniform(&draws, 0.02, 0.08);
  int64_t n_distractors = 1 + (int64_t)vane_draws_below(&draws, 3) + (present ? 0 : 1);
  for (int64_t i = 0; i < n_distractors; i++) {
    shape drawn = draw_distractor(set, &draws, background);
    draw_shape(&paper, &drawn);
  }
  *labels = (vane_labels){.present = present ? 1.0f : 0.0f, .known = VANE_LABEL_PRESENT};
  if (present) {
    shape drawn = draw_arrow(set, &draws, background, labels);
    draw_shape(&paper, &drawn);
  }
  print_pixels(&paper, &draws, strength, pixels);
  free(paper.values);
  return VANE_OK;
}

vane_status vane_source_open_scenes(const vane_source_request *request, vane_source *source) {
  static const vane_source_operations operations = {read_scene, describe_scenes, close_scenes};
  if (request->count < 1)
    return vane_fail(VANE_ERR_CONFIG, "%s.count: say how many scenes make an epoch", request->key);
  if (request->height < 16 || request->width < 16)
    return vane_fail(VANE_ERR_CONFIG, "model.input: scenes need 16 x 16 pixels or more");
  scenes *set = calloc(1, sizeof *set);
  if (!set)
    return vane_fail(VANE_ERR_MEMORY, "no memory for scenes");
  source->operations = &operations;
  source->state = set;
  set->height = request->height;
  set->width = request->width;
  set->channels = request->channels;
  set->seed = (uint64_t)request->config->seed;
  set->draws = request->draws;
  source->is_drawn = set->draws == VANE_DRAWS_FRESH;
  const int64_t file_first[2] = {0, request->count};
  return vane_source_lay_out(request, file_first, 1, source);
}
