#include "cli/processor.h"

#include <stdio.h>
#include <string.h>

void processor_name(char *name, size_t n_bytes) {
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[512];
  snprintf(name, n_bytes, "unknown");
  while (file && fgets(line, sizeof line, file)) {
    char *value = strstr(line, ": ");
    if (strncmp(line, "model name", 10) != 0 || !value)
      continue;
    value[strcspn(value, "\n")] = 0;
    snprintf(name, n_bytes, "%s", value + 2);
    break;
  }
  if (file)
    fclose(file);
}
