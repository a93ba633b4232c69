#include "device/cpu/primitive.h"

#include <dnnl_debug.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cpu/onednn.h"

enum { MAX_ARGS = 6, SCRATCH_ALIGNMENT = 64 };

struct cpu_primitive {
  dnnl_primitive_t handle;
  dnnl_exec_arg_t args[MAX_ARGS]; /* the buffers of `run`, then the scratchpad */
  const void *bound[MAX_ARGS];    /* their current addresses */
  int n_buffers;
  size_t scratchpad_bytes;
  char name[64];
  /* Weights that oneDNN wants in another order than they are stored in. They go through the
   * workspace, behind the scratchpad: into it before the primitive, or out of it afterwards. */
  cpu_primitive *reorder;
  int reordered; /* the buffer's index */
  size_t reordered_bytes;
};

static vane_status fail(dnnl_status_t status, const char *what) {
  return vane_fail_foreign(status == dnnl_out_of_memory ? VANE_ERR_MEMORY : VANE_ERR_DEVICE, status,
                           dnnl_status2str(status), "oneDNN could not %s", what);
}

#define DNNL_TRY(call, what)                                                                       \
  do {                                                                                             \
    dnnl_status_t dnnl_try_status_ = (call);                                                       \
    if (dnnl_try_status_ != dnnl_success)                                                          \
      return fail(dnnl_try_status_, what);                                                         \
  } while (0)

/* The number of threads is a property of the calling thread, and oneDNN asks for it both when it
 * sizes a scratchpad and when it runs. */
static void use_threads(const cpu_onednn *onednn) {
  omp_set_dynamic(0);
  omp_set_num_threads(onednn->n_threads);
}

vane_status vane_cpu_onednn_open(cpu_onednn *onednn, int n_threads) {
  memset(onednn, 0, sizeof *onednn);
  onednn->n_threads = n_threads;
  DNNL_TRY(dnnl_engine_create(&onednn->engine, dnnl_cpu, 0), "create its CPU engine");
  DNNL_TRY(dnnl_stream_create(&onednn->stream, onednn->engine, dnnl_stream_in_order),
           "create a stream");
  return VANE_OK;
}

void vane_cpu_onednn_close(cpu_onednn *onednn) {
  if (onednn->stream != NULL)
    dnnl_stream_destroy(onednn->stream);
  if (onednn->engine != NULL)
    dnnl_engine_destroy(onednn->engine);
  memset(onednn, 0, sizeof *onednn);
}

bool vane_cpu_onednn_avx512(void) {
  unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
  return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

/* The scratchpad lies in the workspace; the residual and the ReLU become post-operations. */
static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attributes, bool residual, cpu_md y,
                                     bool relu) {
  dnnl_post_ops_t ops = NULL;
  dnnl_status_t status = dnnl_primitive_attr_create(attributes);
  if (status == dnnl_success)
    status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
  if (status == dnnl_success)
    status = dnnl_post_ops_create(&ops);
  if (status == dnnl_success && residual)
    status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, y);
  if (status == dnnl_success && relu)
    status = vane_cpu_append_relu(ops);
  if (status == dnnl_success)
    status = dnnl_primitive_attr_set_post_ops(*attributes, ops);
  if (ops != NULL)
    dnnl_post_ops_destroy(ops);
  return status;
}

static size_t aligned(size_t bytes) {
  return (bytes + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
}

/* Adds the memory object of one buffer (or, last, of the scratchpad). */
static dnnl_status_t add_arg(cpu_primitive *primitive, int index, int arg, cpu_md md,
                             dnnl_engine_t engine) {
  primitive->args[index].arg = arg;
  return dnnl_memory_create(&primitive->args[index].memory, md, engine, NULL);
}

/* Makes the primitive of `desc` with memory objects for `n_args` arguments. The residual's
 * descriptor is y's. */
static dnnl_status_t make_primitive(const cpu_onednn *onednn, const_dnnl_primitive_desc_t desc,
                                    const int *args, int n_args, cpu_primitive *primitive) {
  dnnl_status_t status = dnnl_primitive_create(&primitive->handle, desc);
  for (int i = 0; i < n_args && status == dnnl_success; i++) {
    int owner = args[i] & DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE ? DNNL_ARG_DST : args[i];
    cpu_md md = dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, owner);
    status = add_arg(primitive, i, args[i], md, onednn->engine);
  }
  primitive->n_buffers = n_args;
  if (status != dnnl_success)
    return status;
  cpu_md scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
  primitive->scratchpad_bytes = dnnl_memory_desc_get_size(scratchpad);
  const char *name = "";
  dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name);
  strncpy(primitive->name, name, sizeof primitive->name - 1);
  return add_arg(primitive, n_args, DNNL_ARG_SCRATCHPAD, scratchpad, onednn->engine);
}

/* A copy from one order to another; buffers: from, to. */
static dnnl_status_t make_reorder(const cpu_onednn *onednn, cpu_md from, cpu_md to,
                                  cpu_primitive **result) {
  static const int args[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t desc = NULL;
  *result = calloc(1, sizeof **result);
  dnnl_status_t status = *result == NULL ? dnnl_out_of_memory : dnnl_success;
  if (status == dnnl_success)
    status = make_attributes(&attributes, false, to, false);
  if (status == dnnl_success)
    status = dnnl_reorder_primitive_desc_create(&desc, from, onednn->engine, to, onednn->engine,
                                                attributes);
  if (status == dnnl_success)
    status = make_primitive(onednn, desc, args, 2, *result);
  if (desc != NULL)
    dnnl_primitive_desc_destroy(desc);
  if (attributes != NULL)
    dnnl_primitive_attr_destroy(attributes);
  return status;
}

/* Lets the weights pass through the workspace where the order of `desc` is not the stored one. */
static dnnl_status_t bridge_weights(const cpu_onednn *onednn, const cpu_conv_spec *spec,
                                    const_dnnl_primitive_desc_t desc, cpu_primitive *primitive) {
  bool gradient = spec->direction == CPU_BACKWARD_WEIGHTS;
  cpu_md wanted = dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md,
                                               gradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS);
  dnnl_memory_desc_t stored;
  dnnl_status_t status = vane_cpu_md_make(&stored, &spec->weights, spec->weights.tag);
  if (status != dnnl_success)
    return status;
  if (!dnnl_memory_desc_equal(wanted, vane_cpu_md_of(&stored))) {
    primitive->reordered = gradient ? 2 : 1;
    primitive->reordered_bytes = dnnl_memory_desc_get_size(wanted);
    status = gradient ? make_reorder(onednn, wanted, vane_cpu_md_of(&stored), &primitive->reorder)
                      : make_reorder(onednn, vane_cpu_md_of(&stored), wanted, &primitive->reorder);
  }
  vane_cpu_md_free(&stored);
  return status;
}

/* The arguments of each direction, in the order of `run`'s buffers. */
static int conv_args(const cpu_conv_spec *spec, int args[MAX_ARGS]) {
  int n = 0;
  switch (spec->direction) {
  case CPU_BACKWARD_DATA:
    args[n++] = DNNL_ARG_DIFF_DST;
    args[n++] = DNNL_ARG_WEIGHTS;
    args[n++] = DNNL_ARG_DIFF_SRC;
    return n;
  case CPU_BACKWARD_WEIGHTS:
    args[n++] = DNNL_ARG_SRC;
    args[n++] = DNNL_ARG_DIFF_DST;
    args[n++] = DNNL_ARG_DIFF_WEIGHTS;
    if (spec->bias)
      args[n++] = DNNL_ARG_DIFF_BIAS;
    return n;
  default:
    args[n++] = DNNL_ARG_SRC;
    args[n++] = DNNL_ARG_WEIGHTS;
    args[n++] = DNNL_ARG_DST;
    if (spec->bias)
      args[n++] = DNNL_ARG_BIAS;
    if (spec->residual)
      args[n++] = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;
    return n;
  }
}

/* Backward descriptors want to see a forward one; any direct one of the same shape will do. */
static dnnl_status_t make_conv_desc(const cpu_onednn *onednn, const cpu_conv_spec *spec,
                                    const cpu_conv_mds *mds, dnnl_primitive_desc_t *desc) {
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t hint = NULL;
  dnnl_status_t status =
      make_attributes(&attributes, spec->residual, vane_cpu_md_of(&mds->y), spec->relu);
  if (status == dnnl_success && spec->direction != CPU_FORWARD) {
    cpu_conv_spec forward = *spec;
    forward.direction = CPU_FORWARD;
    status = vane_cpu_conv_desc_make(&hint, onednn->engine, &forward, mds, dnnl_convolution_direct,
                                     NULL, NULL);
  }
  if (status == dnnl_success)
    status = vane_cpu_conv_desc_make(
        desc, onednn->engine, spec, mds,
        spec->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct, hint, attributes);
  if (hint != NULL)
    dnnl_primitive_desc_destroy(hint);
  if (attributes != NULL)
    dnnl_primitive_attr_destroy(attributes);
  return status;
}

static dnnl_status_t make_convolution(const cpu_onednn *onednn, const cpu_conv_spec *spec,
                                      cpu_primitive *primitive) {
  cpu_conv_mds mds;
  memset(&mds, 0, sizeof mds);
  const cpu_array bias = {.n_dims = 1, .dims = {spec->y.dims[1]}, .tag = dnnl_a};
  dnnl_primitive_desc_t desc = NULL;
  dnnl_status_t status = vane_cpu_md_make(&mds.x, &spec->x, spec->x.tag);
  if (status == dnnl_success)
    status = vane_cpu_md_make(&mds.weights, &spec->weights, dnnl_format_tag_any);
  if (status == dnnl_success)
    status = vane_cpu_md_make(&mds.bias, &bias, bias.tag);
  if (status == dnnl_success)
    status = vane_cpu_md_make(&mds.y, &spec->y, spec->y.tag);
  if (status == dnnl_success)
    status = make_conv_desc(onednn, spec, &mds, &desc);
  if (status == dnnl_success) {
    int args[MAX_ARGS];
    int n_args = conv_args(spec, args);
    status = make_primitive(onednn, desc, args, n_args, primitive);
  }
  if (status == dnnl_success)
    status = bridge_weights(onednn, spec, desc, primitive);
  if (desc != NULL)
    dnnl_primitive_desc_destroy(desc);
  vane_cpu_md_free(&mds.y);
  vane_cpu_md_free(&mds.bias);
  vane_cpu_md_free(&mds.weights);
  vane_cpu_md_free(&mds.x);
  return status;
}

/* Ends a create function: keeps the primitive, or frees it and says why. */
static vane_status finish_create(dnnl_status_t status, const char *what, cpu_primitive *made,
                                 cpu_primitive **primitive) {
  *primitive = status == dnnl_success ? made : NULL;
  if (status == dnnl_success)
    return VANE_OK;
  vane_cpu_primitive_destroy(made);
  return status == dnnl_unimplemented ? VANE_OK : fail(status, what);
}

vane_status vane_cpu_convolution_create(const cpu_onednn *onednn, const cpu_conv_spec *spec,
                                        cpu_primitive **primitive) {
  use_threads(onednn);
  cpu_primitive *made = calloc(1, sizeof *made);
  dnnl_status_t status = made == NULL ? dnnl_out_of_memory : make_convolution(onednn, spec, made);
  return finish_create(status, "make a convolution", made, primitive);
}

static dnnl_status_t make_matrix_product(const cpu_onednn *onednn, const cpu_array shapes[4],
                                         bool has_bias, bool relu, cpu_primitive *primitive) {
  static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS};
  dnnl_memory_desc_t mds[4];
  memset(mds, 0, sizeof mds);
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t desc = NULL;
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < 4 && status == dnnl_success; i++)
    status = vane_cpu_md_make(&mds[i], &shapes[i], shapes[i].tag);
  if (status == dnnl_success)
    status = make_attributes(&attributes, false, vane_cpu_md_of(&mds[2]), relu);
  if (status == dnnl_success)
    status = vane_cpu_product_desc_make(
        &desc, onednn->engine, vane_cpu_md_of(&mds[0]), vane_cpu_md_of(&mds[1]),
        has_bias ? vane_cpu_md_of(&mds[3]) : NULL, vane_cpu_md_of(&mds[2]), attributes);
  if (status == dnnl_success)
    status = make_primitive(onednn, desc, args, has_bias ? 4 : 3, primitive);
  if (desc != NULL)
    dnnl_primitive_desc_destroy(desc);
  if (attributes != NULL)
    dnnl_primitive_attr_destroy(attributes);
  for (int i = 0; i < 4; i++)
    vane_cpu_md_free(&mds[i]);
  return status;
}

vane_status vane_cpu_product_create(const cpu_onednn *onednn, const cpu_array *a,
                                    const cpu_array *b, const cpu_array *c, bool bias, bool relu,
                                    cpu_primitive **primitive) {
  use_threads(onednn);
  const cpu_array row = {.n_dims = 2, .dims = {1, c->dims[1]}, .tag = dnnl_ab};
  const cpu_array shapes[4] = {*a, *b, *c, row};
  cpu_primitive *made = calloc(1, sizeof *made);
  dnnl_status_t status =
      made == NULL ? dnnl_out_of_memory : make_matrix_product(onednn, shapes, bias, relu, made);
  return finish_create(status, "make a matrix product", made, primitive);
}

void vane_cpu_primitive_destroy(cpu_primitive *primitive) {
  if (primitive == NULL)
    return;
  for (int i = 0; i < MAX_ARGS; i++)
    if (primitive->args[i].memory != NULL)
      dnnl_memory_destroy(primitive->args[i].memory);
  if (primitive->handle != NULL)
    dnnl_primitive_destroy(primitive->handle);
  vane_cpu_primitive_destroy(primitive->reorder);
  free(primitive);
}

size_t vane_cpu_primitive_workspace_bytes(const cpu_primitive *primitive) {
  size_t bytes = aligned(primitive->scratchpad_bytes);
  if (primitive->reorder != NULL)
    bytes += aligned(primitive->reordered_bytes) +
             vane_cpu_primitive_workspace_bytes(primitive->reorder);
  return bytes;
}

const char *vane_cpu_primitive_name(const cpu_primitive *primitive) {
  return primitive->name;
}

/* oneDNN allocates a little whenever an address is set, so it is told of changes only. */
static dnnl_status_t bind(cpu_primitive *primitive, int index, const void *address) {
  if (primitive->bound[index] == address)
    return dnnl_success;
  primitive->bound[index] = address;
  return dnnl_memory_set_data_handle(primitive->args[index].memory, (void *)(uintptr_t)address);
}

vane_status vane_cpu_primitive_run(const cpu_onednn *onednn, cpu_primitive *primitive,
                                   const void *const *buffers, void *workspace) {
  unsigned char *reordered = (unsigned char *)workspace + aligned(primitive->scratchpad_bytes);
  unsigned char *rest = reordered + aligned(primitive->reordered_bytes);
  const cpu_primitive *reorder = primitive->reorder;
  int through = primitive->reordered;
  bool before = reorder != NULL && through == 1, after = reorder != NULL && through == 2;
  if (before) {
    const void *pair[] = {buffers[through], reordered};
    VANE_TRY(vane_cpu_primitive_run(onednn, primitive->reorder, pair, rest));
  }
  for (int i = 0; i < primitive->n_buffers; i++)
    DNNL_TRY(bind(primitive, i, reorder != NULL && i == through ? reordered : buffers[i]),
             "bind a buffer");
  DNNL_TRY(bind(primitive, primitive->n_buffers, workspace), "bind its scratchpad");
  use_threads(onednn);
  DNNL_TRY(dnnl_primitive_execute(primitive->handle, onednn->stream, primitive->n_buffers + 1,
                                  primitive->args),
           "run a primitive");
  if (after) {
    const void *pair[] = {reordered, buffers[through]};
    VANE_TRY(vane_cpu_primitive_run(onednn, primitive->reorder, pair, rest));
  }
  return VANE_OK;
}
