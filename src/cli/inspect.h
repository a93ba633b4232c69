/* What `vane inspect` knows of each kind of file; every function prints to standard output. */
#ifndef VANE_CLI_INSPECT_H
#define VANE_CLI_INSPECT_H

#include <stdbool.h>

#include "vane/status.h"

/* A safetensors file: metadata, and each tensor with its shape and values in a nutshell. */
VANE_CHECKED
vane_status inspect_tensors(const char *path, bool json);

/* A TFRecord file: of tf.Examples, or a TensorBoard event file, as its first record tells. */
VANE_CHECKED
vane_status inspect_records(const char *path, bool json);

#endif
