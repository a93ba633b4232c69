/* What went wrong, in words a user can act on: the result of everything in vane that can fail. */
#ifndef VANE_STATUS_H
#define VANE_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VANE_CHECKED             __attribute__((warn_unused_result))
#define VANE_PRINTF(text, first) __attribute__((format(printf, text, first)))
/* What a module that is loaded at run time takes from the executable. */
#define VANE_MODULE_API __attribute__((visibility("default")))
#else
#define VANE_CHECKED
#define VANE_PRINTF(text, first)
#define VANE_MODULE_API
#endif

/* Zero is good. */
typedef enum vane_status {
  VANE_OK = 0,
  VANE_ERR_ARGUMENT,    /* the call itself was wrong */
  VANE_ERR_MEMORY,      /* no memory left, on the host or on the device */
  VANE_ERR_IO,          /* the operating system refused: a file, a folder, a thread */
  VANE_ERR_FORMAT,      /* bytes that are not what their format says */
  VANE_ERR_CONFIG,      /* a setting is unknown, of the wrong type or out of range */
  VANE_ERR_DATA,        /* a source yields nothing, or too many of its records are bad */
  VANE_ERR_DEVICE,      /* a device or its library failed */
  VANE_ERR_UNSUPPORTED, /* asked for something this build or this device cannot do */
  VANE_ERR_NUMERIC,     /* a loss or a gradient is not finite */
  VANE_ERR_STATE,       /* a checkpoint does not fit the configuration */
} vane_status;

/* The last failure of a thread. Strings are always terminated; `foreign` is empty and
 * `foreign_code` 0 where no other library was involved. */
typedef struct vane_error {
  vane_status status;
  const char *file; /* of vane's source */
  int line;
  int64_t foreign_code;
  char foreign[256];
  char message[1024];
} vane_error;

/* The calling thread's last failure. The pointer stays valid for the thread's life, its contents
 * until the thread's next failure. Before any failure: status VANE_OK, empty message. */
const vane_error *vane_error_get(void);

/* One word for a status, for logs and tests: "ok", "argument", "memory", ... Never NULL. */
const char *vane_status_name(vane_status status);

#ifdef __cplusplus
}
#endif
#endif
