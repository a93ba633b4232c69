/* A batch on its way through the loader: its memory, and what went wrong while it was filled. */
#ifndef VANE_DATA_SLOT_H
#define VANE_DATA_SLOT_H

#include <stddef.h>

#include "data/example.h"
#include "vane/status.h"

typedef enum vane_slot_state {
  VANE_SLOT_FREE,
  VANE_SLOT_FILLING,
  VANE_SLOT_READY,
  VANE_SLOT_LENT
} vane_slot_state;

/* A record that could not be read and was replaced. */
typedef struct vane_bad_record {
  int64_t place;   /* in the batch */
  int64_t attempt; /* 0: the example itself, 1: its replacement, ... */
  int64_t index;   /* in the source */
  char message[sizeof((vane_error *)0)->message];
} vane_bad_record;

typedef struct vane_slot {
  vane_batch batch;
  vane_slot_state state;
  int64_t n_claimed, n_done; /* examples */
  vane_bad_record *bad;
  int64_t n_bad, bad_capacity;
  int64_t failed_at; /* the first place that stayed empty; -1: none */
  vane_error error;  /* why */
} vane_slot;

/* Takes memory for `n` images of `image_bytes`. finish takes a zeroed or half-made slot. */
VANE_CHECKED
vane_status vane_slot_init(vane_slot *slot, int64_t n, size_t image_bytes);
void vane_slot_finish(vane_slot *slot);

/* Ready to be filled again with `n` examples as batch `number`. */
void vane_slot_restart(vane_slot *slot, int64_t number, int64_t n);

/* Both keep the calling thread's last error. Threads take turns (the loader's lock). */
VANE_CHECKED
vane_status vane_slot_note_bad(vane_slot *slot, int64_t place, int64_t attempt, int64_t index);
void vane_slot_note_failure(vane_slot *slot, int64_t place);

/* Brings the bad records into the order in which one thread alone would have met them. */
void vane_slot_sort_bad(vane_slot *slot);

#endif
