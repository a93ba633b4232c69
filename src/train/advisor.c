/* The Hessian is never formed: H u is the change of the gradient between two points on either side
 * of the parameters, divided by their distance. */
#include "train/advisor.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/random.h"
#include "optim/eigenvalue.h"
#include "optim/guard.h"
#include "optim/record.h"
#include "train/probe.h"

/* The length of a step to either side, as a share of the parameters' norm. A central difference is
 * off by the square of it, and floats by 6e-8 divided by it. */
#define REACH 2e-3

#define TOLERANCE 0.01 /* of an eigenvalue */

/* All arrays [n] in the stored order of the parameters; what belongs to no segment of the probe's
 * block is zero. */
typedef struct hessian {
  vane_trainer *trainer;
  vane_step_record record; /* under whose coefficients the gradients are taken */
  int64_t n;
  const vane_advice_effort *effort;
  int64_t gradients; /* taken so far */
  float *values;     /* on their way to the device or from it */
  double *theta, *gradient;
  double *adam_metric; /* D^-1/2 */
  double *plain;       /* 1 where there is a parameter that has ever had a gradient, 0 elsewhere */
  const double *root;  /* which of the two the products are taken in */
  double *direction, *before;
} hessian;

static void finish(hessian *h) {
  free(h->values);
  free(h->theta);
  free(h->gradient);
  free(h->adam_metric);
  free(h->plain);
  free(h->direction);
  free(h->before);
}

static vane_status begin(hessian *h, vane_trainer *trainer, const vane_advice_effort *effort) {
  int64_t n = trainer->network->parameters.total;
  size_t count = (size_t)n;
  *h = (hessian){.trainer = trainer, .n = n, .effort = effort};
  h->values = calloc(count, sizeof *h->values);
  h->theta = calloc(count, sizeof *h->theta);
  h->gradient = calloc(count, sizeof *h->gradient);
  h->adam_metric = calloc(count, sizeof *h->adam_metric);
  h->plain = calloc(count, sizeof *h->plain);
  h->direction = calloc(count, sizeof *h->direction);
  h->before = calloc(count, sizeof *h->before);
  if (!h->values || !h->theta || !h->gradient || !h->adam_metric || !h->plain || !h->direction ||
      !h->before)
    return vane_fail(VANE_ERR_MEMORY, "no memory for seven vectors of %lld parameters",
                     (long long)n);
  return VANE_OK;
}

static vane_status read_reals(hessian *h, const void *reals, double *to) {
  vane_device *device = h->trainer->device;
  VANE_TRY(device->memory.get(device, h->values, reals, h->n));
  for (int64_t i = 0; i < h->n; i++)
    to[i] = (double)h->values[i];
  return VANE_OK;
}

/* --- Adam's metric --- */

/* (N39). What v holds is that of the steps done, not of the one that the record is for. */
static void fill_metrics(hessian *h, const double *v) {
  const vane_trainer *trainer = h->trainer;
  const vane_block *block = trainer->probe.block;
  const vane_adam_desc *adam = &trainer->adam;
  double bias2 =
      vane_bias_correction(adam->beta2, vane_moment_age(&trainer->config, trainer->step));
  bool hat = adam->epsilon_mode == VANE_EPSILON_HAT;
  double epsilon = hat ? adam->epsilon / sqrt(bias2) : adam->epsilon;
  for (int64_t s = 0; s < block->n_segments; s++) {
    const vane_segment *segment = &block->segments[s];
    for (int64_t i = segment->offset; i < segment->offset + segment->count; i++) {
      if (!(v[i] > 0)) /* padding, or never reached by a gradient */
        continue;
      h->plain[i] = 1;
      h->adam_metric[i] = 1 / sqrt(sqrt(v[i] / bias2) + epsilon);
    }
  }
}

/* --- products with the Hessian --- */

static vane_status move(hessian *h, double length) {
  vane_device *device = h->trainer->device;
  for (int64_t i = 0; i < h->n; i++)
    h->values[i] = (float)(h->theta[i] + length * h->direction[i]);
  return device->memory.put(device, h->trainer->network->weights, h->values, h->n);
}

/* The held batch's gradient at theta + length direction, into h->gradient. */
static vane_status gradient_at(hessian *h, double length) {
  const vane_advice_effort *effort = h->effort;
  if (h->gradients == effort->most_gradients)
    return vane_fail(VANE_ERR_NUMERIC,
                     "the curvature was not found to %g percent with the "
                     "gradients allowed; allow more of them",
                     100 * TOLERANCE);
  VANE_TRY(move(h, length));
  VANE_TRY(vane_probe_gradient(h->trainer));
  VANE_TRY(read_reals(h, h->trainer->probe.slots.gradients, h->gradient));
  h->gradients++;
  if (effort->progress)
    effort->progress(effort->user, h->gradients);
  return VANE_OK;
}

/* What a difference of gradients is multiplied by, and the share of theta itself in the gradient
 * that Adam sees: (N22), (N26), (N30). */
static double gradient_scale(const hessian *h, const vane_segment *segment) {
  return h->record.clip * h->record.coefficient[segment->task];
}

static double theta_scale(const hessian *h, const vane_segment *segment) {
  const vane_adam_desc *adam = &h->trainer->adam;
  if (!segment->decay)
    return 0;
  return h->record.clip * h->record.coefficient[VANE_LOSS_REGULARIZATION] +
         (adam->decay_mode == VANE_DECAY_L2 ? adam->weight_decay : 0);
}

static double norm_of_direction(const hessian *h) {
  double sum = 0;
  for (int64_t i = 0; i < h->n; i++)
    sum += h->direction[i] * h->direction[i];
  return sqrt(sum);
}

static double norm_of_theta(const hessian *h) {
  double sum = 0;
  for (int64_t i = 0; i < h->n; i++)
    sum += h->plain[i] * h->theta[i] * h->theta[i];
  return sqrt(sum);
}

static void difference(const hessian *h, double length, double *y) {
  const vane_block *block = h->trainer->probe.block;
  for (int64_t i = 0; i < h->n; i++)
    y[i] = 0;
  for (int64_t s = 0; s < block->n_segments; s++) {
    const vane_segment *segment = &block->segments[s];
    double scale = gradient_scale(h, segment) / (2 * length), own = theta_scale(h, segment);
    for (int64_t i = segment->offset; i < segment->offset + segment->count; i++)
      y[i] = h->root[i] * (scale * (h->gradient[i] - h->before[i]) + own * h->direction[i]);
  }
}

/* y = R H R x, R the diagonal of `root`. */
static vane_status multiply(void *user, const double *x, double *y) {
  hessian *h = user;
  for (int64_t i = 0; i < h->n; i++)
    h->direction[i] = h->root[i] * x[i];
  double norm = norm_of_direction(h);
  double length = norm > 0 ? REACH * norm_of_theta(h) / norm : 1;
  VANE_TRY(gradient_at(h, -length));
  for (int64_t i = 0; i < h->n; i++)
    h->before[i] = h->gradient[i];
  VANE_TRY(gradient_at(h, length));
  difference(h, length, y);
  return VANE_OK;
}

static vane_status largest(hessian *h, const double *root, double *value) {
  double *start = malloc((size_t)h->n * sizeof *start);
  if (!start)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a vector of %lld parameters", (long long)h->n);
  h->root = root;
  for (int64_t i = 0; i < h->n; i++) {
    double drawn =
        vane_random_normal((uint64_t)h->trainer->config.seed, VANE_RANDOM_ADVISOR, 0, (uint64_t)i);
    start[i] = root[i] > 0 ? drawn : 0;
  }
  const vane_symmetric matrix = {h->n, multiply, h};
  vane_status status = vane_largest_eigenvalue(&matrix, start, TOLERANCE, INT32_MAX, value);
  free(start);
  return status;
}

/* --- the advice --- */

static vane_status look_up(hessian *h) {
  vane_trainer *trainer = h->trainer;
  vane_device *device = trainer->device;
  double *v = h->before; /* not needed yet for what it is named after */
  VANE_TRY(read_reals(h, trainer->network->weights, h->theta));
  VANE_TRY(read_reals(h, trainer->adam.amsgrad ? trainer->v_max : trainer->v, v));
  VANE_TRY(device->memory.download(device, &h->record, trainer->probe.record, sizeof h->record));
  VANE_TRY(device->memory.synchronize(device));
  fill_metrics(h, v);
  return VANE_OK;
}

static vane_status find_curvatures(hessian *h, const vane_batch *batch, vane_advice *advice) {
  VANE_TRY(vane_probe_hold(h->trainer, batch));
  VANE_TRY(look_up(h));
  if (h->record.skip)
    return vane_fail(VANE_ERR_NUMERIC, "the gradient of the checkpoint is not finite");
  VANE_TRY(largest(h, h->plain, &advice->curvature));
  VANE_TRY(largest(h, h->adam_metric, &advice->adam_curvature));
  for (int64_t i = 0; i < h->n; i++)
    h->direction[i] = 0;
  return move(h, 0);
}

static void conclude(const hessian *h, vane_advice *advice) {
  const vane_adam_desc *adam = &h->trainer->adam;
  double lambda = fmax(advice->curvature, 0), own = fmax(advice->adam_curvature, 0);
  advice->step = h->trainer->step;
  advice->images = h->trainer->config.train_batch;
  advice->lr = h->record.in.lr;
  advice->epsilon = adam->epsilon;
  advice->limit = vane_guard_limit(&h->trainer->config);
  advice->margin = advice->limit / (advice->lr * own);
  advice->lr_now = advice->limit / own;
  advice->lr_always = advice->limit * adam->epsilon / lambda;
  advice->epsilon_always = advice->lr * lambda / advice->limit;
}

vane_status vane_advise(vane_trainer *trainer, const vane_batch *batch,
                        const vane_advice_effort *effort, vane_advice *advice) {
  if (trainer->step == 0)
    return vane_fail(VANE_ERR_STATE,
                     "a checkpoint of step 0 has no averages of Adam yet; give a later one");
  hessian h;
  vane_status status = begin(&h, trainer, effort);
  if (status == VANE_OK)
    status = find_curvatures(&h, batch, advice);
  if (status == VANE_OK)
    conclude(&h, advice);
  finish(&h);
  return status;
}
