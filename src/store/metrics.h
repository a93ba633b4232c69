/* The numbers of a run: metrics.jsonl and TensorBoard's event file, always written together. */
#ifndef VANE_STORE_METRICS_H
#define VANE_STORE_METRICS_H

#include "store/run.h"

typedef struct vane_metrics_log vane_metrics_log;

/* Begins both files, or goes on with them in a resumed run (`append`): metrics.jsonl grows, events
 * get a file of their own per session, as TensorBoard expects. */
VANE_CHECKED
vane_status vane_metrics_open(const char *folder, bool append, vane_metrics_log **log);
void vane_metrics_close(vane_metrics_log *log); /* takes NULL */

VANE_CHECKED
vane_status vane_metrics_write(vane_metrics_log *log, int64_t step, const vane_metric *metrics,
                               int64_t n_metrics);

/* Waits until what was written is on the disk. */
VANE_CHECKED
vane_status vane_metrics_flush(vane_metrics_log *log);

/* Removes what was written for steps after `step`, and a torn end, from the files in `folder`. */
VANE_CHECKED
vane_status vane_metrics_cut(const char *folder, int64_t step);

#define VANE_METRICS_FILE  "metrics.jsonl"
#define VANE_EVENTS_PREFIX "events.out.tfevents." /* TensorBoard looks for "tfevents" */

#endif
