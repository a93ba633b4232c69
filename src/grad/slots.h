/* One gradient per loss, side by side: measured, clipped, weighed, and joined into the one gradient
 * that Adam sees (N20..N26).
 *
 * In space trunk_output the losses are joined at the trunk's output, and the trunk is gone through
 * backwards once. In space parameters it is gone through once per loss, and the losses are joined
 * afterwards. A loss of weight zero is switched off: it has no slot and costs nothing. */
#ifndef VANE_GRAD_SLOTS_H
#define VANE_GRAD_SLOTS_H

#include "base/arena.h"
#include "net/network.h"

typedef struct vane_slots {
  vane_network *network; /* borrowed */
  int space;             /* VANE_SPACE_* */
  vane_combine_desc combine;
  vane_decide_desc decide;
  vane_arena arena;
  int64_t gradients_item, joined_item, scratch_item;
  int64_t features_items[VANE_N_HEADS], parameters_items[VANE_N_HEADS];
  /* Device memory; NULL slots are switched off. */
  void *gradients;                /* the combined gradient, laid out like the weights */
  void *features[VANE_N_HEADS];   /* each loss's gradient at the trunk's output [N, F] */
  void *joined;                   /* trunk_output: their mix [N, F] */
  void *parameters[VANE_N_HEADS]; /* parameters: each loss's shared gradient */
  void *scratch;                  /* one micro-batch's shared gradient, before it is added */
} vane_slots;

/* Plans the memory; `slots` is zeroed by the caller, finish works on any state of it. */
VANE_CHECKED
vane_status vane_slots_init(vane_slots *slots, vane_network *network);
/* Allocates it, once. */
VANE_CHECKED
vane_status vane_slots_allocate(vane_slots *slots);
void vane_slots_finish(vane_slots *slots);

/* From the seeds in the heads to slots->features and the heads' own gradients. */
VANE_CHECKED
vane_status vane_slots_heads_backward(vane_slots *slots);

/* Space trunk_output: norms, cosines, clips and weights of slots->features into the record, their
 * mix into slots->joined. */
VANE_CHECKED
vane_status vane_slots_join_features(vane_slots *slots, vane_step_record *record);

/* The trunk's gradient of micro-batch m, whose activations must be alive: "=" where `first`, else
 * "+=". */
VANE_CHECKED
vane_status vane_slots_trunk_backward(vane_slots *slots, int64_t m, bool first);

/* Space parameters: the same as join_features for slots->parameters, into slots->gradients. */
VANE_CHECKED
vane_status vane_slots_join_parameters(vane_slots *slots, vane_step_record *record);

/* The last part of both joins alone: the mix that the record has already. */
VANE_CHECKED
vane_status vane_slots_mix_features(vane_slots *slots, const vane_step_record *record);
VANE_CHECKED
vane_status vane_slots_mix_parameters(vane_slots *slots, const vane_step_record *record);

/* The norm of the whole gradient, the global clip, and whether this step may write at all. */
VANE_CHECKED
vane_status vane_slots_decide(vane_slots *slots, vane_step_record *record);

#endif
