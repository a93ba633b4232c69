#include "device/cuda/cudnn_descriptors.h"

vane_status vane_cudnn_create(cudnn_owned *owned, cudnnBackendDescriptorType_t type,
                              cudnnBackendDescriptor_t *descriptor) {
  *descriptor = NULL;
  if (owned->n == sizeof owned->items / sizeof owned->items[0])
    return vane_fail(VANE_ERR_DEVICE, "a cuDNN graph has more than %d descriptors", owned->n);
  CUDNN_TRY(cudnnBackendCreateDescriptor(type, descriptor));
  owned->items[owned->n++] = *descriptor;
  return VANE_OK;
}

void vane_cudnn_destroy(cudnn_owned *owned) {
  while (owned->n > 0)
    cudnnBackendDestroyDescriptor(owned->items[--owned->n]);
}

vane_status vane_cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, int64_t count, const void *values) {
  CUDNN_TRY(cudnnBackendSetAttribute(descriptor, name, type, count, values));
  return VANE_OK;
}

vane_status vane_cudnn_set_int64(cudnnBackendDescriptor_t descriptor,
                                 cudnnBackendAttributeName_t name, int64_t value) {
  return vane_cudnn_set(descriptor, name, CUDNN_TYPE_INT64, 1, &value);
}

vane_status vane_cudnn_set_descriptor(cudnnBackendDescriptor_t descriptor,
                                      cudnnBackendAttributeName_t name,
                                      cudnnBackendDescriptor_t value) {
  return vane_cudnn_set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

vane_status vane_cudnn_finalize(cudnnBackendDescriptor_t descriptor) {
  CUDNN_TRY(cudnnBackendFinalize(descriptor));
  return VANE_OK;
}

vane_status vane_cudnn_try_finalize(cudnnBackendDescriptor_t descriptor, bool *refused) {
  cudnnStatus_t code = cudnnBackendFinalize(descriptor);
  /* An engine that is compiled at run time fails so where the compiler or the driver is missing. */
  *refused = CUDNN_STATUS_CATEGORY(code) == CUDNN_STATUS_NOT_SUPPORTED ||
             code == CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED;
  if (*refused)
    return VANE_OK;
  return code == CUDNN_STATUS_SUCCESS
             ? VANE_OK
             : vane_cudnn_failed(code, "cudnnBackendFinalize", __FILE__, __LINE__);
}

vane_status vane_cudnn_set_planner(cudnnBackendDescriptor_t descriptor,
                                   const cudnn_planner *planner,
                                   cudnnBackendAttributeName_t by_handle,
                                   cudnnBackendAttributeName_t by_properties) {
  if (planner->handle != NULL && by_handle != CUDNN_NOT_NEEDED)
    return vane_cudnn_set(descriptor, by_handle, CUDNN_TYPE_HANDLE, 1, &planner->handle);
  if (planner->handle == NULL && by_properties != CUDNN_NOT_NEEDED)
    return vane_cudnn_set_descriptor(descriptor, by_properties, planner->properties);
  return VANE_OK;
}

vane_status vane_cudnn_get(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, int64_t room, int64_t *count,
                           void *values) {
  *count = 0;
  CUDNN_TRY(cudnnBackendGetAttribute(descriptor, name, type, room, count, values));
  return VANE_OK;
}
