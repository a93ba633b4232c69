#include "device/cpu/onednn.h"

#include <stddef.h>

#if DNNL_VERSION_MAJOR >= 3

cpu_md vane_cpu_md_of(const dnnl_memory_desc_t *md) {
  return *md;
}

void vane_cpu_md_free(dnnl_memory_desc_t *md) {
  if (*md != NULL)
    dnnl_memory_desc_destroy(*md);
}

dnnl_status_t vane_cpu_md_make(dnnl_memory_desc_t *md, const cpu_array *array,
                               dnnl_format_tag_t tag) {
  if (tag == dnnl_format_tag_undef)
    return dnnl_memory_desc_create_with_strides(md, array->n_dims, array->dims, dnnl_f32,
                                                array->strides);
  return dnnl_memory_desc_create_with_tag(md, array->n_dims, array->dims, dnnl_f32, tag);
}

dnnl_status_t vane_cpu_append_relu(dnnl_post_ops_t ops) {
  return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0F, 0.0F);
}

dnnl_status_t vane_cpu_conv_desc_make(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                                      const cpu_conv_spec *spec, const cpu_conv_mds *mds,
                                      dnnl_alg_kind_t algorithm,
                                      const_dnnl_primitive_desc_t forward,
                                      const_dnnl_primitive_attr_t attributes) {
  const dnnl_dims_t stride = {spec->stride, spec->stride}, dilation = {0, 0};
  const dnnl_dims_t padding = {spec->padding, spec->padding};
  cpu_md bias = spec->bias ? mds->bias : NULL;
  switch (spec->direction) {
  case CPU_BACKWARD_DATA:
    return dnnl_convolution_backward_data_primitive_desc_create(
        desc, engine, algorithm, mds->x, mds->weights, mds->y, stride, dilation, padding, padding,
        forward, attributes);
  case CPU_BACKWARD_WEIGHTS:
    return dnnl_convolution_backward_weights_primitive_desc_create(
        desc, engine, algorithm, mds->x, mds->weights, bias, mds->y, stride, dilation, padding,
        padding, forward, attributes);
  default:
    return dnnl_convolution_forward_primitive_desc_create(
        desc, engine, dnnl_forward_training, algorithm, mds->x, mds->weights, bias, mds->y, stride,
        dilation, padding, padding, attributes);
  }
}

dnnl_status_t vane_cpu_product_desc_make(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                                         cpu_md a, cpu_md b, cpu_md bias, cpu_md c,
                                         const_dnnl_primitive_attr_t attributes) {
  return dnnl_matmul_primitive_desc_create(desc, engine, a, b, bias, c, attributes);
}

#else

cpu_md vane_cpu_md_of(const dnnl_memory_desc_t *md) {
  return md;
}

void vane_cpu_md_free(dnnl_memory_desc_t *md) {
  (void)md;
}

dnnl_status_t vane_cpu_md_make(dnnl_memory_desc_t *md, const cpu_array *array,
                               dnnl_format_tag_t tag) {
  if (tag == dnnl_format_tag_undef)
    return dnnl_memory_desc_init_by_strides(md, array->n_dims, array->dims, dnnl_f32,
                                            array->strides);
  return dnnl_memory_desc_init_by_tag(md, array->n_dims, array->dims, dnnl_f32, tag);
}

dnnl_status_t vane_cpu_append_relu(dnnl_post_ops_t ops) {
  return dnnl_post_ops_append_eltwise(ops, 1.0F, dnnl_eltwise_relu, 0.0F, 0.0F);
}

dnnl_status_t vane_cpu_conv_desc_make(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                                      const cpu_conv_spec *spec, const cpu_conv_mds *mds,
                                      dnnl_alg_kind_t algorithm,
                                      const_dnnl_primitive_desc_t forward,
                                      const_dnnl_primitive_attr_t attributes) {
  const dnnl_dims_t stride = {spec->stride, spec->stride}, dilation = {0, 0};
  const dnnl_dims_t padding = {spec->padding, spec->padding};
  cpu_md bias = spec->bias ? &mds->bias : NULL;
  dnnl_convolution_desc_t conv;
  dnnl_status_t status;
  switch (spec->direction) {
  case CPU_BACKWARD_DATA:
    status = dnnl_dilated_convolution_backward_data_desc_init(
        &conv, algorithm, &mds->x, &mds->weights, &mds->y, stride, dilation, padding, padding);
    break;
  case CPU_BACKWARD_WEIGHTS:
    status = dnnl_dilated_convolution_backward_weights_desc_init(
        &conv, algorithm, &mds->x, &mds->weights, bias, &mds->y, stride, dilation, padding,
        padding);
    break;
  default:
    status = dnnl_dilated_convolution_forward_desc_init(&conv, dnnl_forward_training, algorithm,
                                                        &mds->x, &mds->weights, bias, &mds->y,
                                                        stride, dilation, padding, padding);
  }
  return status != dnnl_success
             ? status
             : dnnl_primitive_desc_create(desc, &conv, attributes, engine, forward);
}

dnnl_status_t vane_cpu_product_desc_make(dnnl_primitive_desc_t *desc, dnnl_engine_t engine,
                                         cpu_md a, cpu_md b, cpu_md bias, cpu_md c,
                                         const_dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t product;
  dnnl_status_t status = dnnl_matmul_desc_init(&product, a, b, bias, c);
  return status != dnnl_success
             ? status
             : dnnl_primitive_desc_create(desc, &product, attributes, engine, NULL);
}

#endif
