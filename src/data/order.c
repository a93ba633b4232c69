#include "data/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"

struct vane_order {
  int64_t *file_first; /* [n_files + 1] */
  int64_t n_files, n_examples, window;
  bool shuffle;
  uint64_t seed;
  int64_t epoch;        /* whose permutation is held; -1: none yet */
  int64_t *permutation; /* [n_examples]; NULL without shuffling, like the two below */
  int64_t *held;        /* [window] */
  int64_t *file_order;  /* [n_files] */
};

static vane_status take_memory(vane_order *order) {
  order->permutation = malloc((size_t)order->n_examples * sizeof *order->permutation);
  order->held = malloc((size_t)order->window * sizeof *order->held);
  order->file_order = malloc((size_t)order->n_files * sizeof *order->file_order);
  if (!order->permutation || !order->held || !order->file_order)
    return vane_fail(VANE_ERR_MEMORY, "no memory to shuffle %lld examples; lower data.train.count",
                     (long long)order->n_examples);
  return VANE_OK;
}

vane_status vane_order_create(const int64_t *file_first, int64_t n_files, bool shuffle,
                              int64_t window, uint64_t seed, vane_order **order_out) {
  vane_order *order = calloc(1, sizeof *order);
  if (!order)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the order of examples");
  size_t file_bytes = (size_t)(n_files + 1) * sizeof *file_first;
  order->file_first = malloc(file_bytes);
  if (!order->file_first) {
    vane_order_destroy(order);
    return vane_fail(VANE_ERR_MEMORY, "no memory for the order of %lld files", (long long)n_files);
  }
  memcpy(order->file_first, file_first, file_bytes);
  order->n_files = n_files;
  order->n_examples = file_first[n_files];
  order->window = window < order->n_examples ? window : order->n_examples;
  order->shuffle = shuffle;
  order->seed = seed;
  order->epoch = -1;
  vane_status status = shuffle ? take_memory(order) : VANE_OK;
  if (status != VANE_OK) {
    vane_order_destroy(order);
    return status;
  }
  *order_out = order;
  return VANE_OK;
}

void vane_order_destroy(vane_order *order) {
  if (!order)
    return;
  free(order->file_order);
  free(order->held);
  free(order->permutation);
  free(order->file_first);
  free(order);
}

static void shuffle_files(vane_order *order, uint64_t epoch) {
  int64_t *file_order = order->file_order;
  for (int64_t f = 0; f < order->n_files; f++)
    file_order[f] = f;
  for (int64_t f = order->n_files - 1; f > 0; f--) {
    int64_t other = (int64_t)vane_random_below(order->seed, VANE_RANDOM_FILES, epoch, (uint64_t)f,
                                               (uint64_t)f + 1);
    int64_t kept = file_order[f];
    file_order[f] = file_order[other];
    file_order[other] = kept;
  }
}

static int64_t draw_from_window(const vane_order *order, uint64_t epoch, int64_t n_out,
                                int64_t n_held) {
  return (int64_t)vane_random_below(order->seed, VANE_RANDOM_WINDOW, epoch, (uint64_t)n_out,
                                    (uint64_t)n_held);
}

static void permute(vane_order *order, int64_t epoch) {
  shuffle_files(order, (uint64_t)epoch);
  int64_t n_held = 0, n_out = 0;
  for (int64_t f = 0; f < order->n_files; f++) {
    const int64_t *file = order->file_first + order->file_order[f];
    for (int64_t example = file[0]; example < file[1]; example++) {
      if (n_held < order->window) {
        order->held[n_held++] = example;
        continue;
      }
      int64_t drawn = draw_from_window(order, (uint64_t)epoch, n_out, n_held);
      order->permutation[n_out++] = order->held[drawn];
      order->held[drawn] = example;
    }
  }
  while (n_held > 0) {
    int64_t drawn = draw_from_window(order, (uint64_t)epoch, n_out, n_held);
    order->permutation[n_out++] = order->held[drawn];
    order->held[drawn] = order->held[--n_held];
  }
  order->epoch = epoch;
}

int64_t vane_order_at(vane_order *order, int64_t position) {
  int64_t epoch = position / order->n_examples, place = position % order->n_examples;
  if (!order->shuffle)
    return place;
  if (order->epoch != epoch)
    permute(order, epoch);
  return order->permutation[place];
}
