/* Descriptors of cuDNN's backend API: made, filled, finalized, and destroyed together with whoever
 * owns them. */
#ifndef VANE_DEVICE_CUDA_CUDNN_DESCRIPTORS_H
#define VANE_DEVICE_CUDA_CUDNN_DESCRIPTORS_H

#include "device/cuda/cuda.h"

/* Who plans: the handle of a GPU, or the description of one that need not be there. */
typedef struct cudnn_planner {
  cudnnHandle_t handle;                /* NULL: `properties` */
  cudnnBackendDescriptor_t properties; /* CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, or NULL */
  int precision;                       /* VANE_PRECISION_* */
  bool deterministic;                  /* only engines that repeat their bits */
  bool direct;                         /* no engine that transforms: Winograd, FFT */
} cudnn_planner;

/* Descriptors that live as long as their owner: those that others refer to are kept too. */
typedef struct cudnn_owned {
  cudnnBackendDescriptor_t items[32];
  int n;
} cudnn_owned;

/* The descriptor belongs to `owned`. */
VANE_CHECKED
vane_status vane_cudnn_create(cudnn_owned *owned, cudnnBackendDescriptorType_t type,
                              cudnnBackendDescriptor_t *descriptor);
void vane_cudnn_destroy(cudnn_owned *owned); /* the last first */

VANE_CHECKED
vane_status vane_cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, int64_t count, const void *values);
VANE_CHECKED
vane_status vane_cudnn_set_int64(cudnnBackendDescriptor_t descriptor,
                                 cudnnBackendAttributeName_t name, int64_t value);
VANE_CHECKED
vane_status vane_cudnn_set_descriptor(cudnnBackendDescriptor_t descriptor,
                                      cudnnBackendAttributeName_t name,
                                      cudnnBackendDescriptor_t value);
VANE_CHECKED
vane_status vane_cudnn_finalize(cudnnBackendDescriptor_t descriptor);

/* Finalizes what cuDNN may refuse, such as a plan that this GPU cannot run; any other failure is
 * one. */
VANE_CHECKED
vane_status vane_cudnn_try_finalize(cudnnBackendDescriptor_t descriptor, bool *refused);

/* The attribute of `descriptor` that says for whom it plans: `by_handle` where the planner has a
 * handle, `by_properties` otherwise. */
VANE_CHECKED
vane_status vane_cudnn_set_planner(cudnnBackendDescriptor_t descriptor,
                                   const cudnn_planner *planner,
                                   cudnnBackendAttributeName_t by_handle,
                                   cudnnBackendAttributeName_t by_properties);
#define CUDNN_NOT_NEEDED ((cudnnBackendAttributeName_t)-1) /* the graph has said it */
#if CUDNN_VERSION < 90800                                  /* knows handles only */
#define CUDNN_ATTR_ENGINEHEUR_DEVICEPROP     CUDNN_NOT_NEEDED
#define CUDNN_ATTR_ENGINE_DEVICEPROP         CUDNN_NOT_NEEDED
#define CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP CUDNN_NOT_NEEDED
#endif

/* Reads up to `room` values; *count is how many there are. */
VANE_CHECKED
vane_status vane_cudnn_get(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, int64_t room, int64_t *count,
                           void *values);

#endif
