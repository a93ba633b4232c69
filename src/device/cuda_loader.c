/* The CUDA backend is a module of its own, loaded when somebody asks for it: vane runs on machines
 * without CUDA's libraries. The module takes what it needs of vane (VANE_MODULE_API) from the
 * executable. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "device/device.h"

#define MODULE      "vane_cuda.so"
#define ENTRY_POINT "vane_cuda_device_open"

typedef vane_status (*open_function)(const vane_device_options *options, vane_device **device);

/* The process has one module, loaded by the first who asks and never unloaded: libraries of CUDA do
 * not take kindly to that. */
static struct {
  pthread_once_t once;
  open_function open; /* NULL: `missing` says why */
  char missing[512];
} module = {.once = PTHREAD_ONCE_INIT};

/* The running executable's folder, or "." where the system does not tell. */
static void find_own_folder(char *folder, size_t bytes) {
  ssize_t length = readlink("/proc/self/exe", folder, bytes - 1);
  folder[length > 0 ? length : 0] = 0;
  char *slash = strrchr(folder, '/');
  if (slash)
    *slash = 0;
  else
    snprintf(folder, bytes, ".");
}

/* Beside the executable, as built; in ../lib/vane, as installed. */
static void find_module(char *path, size_t bytes) {
  static const char *const places[] = {MODULE, "../lib/vane/" MODULE};
  char folder[4096];
  find_own_folder(folder, sizeof folder);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(path, bytes, "%s/%s", folder, places[i]);
    if (vane_file_exists(path))
      return;
  }
  snprintf(path, bytes, "%s/" MODULE, folder); /* the error names the first place */
}

static void load(void) {
  char path[4096 + 64];
  find_module(path, sizeof path);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *symbol = handle ? dlsym(handle, ENTRY_POINT) : NULL;
  if (symbol)
    memcpy(&module.open, &symbol, sizeof module.open); /* ISO C has no cast between the two */
  else
    snprintf(module.missing, sizeof module.missing, "%s", dlerror());
}

vane_status vane_cuda_open(const vane_device_options *options, vane_device **device) {
  *device = NULL;
  pthread_once(&module.once, load);
  if (!module.open)
    return vane_fail(VANE_ERR_UNSUPPORTED,
                     "device.kind: cuda is not available: %s; install what is missing, or choose "
                     "--device cpu or auto",
                     module.missing);
  return module.open(options, device);
}
