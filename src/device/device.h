/* What a device can do, as one typed table of operations.
 *
 * The trainer is written once against this page. `ref` (plain loops, double accumulation: the
 * oracle), `cpu` (oneDNN and OpenMP) and `cuda` (cuDNN, cuBLASLt and kernels of our own) fill the
 * table; no slot is ever NULL.
 *
 * Conventions
 * - Every operation on device memory is enqueued: it may return before its work is done, and works
 *   in the order of the calls. Only `synchronize`, `read`, `get`, `create` and `plan` block.
 * - Plans are made once, then run many times. `run`-time calls neither allocate nor synchronise.
 * - A real is the device's number: float, or double on the double build of `ref` that the gradient
 *   checks use (`real_bytes` 4 or 8). Pointers to reals are `void *`. Host values are always float.
 * - Activations have the meaning [N, H, W, C]; how their bytes lie is the backend's own affair
 *   (`layout`). Everything else (features, dense weights, logits, labels) is plain row-major.
 * - Outputs are overwritten ("=") and never alias inputs, unless a slot says otherwise.
 * - All results are deterministic: the same call on the same values gives the same bits, whatever
 *   the timing. The number of threads is part of the device.
 * - Numbers such as (N12) point to the formula in docs/numerics.md.
 * - A status other than VANE_OK comes with vane_error_get(): VANE_ERR_DEVICE when the underlying
 *   library failed, VANE_ERR_MEMORY when memory ran out, VANE_ERR_UNSUPPORTED when a shape has no
 *   implementation. Shapes are checked by `plan`, never at run time.
 */
#ifndef VANE_DEVICE_DEVICE_H
#define VANE_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "config/config.h"
#include "vane/status.h"

/* The five losses, in the order of every array of K losses. */
enum {
  VANE_LOSS_PRESENCE,
  VANE_LOSS_ANGLE,
  VANE_LOSS_MAGNITUDE,
  VANE_LOSS_POSITION,
  VANE_LOSS_REGULARIZATION,
  VANE_N_LOSSES,
  VANE_N_HEADS = VANE_LOSS_REGULARIZATION /* the four losses that have a head */
};
#define VANE_SHARED VANE_N_LOSSES /* a parameter segment of the trunk: no single loss owns it */

/* A view of an activation [N, H, W, C]. The memory belongs to an arena. */
typedef struct vane_tensor {
  void *data;
  int64_t n, h, w, c;
  int32_t layout; /* of the backend; set by memory.describe */
} vane_tensor;

/* What changes from step to step, in device memory, so that a captured step can be replayed. The
 * host writes `in` before a step (one small upload); the device writes the rest; the host reads the
 * whole once per log interval and then clears its end, from `n_bad_steps` on. */
typedef struct vane_step_input {
  int64_t step;                   /* 1 for the first */
  double lr;                      /* the learning rate that the schedule says */
  double bias1, bias2;            /* 1 - beta1^t, 1 - beta2^t, t steps since the last reset */
  double inv_count[VANE_N_HEADS]; /* 1 / samples that count for the loss in this batch; 0: none */
  uint32_t projection_order[VANE_N_HEADS]
                           [VANE_N_HEADS]; /* PCGrad: row i lists the others, shuffled */
  double rectification; /* RAdam's r; 0: v is not known well enough, so nothing divides */
  double adopt_limit;   /* ADOPT: of g / sqrt(v); 0: none */
  /* Flags, as wide as the rest, so that no byte of the struct is padding, which nobody sets. */
  int64_t reset; /* Adam takes the moments for zeros */
  int64_t watch; /* Adam keeps telemetry of this step */
} vane_step_input;

typedef struct vane_step_sum { /* over the steps since the host last cleared it */
  double steps;
  double loss[VANE_N_LOSSES];
  double norm[VANE_N_LOSSES];                  /* of each loss's gradient in grad.space */
  double cosine[VANE_N_LOSSES][VANE_N_LOSSES]; /* between them */
  double gradient_norm;               /* of the combined gradient, before the global clip */
  double clipped_loss[VANE_N_LOSSES]; /* steps in which the loss's clip acted */
  double clipped_global, clipped_zscore, clipped_average; /* steps in which these acted */
  double skipped;                                         /* steps that wrote nothing */
  double spikes; /* steps whose loss was a spike, skipped or not */
} vane_step_sum;

/* What the guard has found in its probes (N36, N37), and in the losses of all steps (N38, N42). */
enum {
  VANE_GUARD_MEMORY = 100, /* steps that the means of losses look back */
  VANE_GUARD_BEGIN = 200   /* losses before the first alarm */
};
/* Counts too are doubles: a checkpoint holds it as it is. */
typedef struct vane_guard_state {
  double curvature;  /* k of the newest probe, in Adam's metric */
  double bound;      /* K: the largest of the curvatures, which decay with every probe */
  double largest_lr; /* what a step may take at most; 0: no limit */
  double level;      /* mean of the logarithms of losses, */
  double noise;      /* their deviation from one step to the next, */
  double last;       /* the newest of them, */
  double rise;       /* and how far they have lately been above the mean, in deviations */
  double peak;       /* the one that gave the last alarm */
  double narrowing;  /* exp(-narrowing) is left of guard.margin */
  double brake;      /* and exp(-brake) of the learning rate, until it is released */
  double losses;     /* so many were followed, */
  double alarms;     /* so often the learning rate was lowered because of them */
  double probes;     /* so many found a curvature, */
  double ignored;    /* so many found one that is not finite */
} vane_guard_state;

/* What the detector of spikes (N27) knows of the steps before. */
enum {
  VANE_SPIKE_LONGEST_WINDOW = 256,
  VANE_SPIKE_ENOUGH = 32,  /* losses in the window before it judges, or the window where shorter */
  VANE_SPIKE_PATIENCE = 16 /* bad steps in a row after which a high loss counts as the new level */
};
#define VANE_SPIKE_FLOOR 0.1 /* the smallest deviation, as a share of the median */
typedef struct vane_spike_state {
  float recent[VANE_SPIKE_LONGEST_WINDOW]; /* accepted total losses; the i-th lies at i modulo
                                              the length */
  int64_t n_accepted;                      /* since the window last began anew */
  int64_t n_bad_running;                   /* bad steps up to here without a good one between */
} vane_spike_state;

/* Mean and variance of the gradient's norm (N28). */
enum { VANE_NORM_TREND_WARMUP = 25 }; /* steps, as in the paper */
#define VANE_NORM_TREND_KEEP 0.97     /* alpha, as in the paper */
typedef struct vane_norm_trend {
  double mean, variance;
  int64_t n; /* steps so far */
} vane_norm_trend;

/* What one step had to say; the last few are kept for the black box of a bad one. Doubles alone, so
 * that a checkpoint holds them as a matrix. */
typedef struct vane_step_note {
  double step, lr;                                 /* the rate that it took */
  double curvature, bound;                         /* what the guard knew */
  double loss[VANE_N_LOSSES], norm[VANE_N_LOSSES]; /* unweighted, as in vane_step_sum */
  double total;                                    /* what was judged (N27) */
  double gradient_norm, clip;
} vane_step_note;
enum {
  VANE_N_NOTES = 64,
  VANE_NOTES_AFTER = 16, /* steps noted after the first bad one that the host has not seen */
  VANE_N_BAD_STEPS = 8,
  VANE_N_BAD_SAMPLES = 8
};

enum { VANE_BAD_NONFINITE, VANE_BAD_SPIKE };
typedef struct vane_bad_step {
  vane_step_note note;
  double median, deviation; /* of the window, for a spike: what its total was judged by (N27) */
  int32_t kind;             /* VANE_BAD_* */
  int32_t running; /* 1: the step before was good, 2: that one was the first bad one, ... */
  int32_t loss;    /* at fault: a loss, or VANE_SHARED: the combined gradient. Of a spike: the loss
                      that weighs most */
  int32_t n_samples; /* of that loss: those that are not finite; of a spike: how many are named */
  int32_t samples[VANE_N_BAD_SAMPLES]; /* index in the batch: the first of them; of a spike: those
                                          with the largest losses, largest first */
} vane_bad_step;

typedef struct vane_step_record {
  vane_step_input in;
  double loss[VANE_N_LOSSES];                /* unweighted values (N10..N17) */
  double gram[VANE_N_LOSSES][VANE_N_LOSSES]; /* dots between the losses' gradients (N20) */
  double coefficient[VANE_N_LOSSES + 1];     /* weight x clip of each loss: Adam scales the
                                                gradients of its own head by it, and the weights
                                                by the fifth; [VANE_SHARED] is 1 (N22) */
  double mix[VANE_N_HEADS];                  /* what each slot is scaled by in the shared
                                                gradient: coefficient and projection (N24) */
  double weight[VANE_N_LOSSES];              /* current loss weights, for the log */
  double average_norm;                       /* ||t|| / n of the angle head's output (N16) */
  double average_scale;                      /* what clip_by_average_norm multiplied it by */
  double gradient_norm;                      /* of the combined gradient (N25) */
  double clip;                               /* what the clips of the whole gradient leave of it, 1:
                                                none acted (N26, N28) */
  int32_t skip;                              /* this step writes neither weights nor moments */
  int32_t halted; /* so does every step from now on: the host stops the run, or rolls it back */
  vane_guard_state guard;
  vane_spike_state spike;
  vane_norm_trend norm_trend;
  vane_step_note notes[VANE_N_NOTES]; /* of step s at s modulo the length */
  /* From here on the host clears what it has read. */
  int64_t n_bad_steps;
  vane_bad_step bad_steps[VANE_N_BAD_STEPS]; /* the first of them */
  vane_step_sum sum;
} vane_step_record;

#ifdef __CUDACC__
#define VANE_HOST_DEVICE __host__ __device__
#else
#define VANE_HOST_DEVICE
#endif

/* The learning rate that a step takes: the schedule's, unless the guard sets a lower limit. */
static inline VANE_HOST_DEVICE double vane_record_lr(const vane_step_record *record) {
  double limit = record->guard.largest_lr;
  return limit > 0.0 && limit < record->in.lr ? limit : record->in.lr;
}

/* What the guard makes of the schedule's learning rate; 1: it does not act. */
static inline double vane_record_lr_scale(const vane_step_record *record) {
  return record->in.lr > 0.0 ? vane_record_lr(record) / record->in.lr : 1.0;
}

/* Parameters lie in one block; a segment is one tensor of it. Offsets are in reals and multiples of
 * 64 bytes; gaps between segments are zero in parameters, gradients and moments, and stay zero. */
typedef struct vane_segment {
  int64_t offset, count; /* in reals; as stored, so a blocked layout may count its padding */
  int32_t task;          /* VANE_LOSS_*: the head's own; VANE_SHARED: trunk */
  int32_t decay;         /* 1: weights (regularisation and weight decay apply), 0: biases, norm */
} vane_segment;

typedef struct vane_device vane_device;

/* A block of parameters as a device knows it: its segments, planned once, so that what walks over
 * all of them (norms, Adam) finds its tables ready on the device. The copy of the segments is the
 * block's own. */
typedef struct vane_block {
  vane_segment *segments; /* on the host, in the order of their offsets */
  int64_t n_segments;
  int64_t count;       /* reals from the first segment's begin to the last one's end */
  int64_t n_parts;     /* into which the device cuts the segments to keep telemetry */
  int64_t *first_part; /* [n_segments + 1]: segment i has those before the next one's first */
  /* Of the shadow: a copy of the shared segments that come first, the trunk's, as the device's
   * convolutions read them. 0 where they read the parameters themselves. */
  size_t shadow_bytes;
} vane_block;

/* A recorded sequence of operations, see graph.run. */
typedef struct vane_graph vane_graph;

/* Each backend's plan begins with the public part below and goes on with its own. */

typedef struct vane_conv_desc {
  int64_t n, h, w, c_in, c_out;
  int64_t kernel, stride, padding; /* square, zero padding */
  bool bias, residual, relu;       /* y = relu(conv(x, w) + b + residual), each where set */
  bool data_gradient;              /* false for the layer that reads the image */
  bool training;                   /* false: only forward will run */
} vane_conv_desc;

typedef struct vane_conv_plan {
  vane_conv_desc desc;
  int64_t h_out, w_out; /* floor((h + 2 padding - kernel) / stride) + 1 */
  int64_t weight_count; /* reals that the weights take as stored, >= c_out*c_in*kernel^2 */
  size_t workspace_bytes;
  char choice[256]; /* the algorithms chosen, such as "forward=direct data=direct
                       weights=winograd"; given back to `plan`, it repeats them */
} vane_conv_plan;

typedef struct vane_norm_desc {
  int64_t n, h, w, c;
  double epsilon;
  bool residual, relu; /* y = relu(norm(x) + residual), each where set */
} vane_norm_desc;

typedef struct vane_norm_plan {
  vane_norm_desc desc;
  size_t workspace_bytes;
} vane_norm_plan;

typedef struct vane_pool_desc {
  int64_t n, h, w, c;
  int64_t kernel, stride, padding;
  bool average; /* mean of the values inside the image; false: maximum */
} vane_pool_desc;

typedef struct vane_pool_plan {
  vane_pool_desc desc;
  int64_t h_out, w_out;
  size_t index_bytes; /* what forward keeps for backward (maximum: which one won) */
} vane_pool_plan;

typedef struct vane_dense_desc {
  int64_t n, f_in, f_out;
  /* Which operations will run. */
  bool forward, backward_data, backward_weights;
  bool relu;        /* y = relu(x w^T + b) */
  bool x_relu;      /* x is all of what a ReLU made: dx is the gradient before that ReLU */
  int64_t x_stride; /* reals from one row of x and dx to the next; 0: f_in, as with x_relu always */
  int64_t y_stride; /* of dz; 0: f_out, as always but where backward_data alone will run */
} vane_dense_desc;

typedef struct vane_dense_plan {
  vane_dense_desc desc; /* no stride is 0 */
  size_t workspace_bytes;
} vane_dense_plan;

/* The angle head: what its outputs mean (VANE_ANGLE_*), docs/numerics.md N12..N15. */
typedef struct vane_angle_desc {
  int kind;
  int64_t n_outputs; /* 2, or the number of bins */
  double bin_width;  /* radians of the full turn, for bins */
} vane_angle_desc;

typedef struct vane_regression_desc {
  int kind;     /* VANE_REGRESSION_* */
  double delta; /* Huber */
} vane_regression_desc;

typedef struct vane_combine_desc {
  int weighting;                /* VANE_WEIGHTING_* */
  double weight[VANE_N_LOSSES]; /* loss.weights */
  double clip_per_loss;         /* 0: none */
} vane_combine_desc;

typedef struct vane_guard_desc {
  bool acts;       /* false: it watches, and largest_lr stays 0 */
  double decay;    /* what a probe leaves of the bound before it */
  double limit;    /* of learning rate times curvature: where Adam becomes unstable */
  double margin;   /* the share of it that they may reach until an alarm narrows it, */
  double floor;    /* though never to less than this share */
  int signed_loss; /* the head whose loss may be negative; -1: none */
} vane_guard_desc;

typedef struct vane_decide_desc {
  double clip_global;     /* 0: none */
  double clip_zscore;     /* ZClip's threshold, 0: none */
  int on_nonfinite;       /* VANE_NONFINITE_* */
  int spike_mode;         /* VANE_SPIKE_* */
  int64_t spike_window;   /* 1 to VANE_SPIKE_LONGEST_WINDOW */
  double spike_threshold; /* deviations above the median */
  vane_guard_desc guard;
} vane_decide_desc;

typedef struct vane_adam_desc {
  int rule; /* VANE_RULE_*, zero: Adam's own */
  double beta1, beta2, epsilon;
  int epsilon_mode; /* VANE_EPSILON_* */
  bool amsgrad;
  double amsgrad_decay; /* v_max shrinks by this factor each step; 0: it never does */
  double weight_decay;  /* on segments with decay */
  int decay_mode;       /* VANE_DECAY_* */
  double spike_clip;    /* g^2 / v at most; 0: no limit */
  bool resets;          /* there may be steps with in.reset */
  double update_clip;   /* optim.limits: largest RMS of g^2 / vhat that leaves lr alone; 0: none */
  double adaptive_clip; /* optim.limits: |g| at most so many |theta|; 0: none */
} vane_adam_desc;

/* Random numbers by counter: the same on every device, whatever its threads and its real are. */
typedef struct vane_draw_desc {
  uint64_t seed;
  vane_random_stream stream;
  uint64_t step, index; /* index: of the first four reals; the next four have the next index */
  float low, high;      /* low < high, both and their difference finite */
} vane_draw_desc;

/* What Adam reads and writes: one block of reals each. */
typedef struct vane_adam_memory {
  void *parameters;
  const void *gradients;
  void *m, *v;
  void *v_max;                           /* NULL without AMSGrad */
  struct vane_adam_telemetry *telemetry; /* [block->n_parts], added to in steps that are watched;
                                            NULL: never */
  struct vane_adam_limit *limits;        /* [block->n_parts], of optim.limits; NULL: none */
} vane_adam_memory;

/* (N68) The norm that a tensor of smaller weights is taken to have, as in AGC's paper: biases begin
 * at zero. */
#define VANE_LEAST_WEIGHT 1e-3

/* What a segment's gradient and learning rate are multiplied by, the same in all of its parts. */
typedef struct vane_adam_limit {
  double gradient, lr;
} vane_adam_limit;

/* What Adam saw of a part of a segment (N40): sums over the watched steps since the host last
 * cleared and over the parameters. A skipped step adds nothing. */
typedef struct vane_adam_telemetry {
  double live;  /* parameters with a gradient or a second moment, neither of which padding has */
  double below; /* of these, those with a root below the epsilon that is added to it */
  double underflows; /* of these, those with a gradient, and a v below the smallest normal float */
  double ratio;      /* g^2 / vhat */
  double update;     /* (Adam's own move)^2: without decoupled decay */
  double weight;     /* theta^2, before the step */
  double largest;    /* |Adam's own move| / lr: not a sum, the largest */
} vane_adam_telemetry;

typedef struct vane_memory_ops {
  /* Outside a step: device memory, 256-byte aligned, filled with zero bytes. */
  vane_status (*create)(vane_device *device, size_t bytes, void **memory);
  void (*destroy)(vane_device *device, void *memory); /* takes NULL */
  /* Bytes that create can still give; SIZE_MAX where nobody knows before it is tried. */
  vane_status (*available)(vane_device *device, size_t *bytes);
  /* Enqueued copies. The host side of an upload may change as soon as the call returns (a backend
   * that copies later stages it); that of a download is complete after synchronize. */
  vane_status (*upload)(vane_device *device, void *to, const void *from_host, size_t bytes);
  vane_status (*download)(vane_device *device, void *to_host, const void *from, size_t bytes);
  vane_status (*clear)(vane_device *device, void *memory, size_t bytes);
  /* From device memory to device memory that it does not overlap; enqueued. */
  vane_status (*copy)(vane_device *device, void *to, const void *from, size_t bytes);
  vane_status (*synchronize)(vane_device *device);
  /* Plain reals, converted from and to float; they block. */
  vane_status (*put)(vane_device *device, void *reals, const float *from_host, int64_t count);
  vane_status (*get)(vane_device *device, float *to_host, const void *reals, int64_t count);
  /* Chooses the layout of an activation: fills `tensor` (data NULL) and the bytes it takes. */
  vane_status (*describe)(vane_device *device, int64_t n, int64_t h, int64_t w, int64_t c,
                          vane_tensor *tensor, size_t *bytes);
  /* Activations from and to plain float [N, H, W, C]; they block. */
  vane_status (*put_tensor)(vane_device *device, const vane_tensor *tensor, const float *from_host);
  vane_status (*get_tensor)(vane_device *device, float *to_host, const vane_tensor *tensor);
  /* Scratch memory shared by all plans, as large as the largest workspace_bytes; set before the
   * first run. Borrowed. */
  void (*bind_workspace)(vane_device *device, void *workspace, size_t bytes);
} vane_memory_ops;

typedef struct vane_block_ops {
  /* Segments are in the order of their offsets and do not overlap. Outside a step. */
  vane_status (*plan)(vane_device *device, const vane_segment *segments, int64_t n_segments,
                      vane_block **block);
  /* Says where the block's parameters lie, and memory for their shadow [shadow_bytes], aligned to
   * 256 bytes, NULL where that is 0; both borrowed until the block is destroyed or bound elsewhere.
   * Outside a step, before anything is recorded that reads or writes them.
   *
   * The shadow is made here and follows by itself from then on: whatever writes parameters, and
   * that is memory.put, upload, copy and clear, conv.put_weights, elementwise.draw and optim.adam
   * alone, writes it too. Convolutions find it by their weights' address. Weights of no bound block
   * are converted where they are read, which takes a pass over them each time.
   *
   * VANE_ERR_ARGUMENT: the parameters overlap those of another block, of which one shadow would be
   * left behind. */
  vane_status (*bind)(vane_device *device, vane_block *block, void *parameters, void *shadow);
  void (*destroy)(vane_device *device, vane_block *block); /* takes NULL */
} vane_block_ops;

typedef struct vane_graph_ops {
  /* Runs `body`, a sequence of operations on this device that is the same at every call with the
   * same graph: the same operations on the same memory. *graph is NULL at first and belongs to the
   * caller. A device that can record operations does so at the second call (the first one lets its
   * libraries load what they need) and replays the record from then on, without calling `body`; the
   * others call it each time. Uploads do not belong into `body`. */
  vane_status (*run)(vane_device *device, vane_graph **graph, vane_status (*body)(void *user),
                     void *user);
  /* How many operations of the GPU (kernels, copies) a replay runs; 0: none is recorded. Takes
   * NULL.
   */
  int64_t (*length)(const vane_graph *graph);
  void (*destroy)(vane_device *device, vane_graph *graph); /* takes NULL */
} vane_graph_ops;

typedef struct vane_conv_ops {
  /* `choice`: a plan's choice from a checkpoint, or NULL to choose (by measurement where
   * device.convolution is auto). A choice that this machine lacks is VANE_ERR_UNSUPPORTED. */
  vane_status (*plan)(vane_device *device, const vane_conv_desc *desc, const char *choice,
                      vane_conv_plan **plan);
  void (*destroy)(vane_device *device, vane_conv_plan *plan); /* takes NULL */
  /* The stored order depends on c_in, c_out and kernel alone, so all plans of a layer share its
   * weights. Between plain float [c_out, c_in, kernel, kernel] and the stored order; both block. */
  vane_status (*put_weights)(vane_device *device, const vane_conv_plan *plan, void *weights,
                             const float *from_host);
  vane_status (*get_weights)(vane_device *device, const vane_conv_plan *plan, float *to_host,
                             const void *weights);
  /* (N1). `bias` [c_out], `residual` like y; NULL where desc lacks them. */
  vane_status (*forward)(vane_device *device, const vane_conv_plan *plan, const vane_tensor *x,
                         const void *weights, const void *bias, const vane_tensor *residual,
                         const vane_tensor *y);
  /* (N2), (N3). `dz` is the gradient before the ReLU: elementwise.merge has masked it. */
  vane_status (*backward_data)(vane_device *device, const vane_conv_plan *plan, const void *weights,
                               const vane_tensor *dz, const vane_tensor *dx);
  /* `dbias` [c_out] NULL where desc has no bias. */
  vane_status (*backward_weights)(vane_device *device, const vane_conv_plan *plan,
                                  const vane_tensor *x, const vane_tensor *dz, void *dweights,
                                  void *dbias);
} vane_conv_ops;

typedef struct vane_norm_ops {
  vane_status (*plan)(vane_device *device, const vane_norm_desc *desc, vane_norm_plan **plan);
  void (*destroy)(vane_device *device, vane_norm_plan *plan); /* takes NULL */
  /* (N4). gamma, beta [C]; `saved` [2, C] out: mean and 1/sqrt(variance + epsilon) of this batch.
   */
  vane_status (*forward)(vane_device *device, const vane_norm_plan *plan, const vane_tensor *x,
                         const void *gamma, const void *beta, const vane_tensor *residual,
                         void *saved, const vane_tensor *y);
  /* (N5). `running` [2, C]: mean and unbiased variance. */
  vane_status (*infer)(vane_device *device, const vane_norm_plan *plan, const vane_tensor *x,
                       const void *gamma, const void *beta, const vane_tensor *residual,
                       const void *running, const vane_tensor *y);
  /* (N6). dx may be the same memory as dz. */
  vane_status (*backward)(vane_device *device, const vane_norm_plan *plan, const vane_tensor *x,
                          const void *gamma, const void *saved, const vane_tensor *dz,
                          const vane_tensor *dx, void *dgamma, void *dbeta);
  /* (N7). pending [2, C] = keep * pending + share * (mean, unbiased variance) from `saved`;
   * keep 0 ignores what pending held. */
  vane_status (*track)(vane_device *device, const vane_norm_plan *plan, const void *saved,
                       double keep, double share, void *pending);
} vane_norm_ops;

typedef struct vane_pool_ops {
  vane_status (*plan)(vane_device *device, const vane_pool_desc *desc, vane_pool_plan **plan);
  void (*destroy)(vane_device *device, vane_pool_plan *plan); /* takes NULL */
  /* (N8). The first maximum in scan order wins. */
  vane_status (*forward)(vane_device *device, const vane_pool_plan *plan, const vane_tensor *x,
                         const vane_tensor *y, void *index);
  vane_status (*backward)(vane_device *device, const vane_pool_plan *plan, const vane_tensor *dz,
                          const void *index, const vane_tensor *dx);
  /* features [N, C] = mean over the image, and back. */
  vane_status (*global_forward)(vane_device *device, const vane_tensor *x, void *features);
  vane_status (*global_backward)(vane_device *device, const void *dfeatures, const vane_tensor *dx);
  /* features [N, H*W*C] in the order h, w, c, and back. */
  vane_status (*flatten_forward)(vane_device *device, const vane_tensor *x, void *features);
  vane_status (*flatten_backward)(vane_device *device, const void *dfeatures,
                                  const vane_tensor *dx);
} vane_pool_ops;

/* Matrices are 64-byte aligned, also those that are columns of a wider one (the strides): what lies
 * between their rows is neither read nor written. */
typedef struct vane_dense_ops {
  vane_status (*plan)(vane_device *device, const vane_dense_desc *desc, vane_dense_plan **plan);
  void (*destroy)(vane_device *device, vane_dense_plan *plan); /* takes NULL */
  /* (N9). y [n, f_out] = relu(x w^T + b): x [n, f_in], weights [f_out, f_in], bias [f_out]. */
  vane_status (*forward)(vane_device *device, const vane_dense_plan *plan, const void *x,
                         const void *weights, const void *bias, void *y);
  /* dx [n, f_in] = dz w, with x_relu where x > 0, else 0. dz [n, f_out] is the gradient before this
   * layer's own ReLU. x is looked at with x_relu only. */
  vane_status (*backward_data)(vane_device *device, const vane_dense_plan *plan,
                               const void *weights, const void *dz, const void *x, void *dx);
  /* dweights [f_out, f_in] = dz^T x; dbias [f_out] = sum over n of dz. */
  vane_status (*backward_weights)(vane_device *device, const vane_dense_plan *plan, const void *x,
                                  const void *dz, void *dweights, void *dbias);
  /* dz = dz where y > 0, else 0, in place: for a layer whose ReLU no layer behind it sees to
   * (x_relu). */
  vane_status (*mask)(vane_device *device, const vane_dense_plan *plan, const void *y, void *dz);
} vane_dense_ops;

typedef struct vane_elementwise_ops {
  /* x = (bytes / 255 - mean[c]) * inv_std[c]; bytes [N, H, W, C] on the device, mean and inv_std
   * [C] reals on the device. */
  vane_status (*input)(vane_device *device, const uint8_t *bytes, const void *mean,
                       const void *inv_std, const vane_tensor *x);
  /* y = max(x, 0). */
  vane_status (*relu)(vane_device *device, const vane_tensor *x, const vane_tensor *y);
  /* Gradients of a tensor's consumers become the gradient before its ReLU:
   * dz = (a + b) where y > 0, else 0. b NULL: one consumer. y NULL: no ReLU. dz may be a or b. */
  vane_status (*merge)(vane_device *device, const vane_tensor *dz, const vane_tensor *y,
                       const vane_tensor *a, const vane_tensor *b);
  /* to += from, n reals: micro-batches. */
  vane_status (*accumulate)(vane_device *device, void *to, const void *from, int64_t count);
  /* to = (1 - share) * to + share * from, unless the record says skip: running statistics. */
  vane_status (*follow)(vane_device *device, void *to, const void *from, double share,
                        int64_t count, const vane_step_record *record);
  /* (N50). to [count], aligned to 16 bytes, = floats uniform in [low, high): real i is value i % 4
   * of vane_random_floats at index + i / 4. A recorded graph draws the same at each call. */
  vane_status (*draw)(vane_device *device, void *to, int64_t count, const vane_draw_desc *desc);
  /* to[i] [count] += scale * from, all aligned to 64 bytes: STREAM's triad with Adam's traffic,
   * four arrays read and three written in place, so that a benchmark knows what memory can do. With
   * `past_caches` the stores bypass the caches where the processor has such. */
  vane_status (*stream)(vane_device *device, void *const to[3], const void *from, double scale,
                        int64_t count, bool past_caches);
} vane_elementwise_ops;

/* Each loss writes record->loss[k], the value per sample [n] (0 where masked; for naming bad
 * examples) and the seed: its gradient with respect to the head's output. `mask` [n] is 1 where the
 * sample counts; the sum over samples is scaled by record->in.inv_count[k]. The seed of a masked
 * sample is 0, whatever its output and target are. */
typedef struct vane_loss_ops {
  /* (N10). logits, target (0 or 1), mask, sample, seed: [n]. */
  vane_status (*presence)(vane_device *device, const void *logits, const void *target,
                          const void *mask, int64_t n, void *sample, void *seed,
                          vane_step_record *record);
  /* (N12..N15). out, seed [n, n_outputs]; target [n]: the phase in radians, 360/period * angle. */
  vane_status (*angle)(vane_device *device, const vane_angle_desc *desc, const void *out,
                       const void *target, const void *mask, int64_t n, void *sample, void *seed,
                       vane_step_record *record);
  /* (N11). Magnitude (d 1) and position (d 2): out, target, seed [n, d]; writes loss[k]. */
  vane_status (*regression)(vane_device *device, const vane_regression_desc *desc, int k,
                            const void *out, const void *target, const void *mask, int64_t n,
                            int64_t d, void *sample, void *seed, vane_step_record *record);
  /* (N16) clip_by_average_norm: out [count] is scaled in place; record->average_*. */
  vane_status (*clip_average)(vane_device *device, double limit, void *out, int64_t count,
                              vane_step_record *record);
  /* Its gradient, in place, from the clipped output and what forward recorded. */
  vane_status (*clip_average_backward)(vane_device *device, double limit, const void *out,
                                       void *seed, int64_t count, vane_step_record *record);
  /* (N17). record->loss[VANE_LOSS_REGULARIZATION] = half the sum of squares of decaying segments.
   */
  vane_status (*regularization)(vane_device *device, const vane_block *block,
                                const void *parameters, vane_step_record *record);
} vane_loss_ops;

typedef struct vane_reduce_ops {
  /* (N20). record->gram from the slots, one per head, `count` reals each; a NULL slot is zero. The
   * fifth loss has no slot: its gradient is the weights themselves, so gram[4][4] is twice its
   * loss. In space trunk_output `parameters` and `gradients` are NULL, and its other dots are 0. In
   * space parameters the slots cover the shared segments that come first in the block; the head's
   * own `gradients` and the fifth loss's dots with all of them are added. */
  vane_status (*gram)(vane_device *device, const void *const slots[VANE_N_HEADS], int64_t count,
                      const vane_block *block, const void *parameters, const void *gradients,
                      vane_step_record *record);
  /* (N21..N24). weight, coefficient and mix from gram and loss; for uncertainty also the gradient
   * of the four log variances (log_variances, dlog_variances [4]; NULL otherwise). */
  vane_status (*coefficients)(vane_device *device, const vane_combine_desc *desc,
                              const void *log_variances, void *dlog_variances,
                              vane_step_record *record);
  /* out = sum over k of record->mix[k] * slots[k]; a NULL slot is zero. out may be a slot. */
  vane_status (*combine)(vane_device *device, void *out, const void *const slots[VANE_N_HEADS],
                         int64_t count, const vane_step_record *record);
  /* (N25..N28, N38, N42). The norm of the gradient that Adam will see, its clips, non-finite values
   * and spikes found, skip or halt decided, the guard's limit, the interval's sums updated. samples
   * [VANE_N_HEADS][n]: the losses' values per sample, to name those that are to blame. A step that
   * is halted already counts as skipped and changes nothing else. */
  vane_status (*decide)(vane_device *device, const vane_decide_desc *desc, const vane_block *block,
                        const void *parameters, const void *gradients, const void *samples,
                        int64_t n, vane_step_record *record);
} vane_reduce_ops;

typedef struct vane_optim_ops {
  /* (N67), (N68). memory->limits from the parameters, gradients and moments before the step, a pass
   * over them: for desc->update_clip or desc->adaptive_clip, of which only one is set. Writes
   * something, whatever it is worth, when record->skip is set. */
  vane_status (*limits)(vane_device *device, const vane_adam_desc *desc, const vane_block *block,
                        const vane_adam_memory *memory, const vane_step_record *record);
  /* (N30..N35, N40, N60..N66). One pass over all segments. Writes nothing when record->skip is set.
   */
  vane_status (*adam)(vane_device *device, const vane_adam_desc *desc, const vane_block *block,
                      const vane_adam_memory *memory, const vane_step_record *record);
  /* (N36, N37). After adam and with its memory: `gradients_after` are those of the same batch at
   * the moved parameters, under the same coefficients and clip. The curvature along the step, and
   * the bound that follows, into record->guard; what they allow is reduce.decide's affair. Writes
   * nothing when record->skip is set. */
  vane_status (*curvature)(vane_device *device, const vane_adam_desc *desc,
                           const vane_guard_desc *guard, const vane_block *block,
                           const vane_adam_memory *memory, const void *gradients_after,
                           vane_step_record *record);
} vane_optim_ops;

struct vane_device {
  const char *name;      /* "ref", "cpu", "cuda" */
  char description[256]; /* library, version, instruction set, threads */
  size_t real_bytes;
  bool asynchronous; /* operations return before their work is done, so their calls cannot be timed
                      */
  vane_memory_ops memory;
  vane_block_ops block;
  vane_graph_ops graph;
  vane_conv_ops conv;
  vane_norm_ops norm;
  vane_pool_ops pool;
  vane_dense_ops dense;
  vane_elementwise_ops elementwise;
  vane_loss_ops loss;
  vane_reduce_ops reduce;
  vane_optim_ops optim;
  void (*close)(vane_device *device);
};

typedef struct vane_device_options {
  int kind;           /* VANE_DEVICE_*; auto: cuda where there is one, else cpu */
  int convolution;    /* VANE_CONVOLUTION_* */
  int precision;      /* VANE_PRECISION_* */
  bool deterministic; /* cuda: only engines that repeat their bits */
  bool benchmark;     /* cuda: time convolution engines instead of asking cuDNN's heuristics */
  bool graphs;        /* cuda: record steps and replay them */
  int64_t threads;    /* cpu: 0, one per core */
} vane_device_options;

/* What device.* of a configuration says. */
vane_device_options vane_device_options_from_config(const vane_config *config);

/* Opens a device; the caller closes it. VANE_ERR_UNSUPPORTED names what is missing and what to do.
 */
VANE_CHECKED
vane_status vane_device_open(const vane_device_options *options, vane_device **device);
void vane_device_close(vane_device *device); /* takes NULL */

/* One per backend; `double_precision` makes ref's real a double. */
VANE_CHECKED
vane_status vane_ref_open(bool double_precision, vane_device **device);
VANE_CHECKED
vane_status vane_cpu_open(const vane_device_options *options, vane_device **device);
/* Loads the module with the CUDA backend and opens the first GPU. VANE_ERR_UNSUPPORTED says what is
 * missing: the module, a library, a driver, a GPU. */
VANE_CHECKED
vane_status vane_cuda_open(const vane_device_options *options, vane_device **device);

#endif
