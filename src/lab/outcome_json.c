#include "lab/outcome_json.h"

#include <math.h>
#include <string.h>

static json_t *of_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *vane_lab_outcome_to_json(const vane_lab_outcome *outcome) {
  json_t *reached = json_array();
  for (int i = 0; i < VANE_LAB_LEVELS; i++)
    json_array_append_new(reached, json_integer(outcome->reached[i]));
  return json_pack("{s:I, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "steps",
                   (json_int_t)outcome->steps, "best", of_number(outcome->best), "best_step",
                   (json_int_t)outcome->best_step, "late", of_number(outcome->late), "late_worst",
                   of_number(outcome->late_worst), "setback", of_number(outcome->setback), "spikes",
                   (json_int_t)outcome->spikes, "late_spikes", (json_int_t)outcome->late_spikes,
                   "first_spike", (json_int_t)outcome->first_spike, "reached", reached,
                   "us_per_step", of_number(outcome->us_per_step), "strain",
                   of_number(outcome->strain));
}

static bool get_number(const json_t *object, const char *key, double *value) {
  const json_t *found = json_object_get(object, key);
  *value = json_is_null(found) ? (double)INFINITY : json_number_value(found);
  return json_is_number(found) || json_is_null(found);
}

static bool get_count(const json_t *object, const char *key, int64_t *value) {
  const json_t *found = json_object_get(object, key);
  *value = json_integer_value(found);
  return json_is_integer(found);
}

bool vane_lab_outcome_from_json(const json_t *object, vane_lab_outcome *outcome) {
  const json_t *reached = json_object_get(object, "reached");
  memset(outcome, 0, sizeof *outcome);
  if (json_array_size(reached) != VANE_LAB_LEVELS)
    return false;
  for (size_t i = 0; i < VANE_LAB_LEVELS; i++)
    outcome->reached[i] = json_integer_value(json_array_get(reached, i));
  return get_count(object, "steps", &outcome->steps) &&
         get_number(object, "best", &outcome->best) &&
         get_count(object, "best_step", &outcome->best_step) &&
         get_number(object, "late", &outcome->late) &&
         get_number(object, "late_worst", &outcome->late_worst) &&
         get_number(object, "setback", &outcome->setback) &&
         get_count(object, "spikes", &outcome->spikes) &&
         get_count(object, "late_spikes", &outcome->late_spikes) &&
         get_count(object, "first_spike", &outcome->first_spike) &&
         get_number(object, "us_per_step", &outcome->us_per_step) &&
         get_number(object, "strain", &outcome->strain);
}
