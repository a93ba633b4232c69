#include "device/cuda/cudnn_engines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- As text ---- */

void vane_cudnn_engine_print(const cudnn_engine *engine, char text[CUDNN_ENGINE_TEXT]) {
  int length = snprintf(text, CUDNN_ENGINE_TEXT, "%" PRId64, engine->index);
  for (int i = 0; i < engine->n_knobs && length < CUDNN_ENGINE_TEXT; i++)
    length += snprintf(text + length, (size_t)(CUDNN_ENGINE_TEXT - length), "%c%d=%" PRId64,
                       i == 0 ? '/' : ',', engine->knobs[i].type, engine->knobs[i].value);
  if (vane_cudnn_engine_notes(engine, CUDNN_NUMERICAL_NOTE_WINOGRAD) && length < CUDNN_ENGINE_TEXT)
    snprintf(text + length, (size_t)(CUDNN_ENGINE_TEXT - length), ":winograd");
}

static bool parse_number(const char **at, int64_t *number) {
  char *end;
  *number = strtoll(*at, &end, 10);
  bool found = end != *at;
  *at = end;
  return found;
}

bool vane_cudnn_engine_parse(const char *text, cudnn_engine *engine) {
  *engine = (cudnn_engine){0};
  if (!parse_number(&text, &engine->index))
    return false;
  while (*text == (engine->n_knobs == 0 ? '/' : ',')) {
    cudnn_knob *knob = &engine->knobs[engine->n_knobs];
    int64_t type;
    text++;
    if (engine->n_knobs == CUDNN_MOST_KNOBS || !parse_number(&text, &type) || *text++ != '=' ||
        !parse_number(&text, &knob->value))
      return false;
    knob->type = (int32_t)type;
    engine->n_knobs++;
  }
  return true;
}

/* ---- What the heuristics offer ---- */

/* Descriptors that are filled once per engine, and who is told. */
typedef struct reader {
  const cudnn_planner *planner;
  cudnnBackendDescriptor_t engine, knobs[CUDNN_MOST_KNOBS];
  cudnn_take take;
  void *user;
  bool enough;
  cudnn_owned owned;
} reader;

static vane_status open_reader(reader *r) {
  VANE_TRY(vane_cudnn_create(&r->owned, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &r->engine));
  for (int i = 0; i < CUDNN_MOST_KNOBS; i++)
    VANE_TRY(vane_cudnn_create(&r->owned, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &r->knobs[i]));
  return VANE_OK;
}

static vane_status read_numerical(reader *r, cudnnBackendDescriptor_t configuration,
                                  cudnn_engine *engine) {
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t n = 0;
  *engine = (cudnn_engine){0};
  VANE_TRY(vane_cudnn_get(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                          1, &n, &r->engine));
  VANE_TRY(vane_cudnn_get(r->engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                          CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes));
  for (int64_t i = 0; i < n && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
    engine->numerical |= 1u << notes[i];
  return VANE_OK;
}

static vane_status read_behavior(const reader *r, cudnn_engine *engine) {
  cudnnBackendBehaviorNote_t notes[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
  int64_t n = 0;
  VANE_TRY(vane_cudnn_get(r->engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                          CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &n, notes));
  for (int64_t i = 0; i < n && i < CUDNN_BEHAVIOR_NOTE_TYPE_COUNT; i++)
    engine->behavior |= 1u << notes[i];
  return VANE_OK;
}

static vane_status read_knob(cudnnBackendDescriptor_t descriptor, cudnn_knob *knob) {
  cudnnBackendKnobType_t type;
  int64_t one = 0;
  VANE_TRY(vane_cudnn_get(descriptor, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
                          &one, &type));
  knob->type = (int32_t)type;
  return vane_cudnn_get(descriptor, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
                        &knob->value);
}

static vane_status read_index_and_knobs(reader *r, cudnnBackendDescriptor_t configuration,
                                        cudnn_engine *engine) {
  int64_t n = 0;
  VANE_TRY(vane_cudnn_get(r->engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &n,
                          &engine->index));
  VANE_TRY(vane_cudnn_get(configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                          CUDNN_TYPE_BACKEND_DESCRIPTOR, CUDNN_MOST_KNOBS, &n, r->knobs));
  if (n > CUDNN_MOST_KNOBS)
    return vane_fail(VANE_ERR_DEVICE, "engine %" PRId64 " of cuDNN has more than %d knobs",
                     engine->index, CUDNN_MOST_KNOBS);
  for (; engine->n_knobs < n; engine->n_knobs++)
    VANE_TRY(read_knob(r->knobs[engine->n_knobs], &engine->knobs[engine->n_knobs]));
  return VANE_OK;
}

/* fp32 means fp32 products and sums; bf16 and tf32 mean fp32 sums. */
static bool precise_enough(const cudnn_planner *planner, const cudnn_engine *engine) {
  if (vane_cudnn_engine_notes(engine, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION))
    return false;
  if (planner->direct && (vane_cudnn_engine_notes(engine, CUDNN_NUMERICAL_NOTE_WINOGRAD) ||
                          vane_cudnn_engine_notes(engine, CUDNN_NUMERICAL_NOTE_FFT)))
    return false;
  return planner->precision != VANE_PRECISION_FP32 ||
         !(vane_cudnn_engine_notes(engine, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) ||
           vane_cudnn_engine_notes(engine, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
}

static vane_status offer_one(reader *r, cudnnBackendDescriptor_t configuration) {
  cudnn_engine engine;
  VANE_TRY(read_numerical(r, configuration, &engine));
  if (!precise_enough(r->planner, &engine))
    return VANE_OK;
  VANE_TRY(read_behavior(r, &engine));
  VANE_TRY(read_index_and_knobs(r, configuration, &engine));
  return r->take(r->user, &engine, &r->enough);
}

/* Descriptors that the heuristics fill. */
typedef struct configurations {
  cudnnBackendDescriptor_t items[64]; /* cuDNN 9 offers at most 40 */
  int64_t n;
} configurations;

static void destroy_configurations(configurations *c) {
  while (c->n > 0)
    cudnnBackendDestroyDescriptor(c->items[--c->n]);
}

static vane_status make_configurations(int64_t n, configurations *c) {
  const int64_t most = sizeof c->items / sizeof c->items[0];
  for (c->n = 0; c->n < (n < most ? n : most); c->n++)
    CUDNN_TRY(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &c->items[c->n]));
  return VANE_OK;
}

static vane_status offer_results(reader *r, cudnnBackendDescriptor_t heuristics,
                                 configurations *c) {
  int64_t n = 0;
  VANE_TRY(vane_cudnn_get(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                          0, &n, NULL));
  VANE_TRY(make_configurations(n, c));
  VANE_TRY(vane_cudnn_get(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                          c->n, &n, c->items));
  for (int64_t i = 0; i < n && i < c->n && !r->enough; i++) /* n: without those that were unfit */
    VANE_TRY(offer_one(r, c->items[i]));
  return VANE_OK;
}

static vane_status ask_into(cudnn_owned *owned, reader *r, const cudnn_graph *graph,
                            cudnnBackendHeurMode_t mode) {
  cudnnBackendDescriptor_t heuristics;
  bool refused;
  VANE_TRY(vane_cudnn_create(owned, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
  VANE_TRY(vane_cudnn_set_descriptor(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                     graph->descriptor));
  VANE_TRY(vane_cudnn_set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
  VANE_TRY(vane_cudnn_set_planner(heuristics, r->planner, CUDNN_NOT_NEEDED,
                                  CUDNN_ATTR_ENGINEHEUR_DEVICEPROP));
  VANE_TRY(vane_cudnn_try_finalize(heuristics, &refused));
  if (refused)
    return VANE_OK;
  configurations c = {.n = 0};
  vane_status status = offer_results(r, heuristics, &c);
  destroy_configurations(&c);
  return status;
}

static vane_status ask(reader *r, const cudnn_graph *graph, cudnnBackendHeurMode_t mode) {
  cudnn_owned owned = {.n = 0};
  vane_status status = ask_into(&owned, r, graph, mode);
  vane_cudnn_destroy(&owned);
  return status;
}

vane_status vane_cudnn_offer(const cudnn_planner *planner, const cudnn_graph *graph,
                             cudnn_take take, void *user) {
  reader r = {.planner = planner, .take = take, .user = user};
  vane_status status = open_reader(&r);
  if (status == VANE_OK)
    status = ask(&r, graph, CUDNN_HEUR_MODE_A);
  if (status == VANE_OK && !r.enough)
    status = ask(&r, graph, CUDNN_HEUR_MODE_FALLBACK);
  vane_cudnn_destroy(&r.owned);
  return status;
}

/* ---- Plans ---- */

static vane_status describe_knobs(const cudnn_engine *engine, cudnn_owned *owned,
                                  cudnnBackendDescriptor_t knobs[CUDNN_MOST_KNOBS], bool *refused) {
  for (int i = 0; i < engine->n_knobs && !*refused; i++) {
    const cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)engine->knobs[i].type;
    VANE_TRY(vane_cudnn_create(owned, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knobs[i]));
    VANE_TRY(
        vane_cudnn_set(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type));
    VANE_TRY(
        vane_cudnn_set_int64(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, engine->knobs[i].value));
    VANE_TRY(vane_cudnn_try_finalize(knobs[i], refused));
  }
  return VANE_OK;
}

static vane_status describe_configuration(const cudnn_planner *planner, const cudnn_graph *graph,
                                          const cudnn_engine *engine, cudnn_owned *owned,
                                          cudnnBackendDescriptor_t *configuration, bool *refused) {
  cudnnBackendDescriptor_t descriptor, knobs[CUDNN_MOST_KNOBS];
  VANE_TRY(vane_cudnn_create(owned, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &descriptor));
  VANE_TRY(
      vane_cudnn_set_descriptor(descriptor, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph->descriptor));
  VANE_TRY(vane_cudnn_set_int64(descriptor, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, engine->index));
  VANE_TRY(
      vane_cudnn_set_planner(descriptor, planner, CUDNN_NOT_NEEDED, CUDNN_ATTR_ENGINE_DEVICEPROP));
  VANE_TRY(vane_cudnn_try_finalize(descriptor, refused));
  if (!*refused)
    VANE_TRY(describe_knobs(engine, owned, knobs, refused));
  if (*refused)
    return VANE_OK;
  VANE_TRY(vane_cudnn_create(owned, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, configuration));
  VANE_TRY(vane_cudnn_set_descriptor(*configuration, CUDNN_ATTR_ENGINECFG_ENGINE, descriptor));
  if (engine->n_knobs > 0)
    VANE_TRY(vane_cudnn_set(*configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                            CUDNN_TYPE_BACKEND_DESCRIPTOR, engine->n_knobs, knobs));
  return vane_cudnn_try_finalize(*configuration, refused);
}

static vane_status build(const cudnn_planner *planner, const cudnn_graph *graph,
                         const cudnn_engine *engine, cudnn_plan *plan, bool *refused) {
  cudnnBackendDescriptor_t configuration;
  int64_t one = 0, workspace_bytes = 0;
  VANE_TRY(describe_configuration(planner, graph, engine, &plan->owned, &configuration, refused));
  if (*refused)
    return VANE_OK;
  VANE_TRY(
      vane_cudnn_create(&plan->owned, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan->descriptor));
  VANE_TRY(vane_cudnn_set_planner(plan->descriptor, planner, CUDNN_ATTR_EXECUTION_PLAN_HANDLE,
                                  CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP));
  VANE_TRY(vane_cudnn_set_descriptor(plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                     configuration));
  VANE_TRY(vane_cudnn_try_finalize(plan->descriptor, refused));
  if (*refused)
    return VANE_OK;
  VANE_TRY(vane_cudnn_get(plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                          CUDNN_TYPE_INT64, 1, &one, &workspace_bytes));
  plan->workspace_bytes = (size_t)workspace_bytes;
  return VANE_OK;
}

vane_status vane_cudnn_plan_create(const cudnn_planner *planner, const cudnn_graph *graph,
                                   const cudnn_engine *engine, cudnn_plan **made) {
  bool refused = false;
  *made = NULL;
  cudnn_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a convolution's plan");
  vane_status status = build(planner, graph, engine, plan, &refused);
  if (status != VANE_OK || refused) {
    vane_cudnn_plan_destroy(plan);
    return status;
  }
  *made = plan;
  return VANE_OK;
}

void vane_cudnn_plan_destroy(cudnn_plan *plan) {
  if (plan == NULL)
    return;
  if (plan->pack != NULL)
    cudnnBackendDestroyDescriptor(plan->pack);
  vane_cudnn_destroy(&plan->owned);
  free(plan);
}

/* ---- Runs ---- */

/* The pack that the last run had will do: a step's tensors lie where they lay in the step before.
 */
static bool is_packed(const cudnn_graph *graph, const cudnn_plan *plan,
                      const void *const pointers[CUDNN_MOST_TENSORS], const void *workspace) {
  if (plan->pack == NULL || plan->workspace != workspace)
    return false;
  for (int i = 0; i < graph->n_tensors; i++)
    if (plan->pointers[i] != pointers[graph->tensors[i] - 1])
      return false;
  return true;
}

static vane_status fill_pack(const cudnn_graph *graph, const cudnn_plan *plan) {
  VANE_TRY(vane_cudnn_set(plan->pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                          graph->n_tensors, graph->tensors));
  VANE_TRY(vane_cudnn_set(plan->pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                          graph->n_tensors, plan->pointers));
  VANE_TRY(vane_cudnn_set(plan->pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                          &plan->workspace));
  return vane_cudnn_finalize(plan->pack);
}

static void drop_pack(cudnn_plan *plan) {
  if (plan->pack != NULL)
    cudnnBackendDestroyDescriptor(plan->pack);
  plan->pack = NULL;
}

/* A pack cannot be filled twice. */
static vane_status pack(const cudnn_graph *graph, cudnn_plan *plan,
                        const void *const pointers[CUDNN_MOST_TENSORS], void *workspace) {
  drop_pack(plan);
  CUDNN_TRY(cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &plan->pack));
  for (int i = 0; i < graph->n_tensors; i++)
    plan->pointers[i] = pointers[graph->tensors[i] - 1];
  plan->workspace = workspace;
  vane_status status = fill_pack(graph, plan);
  if (status != VANE_OK)
    drop_pack(plan);
  return status;
}

vane_status vane_cudnn_run(cudnnHandle_t handle, const cudnn_graph *graph, cudnn_plan *plan,
                           const void *const pointers[CUDNN_MOST_TENSORS], void *workspace) {
  if (!is_packed(graph, plan, pointers, workspace))
    VANE_TRY(pack(graph, plan, pointers, workspace));
  CUDNN_TRY(cudnnBackendExecute(handle, plan->descriptor, plan->pack));
  return VANE_OK;
}
