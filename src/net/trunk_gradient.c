/* Which memory holds which gradient when. A gradient lives from the first operation that writes a
 * part of it until its operation has used it; a few slots, handed on, serve the whole trunk. */
#include <string.h>

#include "base/error.h"
#include "net/trunk_program.h"

/* The free slot that fits best: the smallest that is large enough, else the largest, which grows.
 */
static vane_status acquire(vane_trunk *trunk, size_t bytes, int *slot) {
  int best = NONE;
  for (int i = 0; i < trunk->n_slots; i++) {
    if (trunk->slots[i].references)
      continue;
    if (best == NONE) {
      best = i;
      continue;
    }
    size_t have = trunk->slots[i].bytes, chosen = trunk->slots[best].bytes;
    if (have >= bytes ? (chosen < bytes || have < chosen) : have > chosen)
      best = i;
  }
  if (best == NONE) {
    if (trunk->n_slots == MAX_GRADIENT_SLOTS)
      return vane_fail(VANE_ERR_UNSUPPORTED, "the trunk needs more than %d gradients at once",
                       MAX_GRADIENT_SLOTS);
    best = trunk->n_slots++;
  }
  if (trunk->slots[best].bytes < bytes)
    trunk->slots[best].bytes = bytes;
  trunk->slots[best].references = 1;
  *slot = best;
  return VANE_OK;
}

static void release(vane_trunk *trunk, int slot) {
  trunk->slots[slot].references--;
}

/* Hands a reference to `slot` to the value as a part of its gradient. */
static void give_part(trunk_value *value, int slot) {
  value->parts[value->n_parts++] = slot;
}

/* Joins the parts of y's gradient and its ReLU mask into op->dz, in place where nobody else still
 * needs the part. */
static vane_status join_parts(vane_trunk *trunk, trunk_op *op) {
  const trunk_value *y = &trunk->values[op->y];
  if (y->n_parts == 1 && !y->relu) {
    op->dz = y->parts[0];
    return VANE_OK;
  }
  op->merge_a = y->parts[0];
  op->merge_b = y->n_parts == 2 ? y->parts[1] : NONE;
  for (int i = 0; i < y->n_parts && op->dz == NONE; i++)
    if (trunk->slots[y->parts[i]].references == 1)
      op->dz = y->parts[i];
  if (op->dz == NONE)
    VANE_TRY(acquire(trunk, y->bytes, &op->dz));
  for (int i = 0; i < y->n_parts; i++)
    if (y->parts[i] != op->dz)
      release(trunk, y->parts[i]);
  return VANE_OK;
}

static vane_status plan_op(vane_trunk *trunk, trunk_op *op) {
  trunk_value *x = &trunk->values[op->x];
  if (op->kind == OP_GLOBAL_POOL || op->kind == OP_FLATTEN) {
    VANE_TRY(acquire(trunk, x->bytes, &op->dx));
    give_part(x, op->dx);
    return VANE_OK;
  }
  VANE_TRY(join_parts(trunk, op));
  if (op->residual != NONE) {
    give_part(&trunk->values[op->residual], op->dz);
    trunk->slots[op->dz].references++;
  }
  if (op->x == 0) { /* the image has no gradient */
    release(trunk, op->dz);
    return VANE_OK;
  }
  /* A ReLU's gradient is its mask, already applied; norm.backward works in place where it may. */
  bool in_place =
      op->kind == OP_RELU || (op->kind == OP_NORM && trunk->slots[op->dz].references == 1);
  if (in_place) {
    op->dx = op->dz;
  } else {
    VANE_TRY(acquire(trunk, x->bytes, &op->dx));
    release(trunk, op->dz);
  }
  give_part(x, op->dx);
  return VANE_OK;
}

vane_status vane_trunk_plan_backward(vane_trunk *trunk) {
  for (int i = trunk->n_ops - 1; i >= 0; i--)
    VANE_TRY(plan_op(trunk, &trunk->ops[i]));
  return VANE_OK;
}
