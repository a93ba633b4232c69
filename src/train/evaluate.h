/* Evaluation: one pass over the test examples with the running statistics. */
#ifndef VANE_TRAIN_EVALUATE_H
#define VANE_TRAIN_EVALUATE_H

#include "data/loader.h"
#include "train/scores.h"
#include "train/trainer.h"

/* Goes over `loader` (opened with `test`, batches of the trainer's size) from its beginning and
 * rewinds it. Blocks. Neither weights nor the training record change. */
VANE_CHECKED
vane_status vane_evaluate(vane_trainer *trainer, vane_loader *loader, vane_scores *scores);

#endif
