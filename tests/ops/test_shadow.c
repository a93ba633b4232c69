/* Conformance of a block's shadow: what convolutions read of it is, whatever was written last, each
 * parameter rounded to bf16; and devices that have no use for one say so. */
#include <stdlib.h>
#include <string.h>

#include "ops/side.h"

/* Gaps, a chunk of Adam's and three reals of the next one, nothing; then what has no shadow. */
static const vane_segment segments[] = {{0, 37, VANE_SHARED, 1},         {48, 4099, VANE_SHARED, 1},
                                        {4160, 0, VANE_SHARED, 1},       {4160, 7, VANE_SHARED, 0},
                                        {4176, 21, VANE_LOSS_ANGLE, 1},  {4208, 5, VANE_SHARED, 0},
                                        {4224, 3, VANE_LOSS_POSITION, 1}};
enum { n_segments = sizeof segments / sizeof segments[0], shadowed = 4167, count = 4227 };

/* A block of parameters that is bound, with all that Adam needs. */
typedef struct bound {
  side s;
  vane_block *block;
  unsigned char *parameters;
  void *shadow;
} bound;

/* Numbers of all sizes, ties, what rounds up to infinity, what is none. */
static double *draw(check *c) {
  static const double special[] = {0x1.01p0, 0x1.03p0, 0x1.018p0, -0x1.01p-126,
                                   0x1p-149, 3.4e38,   0};
  double *values = check_normal(c, count);
  for (int i = 0; i < (int)(sizeof special / sizeof special[0]); ++i)
    for (int64_t at = 100 + i; at < shadowed; at += 100)
      values[at] = (double)(float)special[i];
  values[200] = CHECK_NAN, values[300] = CHECK_INFINITY, values[4166] = -CHECK_INFINITY;
  return values;
}

static void check_shadow(check *c, bound *b, const char *after) {
  vane_device *device = b->s.device;
  float *reals = malloc(count * sizeof *reals);
  uint16_t *numbers = malloc(shadowed * sizeof *numbers + 1);
  assert_true(reals && numbers);
  check_ok(device->memory.get(device, reals, b->parameters, count));
  check_ok(device->memory.download(device, numbers, b->shadow, b->block->shadow_bytes));
  check_ok(device->memory.synchronize(device));
  for (int64_t i = 0; b->shadow && i < shadowed; ++i) {
    const uint32_t bits = (uint32_t)numbers[i] << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    const double want = check_narrowed(c->precision, (double)reals[i]);
    if (isnan(want) ? !isnan(number) : (double)number != want)
      fail_msg("shadow on %s, after %s: number %d is %a, not %a", c->name, after, (int)i,
               (double)number, want);
  }
  free(reals);
  free(numbers);
}

static bound begin(check *c, const double *values) {
  bound b = {.s = side_begin(c->subject)};
  const size_t bytes = c->precision == VANE_PRECISION_BF16 ? shadowed * sizeof(uint16_t) : 0;
  check_ok(c->subject->block.plan(c->subject, segments, n_segments, &b.block));
  assert_int_equal(b.block->shadow_bytes, bytes);
  b.parameters = side_put(&b.s, values, count);
  b.shadow = bytes ? side_bytes(&b.s, bytes) : NULL;
  check_ok(c->subject->block.bind(c->subject, b.block, b.parameters, b.shadow));
  check_shadow(c, &b, "bind");
  return b;
}

static void end(bound *b) {
  b->s.device->block.destroy(b->s.device, b->block);
  side_end(&b->s);
}

/* Whatever the place and length of what is written. */
static void check_writers(check *c) {
  static const int64_t ranges[][2] = {{0, count}, {48, 1},    {61, 3},   {4140, 27},
                                      {4150, 40}, {4166, 60}, {4176, 8}, {200, 0}};
  vane_device *device = c->subject;
  bound b = begin(c, draw(c));
  unsigned char *others = side_put(&b.s, draw(c), count);
  float host[count];
  for (int i = 0; i < (int)(sizeof ranges / sizeof ranges[0]); ++i) {
    const int64_t first = ranges[i][0], n = ranges[i][1];
    const size_t at = (size_t)first * device->real_bytes, bytes = (size_t)n * device->real_bytes;
    const double *values = draw(c);
    for (int64_t j = 0; j < n; ++j)
      host[j] = (float)values[first + j];
    check_ok(device->memory.put(device, b.parameters + at, host, n));
    check_shadow(c, &b, "put");
    check_ok(device->memory.copy(device, b.parameters + at, others + at, bytes));
    check_shadow(c, &b, "copy");
    check_ok(device->memory.clear(device, b.parameters + at, bytes));
    check_shadow(c, &b, "clear");
    check_ok(device->memory.upload(device, b.parameters + at, host, (size_t)n * sizeof *host));
    check_shadow(c, &b, "upload");
  }
  const vane_draw_desc drawn = {.low = -1, .high = 1};
  check_ok(device->elementwise.draw(device, b.parameters, count, &drawn));
  check_shadow(c, &b, "draw");
  /* Bytes, from the last of a real to the first of another. */
  check_ok(device->memory.clear(device, b.parameters + 4 * 61 + 3, 8));
  check_shadow(c, &b, "clear of bytes");
  end(&b);
}

typedef struct adam_run {
  vane_adam_desc desc;
  vane_adam_memory memory;
  vane_step_record record;
} adam_run;

static adam_run prepare_adam(check *c, bound *b) {
  adam_run run = {.desc = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8},
                  .record = {.in = {.step = 1, .lr = 0.5, .bias1 = 0.1, .bias2 = 0.001},
                             .coefficient = {1, 1, 1, 1, 0, 1},
                             .clip = 1}};
  run.memory = (vane_adam_memory){.parameters = b->parameters,
                                  .gradients = side_put(&b->s, check_normal(c, count), count),
                                  .m = side_put(&b->s, check_array(c, count), count),
                                  .v = side_put(&b->s, check_array(c, count), count)};
  return run;
}

static void step(bound *b, const adam_run *run, const vane_block *block) {
  vane_device *device = b->s.device;
  check_ok(device->optim.adam(device, &run->desc, block, &run->memory,
                              side_put_record(&b->s, &run->record)));
}

/* Steps as large as the parameters, so that what is left behind is far off. */
static void check_adam(check *c) {
  for (int amsgrad = 0; amsgrad < 2; ++amsgrad) {
    bound b = begin(c, check_normal(c, count));
    adam_run run = prepare_adam(c, &b);
    run.desc.amsgrad = amsgrad;
    if (amsgrad)
      run.memory.v_max = side_put(&b.s, check_array(c, count), count);
    step(&b, &run, b.block);
    check_shadow(c, &b, "a step");
    double *before = check_array(c, count), *after = check_array(c, count);
    side_read(&b.s, b.parameters, before, count);
    run.record.skip = 1;
    step(&b, &run, b.block);
    side_read(&b.s, b.parameters, after, count);
    check_equal(c, "adam", "theta of a skipped step", after, before, count);
    check_shadow(c, &b, "a skipped step");
    end(&b);
  }
}

/* Adam over the same memory, but by other blocks: cut differently, and of a part. */
static void check_adam_of_another_block(check *c) {
  static const vane_segment whole = {0, 4208, VANE_SHARED, 1}, part = {64, 100, VANE_SHARED, 1};
  bound b = begin(c, check_normal(c, count));
  adam_run run = prepare_adam(c, &b);
  step(&b, &run, side_plan_block(&b.s, &whole, 1));
  check_shadow(c, &b, "a step of another block");
  step(&b, &run, side_plan_block(&b.s, &part, 1));
  check_shadow(c, &b, "a step of a part");
  step(&b, &run, side_plan_block(&b.s, NULL, 0));
  check_shadow(c, &b, "a step of nothing");
  end(&b);
}

/* Parameters have one shadow; a block that moves takes its own along, and several may live. */
static void check_binding(check *c) {
  vane_device *device = c->subject;
  bound b = begin(c, draw(c)), other = begin(c, draw(c));
  if (b.shadow) {
    assert_int_equal(device->block.bind(device, other.block, b.parameters + 4 * 64, other.shadow),
                     VANE_ERR_ARGUMENT);
    assert_non_null(strstr(vane_error_get()->message, "another block's too, from its real 64 on"));
  }
  check_ok(device->block.bind(device, b.block, b.parameters, b.shadow));
  check_shadow(c, &b, "bind again");
  bound moved = b;
  moved.parameters = side_put(&b.s, draw(c), count);
  moved.shadow = b.shadow ? side_bytes(&b.s, b.block->shadow_bytes) : NULL;
  check_ok(device->block.bind(device, moved.block, moved.parameters, moved.shadow));
  check_shadow(c, &moved, "bind elsewhere");
  check_ok(device->block.bind(device, other.block, b.parameters, other.shadow)); /* free now */
  other.parameters = b.parameters;
  check_ok(device->memory.clear(device, moved.parameters, 400));
  check_ok(device->memory.clear(device, other.parameters, 800));
  check_shadow(c, &moved, "clear beside another block");
  check_shadow(c, &other, "clear of the other block");
  device->block.destroy(device, moved.block); /* the first that was bound, and the last but one */
  check_ok(device->memory.clear(device, other.parameters, 1200));
  check_shadow(c, &other, "the other block's end");
  device->block.destroy(device, other.block);
  side_end(&other.s);
  side_end(&b.s);
}

/* ---- Convolutions ---- */

static const vane_conv_desc conv = {.n = 2,
                                    .h = 6,
                                    .w = 6,
                                    .c_in = 8,
                                    .c_out = 8,
                                    .kernel = 3,
                                    .stride = 1,
                                    .padding = 1,
                                    .data_gradient = true,
                                    .training = true};
enum { n_values = 2 * 6 * 6 * 8, n_weights = 8 * 8 * 9, lead = 32 };

typedef struct layer {
  side s;
  vane_conv_plan *plan;
  unsigned char *parameters; /* `lead` reals, then the weights */
  void *weights;
  vane_tensor x;
} layer;

/* Forward and data gradient: [2 n_values]. */
static double *run_layer(check *c, layer *l) {
  vane_device *device = l->s.device;
  double *out = check_array(c, 2 * n_values);
  vane_tensor y = side_tensor(&l->s, conv.n, conv.h, conv.w, conv.c_out);
  vane_tensor dx = side_tensor(&l->s, conv.n, conv.h, conv.w, conv.c_in);
  check_ok(device->conv.forward(device, l->plan, &l->x, l->weights, NULL, NULL, &y));
  check_ok(device->conv.backward_data(device, l->plan, l->weights, &l->x, &dx));
  side_read_tensor(&l->s, &y, out);
  side_read_tensor(&l->s, &dx, out + n_values);
  return out;
}

static layer begin_layer(check *c) {
  vane_device *device = c->subject;
  layer l = {.s = side_begin(device)};
  check_ok(device->conv.plan(device, &conv, NULL, &l.plan));
  side_bind_workspace(&l.s, l.plan->workspace_bytes);
  l.parameters =
      side_put(&l.s, check_array(c, lead + l.plan->weight_count), lead + l.plan->weight_count);
  l.weights = l.parameters + lead * device->real_bytes;
  l.x = side_put_tensor(&l.s, check_normal(c, n_values), conv.n, conv.h, conv.w, conv.c_in);
  return l;
}

static void put_weights(check *c, layer *l) {
  const double *values = check_normal(c, n_weights);
  float floats[n_weights];
  for (int i = 0; i < n_weights; ++i)
    floats[i] = (float)values[i];
  check_ok(l->s.device->conv.put_weights(l->s.device, l->plan, l->weights, floats));
}

/* A convolution reads the shadow of its weights where they have one, and else gives the same bits.
 */
static void check_convolutions(check *c) {
  vane_device *device = c->subject;
  layer l = begin_layer(c);
  vane_block *block = NULL;
  const vane_segment segment[] = {{0, lead, VANE_SHARED, 0},
                                  {lead, l.plan->weight_count, VANE_SHARED, 1}};
  put_weights(c, &l);
  const double *unbound = run_layer(c, &l);
  check_ok(device->block.plan(device, segment, 2, &block));
  void *shadow = block->shadow_bytes ? side_bytes(&l.s, block->shadow_bytes) : NULL;
  check_ok(device->block.bind(device, block, l.parameters, shadow));
  check_equal(c, "conv", "bound", run_layer(c, &l), unbound, 2 * n_values);

  put_weights(c, &l);
  const double *put = run_layer(c, &l);
  assert_memory_not_equal(put, unbound, 2 * n_values * sizeof *put);
  if (shadow) {
    check_ok(device->memory.clear(device, shadow, block->shadow_bytes));
    check_equal(c, "conv", "of an empty shadow", run_layer(c, &l), check_array(c, 2 * n_values),
                2 * n_values);
  }
  device->block.destroy(device, block);
  check_equal(c, "conv", "no longer bound", run_layer(c, &l), put, 2 * n_values);
  device->conv.destroy(device, l.plan);
  side_end(&l.s);
}

/* Weights of which only a part has a shadow are converted where they are read. */
static void check_weights_in_part(check *c) {
  vane_device *device = c->subject;
  layer l = begin_layer(c);
  const vane_segment segment[] = {{0, lead, VANE_SHARED, 0},
                                  {lead, 64, VANE_SHARED, 1},
                                  {lead + 64, l.plan->weight_count - 64, VANE_LOSS_ANGLE, 1}};
  vane_block *block = NULL;
  put_weights(c, &l);
  const double *unbound = run_layer(c, &l);
  check_ok(device->block.plan(device, segment, 3, &block));
  void *shadow = block->shadow_bytes ? side_bytes(&l.s, block->shadow_bytes) : NULL;
  check_ok(device->block.bind(device, block, l.parameters, shadow));
  check_equal(c, "conv", "bound in part", run_layer(c, &l), unbound, 2 * n_values);
  device->block.destroy(device, block);
  device->conv.destroy(device, l.plan);
  side_end(&l.s);
}

int main(void) {
  const check_entry entries[] = {
      CHECK(check_writers),      CHECK(check_adam),
      CHECK(check_binding),      CHECK(check_adam_of_another_block),
      CHECK(check_convolutions), CHECK(check_weights_in_part),
  };
  return check_run("shadow", entries, sizeof entries / sizeof entries[0]);
}
