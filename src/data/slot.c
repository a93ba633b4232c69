#include "data/slot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

vane_status vane_slot_init(vane_slot *slot, int64_t n, size_t image_bytes) {
  memset(slot, 0, sizeof *slot);
  slot->failed_at = -1;
  slot->batch.pixels = malloc((size_t)n * image_bytes);
  slot->batch.labels = calloc((size_t)n, sizeof *slot->batch.labels);
  slot->batch.origins = calloc((size_t)n, sizeof *slot->batch.origins);
  if (!slot->batch.pixels || !slot->batch.labels || !slot->batch.origins)
    return vane_fail(VANE_ERR_MEMORY,
                     "no memory for a batch of %" PRId64 " images; lower train.batch or "
                     "data.prefetch",
                     n);
  return VANE_OK;
}

void vane_slot_finish(vane_slot *slot) {
  free(slot->bad);
  free(slot->batch.origins);
  free(slot->batch.labels);
  free(slot->batch.pixels);
  memset(slot, 0, sizeof *slot);
}

void vane_slot_restart(vane_slot *slot, int64_t number, int64_t n) {
  slot->batch.number = number;
  slot->batch.n = n;
  slot->state = VANE_SLOT_FILLING;
  slot->n_claimed = slot->n_done = slot->n_bad = 0;
  slot->failed_at = -1;
}

vane_status vane_slot_note_bad(vane_slot *slot, int64_t place, int64_t attempt, int64_t index) {
  if (slot->n_bad == slot->bad_capacity) {
    int64_t capacity = slot->bad_capacity ? 2 * slot->bad_capacity : 8;
    vane_bad_record *bad = realloc(slot->bad, (size_t)capacity * sizeof *bad);
    if (!bad)
      return vane_fail(VANE_ERR_MEMORY, "no memory to remember a bad record");
    slot->bad = bad;
    slot->bad_capacity = capacity;
  }
  vane_bad_record *record = &slot->bad[slot->n_bad++];
  record->place = place;
  record->attempt = attempt;
  record->index = index;
  memcpy(record->message, vane_error_get()->message, sizeof record->message);
  return VANE_OK;
}

void vane_slot_note_failure(vane_slot *slot, int64_t place) {
  if (slot->failed_at >= 0 && slot->failed_at <= place)
    return;
  slot->failed_at = place;
  slot->error = *vane_error_get();
}

static int compare_bad(const void *a, const void *b) {
  const vane_bad_record *one = a, *other = b;
  if (one->place != other->place)
    return one->place < other->place ? -1 : 1;
  return one->attempt < other->attempt ? -1 : one->attempt > other->attempt;
}

void vane_slot_sort_bad(vane_slot *slot) {
  if (slot->n_bad > 1)
    qsort(slot->bad, (size_t)slot->n_bad, sizeof *slot->bad, compare_bad);
}
