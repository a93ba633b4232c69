/* Batches, prepared ahead by worker threads, in an order that depends on nothing but the seed.
 *
 * Batch b of a training run holds the examples at positions b*N .. b*N+N-1 of an endless sequence
 * of epochs; each epoch is a permutation computed from (seed, epoch): files shuffled, then examples
 * within a window. Places in data.train.passed_over are left out, and those behind move up. So the
 * whole state of a loader is the number of the next batch. */
#ifndef VANE_DATA_LOADER_H
#define VANE_DATA_LOADER_H

#include <stdbool.h>

#include "base/log.h"
#include "config/config.h"
#include "data/example.h"

typedef struct vane_loader vane_loader;

/* Training: endless, shuffled (data.shuffle), augmented (data.augment), from batch `first_batch`
 * on. Evaluation (`test`): one pass in order, no augmentation, starting over with
 * vane_loader_rewind. A bad record is named in the log, counted, and replaced by another example of
 * the source drawn by counter; beyond data.bad_records the run ends with VANE_ERR_DATA. In an
 * evaluation a bad record is an error at once, for a figure over other images would be another
 * figure. */
VANE_CHECKED
vane_status vane_loader_open(const vane_config *config, bool test, int64_t batch,
                             int64_t first_batch, const vane_log *log, vane_loader **loader);
void vane_loader_close(vane_loader *loader); /* takes NULL; joins its threads */

int64_t vane_loader_examples(const vane_loader *loader); /* per epoch */

/* Lends the next batch; waits for it. After the last one of an evaluation *batch is NULL. The
 * caller gives it back before it takes `data.prefetch` more. */
VANE_CHECKED
vane_status vane_loader_take(vane_loader *loader, const vane_batch **batch);
void vane_loader_give_back(vane_loader *loader, const vane_batch *batch);

VANE_CHECKED
vane_status vane_loader_rewind(vane_loader *loader); /* evaluation only */

/* Seconds that `take` has waited so far, and bad records among the batches taken so far: each
 * record counts once however many epochs meet it, a file that breaks off counts as one. */
double vane_loader_waited_s(const vane_loader *loader);
int64_t vane_loader_bad_records(const vane_loader *loader);

/* What a training run finds at a place of the endless sequence, before any bad record there is
 * replaced. */
vane_origin vane_loader_origin_at(vane_loader *loader, int64_t place);

void vane_loader_describe(const vane_loader *loader, vane_origin origin, char *text,
                          size_t n_bytes);

#endif
