/* The real cuDNN plans every convolution of every preset for one GPU, which need not be there: the
 * program's argument names a file of devices/. For each precision and direction: is there an
 * engine, which one, how much workspace, fused or not, and what `deterministic` passed over. The
 * table stands in docs/gpu.md. */
#include "plan/trunk_graphs.h"

#include <inttypes.h>

#include "docs_section.h"

#include "base/error.h"
#include "device/cuda/cuda_conv.h"

/* The cuDNN that the tables of docs/gpu.md are from; another one may choose otherwise, and is held
 * to what must be true of all alone. Raise it together with the tables. */
#define DOCUMENTED_CUDNN 91900

static const char *gpu;                     /* "h100" */
static int capability;                      /* 900 */
static cudnnBackendDescriptor_t properties; /* of the GPU */

enum { FP32, TF32, BF16, N_PRECISIONS };
static const int precisions[N_PRECISIONS] = {VANE_PRECISION_FP32, VANE_PRECISION_TF32,
                                             VANE_PRECISION_BF16};
static const char *const precision_names[N_PRECISIONS] = {"fp32", "tf32", "bf16"};

static cudnn_planner planner_of(int precision) {
  return (cudnn_planner){
      .properties = properties, .precision = precisions[precision], .deterministic = true};
}

/* What a GPU's hardware lacks. */
static bool lacks(int precision) {
  return precision == BF16 && capability < 800;
}

/* ---- One graph ---- */

typedef struct outcome {
  bool planned, fused, compiled, passed_over;
  int64_t engine;
  size_t workspace_bytes;
} outcome;

static bool notes(const cudnn_engine *engine, cudnnBackendNumericalNote_t note) {
  return vane_cudnn_engine_notes(engine, note);
}

static void hold_engine(const cudnn_engine *engine, int precision) {
  assert_false(notes(engine, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
  assert_false(notes(engine, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION));
  if (precision == FP32) {
    assert_false(notes(engine, CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
    assert_false(notes(engine, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
  }
}

/* A plan's description in a choice builds the same plan. */
static void hold_choice(const cudnn_planner *planner, const vane_conv_plan *shape,
                        cuda_direction direction, const cuda_candidates *found) {
  cuda_path path = {.engine = found->engines[0], .epilogue = found->epilogue};
  char word[CUDA_PATH_TEXT];
  vane_cuda_path_print(&path, word);
  size_t bytes = found->plans[0]->workspace_bytes;
  assert_ok(vane_cuda_path_follow(planner, shape, direction, word, &path));
  assert_non_null(path.plan);
  assert_int_equal(path.plan->workspace_bytes, bytes);
  vane_cuda_path_destroy(&path);
}

static outcome plan_graph(int precision, const vane_conv_plan *shape, cuda_direction direction) {
  const cudnn_planner planner = planner_of(precision);
  cuda_candidates found;
  outcome o = {.planned = false};
  assert_ok(vane_cuda_candidates_find(&planner, shape, direction, 1, &found));
  if (found.n > 0) {
    const cudnn_engine *engine = &found.engines[0];
    hold_engine(engine, precision);
    o = (outcome){.planned = true,
                  .fused = !found.epilogue,
                  .compiled = engine->behavior >> CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION & 1,
                  .passed_over = found.n_passed_over > 0,
                  .engine = engine->index,
                  .workspace_bytes = found.plans[0]->workspace_bytes};
    if (!o.compiled)
      hold_choice(&planner, shape, direction, &found);
  }
  vane_cuda_candidates_destroy(&found);
  return o;
}

/* ---- The table ---- */

typedef struct page {
  char text[1 << 16];
  size_t length;
} page;

static void VANE_PRINTF(2, 3) put(page *p, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int length = vsnprintf(p->text + p->length, sizeof p->text - p->length, format, list);
  va_end(list);
  p->length += (size_t)length;
  assert_true(p->length < sizeof p->text);
}

typedef struct summary {
  int n_graphs, n_refused, n_forward, n_fused, n_compiled, n_passed_over;
  size_t largest_bytes;
} summary;

static void add(summary *s, const vane_conv_desc *desc, cuda_direction direction,
                const outcome *o) {
  bool fusible = direction == CUDA_FORWARD && (desc->bias || desc->residual || desc->relu);
  s->n_graphs++;
  s->n_refused += !o->planned;
  s->n_forward += fusible && o->planned;
  s->n_fused += fusible && o->planned && o->fused;
  s->n_compiled += o->compiled;
  s->n_passed_over += o->passed_over;
  if (o->workspace_bytes > s->largest_bytes)
    s->largest_bytes = o->workspace_bytes;
}

static double mib(size_t bytes) {
  return (double)bytes / (1 << 20);
}

static void put_outcome(page *p, const outcome *o) {
  if (!o->planned) {
    put(p, " - |");
    return;
  }
  put(p, " %" PRId64 "%s%s", o->engine, o->compiled ? "c" : "", o->passed_over ? "*" : "");
  if (mib(o->workspace_bytes) >= 0.05)
    put(p, ", %.1f", mib(o->workspace_bytes));
  put(p, "%s |", o->fused ? "" : " +k");
}

static void put_shape(page *p, const trunk_convolution *item) {
  const vane_conv_desc *d = &item->shape.desc;
  put(p,
      "| %" PRId64 "x%" PRId64 "x%" PRId64 " to %" PRId64 ", %" PRId64 "/%" PRId64 "%s%s%s | %s |",
      d->h, d->w, d->c_in, d->c_out, d->kernel, d->stride, d->bias ? " b" : "",
      d->residual ? " r" : "", d->relu ? " a" : "", item->presets);
}

static void put_head(page *p, const trunk_convolutions *all, const summary sums[N_PRECISIONS]) {
  put(p, "%d convolutions, as cuDNN %d.%d.%d plans them for 200 images:\n\n", all->n,
      DOCUMENTED_CUDNN / 10000, DOCUMENTED_CUDNN / 100 % 100, DOCUMENTED_CUDNN % 100);
  put(p, "| precision | graphs | refused | fused forward | compiled at run time | determinism "
         "passed over | largest workspace, MiB |\n| --- | --- | --- | --- | --- | --- | --- |\n");
  for (int k = 0; k < N_PRECISIONS; k++)
    put(p, "| %s | %d | %d | %d of %d | %d | %d | %.1f |\n", precision_names[k], sums[k].n_graphs,
        sums[k].n_refused, sums[k].n_fused, sums[k].n_forward, sums[k].n_compiled,
        sums[k].n_passed_over, mib(sums[k].largest_bytes));
  put(p, "\n| convolution | presets |");
  for (int k = 0; k < N_PRECISIONS; k++)
    for (int d = 0; d < CUDA_N_DIRECTIONS; d++)
      put(p, " %s %s |", precision_names[k], vane_cuda_direction_name((cuda_direction)d));
  put(p, "\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
}

static void put_row(page *p, const trunk_convolution *item, summary sums[N_PRECISIONS]) {
  put_shape(p, item);
  for (int k = 0; k < N_PRECISIONS; k++)
    for (int i = 0; i < CUDA_N_DIRECTIONS; i++) {
      cuda_direction direction = (cuda_direction)i;
      if (!vane_cuda_conv_needs(&item->shape.desc, direction)) {
        put(p, " |");
        continue;
      }
      outcome o = plan_graph(k, &item->shape, direction);
      if (!o.planned && !lacks(k))
        fail_msg("%s, %s: no engine for %s of a convolution of %s", gpu, precision_names[k],
                 vane_cuda_direction_name(direction), item->presets);
      add(&sums[k], &item->shape.desc, direction, &o);
      put_outcome(p, &o);
    }
  put(p, "\n");
}

static void presets_are_planned(void **state) {
  static trunk_convolutions all;
  static page rows, whole;
  summary sums[N_PRECISIONS] = {{0}};
  char section[32];
  (void)state;
  trunk_convolutions_collect(200, &all);
  for (int i = 0; i < all.n; i++)
    put_row(&rows, &all.items[i], sums);
  for (int k = 0; k < N_PRECISIONS; k++) {
    assert_int_equal(sums[k].n_fused, sums[k].n_forward);
    if (!lacks(k))
      assert_int_equal(sums[k].n_refused, 0);
  }
  put_head(&whole, &all, sums);
  put(&whole, "%s", rows.text);
  print_message("%s", whole.text);
  snprintf(section, sizeof section, "plans-%s", gpu);
  if (cudnnGetVersion() == DOCUMENTED_CUDNN)
    docs_section_check("gpu.md", section, whole.text);
  else
    print_message("this is cuDNN %zu: docs/gpu.md is not compared\n", cudnnGetVersion());
}

/* ---- Another batch: offered, which cuDNN does of what it can plan ---- */

static vane_status take_repeating(void *user, const cudnn_engine *engine, bool *enough) {
  bool *offered = user;
  *offered = *enough = vane_cudnn_engine_repeats(engine);
  return VANE_OK;
}

static bool is_offered(int precision, const vane_conv_plan *shape, cuda_direction direction) {
  const cudnn_planner planner = planner_of(precision);
  cudnn_graph *graph;
  bool offered = false;
  assert_ok(vane_cudnn_graph_create(&planner, shape, direction, direction == CUDA_FORWARD, &graph));
  assert_ok(vane_cudnn_offer(&planner, graph, take_repeating, &offered));
  vane_cudnn_graph_destroy(graph);
  return offered;
}

static void larger_batches_are_offered(void **state) {
  static trunk_convolutions all;
  (void)state;
  trunk_convolutions_collect(256, &all);
  for (int i = 0; i < all.n; i++)
    for (int k = 0; k < N_PRECISIONS; k++)
      for (int d = 0; d < CUDA_N_DIRECTIONS; d++)
        if (!lacks(k) && vane_cuda_conv_needs(&all.items[i].shape.desc, (cuda_direction)d) &&
            !is_offered(k, &all.items[i].shape, (cuda_direction)d))
          fail_msg("%s, %s: no engine for %s of a convolution of %s with 256 images", gpu,
                   precision_names[k], vane_cuda_direction_name((cuda_direction)d),
                   all.items[i].presets);
}

/* ---- The GPU ---- */

static int describe_gpu(void **state) {
  char path[512];
  unsigned char *json;
  size_t bytes;
  (void)state;
  snprintf(path, sizeof path, "%s/tests/plan/devices/%s.json", VANE_SOURCE_FOLDER, gpu);
  assert_ok(vane_file_read(path, &json, &bytes));
  const char *version = strstr((const char *)json, "\"deviceVer\": ");
  assert_non_null(version);
  capability = atoi(version + strlen("\"deviceVer\": "));
  assert_int_equal(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &properties),
                   0);
  assert_int_equal(cudnnBackendSetAttribute(properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                            CUDNN_TYPE_CHAR, (int64_t)bytes, json),
                   0);
  assert_int_equal(cudnnBackendFinalize(properties), 0);
  free(json);
  return 0;
}

static int forget_gpu(void **state) {
  (void)state;
  return cudnnBackendDestroyDescriptor(properties) != CUDNN_STATUS_SUCCESS;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(presets_are_planned),
                                     cmocka_unit_test(larger_batches_are_offered)};
  gpu = argc > 1 ? argv[1] : "h100";
  return cmocka_run_group_tests(tests, describe_gpu, forget_gpu);
}
