#include "optim/telemetry.h"

#include <math.h>

void vane_telemetry_add(vane_adam_telemetry *seen, const vane_block *block,
                        const vane_adam_telemetry *parts, int64_t segment) {
  for (int64_t i = block->first_part[segment]; i < block->first_part[segment + 1]; i++) {
    seen->live += parts[i].live;
    seen->below += parts[i].below;
    seen->underflows += parts[i].underflows;
    seen->ratio += parts[i].ratio;
    seen->update += parts[i].update;
    seen->weight += parts[i].weight;
    seen->largest = fmax(seen->largest, parts[i].largest);
  }
}

vane_adam_telemetry vane_telemetry_of_all(const vane_block *block,
                                          const vane_adam_telemetry *parts) {
  vane_adam_telemetry all = {0};
  for (int64_t i = 0; i < block->n_segments; i++)
    vane_telemetry_add(&all, block, parts, i);
  return all;
}

double vane_telemetry_rms(const vane_adam_telemetry *seen) {
  return sqrt(seen->ratio / seen->live);
}

double vane_telemetry_below_epsilon(const vane_adam_telemetry *seen) {
  return seen->below / seen->live;
}

double vane_telemetry_update_to_weight(const vane_adam_telemetry *seen) {
  return sqrt(seen->update / seen->weight);
}

double vane_adam_bound(double beta1, double beta2) {
  double ratio = beta1 * beta1 / beta2;
  if (!(ratio < 1))
    return (double)INFINITY;
  return (1 - beta1) / sqrt((1 - beta2) * (1 - ratio));
}

double vane_adam_bound_of_floats(double beta1, double beta2) {
  const double u = 0x1p-24; /* the most that rounding takes off a float, of its size */
  return vane_adam_bound(beta1, beta2) * (1 + 2 * u / (1 - beta1) + u / (1 - beta2) + 8 * u);
}
