#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "optim/guard.h"
#include "optim/record.h"
#include "train/probe.h"

size_t vane_trainer_telemetry_bytes(const vane_trainer *trainer) {
  bool kept = trainer->config.optim_telemetry_every > 0;
  return kept ? (size_t)trainer->network->block->n_parts * sizeof *trainer->telemetry : 0;
}

static size_t limits_bytes(const vane_trainer *trainer) {
  const vane_adam_desc *adam = &trainer->adam;
  bool limited = adam->update_clip > 0 || adam->adaptive_clip > 0;
  return limited ? (size_t)trainer->network->block->n_parts * sizeof *trainer->limits : 0;
}

static vane_status reserve(vane_trainer *trainer) {
  const vane_network *network = trainer->network;
  size_t real = trainer->device->real_bytes;
  size_t parameters = (size_t)network->parameters.total * real;
  size_t running = (size_t)vane_trunk_running_count(network->trunk) * real;
  size_t telemetry = vane_trainer_telemetry_bytes(trainer);
  VANE_TRY(vane_arena_reserve(&trainer->moments, parameters, &trainer->m_item, "m"));
  VANE_TRY(vane_arena_reserve(&trainer->moments, parameters, &trainer->v_item, "v"));
  VANE_TRY(vane_arena_reserve(&trainer->moments, trainer->config.optim_amsgrad ? parameters : 0,
                              &trainer->v_max_item, "largest v"));
  VANE_TRY(vane_arena_reserve(&trainer->metrics, running, &trainer->pending_item,
                              "running statistics of a step"));
  VANE_TRY(vane_arena_reserve(&trainer->metrics, telemetry, &trainer->telemetry_item,
                              "telemetry of Adam"));
  VANE_TRY(vane_arena_reserve(&trainer->metrics, limits_bytes(trainer), &trainer->limits_item,
                              "limits of tensors"));
  VANE_TRY(vane_arena_reserve(&trainer->metrics, sizeof *trainer->record, &trainer->record_item,
                              "step record"));
  return vane_arena_reserve(&trainer->metrics, sizeof *trainer->eval_record,
                            &trainer->eval_record_item, "evaluation record");
}

static void bind(vane_trainer *trainer) {
  trainer->m = vane_arena_at(&trainer->moments, trainer->m_item);
  trainer->v = vane_arena_at(&trainer->moments, trainer->v_item);
  if (trainer->config.optim_amsgrad)
    trainer->v_max = vane_arena_at(&trainer->moments, trainer->v_max_item);
  if (trainer->network->running)
    trainer->pending = vane_arena_at(&trainer->metrics, trainer->pending_item);
  if (vane_trainer_telemetry_bytes(trainer) > 0)
    trainer->telemetry = vane_arena_at(&trainer->metrics, trainer->telemetry_item);
  if (limits_bytes(trainer) > 0)
    trainer->limits = vane_arena_at(&trainer->metrics, trainer->limits_item);
  trainer->record = vane_arena_at(&trainer->metrics, trainer->record_item);
  trainer->eval_record = vane_arena_at(&trainer->metrics, trainer->eval_record_item);
}

/* Everything for train.batch images, but nothing allocated yet. */
static vane_status plan(vane_trainer *trainer, const vane_choices *choices) {
  const vane_config *config = &trainer->config;
  vane_arena_init(&trainer->moments, "moments");
  vane_arena_init(&trainer->metrics, "metrics");
  VANE_TRY(vane_network_create(config, trainer->device, config->train_batch,
                               config->train_accumulate, true, choices, &trainer->network));
  VANE_TRY(vane_slots_init(&trainer->slots, trainer->network));
  vane_adam_desc_fill(config, &trainer->adam);
  vane_guard_desc_fill(config, &trainer->slots.decide.guard);
  VANE_TRY(vane_probe_init(trainer));
  return reserve(trainer);
}

/* All but the device. */
static void release(vane_trainer *trainer) {
  vane_probe_finish(trainer);
  vane_network_unseal(trainer->device, &trainer->metrics);
  vane_network_unseal(trainer->device, &trainer->moments);
  vane_slots_finish(&trainer->slots);
  vane_network_destroy(trainer->network);
}

static size_t bytes_of(const vane_trainer *trainer) {
  return vane_network_bytes(trainer->network) + trainer->slots.arena.total_bytes +
         trainer->moments.total_bytes + trainer->metrics.total_bytes +
         trainer->probe.arena.total_bytes;
}

/* Plans for another batch, and says how much memory that would take. */
static vane_status measure(const vane_trainer *trainer, int64_t batch, size_t *bytes) {
  vane_trainer other = {.config = trainer->config, .device = trainer->device};
  other.config.train_batch = batch;
  vane_status status = plan(&other, NULL);
  if (status == VANE_OK)
    *bytes = bytes_of(&other);
  release(&other);
  return status;
}

/* The largest batch of whole micro-batches that takes at most `room`; 0: none. */
static vane_status find_fitting_batch(const vane_trainer *trainer, size_t room, int64_t *batch) {
  int64_t parts = trainer->config.train_accumulate;
  int64_t fits = 0, too_large = trainer->config.train_batch / parts;
  while (too_large - fits > 1) {
    int64_t middle = fits + (too_large - fits) / 2;
    size_t bytes = 0;
    VANE_TRY(measure(trainer, middle * parts, &bytes));
    if (bytes <= room)
      fits = middle;
    else
      too_large = middle;
  }
  *batch = fits * parts;
  return VANE_OK;
}

static vane_status check_room(const vane_trainer *trainer) {
  const double mib = 1 << 20;
  size_t room = 0, wanted = bytes_of(trainer);
  int64_t batch = 0;
  char advice[80] = "no batch fits: the network itself is too large";
  VANE_TRY(trainer->device->memory.available(trainer->device, &room));
  if (wanted <= room)
    return VANE_OK;
  VANE_TRY(find_fitting_batch(trainer, room, &batch));
  if (batch > 0)
    snprintf(advice, sizeof advice, "train.batch=%lld fits, and so may a larger train.accumulate",
             (long long)batch);
  return vane_fail(VANE_ERR_MEMORY,
                   "train.batch %lld takes %.1f MiB of device memory, %.1f MiB are free: %.1f MiB "
                   "are missing; %s",
                   (long long)trainer->config.train_batch, (double)wanted / mib, (double)room / mib,
                   (double)(wanted - room) / mib, advice);
}

static vane_status allocate(vane_trainer *trainer) {
  int64_t batch = trainer->config.train_batch;
  VANE_TRY(check_room(trainer));
  VANE_TRY(vane_network_allocate(trainer->network));
  VANE_TRY(vane_slots_allocate(&trainer->slots));
  VANE_TRY(vane_probe_allocate(trainer));
  VANE_TRY(vane_network_seal(trainer->device, &trainer->moments));
  VANE_TRY(vane_network_seal(trainer->device, &trainer->metrics));
  bind(trainer);
  trainer->targets = malloc((size_t)(VANE_N_TARGET_ROWS * batch) * sizeof *trainer->targets);
  if (!trainer->targets)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the targets of a batch");
  return VANE_OK;
}

static vane_status open_trainer(vane_trainer *trainer, const vane_choices *choices) {
  vane_device_options options = vane_device_options_from_config(&trainer->config);
  VANE_TRY(vane_config_check(&trainer->config));
  VANE_TRY(vane_device_open(&options, &trainer->device));
  VANE_TRY(plan(trainer, choices));
  return allocate(trainer);
}

vane_status vane_trainer_create(const vane_config *config, const vane_choices *choices,
                                vane_trainer **trainer) {
  *trainer = NULL;
  vane_trainer *made = calloc(1, sizeof *made);
  if (!made)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a trainer");
  made->config = *config;
  vane_status status = open_trainer(made, choices);
  if (status != VANE_OK) {
    vane_trainer_destroy(made);
    return status;
  }
  *trainer = made;
  return VANE_OK;
}

void vane_trainer_destroy(vane_trainer *trainer) {
  if (!trainer)
    return;
  if (trainer->device) {
    trainer->device->graph.destroy(trainer->device, trainer->eval_graph);
    trainer->device->graph.destroy(trainer->device, trainer->graph);
    release(trainer);
  }
  vane_device_close(trainer->device);
  free(trainer->targets);
  free(trainer);
}

vane_adam_memory vane_trainer_adam_memory(const vane_trainer *trainer) {
  return (vane_adam_memory){.parameters = trainer->network->weights,
                            .gradients = trainer->slots.gradients,
                            .m = trainer->m,
                            .v = trainer->v,
                            .v_max = trainer->v_max,
                            .telemetry = trainer->telemetry,
                            .limits = trainer->limits};
}

vane_status vane_trainer_read_record(const vane_trainer *trainer, vane_step_record *record) {
  vane_device *device = trainer->device;
  VANE_TRY(device->memory.download(device, record, trainer->record, sizeof *record));
  return device->memory.synchronize(device);
}

/* Arenas that a run has no use for are left out. */
static void describe_arena(FILE *stream, const vane_arena *arena) {
  if (!arena->n_items)
    return;
  fprintf(stream, "%-16s %9.1f MiB in %lld parts\n", arena->name,
          (double)arena->total_bytes / (1 << 20), (long long)arena->n_items);
}

vane_status vane_trainer_describe_memory(const vane_trainer *trainer, char **text) {
  size_t bytes = 0;
  FILE *stream = open_memstream(text, &bytes);
  if (!stream)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the table of memory");
  const vane_network *network = trainer->network;
  const vane_arena *arenas[] = {&network->stored,      &trainer->moments,    &trainer->slots.arena,
                                &network->activations, &network->workspace,  &network->staging,
                                &trainer->metrics,     &trainer->probe.arena};
  for (size_t i = 0; i < sizeof arenas / sizeof *arenas; i++)
    describe_arena(stream, arenas[i]);
  if (fclose(stream) != 0)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the table of memory");
  return VANE_OK;
}
