/* A step record, read once per log interval, becomes named metrics and words about bad values. */
#ifndef VANE_TRAIN_REPORT_H
#define VANE_TRAIN_REPORT_H

#include "store/run.h"
#include "train/scores.h"
#include "train/trainer.h"

/* A list of metrics with room for all that a run has to say at once; tags are built in place. */
typedef struct vane_report {
  char (*tags)[128];
  vane_metric *metrics;
  int64_t n, capacity;
} vane_report;

VANE_CHECKED
vane_status vane_report_init(vane_report *report, const vane_trainer *trainer);
void vane_report_finish(vane_report *report); /* one of zeros is fine */

/* Adds one metric; the tag is formatted. */
void vane_report_add(vane_report *report, double value, const char *format, ...) VANE_PRINTF(3, 4);

/* Losses, norms, cosines, clips, weights: means over the interval; what the guard found last. */
void vane_report_add_record(vane_report *report, const vane_trainer *trainer,
                            const vane_step_record *record);

/* "adam/...": `parts` [n_parts], on the host, are what was seen since the last report; nothing is
 * added where that is nothing. */
void vane_report_add_telemetry(vane_report *report, const vane_trainer *trainer,
                               const vane_adam_telemetry *parts);

/* "eval/..." for an evaluation. */
void vane_report_add_scores(vane_report *report, const vane_scores *scores);

#endif
