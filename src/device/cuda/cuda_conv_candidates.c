#include <stdio.h>
#include <string.h>

#include "device/cuda/cuda_conv.h"

static const char epilogue_word[] = "+epilogue";

const char *vane_cuda_direction_name(cuda_direction direction) {
  static const char *const names[CUDA_N_DIRECTIONS] = {"forward", "data", "weights"};
  return names[direction];
}

/* Whether anything follows the convolution. */
static bool has_epilogue(const vane_conv_desc *desc, cuda_direction direction) {
  return direction == CUDA_FORWARD && (desc->bias || desc->residual || desc->relu);
}

/* ---- Candidates ---- */

void vane_cuda_candidates_destroy(cuda_candidates *candidates) {
  while (candidates->n > 0)
    vane_cudnn_plan_destroy(candidates->plans[--candidates->n]);
  vane_cudnn_graph_destroy(candidates->graph);
  candidates->graph = NULL;
}

typedef struct search {
  const cudnn_planner *planner;
  cuda_candidates *found;
  int most;
} search;

static vane_status take_offer(void *user, const cudnn_engine *engine, bool *enough) {
  search *s = user;
  cuda_candidates *c = s->found;
  if (s->planner->deterministic && !vane_cudnn_engine_repeats(engine)) {
    if (c->n == 0 && c->n_passed_over++ == 0)
      c->passed_over = *engine;
    return VANE_OK;
  }
  VANE_TRY(vane_cudnn_plan_create(s->planner, c->graph, engine, &c->plans[c->n]));
  if (c->plans[c->n] != NULL)
    c->engines[c->n++] = *engine;
  *enough = c->n == s->most;
  return VANE_OK;
}

static vane_status find(const cudnn_planner *planner, const vane_conv_plan *shape,
                        cuda_direction direction, bool fused, int most, cuda_candidates *c) {
  *c = (cuda_candidates){.epilogue = !fused && has_epilogue(&shape->desc, direction)};
  VANE_TRY(vane_cudnn_graph_create(planner, shape, direction, fused, &c->graph));
  search s = {planner, c, most};
  vane_status status = vane_cudnn_offer(planner, c->graph, take_offer, &s);
  if (status != VANE_OK)
    vane_cuda_candidates_destroy(c);
  return status;
}

vane_status vane_cuda_candidates_find(const cudnn_planner *planner, const vane_conv_plan *shape,
                                      cuda_direction direction, int most,
                                      cuda_candidates *candidates) {
  bool fused = has_epilogue(&shape->desc, direction);
  VANE_TRY(find(planner, shape, direction, fused, most, candidates));
  if (!fused || candidates->n > 0)
    return VANE_OK;
  vane_cuda_candidates_destroy(candidates);
  return find(planner, shape, direction, false, most, candidates);
}

void vane_cuda_candidates_take(cuda_candidates *candidates, int i, cuda_path *path) {
  *path = (cuda_path){.graph = candidates->graph,
                      .plan = candidates->plans[i],
                      .engine = candidates->engines[i],
                      .epilogue = candidates->epilogue};
  candidates->graph = NULL;
  candidates->plans[i] = NULL;
}

/* ---- One path ---- */

void vane_cuda_path_destroy(cuda_path *path) {
  vane_cudnn_plan_destroy(path->plan);
  vane_cudnn_graph_destroy(path->graph);
  *path = (cuda_path){.graph = NULL};
}

void vane_cuda_path_print(const cuda_path *path, char text[CUDA_PATH_TEXT]) {
  char engine[CUDNN_ENGINE_TEXT];
  vane_cudnn_engine_print(&path->engine, engine);
  snprintf(text, CUDA_PATH_TEXT, "%s%s", engine, path->epilogue ? epilogue_word : "");
}

vane_status vane_cuda_path_follow(const cudnn_planner *planner, const vane_conv_plan *shape,
                                  cuda_direction direction, const char *word, cuda_path *path) {
  const size_t length = strcspn(word, " ;");
  const char *epilogue = strstr(word, epilogue_word);
  *path = (cuda_path){.epilogue = epilogue != NULL && epilogue < word + length};
  if (!vane_cudnn_engine_parse(word, &path->engine))
    return VANE_OK;
  const char *winograd = strstr(word, ":winograd"); /* as the first time's notes had it */
  if (winograd != NULL && winograd < word + length)
    path->engine.numerical |= 1u << CUDNN_NUMERICAL_NOTE_WINOGRAD;
  bool fused = has_epilogue(&shape->desc, direction) && !path->epilogue;
  VANE_TRY(vane_cudnn_graph_create(planner, shape, direction, fused, &path->graph));
  vane_status status = vane_cudnn_plan_create(planner, path->graph, &path->engine, &path->plan);
  if (status != VANE_OK || path->plan == NULL)
    vane_cuda_path_destroy(path);
  return status;
}
