#include "train/targets.h"

#include <string.h>

#include "net/network.h"

/* Sets one sample's mask and says whether its target is wanted. */
static bool count_in(float *mask, bool counts, int64_t *counted) {
  *mask = counts ? 1.0f : 0.0f;
  *counted += counts;
  return counts;
}

void vane_targets_fill(const vane_config *config, const vane_labels *labels, int64_t n,
                       int64_t capacity, bool all, float *targets, int64_t counted[VANE_N_HEADS]) {
  memset(targets, 0, (size_t)(VANE_N_TARGET_ROWS * capacity) * sizeof *targets);
  memset(counted, 0, VANE_N_HEADS * sizeof *counted);
  float *row[VANE_N_TARGET_ROWS];
  bool wanted[VANE_N_HEADS];
  for (int r = 0; r < VANE_N_TARGET_ROWS; r++)
    row[r] = targets + r * capacity;
  for (int k = 0; k < VANE_N_HEADS; k++)
    wanted[k] = all || vane_loss_active(config, k);

  for (int64_t i = 0; i < n; i++) {
    const vane_labels *label = &labels[i];
    bool present = label->present > 0.5f;
    if (count_in(&row[VANE_TARGET_PRESENCE_MASK][i],
                 wanted[VANE_LOSS_PRESENCE] && label->known & VANE_LABEL_PRESENT,
                 &counted[VANE_LOSS_PRESENCE]))
      row[VANE_TARGET_PRESENCE][i] = present;
    if (count_in(&row[VANE_TARGET_ANGLE_MASK][i],
                 wanted[VANE_LOSS_ANGLE] && present && label->known & VANE_LABEL_ANGLE,
                 &counted[VANE_LOSS_ANGLE]))
      row[VANE_TARGET_PHASE][i] = (float)vane_answer_phase(config, (double)label->angle);
    if (count_in(&row[VANE_TARGET_MAGNITUDE_MASK][i],
                 wanted[VANE_LOSS_MAGNITUDE] && present && label->known & VANE_LABEL_MAGNITUDE,
                 &counted[VANE_LOSS_MAGNITUDE]))
      row[VANE_TARGET_MAGNITUDE][i] =
          (float)vane_answer_magnitude_target(config, (double)label->magnitude);
    if (count_in(&row[VANE_TARGET_POSITION_MASK][i],
                 wanted[VANE_LOSS_POSITION] && present && label->known & VANE_LABEL_POSITION,
                 &counted[VANE_LOSS_POSITION])) {
      float *position = row[VANE_TARGET_POSITION] + 2 * i;
      position[0] = (float)vane_answer_position_target(config, (double)label->x, 0);
      position[1] = (float)vane_answer_position_target(config, (double)label->y, 1);
    }
  }
}
