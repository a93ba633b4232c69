#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "optim/record.h"

static vane_status reserve(vane_trainer *trainer) {
  const vane_network *network = trainer->network;
  size_t real = trainer->device->real_bytes;
  size_t parameters = (size_t)network->parameters.total * real;
  size_t running = (size_t)vane_trunk_running_count(network->trunk) * real;
  VANE_TRY(vane_arena_reserve(&trainer->moments, parameters, &trainer->m_item, "m"));
  VANE_TRY(vane_arena_reserve(&trainer->moments, parameters, &trainer->v_item, "v"));
  VANE_TRY(vane_arena_reserve(&trainer->moments, trainer->config.optim_amsgrad ? parameters : 0,
                              &trainer->v_max_item, "largest v"));
  VANE_TRY(vane_arena_reserve(&trainer->metrics, running, &trainer->pending_item,
                              "running statistics of a step"));
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
  trainer->record = vane_arena_at(&trainer->metrics, trainer->record_item);
  trainer->eval_record = vane_arena_at(&trainer->metrics, trainer->eval_record_item);
}

static vane_status plan(vane_trainer *trainer, const vane_choices *choices) {
  const vane_config *config = &trainer->config;
  vane_device_options options = vane_device_options_from_config(config);
  VANE_TRY(vane_config_check(config));
  VANE_TRY(vane_device_open(&options, &trainer->device));
  VANE_TRY(vane_network_create(config, trainer->device, config->train_batch,
                               config->train_accumulate, true, choices, &trainer->network));
  VANE_TRY(vane_slots_init(&trainer->slots, trainer->network));
  vane_adam_desc_fill(config, &trainer->adam);
  VANE_TRY(reserve(trainer));
  VANE_TRY(vane_network_seal(trainer->device, &trainer->moments));
  VANE_TRY(vane_network_seal(trainer->device, &trainer->metrics));
  bind(trainer);
  trainer->targets =
      malloc((size_t)(VANE_N_TARGET_ROWS * config->train_batch) * sizeof *trainer->targets);
  if (!trainer->targets)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the targets of a batch");
  return VANE_OK;
}

vane_status vane_trainer_create(const vane_config *config, const vane_choices *choices,
                                vane_trainer **trainer) {
  *trainer = NULL;
  vane_trainer *made = calloc(1, sizeof *made);
  if (!made)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a trainer");
  made->config = *config;
  vane_arena_init(&made->moments, "moments");
  vane_arena_init(&made->metrics, "metrics");
  vane_status status = plan(made, choices);
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
    vane_network_unseal(trainer->device, &trainer->metrics);
    vane_network_unseal(trainer->device, &trainer->moments);
  }
  vane_slots_finish(&trainer->slots);
  vane_network_destroy(trainer->network);
  vane_device_close(trainer->device);
  free(trainer->targets);
  free(trainer);
}

static void describe_arena(FILE *stream, const vane_arena *arena) {
  fprintf(stream, "%-16s %9.1f MiB in %lld parts\n", arena->name,
          (double)arena->total_bytes / (1 << 20), (long long)arena->n_items);
}

vane_status vane_trainer_describe_memory(const vane_trainer *trainer, char **text) {
  size_t bytes = 0;
  FILE *stream = open_memstream(text, &bytes);
  if (!stream)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the table of memory");
  const vane_network *network = trainer->network;
  const vane_arena *arenas[] = {&network->stored,      &trainer->moments,   &trainer->slots.arena,
                                &network->activations, &network->workspace, &network->staging,
                                &trainer->metrics};
  for (size_t i = 0; i < sizeof arenas / sizeof *arenas; i++)
    describe_arena(stream, arenas[i]);
  if (fclose(stream) != 0)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the table of memory");
  return VANE_OK;
}
