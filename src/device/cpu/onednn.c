#include "device/cpu/onednn.h"

#include <dnnl_debug.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

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

/* ---- The difference between the APIs: memory descriptors are structs in 2.x and handles in 3.x;
 * primitive descriptors take an operation descriptor in 2.x and its fields in 3.x. ---- */

typedef struct conv_arrays {
  dnnl_memory_desc_t x, weights, bias, y;
} conv_arrays;

#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t array_view;

static array_view view(const dnnl_memory_desc_t *array) {
  return *array;
}

static void free_array(dnnl_memory_desc_t *array) {
  if (*array != NULL)
    dnnl_memory_desc_destroy(*array);
}

static dnnl_status_t make_array(dnnl_memory_desc_t *array, const cpu_array *shape,
                                dnnl_format_tag_t tag) {
  return dnnl_memory_desc_create_with_tag(array, shape->n_dims, shape->dims, dnnl_f32, tag);
}

static dnnl_status_t append_relu(dnnl_post_ops_t ops) {
  return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0F, 0.0F);
}

static dnnl_status_t make_conv(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                               const cpu_conv_spec *spec, const conv_arrays *arrays,
                               dnnl_alg_kind_t algorithm, const_dnnl_primitive_desc_t forward,
                               const_dnnl_primitive_attr_t attributes) {
  const dnnl_dims_t stride = {spec->stride, spec->stride}, dilation = {0, 0};
  const dnnl_dims_t padding = {spec->padding, spec->padding};
  array_view bias = spec->bias ? arrays->bias : NULL;
  switch (spec->direction) {
  case CPU_BACKWARD_DATA:
    return dnnl_convolution_backward_data_primitive_desc_create(
        desc, engine, algorithm, arrays->x, arrays->weights, arrays->y, stride, dilation, padding,
        padding, forward, attributes);
  case CPU_BACKWARD_WEIGHTS:
    return dnnl_convolution_backward_weights_primitive_desc_create(
        desc, engine, algorithm, arrays->x, arrays->weights, bias, arrays->y, stride, dilation,
        padding, padding, forward, attributes);
  default:
    return dnnl_convolution_forward_primitive_desc_create(
        desc, engine, dnnl_forward_training, algorithm, arrays->x, arrays->weights, bias, arrays->y,
        stride, dilation, padding, padding, attributes);
  }
}

static dnnl_status_t make_product(dnnl_primitive_desc_t *desc, dnnl_engine_t engine, array_view a,
                                  array_view b, array_view bias, array_view c,
                                  const_dnnl_primitive_attr_t attributes) {
  return dnnl_matmul_primitive_desc_create(desc, engine, a, b, bias, c, attributes);
}

#else

typedef const dnnl_memory_desc_t *array_view;

static array_view view(const dnnl_memory_desc_t *array) {
  return array;
}

static void free_array(dnnl_memory_desc_t *array) {
  (void)array;
}

static dnnl_status_t make_array(dnnl_memory_desc_t *array, const cpu_array *shape,
                                dnnl_format_tag_t tag) {
  return dnnl_memory_desc_init_by_tag(array, shape->n_dims, shape->dims, dnnl_f32, tag);
}

static dnnl_status_t append_relu(dnnl_post_ops_t ops) {
  return dnnl_post_ops_append_eltwise(ops, 1.0F, dnnl_eltwise_relu, 0.0F, 0.0F);
}

static dnnl_status_t make_conv(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                               const cpu_conv_spec *spec, const conv_arrays *arrays,
                               dnnl_alg_kind_t algorithm, const_dnnl_primitive_desc_t forward,
                               const_dnnl_primitive_attr_t attributes) {
  const dnnl_dims_t stride = {spec->stride, spec->stride}, dilation = {0, 0};
  const dnnl_dims_t padding = {spec->padding, spec->padding};
  array_view bias = spec->bias ? &arrays->bias : NULL;
  dnnl_convolution_desc_t conv;
  dnnl_status_t status;
  switch (spec->direction) {
  case CPU_BACKWARD_DATA:
    status = dnnl_dilated_convolution_backward_data_desc_init(&conv, algorithm, &arrays->x,
                                                              &arrays->weights, &arrays->y, stride,
                                                              dilation, padding, padding);
    break;
  case CPU_BACKWARD_WEIGHTS:
    status = dnnl_dilated_convolution_backward_weights_desc_init(
        &conv, algorithm, &arrays->x, &arrays->weights, bias, &arrays->y, stride, dilation, padding,
        padding);
    break;
  default:
    status = dnnl_dilated_convolution_forward_desc_init(
        &conv, dnnl_forward_training, algorithm, &arrays->x, &arrays->weights, bias, &arrays->y,
        stride, dilation, padding, padding);
  }
  return status != dnnl_success
             ? status
             : dnnl_primitive_desc_create(desc, &conv, attributes, engine, forward);
}

static dnnl_status_t make_product(dnnl_primitive_desc_t *desc, dnnl_engine_t engine, array_view a,
                                  array_view b, array_view bias, array_view c,
                                  const_dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t product;
  dnnl_status_t status = dnnl_matmul_desc_init(&product, a, b, bias, c);
  return status != dnnl_success
             ? status
             : dnnl_primitive_desc_create(desc, &product, attributes, engine, NULL);
}

#endif

/* ---- The rest is the same for both. ---- */

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
static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attributes, bool residual, array_view y,
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
    status = append_relu(ops);
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
static dnnl_status_t add_arg(cpu_primitive *primitive, int index, int arg, array_view array,
                             dnnl_engine_t engine) {
  primitive->args[index].arg = arg;
  return dnnl_memory_create(&primitive->args[index].memory, array, engine, NULL);
}

/* Makes the primitive of `desc` with memory objects for `n_args` arguments. The residual's array
 * is y's. */
static dnnl_status_t make_primitive(const cpu_onednn *onednn, const_dnnl_primitive_desc_t desc,
                                    const int *args, int n_args, cpu_primitive *primitive) {
  dnnl_status_t status = dnnl_primitive_create(&primitive->handle, desc);
  for (int i = 0; i < n_args && status == dnnl_success; i++) {
    int owner = args[i] & DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE ? DNNL_ARG_DST : args[i];
    array_view array = dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, owner);
    status = add_arg(primitive, i, args[i], array, onednn->engine);
  }
  primitive->n_buffers = n_args;
  if (status != dnnl_success)
    return status;
  array_view scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
  primitive->scratchpad_bytes = dnnl_memory_desc_get_size(scratchpad);
  const char *name = "";
  dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name);
  strncpy(primitive->name, name, sizeof primitive->name - 1);
  return add_arg(primitive, n_args, DNNL_ARG_SCRATCHPAD, scratchpad, onednn->engine);
}

/* A copy from one order to another; buffers: from, to. */
static dnnl_status_t make_reorder(const cpu_onednn *onednn, array_view from, array_view to,
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
  array_view wanted = dnnl_primitive_desc_query_md(
      desc, dnnl_query_exec_arg_md, gradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS);
  dnnl_memory_desc_t stored;
  dnnl_status_t status = make_array(&stored, &spec->weights, spec->weights.tag);
  if (status != dnnl_success)
    return status;
  if (!dnnl_memory_desc_equal(wanted, view(&stored))) {
    primitive->reordered = gradient ? 2 : 1;
    primitive->reordered_bytes = dnnl_memory_desc_get_size(wanted);
    status = gradient ? make_reorder(onednn, wanted, view(&stored), &primitive->reorder)
                      : make_reorder(onednn, view(&stored), wanted, &primitive->reorder);
  }
  free_array(&stored);
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
                                    const conv_arrays *arrays, dnnl_primitive_desc_t *desc) {
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t hint = NULL;
  dnnl_status_t status = make_attributes(&attributes, spec->residual, view(&arrays->y), spec->relu);
  if (status == dnnl_success && spec->direction != CPU_FORWARD) {
    cpu_conv_spec forward = *spec;
    forward.direction = CPU_FORWARD;
    status =
        make_conv(&hint, onednn->engine, &forward, arrays, dnnl_convolution_direct, NULL, NULL);
  }
  if (status == dnnl_success)
    status = make_conv(desc, onednn->engine, spec, arrays,
                       spec->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct, hint,
                       attributes);
  if (hint != NULL)
    dnnl_primitive_desc_destroy(hint);
  if (attributes != NULL)
    dnnl_primitive_attr_destroy(attributes);
  return status;
}

static dnnl_status_t make_convolution(const cpu_onednn *onednn, const cpu_conv_spec *spec,
                                      cpu_primitive *primitive) {
  conv_arrays arrays;
  memset(&arrays, 0, sizeof arrays);
  const cpu_array bias = {1, {spec->y.dims[1]}, dnnl_a};
  dnnl_primitive_desc_t desc = NULL;
  dnnl_status_t status = make_array(&arrays.x, &spec->x, spec->x.tag);
  if (status == dnnl_success)
    status = make_array(&arrays.weights, &spec->weights, dnnl_format_tag_any);
  if (status == dnnl_success)
    status = make_array(&arrays.bias, &bias, bias.tag);
  if (status == dnnl_success)
    status = make_array(&arrays.y, &spec->y, spec->y.tag);
  if (status == dnnl_success)
    status = make_conv_desc(onednn, spec, &arrays, &desc);
  if (status == dnnl_success) {
    int args[MAX_ARGS];
    int n_args = conv_args(spec, args);
    status = make_primitive(onednn, desc, args, n_args, primitive);
  }
  if (status == dnnl_success)
    status = bridge_weights(onednn, spec, desc, primitive);
  if (desc != NULL)
    dnnl_primitive_desc_destroy(desc);
  free_array(&arrays.y);
  free_array(&arrays.bias);
  free_array(&arrays.weights);
  free_array(&arrays.x);
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
  dnnl_memory_desc_t arrays[4];
  memset(arrays, 0, sizeof arrays);
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t desc = NULL;
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < 4 && status == dnnl_success; i++)
    status = make_array(&arrays[i], &shapes[i], shapes[i].tag);
  if (status == dnnl_success)
    status = make_attributes(&attributes, false, view(&arrays[2]), relu);
  if (status == dnnl_success)
    status = make_product(&desc, onednn->engine, view(&arrays[0]), view(&arrays[1]),
                          has_bias ? view(&arrays[3]) : NULL, view(&arrays[2]), attributes);
  if (status == dnnl_success)
    status = make_primitive(onednn, desc, args, has_bias ? 4 : 3, primitive);
  if (desc != NULL)
    dnnl_primitive_desc_destroy(desc);
  if (attributes != NULL)
    dnnl_primitive_attr_destroy(attributes);
  for (int i = 0; i < 4; i++)
    free_array(&arrays[i]);
  return status;
}

vane_status vane_cpu_product_create(const cpu_onednn *onednn, const cpu_array *a,
                                    const cpu_array *b, const cpu_array *c, bool bias, bool relu,
                                    cpu_primitive **primitive) {
  use_threads(onednn);
  const cpu_array row = {2, {1, c->dims[1]}, dnnl_ab};
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
