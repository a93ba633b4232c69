/* One step of Adam cannot pass a bound (N41), whatever the gradients were: long random and hostile
 * sequences through the devices' own Adam, its own telemetry watching. A test alone rounds v to 16
 * bits between the steps, and the bound no longer holds: that is why vane's moments are fp32. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "optim/telemetry.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* One segment for each kind of sequence, so that each says what came of it. */
typedef enum sequence {
  WHITE,    /* normal */
  HEAVY,    /* of sizes over twelve decades */
  SPIKES,   /* quiet, and now and then a thousand times as large */
  SILENCE,  /* nothing for long, then a burst of one sign */
  JUMPS,    /* constant, a hundred times as large from time to time, then small again */
  OPPOSITE, /* the sign changes each step */
  DECAYING, /* late in a run: ever smaller, then a burst */
  SMALL,    /* squares near the smallest normal float, and below */
  WORST,    /* the one for which the bound is an equality */
  N_SEQUENCES
} sequence;

static const char *const names[N_SEQUENCES] = {"white",    "heavy",    "spikes", "silence", "jumps",
                                               "opposite", "decaying", "small",  "worst"};

enum { EACH = 32, N_REALS = N_SEQUENCES * EACH, N_STEPS = 6000 };

static uint64_t draws = 1;

/* Between 0 and 1, top bits of Knuth's generator. */
static double draw(void) {
  draws = draws * 6364136223846793005u + 1442695040888963407u;
  return (double)(draws >> 11) * 0x1p-53;
}

static double normal(void) {
  return sqrt(-2 * log(1 - draw())) * cos(6.283185307179586 * draw());
}

/* Cauchy and Schwarz are equal where gradients grow by beta2/beta1 each step and there were none
 * before. Late, so that the bias corrections are over; over thirty decades, as squares of floats
 * allow; each parameter to another end. */
static double worst(int64_t step, int i, double beta1, double beta2) {
  double decades = log10(beta2 / beta1) * (double)(step - (N_STEPS - 4 * i));
  return decades > -30 && decades <= 0 ? pow(10, 15 + decades) : 0;
}

static double gradient_of(sequence kind, int64_t step, int i, const vane_adam_desc *desc) {
  int64_t at = step + 37 * i;
  double sign = i % 2 ? -1 : 1;
  switch (kind) {
  case WHITE:
    return normal();
  case HEAVY:
    return pow(10, 12 * draw() - 6) * normal();
  case SPIKES:
    return draw() < 0.003 ? 1e3 * normal() : 1e-2 * normal();
  case SILENCE:
    return at % 2000 > 1900 ? sign * (0.5 + draw()) : 0;
  case JUMPS:
    return sign * (at % 500 < 20 + i ? 100 : 1);
  case OPPOSITE:
    return at % 2 ? 1 : -1;
  case DECAYING:
    return at % 3000 < 2950 ? pow(10, -(double)(at % 3000) / 300) * normal() : sign;
  case SMALL:
    return 1e-19 * pow(10, 2 * draw() - 1) * normal();
  default:
    return sign * worst(step, i, desc->beta1, desc->beta2);
  }
}

/* ---- A run --------------------------------------------------------------------------------- */

typedef struct run {
  vane_device *device;
  vane_adam_desc desc;
  vane_block *block;
  vane_adam_memory memory;
  float gradients[N_REALS], v[N_REALS];
  void *arrays[5];
  void *record, *telemetry;
  float (*narrow)(float); /* what v is rounded to between steps; NULL: not at all */
} run;

static void ok(vane_status status) {
  if (status != VANE_OK)
    fail_msg("%s", vane_error_get()->message);
}

static void begin(run *r) {
  vane_segment segments[N_SEQUENCES];
  const size_t bytes = N_REALS * sizeof(float);
  for (int i = 0; i < N_SEQUENCES; i++)
    segments[i] = (vane_segment){(int64_t)i * EACH, EACH, VANE_SHARED, 0};
  ok(r->device->block.plan(r->device, segments, N_SEQUENCES, &r->block));
  for (int a = 0; a < 5; a++)
    ok(r->device->memory.create(r->device, bytes, &r->arrays[a]));
  ok(r->device->memory.create(r->device, sizeof(vane_step_record), &r->record));
  ok(r->device->memory.create(r->device, N_SEQUENCES * sizeof(vane_adam_telemetry), &r->telemetry));
  r->memory = (vane_adam_memory){.parameters = r->arrays[0],
                                 .gradients = r->arrays[1],
                                 .m = r->arrays[2],
                                 .v = r->arrays[3],
                                 .v_max = r->desc.amsgrad ? r->arrays[4] : NULL,
                                 .telemetry = r->telemetry};
}

static void end(run *r) {
  for (int a = 0; a < 5; a++)
    r->device->memory.destroy(r->device, r->arrays[a]);
  r->device->memory.destroy(r->device, r->record);
  r->device->memory.destroy(r->device, r->telemetry);
  r->device->block.destroy(r->device, r->block);
  vane_device_close(r->device);
}

static void narrow_moments(run *r) {
  ok(r->device->memory.get(r->device, r->v, r->arrays[3], N_REALS));
  for (int i = 0; i < N_REALS; i++)
    r->v[i] = r->narrow(r->v[i]);
  ok(r->device->memory.put(r->device, r->arrays[3], r->v, N_REALS));
}

static void step(run *r, int64_t t) {
  const vane_step_record record = {.in = {.step = t,
                                          .lr = 1e-3,
                                          .bias1 = 1 - pow(r->desc.beta1, (double)t),
                                          .bias2 = 1 - pow(r->desc.beta2, (double)t),
                                          .watch = 1},
                                   .coefficient = {[VANE_SHARED] = 1},
                                   .clip = 1};
  for (int i = 0; i < N_REALS; i++)
    r->gradients[i] = (float)gradient_of((sequence)(i / EACH), t, i % EACH, &r->desc);
  ok(r->device->memory.put(r->device, r->arrays[1], r->gradients, N_REALS));
  ok(r->device->memory.upload(r->device, r->record, &record, sizeof record));
  ok(r->device->optim.adam(r->device, &r->desc, r->block, &r->memory, r->record));
  if (r->narrow)
    narrow_moments(r);
}

/* The largest update of each kind of sequence, in learning rates. */
static void run_all(run *r, double largest[N_SEQUENCES]) {
  vane_adam_telemetry seen[N_SEQUENCES];
  draws = 1;
  begin(r);
  for (int64_t t = 1; t <= N_STEPS; t++)
    step(r, t);
  ok(r->device->memory.download(r->device, seen, r->telemetry, sizeof seen));
  ok(r->device->memory.synchronize(r->device));
  for (int i = 0; i < N_SEQUENCES; i++)
    largest[i] = seen[i].largest;
  end(r);
}

static vane_device *open_device(bool cpu) {
  vane_device *device;
  if (cpu)
    ok(vane_cpu_open(&(vane_device_options){.kind = VANE_DEVICE_CPU, .threads = 1}, &device));
  else
    ok(vane_ref_open(false, &device));
  return device;
}

/* ---- fp32 ------------------------------------------------------------------------------------ */

static void test_the_bound(void **state) {
  (void)state;
  assert_true(fabs(vane_adam_bound(0.9, 0.999) - 7.2703) < 1e-4);
  assert_true(fabs(vane_adam_bound(0, 0.999) - sqrt(1000)) < 1e-9);
  assert_true(fabs(vane_adam_bound(0, 0.75) - 2) < 1e-15); /* m = g, v >= g^2 / 4 */
  assert_true(isinf(vane_adam_bound(0.9, 0.81)) && isinf(vane_adam_bound(0.9, 0.5)));
  assert_true(vane_adam_bound_of_floats(0.9, 0.999) < 1.001 * vane_adam_bound(0.9, 0.999));
}

static void check_betas(bool cpu, vane_adam_desc desc) {
  run r = {.device = open_device(cpu), .desc = desc};
  double largest[N_SEQUENCES], bound = vane_adam_bound(desc.beta1, desc.beta2);
  run_all(&r, largest);
  for (int i = 0; i < N_SEQUENCES; i++)
    if (!(largest[i] <= vane_adam_bound_of_floats(desc.beta1, desc.beta2)))
      fail_msg("beta1 %g, beta2 %g, %s: a move of %.9g learning rates, the bound is %.9g",
               desc.beta1, desc.beta2, names[i], largest[i], bound);
  print_message("beta1 %g, beta2 %g: at most %.4f of the bound %.4f\n", desc.beta1, desc.beta2,
                largest[WORST] / bound, bound);
  assert_true(largest[WORST] > 0.99 * bound); /* it is the bound: one sequence comes close */
}

static void test_fp32_moments_never_pass_it(void **state) {
  (void)state;
  static const double betas[][2] = {{0.9, 0.999}, {0.9, 0.99}, {0.95, 0.95}, {0.5, 0.9}};
  for (int cpu = 0; cpu <= 1; cpu++)
    for (int i = 0; i < COUNT(betas); i++)
      check_betas(cpu,
                  (vane_adam_desc){.beta1 = betas[i][0], .beta2 = betas[i][1], .epsilon = 1e-20});
  check_betas(true,
              (vane_adam_desc){
                  .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .epsilon_mode = VANE_EPSILON_HAT});
  check_betas(true,
              (vane_adam_desc){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .amsgrad = true});
}

/* ---- 16 bits --------------------------------------------------------------------------------- */

/* To the nearest, ties to even. */
static float to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
  memcpy(&value, &bits, sizeof bits);
  return value;
}

/* Eleven bits, the smallest 2^-24, the largest 65504. */
static float to_fp16(float value) {
  int exponent;
  (void)frexpf(value, &exponent);
  float unit = ldexpf(1, exponent - 11 > -24 ? exponent - 11 : -24);
  return fminf(rintf(value / unit) * unit, 65504);
}

static void check_narrow(float (*narrow)(float), const char *name) {
  const vane_adam_desc desc = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
  run r = {.device = open_device(true), .desc = desc, .narrow = narrow};
  double largest[N_SEQUENCES], bound = vane_adam_bound_of_floats(desc.beta1, desc.beta2);
  int violations = 0;
  run_all(&r, largest);
  for (int i = 0; i < N_SEQUENCES; i++) {
    print_message("v as %s, %s: %.4g learning rates\n", name, names[i], largest[i]);
    violations += largest[i] > bound;
  }
  assert_true(violations > 0);
}

static void test_moments_of_16_bits_pass_it(void **state) {
  (void)state;
  check_narrow(to_bf16, "bf16");
  check_narrow(to_fp16, "fp16");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_bound),
      cmocka_unit_test(test_fp32_moments_never_pass_it),
      cmocka_unit_test(test_moments_of_16_bits_pass_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
