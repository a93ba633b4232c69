/* RotFashion-360 and RotFashion-4: Fashion-MNIST's photographs of clothes, turned.
 *
 * What could give a label away without being seen is ruled out: the centre is jittered by fractions
 * of a pixel (the half pixel between 28 pixels and the turning point alone betrays the angle), the
 * canvas does not grow, black surrounds black, every angle is interpolated, zero too, and an absent
 * item is the same photograph with its tiles shuffled, as bright and as textured as a present one.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "data/source_kind.h"
#include "data/transform.h"
#include "format/idx.h"

#define DEFAULT_FOLDER "/usr/share/datasets/fashion-mnist" /* of Debian's dataset-fashion-mnist */
#define TRAIN_FILE     "train-images-idx3-ubyte"
#define TEST_FILE      "t10k-images-idx3-ubyte"

#define ITEM_SIDE         28
#define ITEM_CENTRE       13.5
#define ITEM_PIXELS       (ITEM_SIDE * ITEM_SIDE)
#define TILE_SIDE         7
#define TILES_A_SIDE      (ITEM_SIDE / TILE_SIDE)
#define N_TILES           (TILES_A_SIDE * TILES_A_SIDE)
#define N_TRAIN           55000 /* of the 60,000; the last 5,000 are for validation */
#define N_TRAIN_AND_VALID 60000
#define PI                3.1415926535897932384626433832795

typedef struct rotfashion {
  vane_idx images;
  int64_t first; /* the part's first image in the file */
  vane_draws_rule draws;
  bool four_labels;
  uint64_t seed;
  int64_t side, channels; /* of the canvas */
  char *file;             /* for messages */
} rotfashion;

static void close_rotfashion(void *state) {
  rotfashion *set = state;
  if (!set)
    return;
  vane_idx_finish(&set->images);
  free(set->file);
  free(set);
}

static void describe_rotfashion(const void *state, vane_origin origin, char *text, size_t n_bytes) {
  const rotfashion *set = state;
  snprintf(text, n_bytes, "%s, image %" PRId64, set->file, set->first + origin.index);
}

/* The item cut into 4 x 4 tiles that change places. */
static void shuffle_tiles(vane_draws *draws, const uint8_t *item, uint8_t *shuffled) {
  int place[N_TILES];
  for (int i = 0; i < N_TILES; i++)
    place[i] = i;
  for (int i = N_TILES - 1; i > 0; i--) {
    int other = (int)vane_draws_below(draws, (uint64_t)i + 1);
    int kept = place[i];
    place[i] = place[other];
    place[other] = kept;
  }
  for (int i = 0; i < N_TILES; i++) {
    const uint8_t *from =
        item + (place[i] / TILES_A_SIDE * ITEM_SIDE + place[i] % TILES_A_SIDE) * TILE_SIDE;
    uint8_t *to = shuffled + (i / TILES_A_SIDE * ITEM_SIDE + i % TILES_A_SIDE) * TILE_SIDE;
    for (int row = 0; row < TILE_SIDE; row++)
      memcpy(to + row * ITEM_SIDE, from + row * ITEM_SIDE, TILE_SIDE);
  }
}

/* Where the item goes. RotFashion-360: the centre moves by up to 2 pixels, the size stays.
 * RotFashion-4: 0.7 to 1.4 times the size, the centre up to 0.6 of the way to where the item would
 * touch the edge (never less than 4 pixels before the 0.6). */
static vane_transform place_item(const rotfashion *set, vane_draws *draws) {
  double centre = 0.5 * (double)(set->side - 1);
  vane_transform place = {.scale = 1.0, .from_x = ITEM_CENTRE, .from_y = ITEM_CENTRE};
  place.angle = vane_draws_uniform(draws, -PI, PI);
  double room = 2.0;
  if (set->four_labels) {
    place.scale = 0.7 * exp2(vane_draws_uniform(draws, 0.0, 1.0));
    room = 0.5 * (double)set->side - 0.5 * ITEM_SIDE * place.scale;
    room = 0.6 * (room < 4.0 ? 4.0 : room);
  }
  place.to_x = centre + vane_draws_uniform(draws, -room, room);
  place.to_y = centre + vane_draws_uniform(draws, -room, room);
  return place;
}

static vane_status read_rotfashion(void *state, vane_origin origin, uint8_t *pixels,
                                   vane_labels *labels) {
  const rotfashion *set = state;
  int64_t number = set->first + origin.index;
  vane_draws draws = vane_draws_begin(set->draws, set->seed, origin.draw, number);
  const uint8_t *item = set->images.values + number * ITEM_PIXELS;
  uint8_t shuffled[ITEM_PIXELS];
  vane_transform place = place_item(set, &draws);
  *labels = vane_source_upright_labels(ITEM_SIDE, ITEM_SIDE);
  if (!set->four_labels) {
    labels->magnitude = labels->x = labels->y = 0.0f;
    labels->known = VANE_LABEL_PRESENT | VANE_LABEL_ANGLE;
  } else if (vane_draws_uniform(&draws, 0.0, 1.0) >= 0.75) {
    shuffle_tiles(&draws, item, shuffled);
    item = shuffled;
    *labels = (vane_labels){.known = VANE_LABEL_PRESENT};
  }
  vane_transform_pixels(&place, item, ITEM_SIDE, ITEM_SIDE, 1, pixels, set->side, set->side);
  vane_source_spread_grey(pixels, set->side * set->side, set->channels);
  vane_transform_labels(&place, labels);
  return VANE_OK;
}

/* Debian packs the files; others may have unpacked them. */
static vane_status read_images(rotfashion *set, const char *folder, const char *name) {
  size_t n_bytes = strlen(folder) + strlen(name) + 8;
  set->file = malloc(n_bytes);
  if (!set->file)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the name of a file");
  snprintf(set->file, n_bytes, "%s/%s.gz", folder, name);
  if (!vane_file_exists(set->file))
    snprintf(set->file, n_bytes, "%s/%s", folder, name);
  if (!vane_file_exists(set->file))
    return vane_fail(VANE_ERR_DATA,
                     "%s: no such file; RotFashion is made from Fashion-MNIST: install the package "
                     "dataset-fashion-mnist, or set the source's path to a folder with its files",
                     set->file);
  VANE_TRY(vane_idx_read(set->file, &set->images));
  if (set->images.n_dims != 3 || set->images.dims[1] != ITEM_SIDE ||
      set->images.dims[2] != ITEM_SIDE)
    return vane_fail(VANE_ERR_DATA, "%s: not a list of images of 28 x 28 pixels", set->file);
  return VANE_OK;
}

static vane_status choose_part(const vane_source_request *request, rotfashion *set,
                               int64_t *n_images) {
  int64_t last = set->images.dims[0];
  if (request->part != VANE_PART_TEST && last != N_TRAIN_AND_VALID)
    return vane_fail(VANE_ERR_DATA, "%s: %" PRId64 " images, but Fashion-MNIST has 60,000",
                     set->file, last);
  if (request->part == VANE_PART_TRAIN)
    last = N_TRAIN;
  if (request->part == VANE_PART_VALIDATION)
    set->first = N_TRAIN;
  *n_images = last - set->first;
  return VANE_OK;
}

vane_status vane_source_open_rotfashion(const vane_source_request *request, vane_source *source) {
  static const vane_source_operations operations = {read_rotfashion, describe_rotfashion,
                                                    close_rotfashion};
  bool four_labels = request->config->data_rotfashion_set == VANE_ROTFASHION_4;
  int64_t side = four_labels ? 64 : 40;
  if (request->height != side || request->width != side)
    return vane_fail(VANE_ERR_CONFIG,
                     "model.input: RotFashion-%s has images of %" PRId64 " x %" PRId64 " pixels",
                     four_labels ? "4" : "360", side, side);
  rotfashion *set = calloc(1, sizeof *set);
  if (!set)
    return vane_fail(VANE_ERR_MEMORY, "no memory for RotFashion");
  source->operations = &operations;
  source->state = set;
  bool test_part = request->part == VANE_PART_TEST;
  set->draws = request->draws;
  set->four_labels = four_labels;
  set->seed = (uint64_t)request->config->seed;
  set->side = side;
  set->channels = request->channels;
  VANE_TRY(read_images(set, request->path[0] ? request->path : DEFAULT_FOLDER,
                       test_part ? TEST_FILE : TRAIN_FILE));
  int64_t file_first[2] = {0, 0};
  VANE_TRY(choose_part(request, set, &file_first[1]));
  source->is_drawn = set->draws == VANE_DRAWS_FRESH;
  return vane_source_lay_out(request, file_first, 1, source);
}
