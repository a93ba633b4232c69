#include "train/bench_adam.h"

#include <unistd.h>

#include "base/error.h"
#include "train/bench_timer.h"

/* A set that comes back after so many bytes of others is in no cache: eight times the last one of
 * desktop processors, twice that of the largest GPUs, and more where the processor says so. */
#define COLD_BYTES ((int64_t)256 << 20)

static int64_t cold_bytes(void) {
  int64_t last_level = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
  last_level = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
  return last_level > COLD_BYTES ? last_level : COLD_BYTES;
}

static int64_t n_sets(const vane_device *device, const vane_bench_adam_case *what) {
  int64_t bytes = vane_bench_set_bytes(device, &what->size, what->adam.amsgrad);
  return what->cold && bytes > 0 && bytes < cold_bytes() ? 2 + cold_bytes() / bytes : 1;
}

int64_t vane_bench_adam_bytes(const vane_device *device, const vane_bench_adam_case *what) {
  return n_sets(device, what) * vane_bench_set_bytes(device, &what->size, what->adam.amsgrad);
}

bool vane_bench_adam_is_large(const vane_device *device, const vane_bench_adam_case *what) {
  return vane_bench_set_bytes(device, &what->size, what->adam.amsgrad) >= cold_bytes();
}

/* ---- What is timed in turn ----------------------------------------------------------------- */

enum { ADAM, STREAM, STREAM_PAST_CACHES, N_TIMED };

typedef struct stream_run {
  vane_bench_arrays *arrays;
  int64_t count;
  bool past_caches;
} stream_run;

static vane_status step(void *user) {
  return vane_bench_arrays_step(user);
}

/* Scale 0: the values stay. */
static vane_status stream(void *user) {
  const stream_run *run = user;
  const vane_adam_memory memory = vane_bench_arrays_take(run->arrays);
  vane_device *device = run->arrays->device;
  return device->elementwise.stream(device, (void *[]){memory.parameters, memory.m, memory.v},
                                    memory.gradients, 0, run->count, run->past_caches);
}

static vane_status count_launches(vane_bench_arrays *arrays, int64_t *launches) {
  vane_device *device = arrays->device;
  vane_graph *graph = NULL;
  vane_status status = device->graph.run(device, &graph, step, arrays);
  if (status == VANE_OK)
    status = device->graph.run(device, &graph, step, arrays);
  *launches = device->graph.length(graph);
  device->graph.destroy(device, graph);
  return status;
}

/* ---- Figures ------------------------------------------------------------------------------- */

static int64_t moved(const vane_bench_adam_case *what, int reals) {
  return reals * (int64_t)sizeof(float) * what->size.n_parameters;
}

static void sum_up(const vane_bench_adam_case *what, const vane_timed timed[N_TIMED],
                   int64_t rounds, vane_bench_adam_result *result) {
  const double stream_bytes = (double)moved(what, 7);
  double stream_ms = vane_median_ms(timed[STREAM].ms, rounds);
  double past_caches_ms = vane_median_ms(timed[STREAM_PAST_CACHES].ms, rounds);
  const double *ceiling = timed[stream_ms <= past_caches_ms ? STREAM : STREAM_PAST_CACHES].ms;
  double shares[VANE_MOST_ROUNDS];
  result->rounds = rounds;
  result->model_bytes = moved(what, what->adam.amsgrad ? 9 : 7);
  result->ms = vane_median_ms(timed[ADAM].ms, rounds);
  result->fastest_ms = vane_fastest_ms(timed[ADAM].ms, rounds);
  result->gb_per_s = (double)result->model_bytes / (result->ms * 1e6);
  result->stream_gb_per_s = stream_bytes / (stream_ms * 1e6);
  result->stream_past_caches_gb_per_s = stream_bytes / (past_caches_ms * 1e6);
  for (int64_t i = 0; i < rounds; i++)
    shares[i] = (double)result->model_bytes / timed[ADAM].ms[i] * ceiling[i] / stream_bytes;
  result->share = vane_median_ms(shares, rounds);
}

static vane_status run_case(const vane_bench_adam_case *what, vane_bench_arrays *arrays,
                            vane_bench_adam_result *result) {
  stream_run plain = {arrays, what->size.n_parameters, false};
  stream_run past_caches = {arrays, what->size.n_parameters, true};
  vane_timed timed[N_TIMED] = {[ADAM] = {.call = step, .user = arrays},
                               [STREAM] = {.call = stream, .user = &plain},
                               [STREAM_PAST_CACHES] = {.call = stream, .user = &past_caches}};
  int64_t rounds = 0;
  VANE_TRY(count_launches(arrays, &result->launches));
  VANE_TRY(vane_time_in_turn(arrays->device, timed, N_TIMED, what->seconds, &rounds));
  sum_up(what, timed, rounds, result);
  return VANE_OK;
}

vane_status vane_bench_adam(vane_device *device, const vane_bench_adam_case *what,
                            vane_bench_adam_result *result) {
  vane_bench_arrays arrays;
  *result = (vane_bench_adam_result){0};
  vane_status status = vane_bench_arrays_init(&arrays, device, &what->size, &what->adam,
                                              what->watch, n_sets(device, what));
  if (status == VANE_OK)
    status = run_case(what, &arrays, result);
  vane_bench_arrays_finish(&arrays);
  return status;
}
