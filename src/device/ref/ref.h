/* The reference operations, one function per sub-table and real type. Another backend whose memory
 * is the host's may take a whole sub-table from here, or start with it and write over single slots.
 * No operation of these looks at its `device` argument. */
#ifndef VANE_DEVICE_REF_REF_H
#define VANE_DEVICE_REF_REF_H

#include "device/device.h"

#define VANE_REF_DECLARE(real)                                                                     \
  void vane_ref_fill_memory_##real(vane_memory_ops *ops);                                          \
  void vane_ref_fill_conv_##real(vane_conv_ops *ops);                                              \
  void vane_ref_fill_norm_##real(vane_norm_ops *ops);                                              \
  void vane_ref_fill_pool_##real(vane_pool_ops *ops);                                              \
  void vane_ref_fill_dense_##real(vane_dense_ops *ops);                                            \
  void vane_ref_fill_elementwise_##real(vane_elementwise_ops *ops);                                \
  void vane_ref_fill_loss_##real(vane_loss_ops *ops);                                              \
  void vane_ref_fill_reduce_##real(vane_reduce_ops *ops);                                          \
  void vane_ref_fill_optim_##real(vane_optim_ops *ops);                                            \
  /* What reduce.decide does once the norm (N25) is known. */                                      \
  void vane_ref_settle_##real(const vane_decide_desc *desc, double norm, const void *samples,      \
                              int64_t n, vane_step_record *record);                                \
  /* What optim.curvature does once both products (N36) are known. */                              \
  void vane_ref_take_curvature_##real(const vane_guard_desc *guard, double gradient_change,        \
                                      double square, vane_step_record *record);                    \
  /* What reduce.decide does for the guard: record->guard, but for curvature and bound. */         \
  void vane_ref_follow_loss_##real(const vane_guard_desc *guard, vane_step_record *record);

VANE_REF_DECLARE(float)
VANE_REF_DECLARE(double)
#undef VANE_REF_DECLARE

#endif
