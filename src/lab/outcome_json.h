/* An outcome as JSON: how it goes from process to process and into files. */
#ifndef VANE_LAB_OUTCOME_JSON_H
#define VANE_LAB_OUTCOME_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "lab/outcome.h"

/* A number that is not finite is null. NULL without memory. */
json_t *vane_lab_outcome_to_json(const vane_lab_outcome *outcome);

/* null is infinity. False where a key is missing. */
bool vane_lab_outcome_from_json(const json_t *object, vane_lab_outcome *outcome);

#endif
