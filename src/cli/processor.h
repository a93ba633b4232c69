/* What the processor calls itself. */
#ifndef VANE_CLI_PROCESSOR_H
#define VANE_CLI_PROCESSOR_H

#include <stddef.h>

/* "unknown" where the system does not say. */
void processor_name(char *name, size_t n_bytes);

#endif
