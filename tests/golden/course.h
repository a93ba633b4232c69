/* A thousand steps of Adam on gradients that make_golden.py and make_rules.py draw too. */
#ifndef VANE_TESTS_GOLDEN_COURSE_H
#define VANE_TESTS_GOLDEN_COURSE_H

#include "golden.h"
#include "optim/record.h"

enum { N_STEPS = 1000, N_DECAY = 40, N_PLAIN = 23, N = N_DECAY + N_PLAIN };

/* The second segment begins on the next 64 bytes. */
enum { PLAIN_OFFSET = 48, N_BLOCK = PLAIN_OFFSET + N_PLAIN };
static const vane_segment segments[] = {
    {.offset = 0, .count = N_DECAY, .task = VANE_SHARED, .decay = 1},
    {.offset = PLAIN_OFFSET, .count = N_PLAIN, .task = VANE_SHARED, .decay = 0},
};

/* DECOUPLED times the learning rate is 2^-12: PyTorch multiplies by 1 - lr decay in float32, which
 * would otherwise set its float32 and float64 runs further apart than the limit. */
#define LEARNING_RATE 1e-2
#define DECOUPLED     (0x1p-12 / LEARNING_RATE)

static void to_block(const float *values, float *block) {
  memset(block, 0, N_BLOCK * sizeof *block);
  memcpy(block, values, N_DECAY * sizeof *block);
  memcpy(block + PLAIN_OFFSET, values + N_DECAY, N_PLAIN * sizeof *block);
}

static void get_block(vane_device *device, const void *memory, double *values) {
  float block[N_BLOCK];
  golden_ok(device->memory.get(device, block, memory, N_BLOCK));
  for (int i = 0; i < N; i++)
    values[i] = (double)block[i < N_DECAY ? i : i - N_DECAY + PLAIN_OFFSET];
}

/* make_golden.py, gradient() */
static void draw_gradient(uint64_t *draws, int step, float *block) {
  float values[N];
  for (int i = 0; i < N; i++)
    values[i] = (float)ldexp(golden_draw(draws) + (i % 5 - 2) / 4.0, -(i % 8) - step / 256);
  to_block(values, block);
}

/* Theta at first, after one step, and at last; the moments at last. */
typedef struct adam_course {
  double start[N], first[N], last[N], m[N], v[N];
} adam_course;

static void run_steps(vane_device *device, const vane_config *config, const vane_block *block,
                      const vane_adam_memory *memory, void *gradient, uint64_t draws,
                      adam_course *course) {
  const int64_t counted[VANE_N_HEADS] = {0};
  float drawn[N_BLOCK];
  vane_adam_desc desc;
  vane_adam_desc_fill(config, &desc);
  vane_step_record record = {.clip = 1, .coefficient = {[VANE_SHARED] = 1}};
  vane_step_record *on_device = golden_put_record(device, &record);
  for (int step = 0; step < N_STEPS; step++) {
    draw_gradient(&draws, step, drawn);
    vane_step_input_fill(config, step + 1, counted, &record.in);
    golden_ok(device->memory.put(device, gradient, drawn, N_BLOCK));
    golden_ok(device->memory.upload(device, on_device, &record.in, sizeof record.in));
    if (memory->limits)
      golden_ok(device->optim.limits(device, &desc, block, memory, on_device));
    golden_ok(device->optim.adam(device, &desc, block, memory, on_device));
    golden_ok(device->memory.synchronize(device));
    if (step == 0)
      get_block(device, memory->parameters, course->first);
  }
  device->memory.destroy(device, on_device);
}

static void run_course(vane_device *device, const vane_config *config, adam_course *course) {
  uint64_t draws = 1;
  float values[N], block[N_BLOCK];
  golden_draw_array(&draws, 1, N, values);
  to_block(values, block);
  vane_block *planned = golden_plan_block(device, segments, 2);
  void *theta = golden_put(device, block, N_BLOCK), *gradient = golden_put(device, NULL, N_BLOCK);
  void *m = golden_put(device, NULL, N_BLOCK), *v = golden_put(device, NULL, N_BLOCK);
  void *v_max = config->optim_amsgrad ? golden_put(device, NULL, N_BLOCK) : NULL, *limits = NULL;
  if (config->optim_update_clip > 0 || config->grad_clip_adaptive > 0)
    golden_ok(
        device->memory.create(device, (size_t)planned->n_parts * sizeof(vane_adam_limit), &limits));
  const vane_adam_memory memory = {
      .parameters = theta, .gradients = gradient, .m = m, .v = v, .v_max = v_max, .limits = limits};
  get_block(device, theta, course->start);
  run_steps(device, config, planned, &memory, gradient, draws, course);
  get_block(device, theta, course->last);
  get_block(device, m, course->m);
  get_block(device, v, course->v);
  void *all[] = {theta, gradient, m, v, v_max, limits};
  for (int i = 0; i < 6; i++)
    device->memory.destroy(device, all[i]);
  device->block.destroy(device, planned);
}

#endif
