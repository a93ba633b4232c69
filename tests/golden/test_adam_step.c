/* One step of Adam in every mode, against the formulas in doubles. Every sum may be 2 ULP off,
 * taken at its largest operand, beyond what its operands are off: a gradient that is scaled or has
 * decay added is a sum of its own before it reaches the moments, and so is sqrt(v) + epsilon before
 * it reaches theta. Theta is judged from the moments as the device stored them. */
#include "golden.h"

/* Segments of odd lengths in the order of the block, each on the next 64 bytes, one of a single
 * parameter, one longer than any vector; tasks and decay vary. */
static const vane_segment segments[] = {
    {.offset = 0, .count = 5000, .task = VANE_SHARED, .decay = 1},
    {.offset = 5008, .count = 1, .task = VANE_SHARED, .decay = 0},
    {.offset = 5024, .count = 4095, .task = VANE_LOSS_PRESENCE, .decay = 1},
    {.offset = 9120, .count = 33, .task = VANE_LOSS_ANGLE, .decay = 0},
    {.offset = 9168, .count = 20011, .task = VANE_LOSS_POSITION, .decay = 1},
};
enum { N_SEGMENTS = sizeof segments / sizeof segments[0], N = 9168 + 20011 };

typedef struct step_blocks {
  float theta[N], gradient[N], m[N], v[N], v_max[N];
} step_blocks;

/* Of a size between 2^low and 2^high, either sign. */
static float draw_between(uint64_t *draws, int low, int high) {
  double exponent = low + (high - low) * (0.5 + 0.5 * golden_draw(draws));
  return (float)copysign(exp2(exponent), golden_draw(draws));
}

/* All gaps hold zeros, as device.h promises. */
static void draw_blocks(uint64_t seed, step_blocks *blocks) {
  memset(blocks, 0, sizeof *blocks);
  for (int s = 0; s < N_SEGMENTS; s++)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; i++) {
      blocks->theta[i] = draw_between(&seed, -12, 2);
      blocks->gradient[i] = draw_between(&seed, -24, 4);
      blocks->m[i] = draw_between(&seed, -24, 2);
      blocks->v[i] = fabsf(draw_between(&seed, -40, 4));
      blocks->v_max[i] = blocks->v[i] * fabsf(draw_between(&seed, -1, 3));
    }
}

/* ---- The formulas, and how far off they may be --------------------------------------------- */

typedef struct within {
  double value, error;
} within;

static within exactly(double value) {
  return (within){value, 0};
}

static within times(double factor, within a) {
  return (within){factor * a.value, fabs(factor) * a.error};
}

static within square_of(within a) {
  return (within){a.value * a.value, (2 * fabs(a.value) + a.error) * a.error};
}

static double two_ulp(double size) {
  return ldexp(2, ilogb(size) - 23);
}

static within sum_of(within a, within b) {
  double size = fmax(fabs(a.value), fabs(b.value));
  return (within){a.value + b.value, a.error + b.error + two_ulp(size)};
}

static within gradient_of(const vane_adam_desc *desc, const vane_segment *segment,
                          const vane_step_record *record, const step_blocks *from, int64_t i) {
  within theta = exactly((double)from->theta[i]);
  double own = record->clip * record->coefficient[segment->task];
  double decay = record->clip * record->coefficient[VANE_LOSS_REGULARIZATION];
  if (desc->decay_mode == VANE_DECAY_L2)
    decay += desc->weight_decay;
  within g = times(own, exactly((double)from->gradient[i]));
  if (segment->decay && decay > 0)
    return sum_of(g, times(decay, theta));
  /* A scale that is not 1 rounds too. */
  return own == 1 ? g : sum_of(g, exactly(0));
}

/* The new theta, from the new m and v of the device. */
static within theta_of(const vane_adam_desc *desc, const vane_segment *segment,
                       const vane_step_record *record, const step_blocks *from,
                       const step_blocks *to, int64_t i) {
  const vane_step_input *in = &record->in;
  double theta = (double)from->theta[i];
  if (segment->decay && desc->decay_mode == VANE_DECAY_DECOUPLED)
    theta -= in->lr * desc->weight_decay * theta;
  double second = (double)(desc->amsgrad ? to->v_max[i] : to->v[i]);
  double corrected = desc->epsilon_mode == VANE_EPSILON_HAT ? 1 : sqrt(in->bias2);
  within divisor = sum_of(exactly(sqrt(second) / corrected), exactly(desc->epsilon));
  double step = in->lr / in->bias1 * sqrt(in->bias2) / corrected * (double)to->m[i] / divisor.value;
  double error = fabs(step) * divisor.error / divisor.value;
  return sum_of(exactly(theta), (within){-step, error});
}

/* How much of what is allowed an error takes up. */
static double share_of(float value, within expected) {
  return fabs((double)value - expected.value) / expected.error;
}

/* ---- One step ------------------------------------------------------------------------------ */

static void run_step(vane_device *device, const vane_adam_desc *desc,
                     const vane_step_record *record, const step_blocks *from, step_blocks *to) {
  void *theta = golden_put(device, from->theta, N), *m = golden_put(device, from->m, N);
  void *v = golden_put(device, from->v, N), *gradient = golden_put(device, from->gradient, N);
  void *v_max = desc->amsgrad ? golden_put(device, from->v_max, N) : NULL;
  vane_step_record *on_device = golden_put_record(device, record);
  vane_block *planned = golden_plan_block(device, segments, N_SEGMENTS);
  const vane_adam_memory memory = {
      .parameters = theta, .gradients = gradient, .m = m, .v = v, .v_max = v_max};
  golden_ok(device->optim.adam(device, desc, planned, &memory, on_device));
  *to = *from;
  golden_ok(device->memory.get(device, to->theta, theta, N));
  golden_ok(device->memory.get(device, to->gradient, gradient, N));
  golden_ok(device->memory.get(device, to->m, m, N));
  golden_ok(device->memory.get(device, to->v, v, N));
  if (v_max)
    golden_ok(device->memory.get(device, to->v_max, v_max, N));
  void *all[] = {theta, m, v, gradient, v_max, on_device};
  for (int i = 0; i < 6; i++)
    device->memory.destroy(device, all[i]);
  device->block.destroy(device, planned);
}

typedef struct worst_shares {
  double theta, m, v;
} worst_shares;

static void check_parameter(const vane_adam_desc *desc, const vane_segment *segment,
                            const vane_step_record *record, const step_blocks *from,
                            const step_blocks *to, int64_t i, worst_shares *worst) {
  within g = gradient_of(desc, segment, record, from, i);
  within m = sum_of(times(desc->beta1, exactly((double)from->m[i])), times(1 - desc->beta1, g));
  within v =
      sum_of(times(desc->beta2, exactly((double)from->v[i])), times(1 - desc->beta2, square_of(g)));
  worst->m = fmax(worst->m, share_of(to->m[i], m));
  worst->v = fmax(worst->v, share_of(to->v[i], v));
  worst->theta =
      fmax(worst->theta, share_of(to->theta[i], theta_of(desc, segment, record, from, to, i)));
  if (desc->amsgrad)
    assert_true(to->v_max[i] == fmaxf(from->v_max[i], to->v[i]));
}

static void check_step(const vane_adam_desc *desc, const vane_step_record *record,
                       const step_blocks *from, const step_blocks *to, worst_shares *worst) {
  for (int s = 0; s < N_SEGMENTS; s++)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; i++)
      check_parameter(desc, &segments[s], record, from, to, i, worst);
  assert_memory_equal(to->gradient, from->gradient, sizeof to->gradient);
  for (int s = 0; s + 1 < N_SEGMENTS; s++)
    for (int64_t i = segments[s].offset + segments[s].count; i < segments[s + 1].offset; i++)
      assert_true(to->theta[i] == 0 && to->m[i] == 0 && to->v[i] == 0);
}

/* ---- Every mode ------------------------------------------------------------------------------ */

/* Bits of a mode's number. */
enum {
  MODE_HAT = 1,
  MODE_AMSGRAD = 2,
  MODE_DECAY = 4,
  MODE_L2 = 8,
  MODE_SCALED = 16,
  N_MODES = 32
};

static vane_adam_desc desc_of(int mode) {
  return (vane_adam_desc){.beta1 = 0.9,
                          .beta2 = 0.999,
                          .epsilon = mode & MODE_HAT ? 1e-4 : 1e-8,
                          .epsilon_mode = mode & MODE_HAT ? VANE_EPSILON_HAT : VANE_EPSILON_OUTSIDE,
                          .amsgrad = mode & MODE_AMSGRAD,
                          .weight_decay = mode & MODE_DECAY ? 0.01 : 0,
                          .decay_mode = mode & MODE_L2 ? VANE_DECAY_L2 : VANE_DECAY_DECOUPLED};
}

/* Scaled: every loss has a coefficient, the clip acts, and regularisation is one of the losses. */
static vane_step_record record_of(int mode, int64_t step) {
  vane_step_record record = {.in = {.step = step,
                                    .lr = 1e-3,
                                    .bias1 = 1 - pow(0.9, (double)step),
                                    .bias2 = 1 - pow(0.999, (double)step)},
                             .coefficient = {1, 1, 1, 1, 0, 1},
                             .clip = 1};
  if (mode & MODE_SCALED) {
    const double coefficient[VANE_N_LOSSES + 1] = {0.3, 1.7, 0.9, 2.1, 1e-3, 1};
    memcpy(record.coefficient, coefficient, sizeof coefficient);
    record.clip = 0.37;
  }
  return record;
}

static void check_modes(vane_device *device, const step_blocks *from, step_blocks *to) {
  worst_shares worst = {0};
  const int64_t steps[] = {1, 10, 100000};
  for (int mode = 0; mode < N_MODES; mode++)
    for (int i = 0; i < 3; i++) {
      vane_adam_desc desc = desc_of(mode);
      vane_step_record record = record_of(mode, steps[i]);
      run_step(device, &desc, &record, from, to);
      check_step(&desc, &record, from, to, &worst);
      golden_assert_at_most(worst.m, 1.0, "%s m, mode %d", device->name, mode);
      golden_assert_at_most(worst.v, 1.0, "%s v, mode %d", device->name, mode);
      golden_assert_at_most(worst.theta, 1.0, "%s theta, mode %d", device->name, mode);
    }
  print_message("%s: 32 modes use at most %.2f (m), %.2f (v), %.2f (theta) of 2 ULP\n",
                device->name, worst.m, worst.v, worst.theta);
}

static step_blocks before, after, again; /* too large for a stack */

static void test_every_mode_keeps_to_two_ulp(void **state) {
  (void)state;
  draw_blocks(5, &before);
  for (int kind = 0; kind < GOLDEN_N_DEVICES; kind++) {
    vane_device *device = golden_open_device(kind);
    check_modes(device, &before, &after);
    vane_device_close(device);
  }
}

static void test_a_skipped_step_writes_nothing(void **state) {
  (void)state;
  draw_blocks(6, &before);
  for (int kind = 0; kind < GOLDEN_N_DEVICES; kind++) {
    vane_device *device = golden_open_device(kind);
    vane_adam_desc desc = desc_of(MODE_AMSGRAD | MODE_DECAY);
    vane_step_record record = record_of(MODE_SCALED, 3);
    record.skip = 1;
    record.clip = (double)NAN;
    run_step(device, &desc, &record, &before, &after);
    assert_memory_equal(&after, &before, sizeof after);
    vane_device_close(device);
  }
}

static void test_threads_do_not_change_a_bit(void **state) {
  (void)state;
  draw_blocks(7, &before);
  vane_adam_desc desc = desc_of(MODE_AMSGRAD | MODE_DECAY);
  vane_step_record record = record_of(MODE_SCALED, 3);
  for (int64_t threads = 1; threads <= 7; threads += 2) {
    vane_device *device;
    golden_ok(vane_cpu_open(&(vane_device_options){.kind = VANE_DEVICE_CPU,
                                                   .convolution = VANE_CONVOLUTION_DIRECT,
                                                   .threads = threads},
                            &device));
    run_step(device, &desc, &record, &before, threads == 1 ? &after : &again);
    if (threads > 1)
      assert_memory_equal(&again, &after, sizeof after);
    vane_device_close(device);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_mode_keeps_to_two_ulp),
      cmocka_unit_test(test_a_skipped_step_writes_nothing),
      cmocka_unit_test(test_threads_do_not_change_a_bit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
