/* data.augment: one random transform per training example. */
#ifndef VANE_DATA_AUGMENT_H
#define VANE_DATA_AUGMENT_H

#include <stdbool.h>

#include "config/config.h"
#include "data/transform.h"

/* False where the settings leave every image as it is. */
bool vane_augment_wanted(const vane_config *config);

/* The transform of the example at position `draw` of the run, about the centre of model.input. */
vane_transform vane_augment_draw(const vane_config *config, uint64_t draw);

#endif
