#include "net/parameters.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"

void vane_parameters_init(vane_parameters *parameters) {
  memset(parameters, 0, sizeof *parameters);
}

void vane_parameters_finish(vane_parameters *parameters) {
  free(parameters->items);
  free(parameters->segments);
  memset(parameters, 0, sizeof *parameters);
}

static vane_status grow(vane_parameters *parameters) {
  if (parameters->n < parameters->capacity)
    return VANE_OK;
  int64_t capacity = parameters->capacity ? 2 * parameters->capacity : 64;
  vane_parameter *items = realloc(parameters->items, (size_t)capacity * sizeof *items);
  if (items)
    parameters->items = items;
  vane_segment *segments = realloc(parameters->segments, (size_t)capacity * sizeof *segments);
  if (segments)
    parameters->segments = segments;
  if (!items || !segments)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the table of parameters");
  parameters->capacity = capacity;
  return VANE_OK;
}

vane_status vane_parameters_add(vane_parameters *parameters, vane_parameter item, int32_t task,
                                bool decay, int64_t *index, const char *format, ...) {
  VANE_TRY(grow(parameters));
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(item.name, sizeof item.name, format, arguments);
  va_end(arguments);
  item.count = 1;
  for (int64_t d = 0; d < item.n_dims; d++)
    item.count *= item.dims[d];
  int64_t stored = item.conv ? item.conv->weight_count : item.count;
  int64_t i = parameters->n++;
  item.draw = i;
  parameters->items[i] = item;
  parameters->segments[i] =
      (vane_segment){.offset = parameters->total, .count = stored, .task = task, .decay = decay};
  bool trunk = task == VANE_SHARED && parameters->shared == parameters->total;
  parameters->total +=
      (stored + VANE_SEGMENT_ALIGNMENT - 1) / VANE_SEGMENT_ALIGNMENT * VANE_SEGMENT_ALIGNMENT;
  if (trunk)
    parameters->shared = parameters->total;
  *index = i;
  return VANE_OK;
}

int64_t vane_parameters_count(const vane_parameters *parameters) {
  int64_t count = 0;
  for (int64_t i = 0; i < parameters->n; i++)
    count += parameters->items[i].count;
  return count;
}

int64_t vane_parameters_largest(const vane_parameters *parameters) {
  int64_t largest = 0;
  for (int64_t i = 0; i < parameters->n; i++)
    if (parameters->items[i].count > largest)
      largest = parameters->items[i].count;
  return largest;
}

static size_t offset_bytes(const vane_parameters *parameters, const vane_device *device,
                           int64_t i) {
  return (size_t)parameters->segments[i].offset * device->real_bytes;
}

void *vane_parameters_at(const vane_parameters *parameters, const vane_device *device, void *block,
                         int64_t i) {
  return (unsigned char *)block + offset_bytes(parameters, device, i);
}

vane_status vane_parameters_get(const vane_parameters *parameters, vane_device *device,
                                const void *block, int64_t i, float *to_host) {
  const vane_parameter *item = &parameters->items[i];
  const void *from = (const unsigned char *)block + offset_bytes(parameters, device, i);
  if (item->conv)
    return device->conv.get_weights(device, item->conv, to_host, from);
  return device->memory.get(device, to_host, from, item->count);
}

vane_status vane_parameters_put(const vane_parameters *parameters, vane_device *device, void *block,
                                int64_t i, const float *from_host) {
  const vane_parameter *item = &parameters->items[i];
  void *to = vane_parameters_at(parameters, device, block, i);
  if (item->conv)
    return device->conv.put_weights(device, item->conv, to, from_host);
  return device->memory.put(device, to, from_host, item->count);
}

static double deviation(const vane_parameter *item, int init_kind) {
  /* He et al. 2015: the gain makes up for the half that a ReLU removes. Glorot and Bengio 2010. */
  if (init_kind == VANE_INIT_HE)
    return sqrt(item->gain / (double)item->fan_in);
  return sqrt(2.0 / (double)(item->fan_in + item->fan_out));
}

static void draw(const vane_parameter *item, uint64_t seed, int init_kind, float *values) {
  uint64_t tensor = (uint64_t)item->draw;
  double scale = item->init == VANE_INIT_WEIGHTS ? deviation(item, init_kind) : 0;
  float constant = item->init == VANE_INIT_ONES ? 1.0f : 0.0f;
  for (int64_t j = 0; j < item->count; j++)
    values[j] =
        item->init == VANE_INIT_WEIGHTS
            ? (float)(scale * vane_random_normal(seed, VANE_RANDOM_INIT, tensor, (uint64_t)j))
            : constant;
}

vane_status vane_parameters_draw(const vane_parameters *parameters, vane_device *device,
                                 uint64_t seed, int init_kind, void *block) {
  float *values = malloc((size_t)vane_parameters_largest(parameters) * sizeof *values);
  if (!values)
    return vane_fail(VANE_ERR_MEMORY, "no memory for initial weights");
  vane_status status = VANE_OK;
  for (int64_t i = 0; i < parameters->n && status == VANE_OK; i++) {
    draw(&parameters->items[i], seed, init_kind, values);
    status = vane_parameters_put(parameters, device, block, i, values);
  }
  free(values);
  return status;
}
