/* A step record, read once per log interval, becomes named metrics and words about bad values. */
#ifndef VANE_TRAIN_REPORT_H
#define VANE_TRAIN_REPORT_H

#include "store/run.h"
#include "train/scores.h"
#include "train/trainer.h"

#define VANE_REPORT_MAX_METRICS 64

/* A growing list; tags are built in place. */
typedef struct vane_report {
  char tags[VANE_REPORT_MAX_METRICS][64];
  vane_metric metrics[VANE_REPORT_MAX_METRICS];
  int64_t n;
} vane_report;

/* Adds one metric; the tag is formatted. */
void vane_report_add(vane_report *report, double value, const char *format, ...) VANE_PRINTF(3, 4);

/* Losses, norms, cosines, clips, weights: means over the interval; what the guard found last. */
void vane_report_add_record(vane_report *report, const vane_trainer *trainer,
                            const vane_step_record *record);

/* "eval/..." for an evaluation. */
void vane_report_add_scores(vane_report *report, const vane_scores *scores);

#endif
