/* Conformance of the Gram matrix, the coefficients and the mix (N20..N24). */

#include "base/random.h"
#include "ops/side.h"

#define FIFTH VANE_LOSS_REGULARIZATION

/* Shared segments that slots cover come first, as in every block of parameters. */
static const vane_segment segments[] = {
    {0, 37, VANE_SHARED, 1},           {48, 5, VANE_SHARED, 0},
    {64, 600, VANE_SHARED, 1},         {672, 33, VANE_LOSS_PRESENCE, 1},
    {720, 1, VANE_LOSS_PRESENCE, 0},   {736, 100, VANE_LOSS_ANGLE, 1},
    {848, 17, VANE_LOSS_MAGNITUDE, 1}, {880, 3, VANE_LOSS_POSITION, 0},
    {896, 4, VANE_SHARED, 0}, /* log variances: behind what the slots cover */
};
enum { n_segments = sizeof segments / sizeof segments[0], block = 912, shared = 672 };

/* A block whose gaps are zero, as they are in training; its first part does for a slot. */
static double *draw_block(check *c) {
  double *values = check_normal(c, block), *out = check_array(c, block);
  for (int s = 0; s < n_segments; ++s)
    for (int64_t i = segments[s].offset; i < segments[s].offset + segments[s].count; ++i)
      out[i] = values[i];
  return out;
}

static vane_step_record run_gram(vane_device *device, double *const values[VANE_N_HEADS],
                                 int64_t count, const double *parameters, const double *gradients) {
  side s = side_begin(device);
  vane_step_record before = {.loss = {[FIFTH] = 3.5}};
  for (int i = 0; i < VANE_N_LOSSES * VANE_N_LOSSES; ++i)
    before.gram[i / VANE_N_LOSSES][i % VANE_N_LOSSES] = CHECK_NAN;
  vane_step_record *record = side_put_record(&s, &before);
  const void *slots[VANE_N_HEADS];
  for (int k = 0; k < VANE_N_HEADS; ++k)
    slots[k] = values[k] ? side_put(&s, values[k], count) : NULL;
  const void *w = parameters ? side_put(&s, parameters, block) : NULL;
  const void *g = gradients ? side_put(&s, gradients, block) : NULL;
  check_ok(device->reduce.gram(device, slots, count, side_plan_block(&s, segments, n_segments), w,
                               g, record));
  vane_step_record after = side_read_record(&s, record);
  side_end(&s);
  return after;
}

/* Dots are measured against the product of the norms: a dot of nearly orthogonal gradients is a
 * small difference of large sums. */
static void compare_gram(check *c, const vane_step_record *got, const vane_step_record *want) {
  for (int i = 0; i < VANE_N_LOSSES; ++i)
    for (int j = 0; j < VANE_N_LOSSES; ++j) {
      double scale = sqrt(want->gram[i][i] * want->gram[j][j]);
      check_compare(c, "gram", "dot", &got->gram[i][j], &want->gram[i][j], &scale, 1);
      assert_true(got->gram[i][j] == got->gram[j][i] || isnan(got->gram[i][j]));
    }
}

static void draw_slots(check *c, double *slots[VANE_N_HEADS], int64_t count, int without) {
  for (int k = 0; k < VANE_N_HEADS; ++k)
    slots[k] = k == without ? NULL : check_normal(c, count);
}

static void check_gram_features(check *c) {
  static const int64_t counts[] = {0, 1, 7, 64, 1000, 4099};
  for (int i = 0; i < 6; ++i)
    for (int without = -1; without < VANE_N_HEADS; ++without) {
      double *slots[VANE_N_HEADS];
      draw_slots(c, slots, counts[i], without);
      check_label(c, "%d features, without slot %d", (int)counts[i], without);
      vane_step_record got = run_gram(c->subject, slots, counts[i], NULL, NULL);
      vane_step_record want = run_gram(c->oracle, slots, counts[i], NULL, NULL);
      compare_gram(c, &got, &want);
      check_scalar(c, "gram", "the fifth loss", got.gram[FIFTH][FIFTH], 7.0);
      for (int k = 0; k < VANE_N_HEADS; ++k)
        assert_true(got.gram[k][FIFTH] == 0.0);
    }
}

static void check_gram_parameters(check *c) {
  for (int without = -1; without < VANE_N_HEADS; ++without) {
    double *slots[VANE_N_HEADS];
    for (int k = 0; k < VANE_N_HEADS; ++k)
      slots[k] = k == without ? NULL : draw_block(c);
    const double *w = draw_block(c), *g = draw_block(c);
    check_label(c, "space parameters, without slot %d", without);
    vane_step_record got = run_gram(c->subject, slots, shared, w, g);
    vane_step_record want = run_gram(c->oracle, slots, shared, w, g);
    compare_gram(c, &got, &want);
  }
}

/* By hand: slots of one value in the shared part, one own value per head. */
static void check_gram_by_hand(check *c) {
  double *slots[VANE_N_HEADS], *w = check_array(c, block), *g = check_array(c, block);
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    slots[k] = check_array(c, shared);
    slots[k][0] = k + 1.0;
  }
  w[0] = 10.0;
  g[672] = 2.0; /* presence, decays */
  w[672] = 3.0;
  g[880] = 5.0; /* position, does not */
  w[880] = 7.0;
  vane_step_record got = run_gram(c->subject, slots, shared, w, g);
  check_label(c, "by hand");
  check_scalar(c, "gram", "presence", got.gram[0][0], 1.0 + 4.0);
  check_scalar(c, "gram", "presence and angle", got.gram[0][1], 2.0);
  check_scalar(c, "gram", "position", got.gram[3][3], 16.0 + 25.0);
  check_scalar(c, "gram", "presence and weights", got.gram[FIFTH][0], 10.0 + 6.0);
  check_scalar(c, "gram", "position and weights", got.gram[3][FIFTH], 40.0);
}

/* Gradients whose squares a float cannot hold, or holds with a few bits only, beside others. */
static void check_gram_sizes(check *c) {
  static const double sizes[][VANE_N_HEADS] = {{1e-25, 1.0, 1e-18, 1e-12},
                                               {1e25, 1.0, 1e18, 1e-25},
                                               {1e-25, 1e-24, 1e-23, 1e-22},
                                               {1e30, 1e37, 1e19, 1e20}};
  for (int i = 0; i < 4; ++i)
    for (int zeros = 0; zeros < 2; ++zeros) {
      double *slots[VANE_N_HEADS];
      draw_slots(c, slots, 1001, -1);
      for (int k = 0; k < VANE_N_HEADS; ++k)
        for (int64_t j = 0; j < 1001; ++j)
          slots[k][j] = zeros && j % 8 < 5 ? 0.0 : (double)(float)(sizes[i][k] * slots[k][j]);
      check_label(c, "sizes %d%s", i, zeros ? ", zeros among them" : "");
      vane_step_record got = run_gram(c->subject, slots, 1001, NULL, NULL);
      vane_step_record want = run_gram(c->oracle, slots, 1001, NULL, NULL);
      compare_gram(c, &got, &want);
    }
}

static void check_gram_nan(check *c) {
  double *slots[VANE_N_HEADS];
  draw_slots(c, slots, 100, -1);
  slots[2][50] = CHECK_NAN;
  check_label(c, "a NaN in slot 2");
  vane_step_record got = run_gram(c->subject, slots, 100, NULL, NULL);
  assert_true(isnan(got.gram[2][2]) && isfinite(got.gram[1][1]) && isfinite(got.gram[3][3]));
}

typedef struct coefficient_outputs {
  vane_step_record record;
  double *dlog_variances;
} coefficient_outputs;

static coefficient_outputs run_coefficients(check *c, vane_device *device,
                                            const vane_combine_desc *desc,
                                            const double *log_variances,
                                            const vane_step_record *before) {
  side s = side_begin(device);
  coefficient_outputs out = {.dlog_variances = check_array(c, VANE_N_HEADS)};
  bool learned = desc->weighting == VANE_WEIGHTING_UNCERTAINTY;
  vane_step_record *record = side_put_record(&s, before);
  void *variances = learned ? side_put(&s, log_variances, VANE_N_HEADS) : NULL;
  void *dvariances = learned ? side_reals(&s, VANE_N_HEADS) : NULL;
  check_ok(device->reduce.coefficients(device, desc, variances, dvariances, record));
  out.record = side_read_record(&s, record);
  if (learned)
    side_read(&s, dvariances, out.dlog_variances, VANE_N_HEADS);
  side_end(&s);
  return out;
}

/* A record as it stands before coefficients: gradients that conflict now and then, losses, an order
 * of projection, a loss without samples. */
static vane_step_record draw_record(check *c, uint64_t turn) {
  vane_step_record record = {0};
  double *gradients[VANE_N_HEADS];
  for (int k = 0; k < VANE_N_HEADS; ++k) {
    gradients[k] = check_normal(c, 6);
    record.loss[k] = 0.5 + k;
    record.in.inv_count[k] = turn % 4 == (uint64_t)k ? 0.0 : 0.25;
  }
  record.loss[FIFTH] = 2.0;
  for (int i = 0; i < VANE_N_HEADS; ++i)
    for (int j = 0; j < VANE_N_HEADS; ++j)
      for (int l = 0; l < 6; ++l)
        record.gram[i][j] += gradients[i][l] * gradients[j][l];
  record.gram[FIFTH][FIFTH] = 4.0;
  for (int i = 0; i < VANE_N_HEADS; ++i) {
    uint32_t first = (uint32_t)vane_random_below(1, VANE_RANDOM_PROJECTION, turn, (uint64_t)i, 3);
    for (uint32_t j = 0; j < VANE_N_HEADS - 1; ++j) { /* a rotation of the others */
      uint32_t other = (first + j) % 3;
      record.in.projection_order[i][j] = other + (other >= (uint32_t)i);
    }
  }
  return record;
}

static void check_coefficients(check *c) {
  for (int weighting = VANE_WEIGHTING_FIXED; weighting <= VANE_WEIGHTING_PCGRAD; ++weighting)
    for (int clip = 0; clip <= 1; ++clip)
      for (uint64_t turn = 0; turn < 10; ++turn) {
        vane_combine_desc desc = {.weighting = weighting,
                                  .weight = {1.0, 0.5, turn == 7 ? 0.0 : 2.0, 1.5, 1e-4},
                                  .clip_per_loss = clip ? 1.25 : 0.0};
        const double *s = check_normal(c, VANE_N_HEADS);
        vane_step_record before = draw_record(c, turn);
        check_label(c, "weighting %d, clip %g, turn %d", weighting, desc.clip_per_loss, (int)turn);
        coefficient_outputs got = run_coefficients(c, c->subject, &desc, s, &before);
        coefficient_outputs want = run_coefficients(c, c->oracle, &desc, s, &before);
        const char *op = weighting == VANE_WEIGHTING_UNCERTAINTY ? "dlog_variance" : "coefficients";
        check_compare(c, op, "weight", got.record.weight, want.record.weight, NULL, VANE_N_LOSSES);
        check_compare(c, op, "coefficient", got.record.coefficient, want.record.coefficient, NULL,
                      VANE_N_LOSSES + 1);
        check_compare(c, op, "mix", got.record.mix, want.record.mix, NULL, VANE_N_HEADS);
        check_compare(c, "dlog_variance", "dlog_variances", got.dlog_variances, want.dlog_variances,
                      NULL, VANE_N_HEADS);
      }
}

/* By hand: fixed weights, a clip that acts on one loss and on the regularisation. */
static void check_clip_by_hand(check *c) {
  vane_combine_desc desc = {.weight = {1.0, 2.0, 1.0, 1.0, 0.5}, .clip_per_loss = 4.0};
  vane_step_record before = {0};
  before.gram[0][0] = 9.0;
  before.gram[1][1] = 16.0;          /* 2 x 4 = 8: halved */
  before.gram[FIFTH][FIFTH] = 256.0; /* 0.5 x 16 = 8: halved */
  coefficient_outputs got = run_coefficients(c, c->subject, &desc, NULL, &before);
  const double coefficient[] = {1.0, 1.0, 1.0, 1.0, 0.25, 1.0};
  check_label(c, "clip by hand");
  check_compare(c, "coefficients", "coefficient", got.record.coefficient, coefficient, NULL, 6);
  check_compare(c, "coefficients", "mix", got.record.mix, coefficient, NULL, 4);
  check_compare(c, "coefficients", "weight", got.record.weight, desc.weight, NULL, 5);
}

static double *run_combine(check *c, vane_device *device, double *const values[VANE_N_HEADS],
                           int64_t count, const vane_step_record *record, bool over_slot) {
  side s = side_begin(device);
  double *out = check_array(c, count);
  void *slots[VANE_N_HEADS];
  for (int k = 0; k < VANE_N_HEADS; ++k)
    slots[k] = values[k] ? side_put(&s, values[k], count) : NULL;
  void *to = over_slot ? slots[1] : side_reals(&s, count);
  const void *const lent[] = {slots[0], slots[1], slots[2], slots[3]};
  check_ok(device->reduce.combine(device, to, lent, count, side_put_record(&s, record)));
  side_read(&s, to, out, count);
  side_end(&s);
  return out;
}

static void check_combine(check *c) {
  static const int64_t counts[] = {0, 1, 7, 16, 1023, 4099};
  for (int i = 0; i < 6; ++i)
    for (int turn = 0; turn < 4; ++turn) {
      bool exact = turn & 1, over_slot = turn & 2;
      double *slots[VANE_N_HEADS];
      for (int k = 0; k < VANE_N_HEADS; ++k)
        slots[k] = check_inputs(c, counts[i], exact);
      if (turn == 0)
        slots[2] = NULL;
      vane_step_record record = {.mix = {1.0, 0.5, exact ? 2.0 : 0.3, exact ? -0.25 : 1.7}};
      check_label(c, "%d reals%s%s", (int)counts[i], exact ? " exact" : "",
                  over_slot ? " over slot 1" : "");
      const double *got = run_combine(c, c->subject, slots, counts[i], &record, over_slot);
      const double *want = run_combine(c, c->oracle, slots, counts[i], &record, over_slot);
      check_match(c, exact, "combine", "out", got, want, counts[i]);
    }
}

/* PCGrad carried out on the vectors themselves, as the paper writes it, against what the Gram
 * matrix, the coefficients and the mix make of them. */
static void check_projection(check *c) {
  enum { count = 5 };
  for (uint64_t turn = 0; turn < 20; ++turn) {
    double *slots[VANE_N_HEADS], expected[count] = {0.0}, scale[count];
    draw_slots(c, slots, count, -1);
    vane_combine_desc desc = {.weighting = VANE_WEIGHTING_PCGRAD, .weight = {1, 2, 0.5, 1, 0}};
    vane_step_record before = draw_record(c, turn);
    for (int i = 0; i < VANE_N_HEADS; ++i) {
      double p[count];
      for (int l = 0; l < count; ++l)
        p[l] = desc.weight[i] * slots[i][l];
      for (int step = 0; step < VANE_N_HEADS - 1; ++step) {
        uint32_t j = before.in.projection_order[i][step];
        double product = 0.0, square = 0.0;
        for (int l = 0; l < count; ++l) {
          product += p[l] * desc.weight[j] * slots[j][l];
          square += desc.weight[j] * slots[j][l] * desc.weight[j] * slots[j][l];
        }
        for (int l = 0; product < 0.0 && l < count; ++l)
          p[l] -= product / square * desc.weight[j] * slots[j][l];
      }
      for (int l = 0; l < count; ++l)
        expected[l] += p[l];
    }
    for (int l = 0; l < count; ++l)
      scale[l] = 10.0; /* of the terms, which may cancel */
    vane_step_record record = run_gram(c->subject, slots, count, NULL, NULL);
    record.in = before.in;
    record = run_coefficients(c, c->subject, &desc, NULL, &record).record;
    check_label(c, "projection, turn %d", (int)turn);
    check_compare(c, "combine", "out", run_combine(c, c->subject, slots, count, &record, false),
                  expected, scale, count);
  }
}

int main(void) {
  const check_entry entries[] = {
      CHECK(check_gram_features), CHECK(check_gram_parameters), CHECK(check_gram_by_hand),
      CHECK(check_gram_sizes),    CHECK(check_gram_nan),        CHECK(check_coefficients),
      CHECK(check_clip_by_hand),  CHECK(check_combine),         CHECK(check_projection),
  };
  return check_run("reduce", entries, sizeof entries / sizeof entries[0]);
}
