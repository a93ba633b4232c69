#include "train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define CONVOLUTION_KEY "vane.convolution."

struct vane_checkpoint {
  vane_safetensors_file *file;
  char *path; /* owned copy */
  vane_config config;
  int64_t step;
  vane_best best;
  int64_t n_rollbacks;
  vane_choices choices;
};

/* --- what outlives a step in its record --- */

/* Single numbers of the record, as a tensor holds them. */
typedef struct record_numbers {
  double n_accepted, n_bad_running; /* vane_spike_state */
  double norm_mean, norm_variance, n_norms;
  vane_guard_state guard;
} record_numbers;

static record_numbers numbers_of(const vane_step_record *record) {
  return (record_numbers){.n_accepted = (double)record->spike.n_accepted,
                          .n_bad_running = (double)record->spike.n_bad_running,
                          .norm_mean = record->norm_trend.mean,
                          .norm_variance = record->norm_trend.variance,
                          .n_norms = (double)record->norm_trend.n,
                          .guard = record->guard};
}

static void take_numbers(const record_numbers *numbers, vane_step_record *record) {
  record->spike.n_accepted = (int64_t)numbers->n_accepted;
  record->spike.n_bad_running = (int64_t)numbers->n_bad_running;
  record->norm_trend = (vane_norm_trend){.mean = numbers->norm_mean,
                                         .variance = numbers->norm_variance,
                                         .n = (int64_t)numbers->n_norms};
  record->guard = numbers->guard;
}

/* A tensor of the record's values. */
typedef struct record_part {
  const char *name, *dtype;
  void *values;
  size_t bytes;
  int64_t dims[2], n_dims;
} record_part;

enum { N_RECORD_PARTS = 3 };

#define N_DOUBLES(type) ((int64_t)(sizeof(type) / sizeof(double)))

static void list_record_parts(vane_step_record *record, record_numbers *numbers,
                              record_part parts[N_RECORD_PARTS]) {
  parts[0] = (record_part){.name = "step.losses",
                           .dtype = "F32",
                           .values = record->spike.recent,
                           .bytes = sizeof record->spike.recent,
                           .dims = {VANE_SPIKE_LONGEST_WINDOW},
                           .n_dims = 1};
  parts[1] = (record_part){.name = "step.notes",
                           .dtype = "F64",
                           .values = record->notes,
                           .bytes = sizeof record->notes,
                           .dims = {VANE_N_NOTES, N_DOUBLES(vane_step_note)},
                           .n_dims = 2};
  parts[2] = (record_part){.name = "step.numbers",
                           .dtype = "F64",
                           .values = numbers,
                           .bytes = sizeof *numbers,
                           .dims = {N_DOUBLES(record_numbers)},
                           .n_dims = 1};
}

/* --- reading --- */

static vane_status need_text(const vane_checkpoint *checkpoint, const char *key,
                             const char **text) {
  *text = vane_safetensors_text_of(checkpoint->file, key);
  if (*text)
    return VANE_OK;
  return vane_fail(VANE_ERR_STATE, "%s: no %s in the metadata; this is no checkpoint of vane",
                   checkpoint->path, key);
}

static const char *find_choice(const void *user, const char *convolution) {
  const vane_checkpoint *checkpoint = user;
  char key[128];
  snprintf(key, sizeof key, CONVOLUTION_KEY "%s", convolution);
  return vane_safetensors_text_of(checkpoint->file, key);
}

static vane_status understand(vane_checkpoint *checkpoint) {
  const char *step, *config, *best_total, *best_step, *rollbacks;
  VANE_TRY(need_text(checkpoint, "vane.device", &checkpoint->choices.device));
  VANE_TRY(need_text(checkpoint, "vane.step", &step));
  VANE_TRY(need_text(checkpoint, "vane.config", &config));
  VANE_TRY(need_text(checkpoint, "vane.best_total", &best_total));
  VANE_TRY(need_text(checkpoint, "vane.best_step", &best_step));
  VANE_TRY(need_text(checkpoint, "vane.rollbacks", &rollbacks));
  char *end;
  checkpoint->step = strtoll(step, &end, 10);
  if (*end || checkpoint->step < 0)
    return vane_fail(VANE_ERR_STATE, "%s: vane.step is \"%s\"", checkpoint->path, step);
  checkpoint->best.total = strtod(best_total, NULL);
  checkpoint->best.step = strtoll(best_step, NULL, 10);
  checkpoint->n_rollbacks = strtoll(rollbacks, NULL, 10);
  vane_config_init(&checkpoint->config);
  return vane_config_parse(&checkpoint->config, checkpoint->path, config, strlen(config));
}

vane_status vane_checkpoint_open(const char *path, vane_checkpoint **checkpoint) {
  *checkpoint = NULL;
  vane_checkpoint *made = calloc(1, sizeof *made);
  if (made)
    made->path = strdup(path);
  if (!made || !made->path) {
    vane_checkpoint_close(made);
    return vane_fail(VANE_ERR_MEMORY, "no memory for checkpoint %s", path);
  }
  made->choices = (vane_choices){.find = find_choice, .user = made};
  vane_status status = vane_safetensors_open(path, &made->file);
  if (status == VANE_OK)
    status = understand(made);
  if (status != VANE_OK) {
    vane_checkpoint_close(made);
    return status;
  }
  *checkpoint = made;
  return VANE_OK;
}

void vane_checkpoint_close(vane_checkpoint *checkpoint) {
  if (!checkpoint)
    return;
  vane_safetensors_close(checkpoint->file);
  free(checkpoint->path);
  free(checkpoint);
}

const vane_config *vane_checkpoint_config(const vane_checkpoint *checkpoint) {
  return &checkpoint->config;
}

int64_t vane_checkpoint_step(const vane_checkpoint *checkpoint) {
  return checkpoint->step;
}

vane_best vane_checkpoint_best(const vane_checkpoint *checkpoint) {
  return checkpoint->best;
}

const vane_choices *vane_checkpoint_choices(const vane_checkpoint *checkpoint) {
  return &checkpoint->choices;
}

static vane_status find_typed(const vane_checkpoint *checkpoint, const char *name,
                              const char *dtype, const int64_t *dims, int64_t n_dims,
                              const void **values) {
  const vane_safetensor *tensor = vane_safetensors_find(checkpoint->file, name);
  if (!tensor)
    return vane_fail(VANE_ERR_STATE, "%s: no tensor %s, which the configured network has",
                     checkpoint->path, name);
  bool fits = tensor->n_dims == n_dims && strcmp(tensor->dtype, dtype) == 0;
  for (int64_t d = 0; fits && d < n_dims; d++)
    fits = tensor->dims[d] == dims[d];
  if (!fits)
    return vane_fail(VANE_ERR_STATE,
                     "%s: tensor %s has another shape or type than the configured network; "
                     "use the run's own config.yaml",
                     checkpoint->path, name);
  *values = tensor->data;
  return VANE_OK;
}

static vane_status find_tensor(const vane_checkpoint *checkpoint, const char *name,
                               const int64_t *dims, int64_t n_dims, const float **values) {
  const void *data;
  VANE_TRY(find_typed(checkpoint, name, "F32", dims, n_dims, &data));
  *values = data;
  return VANE_OK;
}

static vane_status restore_block(const vane_checkpoint *checkpoint, const vane_network *network,
                                 const char *prefix, void *block) {
  const vane_parameters *parameters = &network->parameters;
  for (int64_t i = 0; i < parameters->n; i++) {
    const vane_parameter *item = &parameters->items[i];
    char name[96];
    const float *values;
    snprintf(name, sizeof name, "%s%s", prefix, item->name);
    VANE_TRY(find_tensor(checkpoint, name, item->dims, item->n_dims, &values));
    VANE_TRY(vane_parameters_put(parameters, network->device, block, i, values));
  }
  return VANE_OK;
}

static vane_status restore_running(const vane_checkpoint *checkpoint, vane_network *network) {
  vane_device *device = network->device;
  for (int64_t j = 0; j < vane_trunk_n_running(network->trunk); j++) {
    char name[64];
    int64_t offset, count;
    float initial;
    const float *values;
    vane_trunk_running_at(network->trunk, j, name, &offset, &count, &initial);
    VANE_TRY(find_tensor(checkpoint, name, &count, 1, &values));
    void *to = (unsigned char *)network->running + (size_t)offset * device->real_bytes;
    VANE_TRY(device->memory.put(device, to, values, count));
  }
  return VANE_OK;
}

vane_status vane_checkpoint_restore_network(const vane_checkpoint *checkpoint,
                                            vane_network *network) {
  VANE_TRY(restore_block(checkpoint, network, "", network->weights));
  return restore_running(checkpoint, network);
}

/* The rest of the step record begins empty: nothing is halted, no step is bad. */
static vane_status restore_record(const vane_checkpoint *checkpoint, vane_trainer *trainer) {
  vane_device *device = trainer->device;
  vane_step_record record;
  record_numbers numbers;
  record_part parts[N_RECORD_PARTS];
  memset(&record, 0, sizeof record);
  list_record_parts(&record, &numbers, parts);
  for (int i = 0; i < N_RECORD_PARTS; i++) {
    const void *values;
    VANE_TRY(find_typed(checkpoint, parts[i].name, parts[i].dtype, parts[i].dims, parts[i].n_dims,
                        &values));
    memcpy(parts[i].values, values, parts[i].bytes);
  }
  take_numbers(&numbers, &record);
  if (trainer->config.optim_guard_mode != VANE_GUARD_ON)
    record.guard.largest_lr = 0; /* it was on when the checkpoint was written */
  return device->memory.upload(device, trainer->record, &record, sizeof record);
}

vane_status vane_checkpoint_restore(const vane_checkpoint *checkpoint, vane_trainer *trainer) {
  vane_network *network = trainer->network;
  VANE_TRY(vane_checkpoint_restore_network(checkpoint, network));
  VANE_TRY(restore_block(checkpoint, network, "adam.m.", trainer->m));
  VANE_TRY(restore_block(checkpoint, network, "adam.v.", trainer->v));
  if (trainer->v_max)
    VANE_TRY(restore_block(checkpoint, network, "adam.v_max.", trainer->v_max));
  VANE_TRY(restore_record(checkpoint, trainer));
  trainer->step = checkpoint->step;
  trainer->n_rollbacks = checkpoint->n_rollbacks;
  return VANE_OK;
}

/* --- writing --- */

/* Tensors on their way into a file; names and values are owned. */
typedef struct gathered {
  vane_safetensor *tensors;
  int64_t n;
} gathered;

static void release(gathered *all) {
  for (int64_t i = 0; i < all->n; i++) {
    free((void *)(uintptr_t)all->tensors[i].name);
    free((void *)(uintptr_t)all->tensors[i].data);
  }
  free(all->tensors);
}

/* Appends an empty tensor with room for its values, `width` bytes each, which the caller fills. */
static vane_status append_typed(gathered *all, const char *prefix, const char *suffix,
                                const char *dtype, size_t width, const int64_t *dims,
                                int64_t n_dims, void **values) {
  vane_safetensor *tensor = &all->tensors[all->n];
  size_t count = 1, name_bytes = strlen(prefix) + strlen(suffix) + 1;
  for (int64_t d = 0; d < n_dims; d++)
    count *= (size_t)dims[d];
  char *name = malloc(name_bytes);
  *values = malloc(count * width);
  if (!name || !*values) {
    free(name);
    free(*values);
    return vane_fail(VANE_ERR_MEMORY, "no memory to gather %s%s for a checkpoint", prefix, suffix);
  }
  snprintf(name, name_bytes, "%s%s", prefix, suffix);
  *tensor = (vane_safetensor){
      .name = name, .n_dims = n_dims, .dtype = dtype, .data = *values, .bytes = count * width};
  memcpy(tensor->dims, dims, (size_t)n_dims * sizeof *dims);
  all->n++;
  return VANE_OK;
}

static vane_status append(gathered *all, const char *prefix, const char *suffix,
                          const int64_t *dims, int64_t n_dims, float **values) {
  void *room;
  VANE_TRY(append_typed(all, prefix, suffix, "F32", sizeof **values, dims, n_dims, &room));
  *values = room;
  return VANE_OK;
}

static vane_status gather_block(gathered *all, const vane_network *network, const char *prefix,
                                const void *block) {
  const vane_parameters *parameters = &network->parameters;
  for (int64_t i = 0; i < parameters->n; i++) {
    const vane_parameter *item = &parameters->items[i];
    float *values;
    VANE_TRY(append(all, prefix, item->name, item->dims, item->n_dims, &values));
    VANE_TRY(vane_parameters_get(parameters, network->device, block, i, values));
  }
  return VANE_OK;
}

static vane_status gather_running(gathered *all, const vane_network *network) {
  vane_device *device = network->device;
  for (int64_t j = 0; j < vane_trunk_n_running(network->trunk); j++) {
    char name[64];
    int64_t offset, count;
    float initial, *values;
    vane_trunk_running_at(network->trunk, j, name, &offset, &count, &initial);
    VANE_TRY(append(all, "", name, &count, 1, &values));
    const void *from =
        (const unsigned char *)network->running + (size_t)offset * device->real_bytes;
    VANE_TRY(device->memory.get(device, values, from, count));
  }
  return VANE_OK;
}

static vane_status gather_record(gathered *all, const vane_trainer *trainer) {
  vane_step_record record;
  VANE_TRY(vane_trainer_read_record(trainer, &record));
  record_numbers numbers = numbers_of(&record);
  record_part parts[N_RECORD_PARTS];
  list_record_parts(&record, &numbers, parts);
  for (int i = 0; i < N_RECORD_PARTS; i++) {
    const record_part *part = &parts[i];
    size_t width = strcmp(part->dtype, "F64") == 0 ? sizeof(double) : sizeof(float);
    void *values;
    VANE_TRY(
        append_typed(all, "", part->name, part->dtype, width, part->dims, part->n_dims, &values));
    memcpy(values, part->values, part->bytes);
  }
  return VANE_OK;
}

static vane_status gather(gathered *all, const vane_trainer *trainer) {
  const vane_network *network = trainer->network;
  size_t most =
      (size_t)(4 * network->parameters.n + vane_trunk_n_running(network->trunk)) + N_RECORD_PARTS;
  all->tensors = calloc(most, sizeof *all->tensors);
  if (!all->tensors)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the tensors of a checkpoint");
  VANE_TRY(gather_block(all, network, "", network->weights));
  VANE_TRY(gather_running(all, network));
  VANE_TRY(gather_block(all, network, "adam.m.", trainer->m));
  VANE_TRY(gather_block(all, network, "adam.v.", trainer->v));
  if (trainer->v_max)
    VANE_TRY(gather_block(all, network, "adam.v_max.", trainer->v_max));
  return gather_record(all, trainer);
}

/* Metadata: a few fixed texts, then one per convolution. */
enum {
  TEXT_STEP,
  TEXT_CONFIG,
  TEXT_DEVICE,
  TEXT_BEST_TOTAL,
  TEXT_BEST_STEP,
  TEXT_ROLLBACKS,
  N_FIXED_TEXTS
};

static vane_status write_file(vane_trainer *trainer, vane_run *run, vane_best best, bool is_best,
                              const gathered *all, const char *config_text) {
  const vane_trunk *trunk = trainer->network->trunk;
  int64_t n_convolutions = vane_trunk_n_convolutions(trunk);
  char step[24], best_total[40], best_step[24], rollbacks[24];
  snprintf(step, sizeof step, "%" PRId64, trainer->step);
  snprintf(best_total, sizeof best_total, "%.17g", best.total);
  snprintf(best_step, sizeof best_step, "%" PRId64, best.step);
  snprintf(rollbacks, sizeof rollbacks, "%" PRId64, trainer->n_rollbacks);

  typedef char key_text[96];
  key_text *keys = calloc((size_t)n_convolutions + 1, sizeof *keys);
  vane_safetensors_text *texts = calloc((size_t)(N_FIXED_TEXTS + n_convolutions), sizeof *texts);
  vane_status status = VANE_OK;
  if (!keys || !texts) {
    status = vane_fail(VANE_ERR_MEMORY, "no memory for the metadata of a checkpoint");
  } else {
    texts[TEXT_STEP] = (vane_safetensors_text){"vane.step", step};
    texts[TEXT_CONFIG] = (vane_safetensors_text){"vane.config", config_text};
    texts[TEXT_DEVICE] = (vane_safetensors_text){"vane.device", trainer->device->name};
    texts[TEXT_BEST_TOTAL] = (vane_safetensors_text){"vane.best_total", best_total};
    texts[TEXT_BEST_STEP] = (vane_safetensors_text){"vane.best_step", best_step};
    texts[TEXT_ROLLBACKS] = (vane_safetensors_text){"vane.rollbacks", rollbacks};
    for (int64_t j = 0; j < n_convolutions; j++) {
      vane_safetensors_text *text = &texts[N_FIXED_TEXTS + j];
      const char *name;
      vane_trunk_convolution_at(trunk, j, &name, &text->text);
      snprintf(keys[j], sizeof keys[j], CONVOLUTION_KEY "%s", name);
      text->key = keys[j];
    }
    status = vane_run_save(run, trainer->step, is_best, all->tensors, all->n, texts,
                           N_FIXED_TEXTS + n_convolutions);
  }
  free(keys);
  free(texts);
  return status;
}

vane_status vane_checkpoint_save(vane_trainer *trainer, vane_run *run, vane_best best,
                                 bool is_best) {
  VANE_TRY(trainer->device->memory.synchronize(trainer->device));
  gathered all = {0};
  char *config_text = NULL;
  vane_status status = vane_config_print(&trainer->config, &config_text);
  if (status == VANE_OK)
    status = gather(&all, trainer);
  if (status == VANE_OK)
    status = write_file(trainer, run, best, is_best, &all, config_text);
  free(config_text);
  release(&all);
  return status;
}
