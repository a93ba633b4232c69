#include "data/augment.h"

#include <math.h>

#include "data/draws.h"

#define RADIANS_PER_DEGREE 0.017453292519943295769236907684886

bool vane_augment_wanted(const vane_config *config) {
  return config->data_augment_rotate > 0.0 || config->data_augment_flip ||
         config->data_augment_scale > 1.0 || config->data_augment_shift > 0.0;
}

vane_transform vane_augment_draw(const vane_config *config, uint64_t draw) {
  vane_draws draws = {(uint64_t)config->seed, draw, 0, VANE_RANDOM_AUGMENT};
  double turn = config->data_augment_rotate * RADIANS_PER_DEGREE;
  double zoom = log(config->data_augment_scale);
  double shift = config->data_augment_shift;
  vane_transform transform;
  transform.from_x = 0.5 * (double)(config->model_input[1] - 1);
  transform.from_y = 0.5 * (double)(config->model_input[0] - 1);
  /* Every setting has its own number in the stream, so that switching one on or off leaves the
   * draws of the others as they were. */
  transform.angle = vane_draws_uniform(&draws, -turn, turn);
  transform.flip = vane_draws_below(&draws, 2) == 1 && config->data_augment_flip;
  transform.scale = exp(vane_draws_uniform(&draws, -zoom, zoom));
  transform.to_x = transform.from_x + vane_draws_uniform(&draws, -shift, shift);
  transform.to_y = transform.from_y + vane_draws_uniform(&draws, -shift, shift);
  return transform;
}
