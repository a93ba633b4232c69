#include "data/passed_over.h"

#include <string.h>

#include "base/error.h"

int64_t vane_passed_over_place(const vane_config *config, int64_t delivered) {
  const int64_t *entry = config->data_train_passed_over;
  int64_t place = delivered;
  for (int64_t i = 0; i + 1 < config->n_data_train_passed_over && entry[i] <= place; i += 2)
    place += entry[i + 1];
  return place;
}

vane_status vane_passed_over_add(vane_config *config, int64_t first, int64_t count) {
  enum { ROOM = sizeof config->data_train_passed_over / sizeof *config->data_train_passed_over };
  int64_t merged[ROOM + 2], n = 0, end = first + count;
  int64_t i = 0, n_before = config->n_data_train_passed_over;
  const int64_t *entry = config->data_train_passed_over;
  for (; i < n_before && entry[i] + entry[i + 1] < first; i += 2) {
    merged[n++] = entry[i];
    merged[n++] = entry[i + 1];
  }
  for (; i < n_before && entry[i] <= end; i += 2) {
    first = entry[i] < first ? entry[i] : first;
    end = entry[i] + entry[i + 1] > end ? entry[i] + entry[i + 1] : end;
  }
  merged[n++] = first;
  merged[n++] = end - first;
  for (; i < n_before; i++)
    merged[n++] = entry[i];
  if (n > ROOM)
    return vane_fail(VANE_ERR_STATE, "data.train.passed_over has room for %d entries and is full",
                     ROOM / 2);
  memcpy(config->data_train_passed_over, merged, (size_t)n * sizeof *merged);
  config->n_data_train_passed_over = n;
  return VANE_OK;
}
