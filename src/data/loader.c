#include "data/loader.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/order.h"
#include "data/passed_over.h"
#include "data/slot.h"
#include "data/source.h"

/* Examples that a thread takes on at once: enough that the lock does not matter, few enough that
 * all threads work on the batch that is waited for. */
#define CHUNK 16

/* Replacements tried for one place in a batch. With a share q of bad records all fail by chance
 * with q^100; then the source is as good as unreadable. */
#define MAX_ATTEMPTS 100

/* A ring of slots: batch b is prepared in slot b % n_slots. Threads hand out the examples of one
 * batch after the other (`next_fill`), the caller takes them in the same order (`next_take`). All
 * that more than one thread touches is under `lock`, except the pixels, labels and origins of
 * examples that a thread has claimed. */
struct vane_loader {
  vane_config config;
  bool test, augment;
  vane_source *source;
  vane_order *order; /* NULL in an evaluation */
  int64_t batch, n_batches;
  size_t image_bytes;

  pthread_mutex_t lock;
  pthread_cond_t work, done; /* for the threads; for the caller */
  pthread_t *threads;
  int64_t n_threads; /* running */
  vane_slot *slots;
  int64_t n_slots;
  int64_t next_fill, next_take;
  int64_t n_working; /* threads with a claimed chunk */
  bool paused, stopping;

  /* The caller's alone. */
  const vane_log *log;
  double waited_s;
  int64_t *bad; /* numbers of the bad records met so far, sorted */
  int64_t n_bad, bad_capacity;
  vane_error failure; /* once the run cannot go on */
};

typedef struct chunk {
  vane_slot *slot;
  int64_t first, n;
} chunk;

static void start_batch(vane_loader *loader, vane_slot *slot) {
  int64_t first = loader->next_fill * loader->batch;
  int64_t n = loader->batch;
  if (loader->test && n > vane_source_count(loader->source) - first)
    n = vane_source_count(loader->source) - first;
  vane_slot_restart(slot, loader->next_fill, n);
  for (int64_t i = 0; i < n; i++) {
    int64_t place = loader->test ? first + i : vane_passed_over_place(&loader->config, first + i);
    slot->batch.origins[i] =
        (vane_origin){.index = loader->test ? place : vane_order_at(loader->order, place),
                      .draw = (uint64_t)place};
  }
}

/* The next examples that nobody works on yet; false while there are none. Under the lock. */
static bool claim(vane_loader *loader, chunk *claimed) {
  if (loader->paused || loader->next_fill >= loader->n_batches)
    return false;
  vane_slot *slot = &loader->slots[loader->next_fill % loader->n_slots];
  if (slot->state == VANE_SLOT_FREE)
    start_batch(loader, slot);
  else if (slot->state != VANE_SLOT_FILLING || slot->batch.number != loader->next_fill)
    return false; /* still on its way, lent, or not yet full with an earlier batch */
  int64_t left = slot->batch.n - slot->n_claimed;
  *claimed = (chunk){slot, slot->n_claimed, left < CHUNK ? left : CHUNK};
  slot->n_claimed += claimed->n;
  if (slot->n_claimed == slot->batch.n)
    loader->next_fill++;
  return true;
}

/* Whether a record that failed with `status` is at fault itself, and not the machine. */
static bool is_bad_record(vane_status status) {
  return status == VANE_ERR_FORMAT || status == VANE_ERR_DATA;
}

/* Reads the example at `place`, or in a training run a replacement that depends only on the place
 * in the run and the number of the attempt. */
static vane_status read_example(vane_loader *loader, vane_slot *slot, int64_t place,
                                uint8_t *pixels) {
  vane_origin *origin = &slot->batch.origins[place];
  vane_labels *labels = &slot->batch.labels[place];
  for (int64_t attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    vane_status status = vane_source_read(loader->source, *origin, pixels, labels);
    if (status == VANE_OK || loader->test || !is_bad_record(status))
      return status;
    pthread_mutex_lock(&loader->lock);
    status = vane_slot_note_bad(slot, place, attempt, origin->index);
    pthread_mutex_unlock(&loader->lock);
    VANE_TRY(status);
    origin->index =
        (int64_t)vane_random_below((uint64_t)loader->config.seed, VANE_RANDOM_REPLACE, origin->draw,
                                   (uint64_t)attempt, (uint64_t)vane_source_count(loader->source));
  }
  return vane_fail(VANE_ERR_DATA,
                   "%d records tried in place of a bad one were bad too; run "
                   "`vane data check` on the files",
                   MAX_ATTEMPTS);
}

/* `scratch` holds one image. */
static void fill_example(vane_loader *loader, vane_slot *slot, int64_t place, uint8_t *scratch) {
  uint8_t *pixels = slot->batch.pixels + (size_t)place * loader->image_bytes;
  if (read_example(loader, slot, place, loader->augment ? scratch : pixels) != VANE_OK) {
    pthread_mutex_lock(&loader->lock);
    vane_slot_note_failure(slot, place);
    pthread_mutex_unlock(&loader->lock);
    return;
  }
  if (!loader->augment)
    return;
  const int64_t *size = loader->config.model_input;
  vane_transform transform = vane_augment_draw(&loader->config, slot->batch.origins[place].draw);
  vane_transform_pixels(&transform, scratch, size[0], size[1], size[2], pixels, size[0], size[1]);
  vane_transform_labels(&transform, &slot->batch.labels[place]);
}

typedef struct worker {
  vane_loader *loader;
  uint8_t *scratch; /* owned: one image */
} worker;

static void *work(void *argument) {
  worker self = *(worker *)argument;
  vane_loader *loader = self.loader;
  free(argument);
  pthread_mutex_lock(&loader->lock);
  while (!loader->stopping) {
    chunk claimed;
    if (!claim(loader, &claimed)) {
      pthread_cond_wait(&loader->work, &loader->lock);
      continue;
    }
    loader->n_working++;
    pthread_mutex_unlock(&loader->lock);
    for (int64_t i = 0; i < claimed.n; i++)
      fill_example(loader, claimed.slot, claimed.first + i, self.scratch);
    pthread_mutex_lock(&loader->lock);
    loader->n_working--;
    claimed.slot->n_done += claimed.n;
    if (claimed.slot->n_done == claimed.slot->batch.n)
      claimed.slot->state = VANE_SLOT_READY;
    pthread_cond_signal(&loader->done);
  }
  pthread_mutex_unlock(&loader->lock);
  free(self.scratch);
  return NULL;
}

static vane_status start_thread(vane_loader *loader) {
  worker *self = malloc(sizeof *self);
  uint8_t *scratch = malloc(loader->image_bytes);
  if (!self || !scratch) {
    free(scratch);
    free(self);
    return vane_fail(VANE_ERR_MEMORY, "no memory for a loader thread");
  }
  *self = (worker){loader, scratch};
  /* Signals are the main thread's business: a worker must not be the one that Ctrl-C interrupts. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int code = pthread_create(&loader->threads[loader->n_threads], NULL, work, self);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (code != 0) {
    free(scratch);
    free(self);
    return vane_fail_foreign(VANE_ERR_IO, code, strerror(code),
                             "cannot start a loader thread; lower data.threads");
  }
  loader->n_threads++;
  return VANE_OK;
}

static vane_status create_order(vane_loader *loader) {
  int64_t n_files = vane_source_n_files(loader->source);
  int64_t *file_first = malloc((size_t)(n_files + 1) * sizeof *file_first);
  if (!file_first)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the places of %" PRId64 " files", n_files);
  for (int64_t f = 0; f < n_files; f++) {
    int64_t count;
    vane_source_file_span(loader->source, f, &file_first[f], &count);
    file_first[f + 1] = file_first[f] + count;
  }
  const vane_config *config = &loader->config;
  vane_status status =
      vane_order_create(file_first, n_files, config->data_shuffle, config->data_window,
                        (uint64_t)config->seed, &loader->order);
  free(file_first);
  return status;
}

static vane_status too_many_bad(const vane_loader *loader) {
  return vane_fail(VANE_ERR_DATA,
                   "%" PRId64 " bad records, and data.bad_records allows %" PRId64
                   "; run `vane data check` on the files, or raise data.bad_records",
                   vane_loader_bad_records(loader), loader->config.data_bad_records);
}

/* Everything that open does after the loader can be closed. */
static vane_status prepare(vane_loader *loader) {
  const vane_config *config = &loader->config;
  VANE_TRY(vane_source_open(config, loader->test, loader->log, &loader->source));
  if (vane_loader_bad_records(loader) > config->data_bad_records)
    return too_many_bad(loader);
  const int64_t *size = config->model_input;
  loader->image_bytes = (size_t)(size[0] * size[1] * size[2]);
  loader->n_batches = INT64_MAX;
  if (loader->test)
    loader->n_batches = (vane_source_count(loader->source) + loader->batch - 1) / loader->batch;
  else
    VANE_TRY(create_order(loader));
  /* One more than are prepared ahead: the one that the caller works on. */
  loader->slots = calloc((size_t)config->data_prefetch + 1, sizeof *loader->slots);
  loader->threads = calloc((size_t)config->data_threads, sizeof *loader->threads);
  if (!loader->slots || !loader->threads)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the loader's queue");
  while (loader->n_slots < config->data_prefetch + 1)
    VANE_TRY(vane_slot_init(&loader->slots[loader->n_slots++], loader->batch, loader->image_bytes));
  while (loader->n_threads < config->data_threads)
    VANE_TRY(start_thread(loader));
  return VANE_OK;
}

vane_status vane_loader_open(const vane_config *config, bool test, int64_t batch,
                             int64_t first_batch, const vane_log *log, vane_loader **loader_out) {
  if (batch < 1 || first_batch < 0)
    return vane_fail(VANE_ERR_ARGUMENT, "batch %" PRId64 " of %" PRId64 " examples asked for",
                     first_batch, batch);
  vane_loader *loader = calloc(1, sizeof *loader);
  if (!loader)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a loader");
  loader->config = *config;
  loader->test = test;
  loader->augment = !test && vane_augment_wanted(config);
  loader->batch = batch;
  loader->next_fill = loader->next_take = first_batch;
  loader->log = log;
  /* Initialising with default attributes cannot fail on Linux. */
  pthread_mutex_init(&loader->lock, NULL);
  pthread_cond_init(&loader->work, NULL);
  pthread_cond_init(&loader->done, NULL);
  vane_status status = prepare(loader);
  if (status != VANE_OK) {
    vane_loader_close(loader);
    return status;
  }
  *loader_out = loader;
  return VANE_OK;
}

void vane_loader_close(vane_loader *loader) {
  if (!loader)
    return;
  pthread_mutex_lock(&loader->lock);
  loader->stopping = true;
  pthread_cond_broadcast(&loader->work);
  pthread_mutex_unlock(&loader->lock);
  for (int64_t i = 0; i < loader->n_threads; i++)
    pthread_join(loader->threads[i], NULL);
  pthread_cond_destroy(&loader->done);
  pthread_cond_destroy(&loader->work);
  pthread_mutex_destroy(&loader->lock);
  for (int64_t i = 0; i < loader->n_slots; i++)
    vane_slot_finish(&loader->slots[i]);
  free(loader->slots);
  free(loader->threads);
  free(loader->bad);
  vane_order_destroy(loader->order);
  vane_source_close(loader->source);
  free(loader);
}

int64_t vane_loader_examples(const vane_loader *loader) {
  return vane_source_count(loader->source);
}

/* Waits for the batch whose turn it is; on return it belongs to the caller. */
static vane_status wait_for_next(vane_loader *loader, vane_slot **slot_out) {
  vane_slot *slot = &loader->slots[loader->next_take % loader->n_slots];
  vane_status status = VANE_OK;
  pthread_mutex_lock(&loader->lock);
  if (slot->state == VANE_SLOT_LENT) {
    status = vane_fail(VANE_ERR_ARGUMENT, "all %" PRId64 " batches are lent; give one back first",
                       loader->n_slots);
  } else if (slot->state != VANE_SLOT_READY) {
    double start_s = vane_clock_s();
    while (slot->state != VANE_SLOT_READY)
      pthread_cond_wait(&loader->done, &loader->lock);
    loader->waited_s += vane_clock_s() - start_s;
  }
  if (status == VANE_OK)
    slot->state = VANE_SLOT_LENT;
  pthread_mutex_unlock(&loader->lock);
  *slot_out = slot;
  return status;
}

/* Adds a bad record to those met so far; `fresh` is false where it is known from an earlier epoch.
 */
static vane_status remember_bad(vane_loader *loader, int64_t index, bool *fresh) {
  int64_t low = 0, high = loader->n_bad;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (loader->bad[middle] < index)
      low = middle + 1;
    else
      high = middle;
  }
  *fresh = low == loader->n_bad || loader->bad[low] != index;
  if (!*fresh)
    return VANE_OK;
  if (loader->n_bad == loader->bad_capacity) {
    int64_t capacity = loader->bad_capacity ? 2 * loader->bad_capacity : 16;
    int64_t *bad = realloc(loader->bad, (size_t)capacity * sizeof *bad);
    if (!bad)
      return vane_fail(VANE_ERR_MEMORY, "no memory to remember a bad record");
    loader->bad = bad;
    loader->bad_capacity = capacity;
  }
  memmove(loader->bad + low + 1, loader->bad + low,
          (size_t)(loader->n_bad - low) * sizeof *loader->bad);
  loader->bad[low] = index;
  loader->n_bad++;
  return VANE_OK;
}

/* Bad records are named and counted when their batch is taken, not when a thread meets them, so
 * that the run ends at the same batch whatever the threads did. */
static vane_status account(vane_loader *loader, vane_slot *slot) {
  vane_slot_sort_bad(slot);
  for (int64_t i = 0; i < slot->n_bad; i++) {
    bool fresh;
    VANE_TRY(remember_bad(loader, slot->bad[i].index, &fresh));
    if (!fresh)
      continue;
    vane_log_warning(loader->log, "bad record, replaced by another: %s", slot->bad[i].message);
    if (vane_loader_bad_records(loader) > loader->config.data_bad_records) {
      too_many_bad(loader);
      return vane_error_add_context("%s", slot->bad[i].message);
    }
  }
  return slot->failed_at >= 0 ? vane_error_adopt(&slot->error) : VANE_OK;
}

vane_status vane_loader_take(vane_loader *loader, const vane_batch **batch) {
  *batch = NULL;
  if (loader->failure.status != VANE_OK)
    return vane_error_adopt(&loader->failure);
  if (loader->next_take >= loader->n_batches)
    return VANE_OK;
  vane_slot *slot;
  VANE_TRY(wait_for_next(loader, &slot));
  vane_status status = account(loader, slot);
  if (status != VANE_OK) {
    loader->failure = *vane_error_get();
    return status;
  }
  loader->next_take++;
  *batch = &slot->batch;
  return VANE_OK;
}

void vane_loader_give_back(vane_loader *loader, const vane_batch *batch) {
  pthread_mutex_lock(&loader->lock);
  loader->slots[batch->number % loader->n_slots].state = VANE_SLOT_FREE;
  pthread_cond_broadcast(&loader->work);
  pthread_mutex_unlock(&loader->lock);
}

vane_status vane_loader_rewind(vane_loader *loader) {
  if (!loader->test)
    return vane_fail(VANE_ERR_ARGUMENT, "only an evaluation starts over");
  pthread_mutex_lock(&loader->lock);
  loader->paused = true;
  while (loader->n_working > 0)
    pthread_cond_wait(&loader->done, &loader->lock);
  for (int64_t i = 0; i < loader->n_slots; i++)
    loader->slots[i].state = VANE_SLOT_FREE;
  loader->next_fill = loader->next_take = 0;
  loader->paused = false;
  pthread_cond_broadcast(&loader->work);
  pthread_mutex_unlock(&loader->lock);
  memset(&loader->failure, 0, sizeof loader->failure);
  return VANE_OK;
}

double vane_loader_waited_s(const vane_loader *loader) {
  return loader->waited_s;
}

int64_t vane_loader_bad_records(const vane_loader *loader) {
  return loader->n_bad + (loader->source ? vane_source_n_damaged(loader->source) : 0);
}

vane_origin vane_loader_origin_at(vane_loader *loader, int64_t place) {
  pthread_mutex_lock(&loader->lock);
  int64_t index = vane_order_at(loader->order, place);
  pthread_mutex_unlock(&loader->lock);
  return (vane_origin){.index = index, .draw = (uint64_t)place};
}

void vane_loader_describe(const vane_loader *loader, vane_origin origin, char *text,
                          size_t n_bytes) {
  vane_source_describe(loader->source, origin, text, n_bytes);
}
