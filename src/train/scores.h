/* How good the answers are: collects them image by image and sums them up. */
#ifndef VANE_TRAIN_SCORES_H
#define VANE_TRAIN_SCORES_H

#include "data/example.h"
#include "device/device.h"
#include "net/answer.h"

/* Figures over the images that have the label; NaN where none has it. */
typedef struct vane_scores {
  int64_t images;
  double loss[VANE_N_LOSSES]; /* means over the samples that count, unweighted */
  double total;               /* the weighted sum, the figure that `best` goes by */
  double auroc;               /* presence: area under the ROC curve, ties count half */
  double average_precision;
  double accuracy; /* at probability 0.5 */
  double ece;      /* expected calibration error over 15 bins of equal width */
  double mae_deg, median_deg, rmse_deg;
  double acc5, acc10, acc30; /* share of angle errors below so many degrees */
  double flip;               /* share above 150 degrees */
  double mape;               /* magnitude: mean |error| / |label|, over labels that are not 0 */
  double mae_px;             /* position: mean distance */
} vane_scores;

/* Answers collected so far. */
typedef struct vane_score_sheet vane_score_sheet;

VANE_CHECKED
vane_status vane_score_sheet_create(const vane_config *config, int64_t n_images,
                                    vane_score_sheet **sheet);
void vane_score_sheet_destroy(vane_score_sheet *sheet); /* takes NULL */

/* Adds one image; at most n_images. */
void vane_score_sheet_add(vane_score_sheet *sheet, const vane_answer *answer,
                          const vane_labels *labels);

/* Fills all but the losses. The sheet may be sorted by it, and is good for nothing else after. */
void vane_score_sheet_sum_up(vane_score_sheet *sheet, vane_scores *scores);

#endif
