#include "train/probe.h"

#include <string.h>

#include "base/error.h"
#include "train/step.h"

static bool exists(const vane_trainer *trainer) {
  return trainer->config.optim_guard_mode != VANE_GUARD_OFF;
}

/* The learned log variances are what the coefficients follow from: while these are held, they do
 * not count as parameters. They are the block's last segment. */
static vane_status plan_block(vane_trainer *trainer) {
  vane_device *device = trainer->device;
  const vane_network *network = trainer->network;
  bool learned = network->log_variances >= 0;
  return device->block.plan(device, network->parameters.segments,
                            learned ? network->log_variances : network->parameters.n,
                            &trainer->probe.block);
}

vane_status vane_probe_init(vane_trainer *trainer) {
  vane_probe *probe = &trainer->probe;
  size_t bytes = (size_t)trainer->network->parameters.total * trainer->device->real_bytes;
  vane_arena_init(&probe->arena, "guard");
  if (!exists(trainer))
    return VANE_OK;
  VANE_TRY(plan_block(trainer));
  VANE_TRY(vane_arena_reserve(&probe->arena, bytes, &probe->gradients_item, "second gradients"));
  return vane_arena_reserve(&probe->arena, sizeof *probe->record, &probe->record_item,
                            "second record");
}

vane_status vane_probe_allocate(vane_trainer *trainer) {
  vane_probe *probe = &trainer->probe;
  if (!exists(trainer))
    return VANE_OK;
  VANE_TRY(vane_network_seal(trainer->device, &probe->arena));
  probe->record = vane_arena_at(&probe->arena, probe->record_item);
  probe->slots = trainer->slots;
  probe->slots.gradients = vane_arena_at(&probe->arena, probe->gradients_item);
  return VANE_OK;
}

void vane_probe_finish(vane_trainer *trainer) {
  vane_device *device = trainer->device;
  vane_probe *probe = &trainer->probe;
  device->graph.destroy(device, probe->graph);
  device->block.destroy(device, probe->block);
  vane_network_unseal(device, &probe->arena);
  memset(probe, 0, sizeof *probe);
}

/* As in a step (step.c), but that nothing is weighed or decided anew. */
vane_status vane_probe_gradient(vane_trainer *trainer) {
  vane_slots *slots = &trainer->probe.slots;
  vane_step_record *record = trainer->probe.record;
  VANE_TRY(vane_step_forward(trainer->network, slots, record));
  if (slots->space == VANE_SPACE_TRUNK_OUTPUT)
    VANE_TRY(vane_slots_mix_features(slots, record));
  VANE_TRY(vane_step_backward(trainer->network, slots, NULL));
  if (slots->space == VANE_SPACE_PARAMETERS)
    VANE_TRY(vane_slots_mix_parameters(slots, record));
  return VANE_OK;
}

static vane_status probe(void *user) {
  vane_trainer *trainer = user;
  vane_device *device = trainer->device;
  const vane_probe *own = &trainer->probe;
  const vane_adam_memory memory = vane_trainer_adam_memory(trainer);
  VANE_TRY(device->memory.copy(device, own->record, trainer->record, sizeof *own->record));
  VANE_TRY(vane_probe_gradient(trainer));
  return device->optim.curvature(device, &trainer->adam, &trainer->slots.decide.guard, own->block,
                                 &memory, own->slots.gradients, trainer->record);
}

bool vane_probe_due(const vane_trainer *trainer) {
  return exists(trainer) && trainer->step % trainer->config.optim_guard_every == 0;
}

vane_status vane_probe_run(vane_trainer *trainer) {
  return trainer->device->graph.run(trainer->device, &trainer->probe.graph, probe, trainer);
}

vane_status vane_probe_hold(vane_trainer *trainer, const vane_batch *batch) {
  vane_device *device = trainer->device;
  vane_step_record *record = trainer->probe.record;
  VANE_TRY(device->memory.clear(device, record, sizeof *record));
  VANE_TRY(vane_step_upload(trainer, batch, record));
  return vane_step_gradient(trainer->network, &trainer->slots, record, NULL);
}
