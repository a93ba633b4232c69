/* Answers for images, from a checkpoint: what a trained network is for. */
#ifndef VANE_TRAIN_PREDICT_H
#define VANE_TRAIN_PREDICT_H

#include "train/checkpoint.h"

/* A network with a checkpoint's weights on a device of its own, ready for batches of images. */
typedef struct vane_predictor vane_predictor;

/* `config`: the checkpoint's, perhaps with other device.* settings; copied. Its convolutions repeat
 * the algorithms of the checkpoint where this machine has them. `batch`: images per run, at most. A
 * checkpoint that does not fit `config` is VANE_ERR_STATE. */
VANE_CHECKED
vane_status vane_predictor_create(const vane_checkpoint *checkpoint, const vane_config *config,
                                  int64_t batch, vane_predictor **predictor);
void vane_predictor_destroy(vane_predictor *predictor); /* takes NULL */

/* `pixels` [n, H, W, C] in, `answers` [n] out, both on the host; n is at most the batch. What
 * a head would say whose loss has weight 0 is NaN. Blocks. */
VANE_CHECKED
vane_status vane_predictor_run(vane_predictor *predictor, const uint8_t *pixels, int64_t n,
                               vane_answer *answers);

#endif
