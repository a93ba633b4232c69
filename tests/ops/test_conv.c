/* Conformance of the convolution table (N1..N3). */
#include <string.h>

#include "ops/side.h"

typedef struct conv_inputs {
  const double *x, *weights, *bias, *residual, *dz;
} conv_inputs;

typedef struct conv_outputs {
  double *y, *dx, *dweights, *dbias;
  char choice[256];
} conv_outputs;

typedef struct conv_counts {
  int64_t h_out, w_out, x, y, weights;
} conv_counts;

static conv_counts counts_of(const vane_conv_desc *d) {
  conv_counts n = {.h_out = (d->h + 2 * d->padding - d->kernel) / d->stride + 1,
                   .w_out = (d->w + 2 * d->padding - d->kernel) / d->stride + 1};
  n.x = d->n * d->h * d->w * d->c_in;
  n.y = d->n * n.h_out * n.w_out * d->c_out;
  n.weights = d->c_out * d->c_in * d->kernel * d->kernel;
  return n;
}

/* Weights are stored with padding where a blocked order needs it; the padding must be written as
 * zero, because norms and Adam run over it. */
static void check_padding(check *c, side *s, const vane_conv_plan *plan, const void *stored,
                          const double *plain) {
  double *all = check_array(c, plan->weight_count), of_all = 0.0, of_plain = 0.0;
  side_read(s, stored, all, plan->weight_count);
  for (int64_t i = 0; i < plan->weight_count; ++i)
    of_all += all[i] * all[i];
  for (int64_t i = 0; i < counts_of(&plan->desc).weights; ++i)
    of_plain += plain[i] * plain[i];
  check_scalar(c, "norm", "squares of stored against plain weights", of_all, of_plain);
}

static void run_backward(check *c, side *s, const vane_conv_plan *plan, const conv_inputs *in,
                         const vane_tensor *x, const void *weights, conv_outputs *out) {
  vane_device *device = s->device;
  const vane_conv_desc *d = &plan->desc;
  conv_counts n = counts_of(d);
  vane_tensor dz = side_put_tensor(s, in->dz, d->n, n.h_out, n.w_out, d->c_out);
  vane_tensor dx = side_tensor(s, d->n, d->h, d->w, d->c_in);
  void *dweights = side_reals(s, plan->weight_count);
  void *dbias = d->bias ? side_reals(s, d->c_out) : NULL;
  out->dx = check_array(c, n.x);
  out->dweights = check_array(c, n.weights);
  out->dbias = check_array(c, d->c_out);
  check_ok(device->conv.backward_weights(device, plan, x, &dz, dweights, dbias));
  if (d->data_gradient) {
    check_ok(device->conv.backward_data(device, plan, weights, &dz, &dx));
    side_read_tensor(s, &dx, out->dx);
  }
  side_read_weights(s, plan, dweights, out->dweights);
  check_padding(c, s, plan, dweights, out->dweights);
  if (d->bias)
    side_read(s, dbias, out->dbias, d->c_out);
}

static conv_outputs run_conv(check *c, vane_device *device, const vane_conv_desc *d,
                             const char *choice, const conv_inputs *in) {
  side s = side_begin(device);
  conv_counts n = counts_of(d);
  conv_outputs out = {.y = check_array(c, n.y)};
  vane_conv_plan *plan = NULL;
  check_ok(device->conv.plan(device, d, choice, &plan));
  assert_int_equal(plan->h_out, n.h_out);
  assert_int_equal(plan->w_out, n.w_out);
  assert_true(plan->weight_count >= n.weights);
  memcpy(out.choice, plan->choice, sizeof out.choice);
  side_bind_workspace(&s, plan->workspace_bytes);

  void *weights = side_put_weights(&s, plan, in->weights);
  double *back = check_array(c, n.weights);
  side_read_weights(&s, plan, weights, back);
  check_equal(c, "put_weights", "weights", back, in->weights, n.weights);
  check_padding(c, &s, plan, weights, in->weights);

  vane_tensor x = side_put_tensor(&s, in->x, d->n, d->h, d->w, d->c_in);
  vane_tensor y = side_tensor(&s, d->n, n.h_out, n.w_out, d->c_out);
  vane_tensor residual = {0};
  if (d->residual)
    residual = side_put_tensor(&s, in->residual, d->n, n.h_out, n.w_out, d->c_out);
  void *bias = d->bias ? side_put(&s, in->bias, d->c_out) : NULL;
  check_ok(
      device->conv.forward(device, plan, &x, weights, bias, d->residual ? &residual : NULL, &y));
  side_read_tensor(&s, &y, out.y);
  if (d->training)
    run_backward(c, &s, plan, in, &x, weights, &out);
  device->conv.destroy(device, plan);
  side_end(&s);
  return out;
}

static conv_inputs draw_inputs(check *c, const vane_conv_desc *d, bool exact) {
  conv_counts n = counts_of(d);
  return (conv_inputs){
      .x = check_inputs(c, n.x, exact),
      .weights = check_narrow(c, check_inputs(c, n.weights, exact), n.weights),
      .bias = check_inputs(c, d->c_out, exact),
      .residual = check_inputs(c, n.y, exact),
      .dz = check_inputs(c, n.y, exact),
  };
}

static bool transforms(const check *c, const conv_outputs *out) {
  return c->transforms || strstr(out->choice, "winograd");
}

/* A kernel of the device's own adds bias, residual and ReLU; in bf16 it rounds once more. */
static bool has_epilogue(const conv_outputs *out) {
  return strstr(out->choice, "epilogue");
}

/* Where exact inputs must give exact results. Not where Winograd's transforms divide by three, nor
 * in cuDNN's tf32: of an H200's engines one made -2.87548828 of -2.875. */
static bool is_exact(const check *c, const conv_outputs *out) {
#ifdef VANE_CHECK_CUDA
  if (c->precision == VANE_PRECISION_TF32)
    return false;
#endif
  return !transforms(c, out);
}

static const char *row_of(const check *c, const conv_outputs *out, const char *direct) {
  return transforms(c, out) ? "conv_winograd" : direct;
}

static void check_case(check *c, const vane_conv_desc *d, bool exact) {
  conv_counts n = counts_of(d);
  conv_inputs in = draw_inputs(c, d, exact);
  conv_outputs got = run_conv(c, c->subject, d, NULL, &in);
  conv_outputs want = run_conv(c, c->oracle, d, NULL, &in);
  check_label(c, "%d x %dx%dx%d, kernel %d/%d padding %d, to %d%s%s%s%s, %s", (int)d->n, (int)d->h,
              (int)d->w, (int)d->c_in, (int)d->kernel, (int)d->stride, (int)d->padding,
              (int)d->c_out, d->bias ? " bias" : "", d->residual ? " residual" : "",
              d->relu ? " relu" : "", exact ? " exact" : "", got.choice);
  const bool equal = exact && is_exact(c, &got);
  const bool twice = c->precision == VANE_PRECISION_BF16 && has_epilogue(&got);
  check_match(c, equal && !twice,
              row_of(c, &got, has_epilogue(&got) ? "conv_epilogue" : "conv_forward"), "y", got.y,
              want.y, n.y);
  if (!d->training)
    return;
  if (d->data_gradient)
    check_match(c, equal, row_of(c, &got, "conv_backward_data"), "dx", got.dx, want.dx, n.x);
  check_match(c, equal, row_of(c, &got, "conv_backward_weights"), "dweights", got.dweights,
              check_narrow(c, want.dweights, n.weights), n.weights);
  if (d->bias)
    check_match(c, exact, "conv_bias_gradient", "dbias", got.dbias, want.dbias, d->c_out);
}

/* Every kernel and stride, padded and not, over odd sizes and channels in turn. */
static void check_shapes(check *c) {
  static const int64_t kernels[] = {1, 3, 5, 7};
  static const int64_t channels[][2] = {{1, 3},   {3, 16}, {5, 17}, {16, 16},
                                        {17, 33}, {20, 5}, {33, 1}};
  static const int64_t images[][3] = {{1, 7, 9}, {2, 8, 8}, {3, 11, 7}};
  int turn = 0;
  for (int k = 0; k < 4; ++k)
    for (int64_t stride = 1; stride <= 3; ++stride)
      for (int padded = 0; padded <= 1; ++padded, ++turn) {
        const int64_t *image = images[turn % 3], *channel = channels[turn % 7];
        vane_conv_desc d = {.n = image[0],
                            .h = image[1],
                            .w = image[2],
                            .c_in = channel[0],
                            .c_out = channel[1],
                            .kernel = kernels[k],
                            .stride = stride,
                            .padding = padded ? kernels[k] / 2 : 0,
                            .bias = turn & 1,
                            .residual = turn & 2,
                            .relu = turn & 4,
                            .data_gradient = true,
                            .training = true};
        check_case(c, &d, false);
        check_case(c, &d, true);
      }
}

/* All eight fusions on one shape that every algorithm can do, training and not. */
static void check_fusions(check *c) {
  for (int bits = 0; bits < 16; ++bits) {
    vane_conv_desc d = {.n = 2,
                        .h = 12,
                        .w = 10,
                        .c_in = 16,
                        .c_out = 32,
                        .kernel = 3,
                        .stride = 1,
                        .padding = 1,
                        .bias = bits & 1,
                        .residual = bits & 2,
                        .relu = bits & 4,
                        .data_gradient = true,
                        .training = bits & 8};
    check_case(c, &d, bits % 3 == 0);
  }
}

static void check_image_layer(check *c) {
  vane_conv_desc d = {.n = 3,
                      .h = 9,
                      .w = 9,
                      .c_in = 3,
                      .c_out = 20,
                      .kernel = 3,
                      .stride = 2,
                      .padding = 1,
                      .bias = true,
                      .relu = true,
                      .training = true};
  check_case(c, &d, false);
  check_case(c, &d, true);
}

/* More padding than the kernel reaches, and a kernel larger than the image. */
static void check_odd_padding(check *c) {
  vane_conv_desc d = {.n = 1,
                      .h = 2,
                      .w = 1,
                      .c_in = 3,
                      .c_out = 5,
                      .kernel = 3,
                      .stride = 1,
                      .padding = 2,
                      .bias = true,
                      .data_gradient = true,
                      .training = true};
  check_case(c, &d, true);
  d.kernel = 5;
  check_case(c, &d, false);
}

/* Shapes where Winograd is the usual winner, so that a device that may choose it does. */
static void check_large(check *c) {
  vane_conv_desc d = {.n = 4,
                      .h = 16,
                      .w = 16,
                      .c_in = 64,
                      .c_out = 64,
                      .kernel = 3,
                      .stride = 1,
                      .padding = 1,
                      .bias = true,
                      .residual = true,
                      .relu = true,
                      .data_gradient = true,
                      .training = true};
  check_case(c, &d, false);
}

/* A plan works on the tensors of its run, wherever those of the run before lay. */
static void check_other_tensors(check *c) {
  vane_device *device = c->subject;
  vane_conv_desc d = {.n = 1,
                      .h = 5,
                      .w = 5,
                      .c_in = 4,
                      .c_out = 4,
                      .kernel = 3,
                      .stride = 1,
                      .padding = 1,
                      .data_gradient = true,
                      .training = true};
  conv_counts n = counts_of(&d);
  side s = side_begin(device);
  vane_conv_plan *plan = NULL;
  check_ok(device->conv.plan(device, &d, NULL, &plan));
  side_bind_workspace(&s, plan->workspace_bytes);
  conv_inputs in = draw_inputs(c, &d, true);
  void *weights = side_put_weights(&s, plan, in.weights);
  double *dx_values[2] = {check_array(c, n.x), check_array(c, n.x)};
  for (int run = 0; run < 2; ++run) {
    vane_tensor dz = side_put_tensor(&s, in.dz, d.n, d.h, d.w, d.c_out);
    vane_tensor dx = side_tensor(&s, d.n, d.h, d.w, d.c_in);
    check_ok(device->conv.backward_data(device, plan, weights, &dz, &dx));
    side_read_tensor(&s, &dx, dx_values[run]);
  }
  check_equal(c, "conv_backward_data", "dx elsewhere", dx_values[1], dx_values[0], n.x);
  device->conv.destroy(device, plan);
  side_end(&s);
}

/* A given choice is repeated, and a plan repeats its bits. */
static void check_choice(check *c) {
  vane_conv_desc d = {.n = 2,
                      .h = 16,
                      .w = 16,
                      .c_in = 16,
                      .c_out = 16,
                      .kernel = 3,
                      .stride = 1,
                      .padding = 1,
                      .bias = true,
                      .data_gradient = true,
                      .training = true};
  conv_counts n = counts_of(&d);
  conv_inputs in = draw_inputs(c, &d, false);
  conv_outputs first = run_conv(c, c->subject, &d, NULL, &in);
  conv_outputs again = run_conv(c, c->subject, &d, first.choice, &in);
  assert_string_equal(first.choice, again.choice);
  check_equal(c, "conv_forward", "y again", again.y, first.y, n.y);
  check_equal(c, "conv_backward_data", "dx again", again.dx, first.dx, n.x);
  check_equal(c, "conv_backward_weights", "dweights again", again.dweights, first.dweights,
              n.weights);
  vane_conv_plan *plan = NULL;
  assert_int_equal(c->subject->conv.plan(c->subject, &d, "no such algorithm", &plan),
                   VANE_ERR_UNSUPPORTED);
  assert_null(plan);
}

/* Weights are one layer's, whatever the batch and the purpose of the plan that stored them. */
static void check_shared_weights(check *c) {
  vane_device *device = c->subject;
  vane_conv_desc d = {.n = 4,
                      .h = 8,
                      .w = 8,
                      .c_in = 17,
                      .c_out = 20,
                      .kernel = 3,
                      .stride = 1,
                      .padding = 1,
                      .data_gradient = true,
                      .training = true};
  vane_conv_desc other = d;
  other.n = 1;
  other.h = other.w = 6;
  other.training = other.data_gradient = false;
  side s = side_begin(device);
  vane_conv_plan *training = NULL, *inference = NULL;
  check_ok(device->conv.plan(device, &d, NULL, &training));
  check_ok(device->conv.plan(device, &other, NULL, &inference));
  assert_int_equal(training->weight_count, inference->weight_count);
  int64_t count = counts_of(&d).weights;
  double *values = check_normal(c, count), *back = check_array(c, count);
  void *weights = side_put_weights(&s, training, values);
  side_read_weights(&s, inference, weights, back);
  check_equal(c, "get_weights", "weights", back, values, count);
  device->conv.destroy(device, training);
  device->conv.destroy(device, inference);
  device->conv.destroy(device, NULL);
  side_end(&s);
}

static void check_bad_shapes(check *c) {
  const vane_conv_desc good = {
      .n = 1, .h = 4, .w = 4, .c_in = 1, .c_out = 1, .kernel = 3, .stride = 1, .training = true};
  vane_conv_desc bad[] = {good, good, good, good};
  bad[0].kernel = 5; /* fits the width alone */
  bad[0].w = 9;
  bad[1].stride = 0;
  bad[2].padding = -1;
  bad[3].c_out = 0;
  for (int i = 0; i < 4; ++i) {
    vane_conv_plan *plan = NULL;
    assert_int_not_equal(c->subject->conv.plan(c->subject, &bad[i], NULL, &plan), VANE_OK);
    assert_null(plan);
  }
}

int main(void) {
  const check_entry entries[] = {
      CHECK(check_shapes),         CHECK(check_fusions),    CHECK(check_image_layer),
      CHECK(check_odd_padding),    CHECK(check_large),      CHECK(check_choice),
      CHECK(check_shared_weights), CHECK(check_bad_shapes), CHECK(check_other_tensors),
  };
  return check_run("conv", entries, sizeof entries / sizeof entries[0]);
}
