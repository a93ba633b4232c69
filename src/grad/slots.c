#include "grad/slots.h"

#include <string.h>

#include "base/error.h"

static int64_t features_count(const vane_network *network) {
  return network->batch * vane_trunk_features(network->trunk);
}

static size_t features_bytes(const vane_network *network) {
  return (size_t)features_count(network) * network->device->real_bytes;
}

static size_t shared_bytes(const vane_network *network) {
  return (size_t)network->parameters.shared * network->device->real_bytes;
}

static vane_status reserve(vane_slots *slots) {
  const vane_network *network = slots->network;
  bool per_loss = slots->space == VANE_SPACE_PARAMETERS;
  size_t all = (size_t)network->parameters.total * network->device->real_bytes;
  VANE_TRY(vane_arena_reserve(&slots->arena, all, &slots->gradients_item, "gradients"));
  VANE_TRY(vane_arena_reserve(&slots->arena, per_loss ? 0 : features_bytes(network),
                              &slots->joined_item, "joined at the features"));
  VANE_TRY(vane_arena_reserve(&slots->arena, network->n_micro > 1 ? shared_bytes(network) : 0,
                              &slots->scratch_item, "one micro-batch"));
  for (int k = 0; k < VANE_N_HEADS; k++) {
    bool active = vane_loss_active(network->config, k);
    VANE_TRY(vane_arena_reserve(&slots->arena, active ? features_bytes(network) : 0,
                                &slots->features_items[k], "%s at the features",
                                vane_loss_names[k]));
    VANE_TRY(vane_arena_reserve(&slots->arena, active && per_loss ? shared_bytes(network) : 0,
                                &slots->parameters_items[k], "%s at the parameters",
                                vane_loss_names[k]));
  }
  return VANE_OK;
}

vane_status vane_slots_allocate(vane_slots *slots) {
  VANE_TRY(vane_network_seal(slots->network->device, &slots->arena));
  slots->gradients = vane_arena_at(&slots->arena, slots->gradients_item);
  slots->joined = vane_arena_at(&slots->arena, slots->joined_item);
  slots->scratch = vane_arena_at(&slots->arena, slots->scratch_item);
  for (int k = 0; k < VANE_N_HEADS; k++) {
    if (!vane_loss_active(slots->network->config, k))
      continue;
    slots->features[k] = vane_arena_at(&slots->arena, slots->features_items[k]);
    slots->parameters[k] = vane_arena_at(&slots->arena, slots->parameters_items[k]);
  }
  return VANE_OK;
}

vane_status vane_slots_init(vane_slots *slots, vane_network *network) {
  const vane_config *config = network->config;
  slots->network = network;
  slots->space = config->grad_space;
  slots->combine = (vane_combine_desc){.weighting = config->grad_weighting,
                                       .clip_per_loss = config->grad_clip_per_loss};
  for (int k = 0; k < VANE_N_LOSSES; k++)
    slots->combine.weight[k] = vane_loss_weight(config, k);
  slots->decide = (vane_decide_desc){.clip_global = config->grad_clip_global,
                                     .clip_zscore = config->grad_clip_zscore,
                                     .on_nonfinite = config->train_on_nonfinite,
                                     .spike_mode = config->train_spike_mode,
                                     .spike_window = config->train_spike_window,
                                     .spike_threshold = config->train_spike_threshold};
  vane_arena_init(&slots->arena, "gradient slots");
  return reserve(slots);
}

void vane_slots_finish(vane_slots *slots) {
  if (slots->network)
    vane_network_unseal(slots->network->device, &slots->arena);
  memset(slots, 0, sizeof *slots);
}

vane_status vane_slots_heads_backward(vane_slots *slots) {
  vane_network *network = slots->network;
  return vane_heads_backward(&network->heads, &network->parameters, network->weights,
                             network->features, slots->features, slots->gradients);
}

/* Addresses of the learned log variances in the weights and in the gradients, NULL without them. */
static void *log_variances(const vane_slots *slots, void *block) {
  const vane_network *network = slots->network;
  if (network->log_variances < 0)
    return NULL;
  return vane_parameters_at(&network->parameters, network->device, block, network->log_variances);
}

static vane_status weigh(vane_slots *slots, vane_step_record *record) {
  vane_network *network = slots->network;
  return network->device->reduce.coefficients(network->device, &slots->combine,
                                              log_variances(slots, network->weights),
                                              log_variances(slots, slots->gradients), record);
}

/* C converts no `void *const *` to `const void *const *` by itself. */
typedef struct slot_list {
  const void *slots[VANE_N_HEADS];
} slot_list;

static slot_list list_of(void *const slots[VANE_N_HEADS]) {
  slot_list list;
  for (int k = 0; k < VANE_N_HEADS; k++)
    list.slots[k] = slots[k];
  return list;
}

vane_status vane_slots_mix_features(vane_slots *slots, const vane_step_record *record) {
  vane_device *device = slots->network->device;
  slot_list features = list_of(slots->features);
  return device->reduce.combine(device, slots->joined, features.slots,
                                features_count(slots->network), record);
}

vane_status vane_slots_mix_parameters(vane_slots *slots, const vane_step_record *record) {
  vane_device *device = slots->network->device;
  slot_list parameters = list_of(slots->parameters);
  return device->reduce.combine(device, slots->gradients, parameters.slots,
                                slots->network->parameters.shared, record);
}

vane_status vane_slots_join_features(vane_slots *slots, vane_step_record *record) {
  vane_network *network = slots->network;
  vane_device *device = network->device;
  slot_list features = list_of(slots->features);
  VANE_TRY(device->reduce.gram(device, features.slots, features_count(network), network->block,
                               NULL, NULL, record));
  VANE_TRY(weigh(slots, record));
  return vane_slots_mix_features(slots, record);
}

/* Trunk backward from rows m of dfeatures into `gradients`, added to what is there unless `first`.
 */
static vane_status backward_into(vane_slots *slots, void *dfeatures, int64_t m, bool first,
                                 void *gradients) {
  vane_network *network = slots->network;
  vane_device *device = network->device;
  const void *rows = vane_network_rows(network, dfeatures, m);
  if (first)
    return vane_trunk_backward(network->trunk, network->weights, rows, gradients);
  VANE_TRY(vane_trunk_backward(network->trunk, network->weights, rows, slots->scratch));
  return device->elementwise.accumulate(device, gradients, slots->scratch,
                                        network->parameters.shared);
}

vane_status vane_slots_trunk_backward(vane_slots *slots, int64_t m, bool first) {
  if (slots->space == VANE_SPACE_TRUNK_OUTPUT)
    return backward_into(slots, slots->joined, m, first, slots->gradients);
  for (int k = 0; k < VANE_N_HEADS; k++)
    if (slots->features[k])
      VANE_TRY(backward_into(slots, slots->features[k], m, first, slots->parameters[k]));
  return VANE_OK;
}

vane_status vane_slots_join_parameters(vane_slots *slots, vane_step_record *record) {
  vane_network *network = slots->network;
  vane_device *device = network->device;
  slot_list parameters = list_of(slots->parameters);
  VANE_TRY(device->reduce.gram(device, parameters.slots, network->parameters.shared, network->block,
                               network->weights, slots->gradients, record));
  VANE_TRY(weigh(slots, record));
  return vane_slots_mix_parameters(slots, record);
}

vane_status vane_slots_decide(vane_slots *slots, vane_step_record *record) {
  vane_network *network = slots->network;
  return network->device->reduce.decide(network->device, &slots->decide, network->block,
                                        network->weights, slots->gradients, network->losses.samples,
                                        network->batch, record);
}
