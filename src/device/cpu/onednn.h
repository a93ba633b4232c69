/* The one place that knows that oneDNN's 2.x and 3.x API differ: memory descriptors are structs in
 * 2.x and handles in 3.x; primitive descriptors take an operation descriptor in 2.x and its fields
 * in 3.x. For primitive.c alone; the others include primitive.h. */
#ifndef VANE_DEVICE_CPU_ONEDNN_H
#define VANE_DEVICE_CPU_ONEDNN_H

#include "device/cpu/primitive.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t cpu_md; /* a borrowed memory descriptor */
#else
typedef const dnnl_memory_desc_t *cpu_md;
#endif

typedef struct cpu_conv_mds {
  dnnl_memory_desc_t x, weights, bias, y;
} cpu_conv_mds;

/* Descriptors are owned: made here, freed here (a zeroed one too). */
dnnl_status_t vane_cpu_md_make(dnnl_memory_desc_t *md, const cpu_array *array,
                               dnnl_format_tag_t tag);
void vane_cpu_md_free(dnnl_memory_desc_t *md);
cpu_md vane_cpu_md_of(const dnnl_memory_desc_t *md);

dnnl_status_t vane_cpu_append_relu(dnnl_post_ops_t ops);

/* `forward`: for the backward directions, a forward descriptor of the same shape. Forward is always
 * that of training: for inference alone, Winograd wants its weights in an order of its own. */
dnnl_status_t vane_cpu_conv_desc_make(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                                      const cpu_conv_spec *spec, const cpu_conv_mds *mds,
                                      dnnl_alg_kind_t algorithm,
                                      const_dnnl_primitive_desc_t forward,
                                      const_dnnl_primitive_attr_t attributes);

/* `bias` may be NULL. */
dnnl_status_t vane_cpu_product_desc_make(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                                         cpu_md a, cpu_md b, cpu_md bias, cpu_md c,
                                         const_dnnl_primitive_attr_t attributes);

#endif
