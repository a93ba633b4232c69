/* Which engine each direction of a convolution takes: what a checkpoint says, the fastest by
 * measurement (device.benchmark), or the first of cuDNN's heuristics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda_conv.h"

enum { N_TIMED_RUNS = 4 };

static cudnn_planner planner_of(const cuda_device *device) {
  return (cudnn_planner){.handle = device->cudnn,
                         .precision = device->precision,
                         .deterministic = device->deterministic,
                         .direct = device->convolution == VANE_CONVOLUTION_DIRECT};
}

/* ---- By measurement ---- */

typedef struct bench {
  void *tensors[CUDNN_MOST_TENSORS], *workspace;
  cudaEvent_t begin, end;
} bench;

static void close_bench(bench *b) {
  for (int i = 0; i < CUDNN_MOST_TENSORS; i++)
    if (b->tensors[i] != NULL)
      cudaFree(b->tensors[i]);
  if (b->workspace != NULL)
    cudaFree(b->workspace);
  if (b->begin != NULL)
    cudaEventDestroy(b->begin);
  if (b->end != NULL)
    cudaEventDestroy(b->end);
}

static vane_status bench_memory(const cuda_device *device, size_t bytes, void **memory) {
  if (bytes == 0)
    return VANE_OK;
  cudaError_t code = cudaMalloc(memory, bytes);
  if (code == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError(); /* it would come back at the next launch */
    return vane_fail_foreign(VANE_ERR_MEMORY, code, cudaGetErrorString(code),
                             "cudaMalloc: no %zu bytes to time convolutions; set device.benchmark "
                             "to false",
                             bytes);
  }
  if (code != cudaSuccess)
    return vane_cuda_failed(code, "cudaMalloc", __FILE__, __LINE__);
  CUDA_TRY(cudaMemsetAsync(*memory, 0, bytes, device->compute)); /* no denormal numbers */
  return VANE_OK;
}

static vane_status open_bench(const cuda_device *device, const vane_conv_plan *shape,
                              const cuda_candidates *candidates, bench *b) {
  const vane_conv_desc *d = &shape->desc;
  const size_t number = vane_cuda_number_bytes(device);
  const size_t x = (size_t)(d->n * d->h * d->w * d->c_in) * number;
  const size_t y = (size_t)(d->n * shape->h_out * shape->w_out * d->c_out) * number;
  const size_t bytes[CUDNN_MOST_TENSORS] = {[CUDNN_X - 1] = x,
                                            [CUDNN_W - 1] = (size_t)shape->weight_count * number,
                                            [CUDNN_Y - 1] = y,
                                            [CUDNN_BIAS - 1] =
                                                d->bias ? (size_t)d->c_out * sizeof(float) : 0,
                                            [CUDNN_RESIDUAL - 1] = d->residual ? y : 0};
  size_t workspace = 0;
  for (int i = 0; i < candidates->n; i++)
    if (candidates->plans[i]->workspace_bytes > workspace)
      workspace = candidates->plans[i]->workspace_bytes;
  for (int i = 0; i < CUDNN_MOST_TENSORS; i++)
    VANE_TRY(bench_memory(device, bytes[i], &b->tensors[i]));
  VANE_TRY(bench_memory(device, workspace, &b->workspace));
  CUDA_TRY(cudaEventCreate(&b->begin));
  CUDA_TRY(cudaEventCreate(&b->end));
  return VANE_OK;
}

static vane_status time_run(const cuda_device *device, const cuda_candidates *candidates, int i,
                            bench *b, float *best_ms) {
  float ms = 0.0f;
  CUDA_TRY(cudaEventRecord(b->begin, device->compute));
  VANE_TRY(vane_cudnn_run(device->cudnn, candidates->graph, candidates->plans[i],
                          (const void *const *)b->tensors, b->workspace));
  CUDA_TRY(cudaEventRecord(b->end, device->compute));
  CUDA_TRY(cudaEventSynchronize(b->end));
  CUDA_TRY(cudaEventElapsedTime(&ms, b->begin, b->end));
  if (ms < *best_ms)
    *best_ms = ms;
  return VANE_OK;
}

/* The candidates take turns, so that a slow moment of the GPU hits all; each one's best run counts.
 * The first round warms up. */
static vane_status measure(const cuda_device *device, const cuda_candidates *candidates, bench *b,
                           int *fastest) {
  float ms[CUDA_MOST_CANDIDATES];
  for (int round = 0; round <= N_TIMED_RUNS; round++)
    for (int i = 0; i < candidates->n; i++) {
      if (round <= 1)
        ms[i] = 1e9f;
      VANE_TRY(time_run(device, candidates, i, b, &ms[i]));
    }
  *fastest = 0;
  for (int i = 1; i < candidates->n; i++)
    if (ms[i] < ms[*fastest])
      *fastest = i;
  return VANE_OK;
}

static vane_status find_fastest(const cuda_device *device, const vane_conv_plan *shape,
                                const cuda_candidates *candidates, int *fastest) {
  bench b = {.workspace = NULL};
  vane_status status = open_bench(device, shape, candidates, &b);
  if (status == VANE_OK)
    status = measure(device, candidates, &b, fastest);
  (void)cudaStreamSynchronize(device->compute); /* nothing may still use what is freed now */
  close_bench(&b);
  return status;
}

/* ---- Layers of one shape choose once, so that they agree and a plan is quick to make. ---- */

typedef struct decision {
  char word[CUDA_PATH_TEXT];
  char passed_over[24]; /* " weights=20" where device.deterministic cost the best engine */
} decision;

struct cuda_conv_memory {
  cuda_direction direction;
  vane_conv_desc desc;
  decision decided;
  struct cuda_conv_memory *next;
};

static bool same_work(const struct cuda_conv_memory *m, cuda_direction direction,
                      const vane_conv_desc *d) {
  const vane_conv_desc *e = &m->desc;
  return m->direction == direction && e->n == d->n && e->h == d->h && e->w == d->w &&
         e->c_in == d->c_in && e->c_out == d->c_out && e->kernel == d->kernel &&
         e->stride == d->stride && e->padding == d->padding &&
         (direction != CUDA_FORWARD ||
          (e->bias == d->bias && e->residual == d->residual && e->relu == d->relu));
}

void vane_cuda_conv_forget(cuda_device *device) {
  while (device->conv_memory != NULL) {
    struct cuda_conv_memory *next = device->conv_memory->next;
    free(device->conv_memory);
    device->conv_memory = next;
  }
}

static const decision *recall(const cuda_device *device, cuda_direction direction,
                              const vane_conv_desc *desc) {
  for (const struct cuda_conv_memory *m = device->conv_memory; m != NULL; m = m->next)
    if (same_work(m, direction, desc))
      return &m->decided;
  return NULL;
}

static vane_status remember(cuda_device *device, cuda_direction direction,
                            const vane_conv_desc *desc, const decision *decided) {
  struct cuda_conv_memory *made = malloc(sizeof *made);
  if (made == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory to note a convolution's engine");
  *made = (struct cuda_conv_memory){direction, *desc, *decided, device->conv_memory};
  device->conv_memory = made;
  return VANE_OK;
}

/* ---- One direction ---- */

static vane_status take_best(cuda_device *device, const vane_conv_plan *shape,
                             cuda_direction direction, cuda_candidates *candidates, cuda_path *path,
                             decision *decided) {
  int best = 0;
  if (candidates->n == 0)
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "cuDNN has no engine on this GPU for this convolution in device.precision "
                     "%s%s (%s)",
                     device->precision == VANE_PRECISION_BF16   ? "bf16"
                     : device->precision == VANE_PRECISION_TF32 ? "tf32"
                                                                : "fp32",
                     candidates->n_passed_over > 0 ? ", but device.deterministic=false allows one"
                                                   : "",
                     vane_cuda_direction_name(direction));
  if (device->benchmark && candidates->n > 1)
    VANE_TRY(find_fastest(device, shape, candidates, &best));
  if (candidates->n_passed_over > 0)
    snprintf(decided->passed_over, sizeof decided->passed_over, " %s=%lld",
             vane_cuda_direction_name(direction), (long long)candidates->passed_over.index);
  vane_cuda_candidates_take(candidates, best, path);
  vane_cuda_path_print(path, decided->word);
  return remember(device, direction, &shape->desc, decided);
}

static vane_status decide(cuda_device *device, const vane_conv_plan *shape,
                          cuda_direction direction, cuda_path *path, decision *decided) {
  const cudnn_planner planner = planner_of(device);
  cuda_candidates candidates;
  *decided = (decision){.word = ""};
  VANE_TRY(vane_cuda_candidates_find(&planner, shape, direction,
                                     device->benchmark ? CUDA_MOST_CANDIDATES : 1, &candidates));
  vane_status status = take_best(device, shape, direction, &candidates, path, decided);
  vane_cuda_candidates_destroy(&candidates);
  return status;
}

/* Where "direction=" begins a word of `choice`: what stands behind it, or NULL. */
static const char *find_word(const char *choice, cuda_direction direction) {
  const char *name = vane_cuda_direction_name(direction);
  const size_t length = strlen(name), end = strcspn(choice, ";");
  for (const char *at = strstr(choice, name); at != NULL && at < choice + end;
       at = strstr(at + 1, name))
    if ((at == choice || at[-1] == ' ') && at[length] == '=')
      return at + length + 1;
  return NULL;
}

static vane_status follow(const cuda_device *device, const vane_conv_plan *shape,
                          cuda_direction direction, const char *choice, cuda_path *path) {
  const cudnn_planner planner = planner_of(device);
  const char *word = find_word(choice, direction);
  if (word != NULL)
    VANE_TRY(vane_cuda_path_follow(&planner, shape, direction, word, path));
  if (path->plan == NULL)
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "convolution choice \"%s\": this GPU with this cuDNN has no such engine for "
                     "%s",
                     choice, vane_cuda_direction_name(direction));
  return VANE_OK;
}

/* As told, as the last time, or anew. */
static vane_status choose_direction(cuda_device *device, cuda_conv_plan *plan,
                                    cuda_direction direction, const char *choice,
                                    decision *decided) {
  const vane_conv_plan *shape = &plan->base;
  cuda_path *path = &plan->paths[direction];
  const decision *known = recall(device, direction, &shape->desc);
  if (choice != NULL) {
    VANE_TRY(follow(device, shape, direction, choice, path));
    vane_cuda_path_print(path, decided->word);
    return VANE_OK;
  }
  if (known == NULL)
    return decide(device, shape, direction, path, decided);
  const cudnn_planner planner = planner_of(device);
  *decided = *known;
  VANE_TRY(vane_cuda_path_follow(&planner, shape, direction, known->word, path));
  if (path->plan == NULL)
    return vane_fail(VANE_ERR_DEVICE, "cuDNN refuses the engine %s that it planned before",
                     known->word);
  return VANE_OK;
}

/* ---- All of them, and what they are called ---- */

static vane_status append(vane_conv_plan *plan, const char *text) {
  size_t length = strlen(plan->choice), room = sizeof plan->choice - length;
  if (strlen(text) >= room)
    return vane_fail(VANE_ERR_DEVICE, "a convolution's engines take more than %zu characters",
                     sizeof plan->choice - 1);
  memcpy(plan->choice + length, text, strlen(text) + 1);
  return VANE_OK;
}

vane_status vane_cuda_conv_choose(cuda_device *device, cuda_conv_plan *plan, const char *choice) {
  char word[CUDA_PATH_TEXT + 16], passed_over[3 * sizeof(((decision *)0)->passed_over)] = "";
  for (int i = 0; i < CUDA_N_DIRECTIONS; i++) {
    cuda_direction direction = (cuda_direction)i;
    decision decided = {.word = ""};
    if (!vane_cuda_conv_needs(&plan->base.desc, direction))
      continue;
    VANE_TRY(choose_direction(device, plan, direction, choice, &decided));
    snprintf(word, sizeof word, "%s%s=%s", i > 0 ? " " : "", vane_cuda_direction_name(direction),
             decided.word);
    VANE_TRY(append(&plan->base, word));
    strcat(passed_over, decided.passed_over);
  }
  if (choice != NULL)
    return append(&plan->base, choice + strcspn(choice, ";"));
  if (passed_over[0] == '\0')
    return VANE_OK;
  VANE_TRY(append(&plan->base, "; for determinism not"));
  return append(&plan->base, passed_over);
}
