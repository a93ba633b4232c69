#include "train/box.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/boxes.h"
#include "train/checkpoint.h"

void vane_box_print_bits(double value, char text[19]) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  snprintf(text, 19, "0x%016" PRIx64, bits);
}

/* jansson's setters take NULL, which memory that ran out leaves, and say so; what was lost on the
 * way is noticed once, by `whole`. */
typedef struct object {
  json_t *json;
  bool *whole;
} object;

static void set(object to, const char *key, json_t *value) {
  *to.whole &= json_object_set_new(to.json, key, value) == 0;
}

static void append(json_t *list, json_t *value, bool *whole) {
  *whole &= json_array_append_new(list, value) == 0;
}

static json_t *number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *per_loss(const double values[VANE_N_LOSSES], bool *whole) {
  object losses = {json_object(), whole};
  for (int k = 0; k < VANE_N_LOSSES; k++)
    set(losses, vane_loss_names[k], number(values[k]));
  return losses.json;
}

static json_t *bits_per_loss(const double values[VANE_N_LOSSES], bool *whole) {
  object losses = {json_object(), whole};
  for (int k = 0; k < VANE_N_LOSSES; k++) {
    char text[19];
    vane_box_print_bits(values[k], text);
    set(losses, vane_loss_names[k], json_string(text));
  }
  return losses.json;
}

static json_t *note(const vane_step_note *said, bool *whole) {
  object step = {json_object(), whole};
  set(step, "step", json_integer((json_int_t)said->step));
  set(step, "lr", number(said->lr));
  set(step, "curvature", number(said->curvature));
  set(step, "bound", number(said->bound));
  set(step, "loss", per_loss(said->loss, whole));
  set(step, "total", number(said->total));
  set(step, "norm", per_loss(said->norm, whole));
  set(step, "gradient_norm", number(said->gradient_norm));
  set(step, "clip", number(said->clip));
  return step.json;
}

/* The steps that the record still knows, in their order. */
static json_t *notes(const vane_step_record *record, int64_t bad_step, bool *whole) {
  json_t *list = json_array();
  for (int64_t step = bad_step - VANE_N_NOTES + 1; step <= bad_step + VANE_NOTES_AFTER; step++) {
    const vane_step_note *said = &record->notes[(step + VANE_N_NOTES) % VANE_N_NOTES];
    if (step > 0 && said->step == (double)step)
      append(list, note(said, whole), whole);
  }
  return list;
}

static json_t *example(const vane_loader *examples, vane_origin origin, bool *whole) {
  char text[512];
  vane_loader_describe(examples, origin, text, sizeof text);
  object one = {json_object(), whole};
  set(one, "example", json_string(text));
  set(one, "index", json_integer((json_int_t)origin.index));
  set(one, "place", json_integer((json_int_t)origin.draw));
  return one.json;
}

static json_t *batch(const vane_loader *examples, const vane_origin *origins, int64_t n,
                     bool *whole) {
  json_t *list = json_array();
  for (int64_t i = 0; i < n; i++)
    append(list, example(examples, origins[i], whole), whole);
  return list;
}

static json_t *samples(const vane_bad_step *bad, bool *whole) {
  json_t *list = json_array();
  int n = bad->n_samples < VANE_N_BAD_SAMPLES ? bad->n_samples : VANE_N_BAD_SAMPLES;
  for (int i = 0; i < n; i++)
    append(list, json_integer(bad->samples[i]), whole);
  return list;
}

static json_t *passed_over(vane_loader *examples, vane_box_gap gap, bool *whole) {
  object all = {json_object(), whole};
  json_t *list = json_array();
  for (int64_t i = 0; i < gap.count; i++)
    append(list, example(examples, vane_loader_origin_at(examples, gap.first + i), whole), whole);
  set(all, "first", json_integer((json_int_t)gap.first));
  set(all, "count", json_integer((json_int_t)gap.count));
  set(all, "examples", list);
  return all.json;
}

static void set_judgement(object box, const vane_bad_step *bad) {
  bool spike = bad->kind == VANE_BAD_SPIKE;
  const char *blamed = bad->loss == VANE_SHARED ? "combined" : vane_loss_names[bad->loss];
  set(box, "step", json_integer((json_int_t)bad->note.step));
  set(box, "kind", json_string(spike ? "spike" : "nonfinite"));
  set(box, "blamed", json_string(blamed));
  set(box, "total", number(bad->note.total));
  set(box, "median", spike ? number(bad->median) : json_null());
  set(box, "deviation", spike ? number(bad->deviation) : json_null());
  set(box, "loss", per_loss(bad->note.loss, box.whole));
  set(box, "loss_bits", bits_per_loss(bad->note.loss, box.whole));
  set(box, "n_samples", json_integer(bad->n_samples));
  set(box, "samples", samples(bad, box.whole));
}

static json_t *interval(const vane_report *metrics, bool *whole) {
  object all = {json_object(), whole};
  for (int64_t i = 0; i < metrics->n; i++)
    set(all, metrics->metrics[i].tag, number(metrics->metrics[i].value));
  return all.json;
}

static char *print_facts(const vane_box *box, const char *config) {
  bool whole = true;
  const vane_trainer *trainer = box->trainer;
  object facts = {json_object(), &whole};
  set(facts, "format", json_integer(1));
  set_judgement(facts, box->bad);
  set(facts, "device", json_string(trainer->device->name));
  set(facts, "seed", json_integer((json_int_t)trainer->config.seed));
  set(facts, "rollbacks", json_integer((json_int_t)trainer->n_rollbacks));
  set(facts, "steps", notes(box->record, (int64_t)box->bad->note.step, &whole));
  set(facts, "interval", interval(box->interval, &whole));
  set(facts, "batch", batch(box->examples, box->origins, trainer->config.train_batch, &whole));
  if (box->gap.count > 0)
    set(facts, "passed_over", passed_over(box->examples, box->gap, &whole));
  set(facts, "config", json_string(config));
  char *text = whole ? json_dumps(facts.json, JSON_REAL_PRECISION(17) | JSON_INDENT(1)) : NULL;
  json_decref(facts.json);
  return text;
}

static vane_status write_facts(vane_run *run, const vane_trainer *trainer, int64_t step,
                               const char *facts) {
  char name[64];
  int64_t before;
  int n = snprintf(name, sizeof name, "step-%08" PRId64, step);
  if (trainer->n_rollbacks > 0)
    snprintf(name + n, sizeof name - (size_t)n, "-r%" PRId64, trainer->n_rollbacks);
  VANE_TRY(vane_run_find_step(run, step - 1, &before));
  return vane_run_write_box(run, name, before, facts, trainer->config.train_spike_boxes);
}

vane_status vane_box_write(vane_run *run, const vane_box *box) {
  char *config = NULL;
  int64_t step = (int64_t)box->bad->note.step;
  VANE_TRY(vane_config_print(&box->trainer->config, &config));
  char *facts = print_facts(box, config);
  free(config);
  if (!facts)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the black box of step %" PRId64, step);
  vane_status status = write_facts(run, box->trainer, step, facts);
  free(facts);
  return status;
}
