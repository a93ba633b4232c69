/* Which algorithm each direction of a convolution takes: the fastest by measurement, or what a
 * checkpoint says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "device/cpu/conv.h"

/* Winograd rounds more than direct convolution does, so it has to be worth it. */
static const double WINOGRAD_MUST_SAVE = 0.05;
enum { N_TIMED_RUNS = 4 };

static const char *const direction_names[CPU_N_DIRECTIONS] = {"forward", "data", "weights"};

/* ---- As told ---- */

/* Whether `choice` ("forward=direct data=winograd ...") gives `direction` the algorithm `name`. */
static bool says(const char *choice, cpu_direction direction, const char *name) {
  char word[32];
  snprintf(word, sizeof word, "%s=%s", direction_names[direction], name);
  size_t length = strlen(word);
  for (const char *at = strstr(choice, word); at != NULL; at = strstr(at + 1, word)) {
    bool begins = at == choice || at[-1] == ' ';
    if (begins && (at[length] == ' ' || at[length] == '\0'))
      return true;
  }
  return false;
}

static vane_status follow(const cpu_device *device, cpu_conv_plan *plan, cpu_direction direction,
                          const char *choice) {
  bool winograd = says(choice, direction, "winograd");
  if (!winograd && !says(choice, direction, "direct"))
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "convolution choice \"%s\": no algorithm of the cpu device for %s", choice,
                     direction_names[direction]);
  VANE_TRY(vane_cpu_conv_prepare(device, plan, direction, winograd, &plan->paths[direction]));
  if (plan->paths[direction].primitive == NULL)
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "convolution choice \"%s\": this machine's oneDNN has no such algorithm for "
                     "%s",
                     choice, direction_names[direction]);
  return VANE_OK;
}

/* ---- By measurement ---- */

enum { X, Y, RESIDUAL, WEIGHTS, BIAS, WORKSPACE, N_SCRATCH };

typedef struct scratch {
  void *memory[N_SCRATCH];
} scratch;

static void free_scratch(scratch *s) {
  for (int i = 0; i < N_SCRATCH; i++)
    free(s->memory[i]);
}

static vane_status make_scratch(const cpu_conv_plan *plan, size_t workspace_bytes, scratch *s) {
  const size_t counts[N_SCRATCH] = {vane_cpu_conv_x_count(plan),
                                    vane_cpu_conv_y_count(plan),
                                    plan->base.desc.residual ? vane_cpu_conv_y_count(plan) : 0,
                                    (size_t)plan->base.weight_count,
                                    (size_t)plan->c_out,
                                    workspace_bytes / sizeof(float) + 1};
  memset(s, 0, sizeof *s);
  for (int i = 0; i < N_SCRATCH; i++) {
    size_t bytes = counts[i] * sizeof(float) / VANE_ARENA_ALIGNMENT * VANE_ARENA_ALIGNMENT +
                   VANE_ARENA_ALIGNMENT;
    s->memory[i] = aligned_alloc(VANE_ARENA_ALIGNMENT, bytes);
    if (s->memory[i] == NULL) {
      free_scratch(s);
      return vane_fail(VANE_ERR_MEMORY,
                       "no %zu bytes to measure convolutions; set device.convolution to direct",
                       bytes);
    }
    memset(s->memory[i], 0, bytes); /* pages of its own, and no denormal numbers */
  }
  return VANE_OK;
}

static vane_status time_run(const cpu_device *device, const cpu_conv_plan *plan,
                            cpu_direction direction, const cpu_path *path, const scratch *s,
                            double *best_s) {
  const cpu_conv_buffers buffers = {.x = s->memory[X],
                                    .y = s->memory[Y],
                                    .residual = s->memory[RESIDUAL],
                                    .weights = s->memory[WEIGHTS],
                                    .bias = s->memory[BIAS]};
  double begin_s = vane_clock_s();
  VANE_TRY(vane_cpu_conv_run(device, plan, direction, path, &buffers, s->memory[WORKSPACE]));
  double seconds = vane_clock_s() - begin_s;
  if (seconds < *best_s)
    *best_s = seconds;
  return VANE_OK;
}

/* The two take turns, so that a busy moment of the machine hits both; each one's best run counts.
 * The first round warms up. */
static vane_status measure(const cpu_device *device, const cpu_conv_plan *plan,
                           cpu_direction direction, const cpu_path paths[2], double seconds[2]) {
  size_t bytes[2] = {vane_cpu_conv_workspace_bytes(plan, &paths[0]),
                     vane_cpu_conv_workspace_bytes(plan, &paths[1])};
  scratch s;
  VANE_TRY(make_scratch(plan, bytes[0] > bytes[1] ? bytes[0] : bytes[1], &s));
  vane_status status = VANE_OK;
  for (int round = 0; round <= N_TIMED_RUNS && status == VANE_OK; round++)
    for (int i = 0; i < 2 && status == VANE_OK; i++) {
      if (round <= 1)
        seconds[i] = 1e9;
      status = time_run(device, plan, direction, &paths[i], &s, &seconds[i]);
    }
  free_scratch(&s);
  return status;
}

/* ---- Layers of one shape are timed once, so that they agree and a plan is quick to make. ---- */

typedef struct cpu_measurement {
  cpu_direction direction;
  vane_conv_desc desc;
  bool winograd_wins;
  struct cpu_measurement *next;
} cpu_measurement;

static bool same_work(const cpu_measurement *m, cpu_direction direction, const vane_conv_desc *d) {
  const vane_conv_desc *e = &m->desc;
  return m->direction == direction && e->n == d->n && e->h == d->h && e->w == d->w &&
         e->c_in == d->c_in && e->c_out == d->c_out && e->kernel == d->kernel &&
         e->stride == d->stride && e->padding == d->padding &&
         (direction != CPU_FORWARD || e->residual == d->residual);
}

void vane_cpu_conv_forget(cpu_device *device) {
  while (device->measurements != NULL) {
    cpu_measurement *next = device->measurements->next;
    free(device->measurements);
    device->measurements = next;
  }
}

static vane_status winograd_wins(cpu_device *device, const cpu_conv_plan *plan,
                                 cpu_direction direction, const cpu_path paths[2], bool *wins) {
  const vane_conv_desc *desc = &plan->base.desc;
  for (const cpu_measurement *m = device->measurements; m != NULL; m = m->next)
    if (same_work(m, direction, desc)) {
      *wins = m->winograd_wins;
      return VANE_OK;
    }
  double seconds[2];
  VANE_TRY(measure(device, plan, direction, paths, seconds));
  *wins = seconds[1] < (1 - WINOGRAD_MUST_SAVE) * seconds[0];
  cpu_measurement *made = malloc(sizeof *made);
  if (made == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory to note a measurement");
  *made = (cpu_measurement){direction, *desc, *wins, device->measurements};
  device->measurements = made;
  return VANE_OK;
}

static vane_status pick(cpu_device *device, cpu_conv_plan *plan, cpu_direction direction) {
  enum { DIRECT, WINOGRAD };
  cpu_path paths[2] = {{0}};
  const vane_conv_desc *desc = &plan->base.desc;
  VANE_TRY(vane_cpu_conv_prepare(device, plan, direction, false, &paths[DIRECT]));
  bool use_winograd = false;
  vane_status status = VANE_OK;
  /* oneDNN's Winograd is for 3x3 windows that step by one. */
  if (device->convolution == VANE_CONVOLUTION_AUTO && desc->kernel == 3 && desc->stride == 1)
    status = vane_cpu_conv_prepare(device, plan, direction, true, &paths[WINOGRAD]);
  if (status == VANE_OK && paths[DIRECT].primitive != NULL && paths[WINOGRAD].primitive != NULL)
    status = winograd_wins(device, plan, direction, paths, &use_winograd);
  plan->paths[direction] = paths[use_winograd ? WINOGRAD : DIRECT];
  vane_cpu_primitive_destroy(paths[use_winograd ? DIRECT : WINOGRAD].primitive);
  if (status == VANE_OK && plan->paths[direction].primitive == NULL)
    return vane_fail(VANE_ERR_UNSUPPORTED, "oneDNN has no convolution of this shape (%s)",
                     direction_names[direction]);
  return status;
}

vane_status vane_cpu_conv_choose(cpu_device *device, cpu_conv_plan *plan, const char *choice) {
  size_t length = 0;
  for (int i = 0; i < CPU_N_DIRECTIONS; i++) {
    cpu_direction direction = (cpu_direction)i;
    if (!vane_cpu_conv_needs(&plan->base.desc, direction))
      continue;
    VANE_TRY(choice != NULL ? follow(device, plan, direction, choice)
                            : pick(device, plan, direction));
    length += (size_t)snprintf(plan->base.choice + length, sizeof plan->base.choice - length,
                               "%s%s=%s", length > 0 ? " " : "", direction_names[i],
                               plan->paths[i].winograd ? "winograd" : "direct");
  }
  return VANE_OK;
}
