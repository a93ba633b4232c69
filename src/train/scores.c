#include "train/scores.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

#define DEGREES_PER_RADIAN 57.295779513082320877
#define N_CALIBRATION_BINS 15 /* Guo et al. 2017 */

typedef struct judged {
  double probability;
  bool present;
} judged;

struct vane_score_sheet {
  double period; /* of angles, radians */
  int64_t capacity, images;
  judged *presence;
  int64_t n_presence;
  double *angle_errors; /* degrees, absolute */
  int64_t n_angles;
  double magnitude_sum, position_sum;
  int64_t n_magnitudes, n_positions;
};

vane_status vane_score_sheet_create(const vane_config *config, int64_t n_images,
                                    vane_score_sheet **sheet) {
  *sheet = NULL;
  vane_score_sheet *made = calloc(1, sizeof *made);
  size_t room = (size_t)(n_images > 0 ? n_images : 1);
  if (made) {
    made->presence = malloc(room * sizeof *made->presence);
    made->angle_errors = malloc(room * sizeof *made->angle_errors);
  }
  if (!made || !made->presence || !made->angle_errors) {
    vane_score_sheet_destroy(made);
    return vane_fail(VANE_ERR_MEMORY, "no memory for the answers to %lld images",
                     (long long)n_images);
  }
  made->period = vane_answer_period(config);
  made->capacity = n_images;
  *sheet = made;
  return VANE_OK;
}

void vane_score_sheet_destroy(vane_score_sheet *sheet) {
  if (!sheet)
    return;
  free(sheet->presence);
  free(sheet->angle_errors);
  free(sheet);
}

void vane_score_sheet_add(vane_score_sheet *sheet, const vane_answer *answer,
                          const vane_labels *labels) {
  if (sheet->images == sheet->capacity)
    return;
  sheet->images++;
  bool present = labels->present > 0.5f;
  if (labels->known & VANE_LABEL_PRESENT)
    sheet->presence[sheet->n_presence++] = (judged){answer->present, present};
  if (!present)
    return;
  if (labels->known & VANE_LABEL_ANGLE) {
    double error = vane_answer_wrap(answer->angle - (double)labels->angle, sheet->period);
    sheet->angle_errors[sheet->n_angles++] = fabs(error) * DEGREES_PER_RADIAN;
  }
  if (labels->known & VANE_LABEL_MAGNITUDE && labels->magnitude != 0) {
    double label = (double)labels->magnitude;
    sheet->magnitude_sum += fabs((answer->magnitude - label) / label);
    sheet->n_magnitudes++;
  }
  if (labels->known & VANE_LABEL_POSITION) {
    sheet->position_sum += hypot(answer->x - (double)labels->x, answer->y - (double)labels->y);
    sheet->n_positions++;
  }
}

static double ratio(double sum, int64_t count) {
  return count ? sum / (double)count : (double)NAN;
}

static int by_probability_descending(const void *a, const void *b) {
  double p = ((const judged *)a)->probability, q = ((const judged *)b)->probability;
  return (p < q) - (p > q);
}

/* Walks the answers from the surest "present" down, equal probabilities together: each group adds a
 * trapezoid to the ROC curve and a step to the precision-recall curve. */
static void sum_up_ranking(vane_score_sheet *sheet, vane_scores *scores) {
  judged *all = sheet->presence;
  int64_t n = sheet->n_presence, positives = 0;
  for (int64_t i = 0; i < n; i++)
    positives += all[i].present;
  int64_t negatives = n - positives, hits = 0, misses = 0;
  double area = 0, precision_sum = 0;
  qsort(all, (size_t)n, sizeof *all, by_probability_descending);
  for (int64_t i = 0; i < n;) {
    int64_t group_hits = 0, group_misses = 0;
    double probability = all[i].probability;
    for (; i < n && all[i].probability == probability; i++) {
      group_hits += all[i].present;
      group_misses += !all[i].present;
    }
    area += (double)group_misses * ((double)hits + (double)group_hits / 2);
    hits += group_hits;
    misses += group_misses;
    precision_sum += (double)group_hits * (double)hits / (double)(hits + misses);
  }
  scores->auroc =
      positives && negatives ? area / ((double)positives * (double)negatives) : (double)NAN;
  scores->average_precision = ratio(precision_sum, positives);
}

static void sum_up_calibration(const vane_score_sheet *sheet, vane_scores *scores) {
  double confidence[N_CALIBRATION_BINS] = {0}, truth[N_CALIBRATION_BINS] = {0};
  int64_t right = 0;
  for (int64_t i = 0; i < sheet->n_presence; i++) {
    const judged *one = &sheet->presence[i];
    int bin = (int)(one->probability * N_CALIBRATION_BINS);
    if (bin >= N_CALIBRATION_BINS)
      bin = N_CALIBRATION_BINS - 1;
    if (bin < 0 || isnan(one->probability))
      bin = 0;
    confidence[bin] += one->probability;
    truth[bin] += one->present;
    right += (one->probability > 0.5) == one->present;
  }
  double gap = 0;
  for (int b = 0; b < N_CALIBRATION_BINS; b++)
    gap += fabs(confidence[b] - truth[b]);
  scores->ece = ratio(gap, sheet->n_presence);
  scores->accuracy = ratio((double)right, sheet->n_presence);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void sum_up_angles(vane_score_sheet *sheet, vane_scores *scores) {
  double *errors = sheet->angle_errors, sum = 0, squares = 0;
  int64_t n = sheet->n_angles, below5 = 0, below10 = 0, below30 = 0, flipped = 0;
  qsort(errors, (size_t)n, sizeof *errors, ascending);
  for (int64_t i = 0; i < n; i++) {
    sum += errors[i];
    squares += errors[i] * errors[i];
    below5 += errors[i] < 5;
    below10 += errors[i] < 10;
    below30 += errors[i] < 30;
    flipped += errors[i] > 150;
  }
  scores->mae_deg = ratio(sum, n);
  scores->rmse_deg = sqrt(ratio(squares, n));
  scores->median_deg = n ? (errors[(n - 1) / 2] + errors[n / 2]) / 2 : (double)NAN;
  scores->acc5 = ratio((double)below5, n);
  scores->acc10 = ratio((double)below10, n);
  scores->acc30 = ratio((double)below30, n);
  scores->flip = ratio((double)flipped, n);
}

void vane_score_sheet_sum_up(vane_score_sheet *sheet, vane_scores *scores) {
  scores->images = sheet->images;
  sum_up_calibration(sheet, scores);
  sum_up_ranking(sheet, scores);
  sum_up_angles(sheet, scores);
  scores->mape = ratio(sheet->magnitude_sum, sheet->n_magnitudes);
  scores->mae_px = ratio(sheet->position_sum, sheet->n_positions);
}
