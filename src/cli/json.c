#include "cli/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_of_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_of_text(const char *text) {
  json_t *string = json_string(text);
  char *copy = string ? NULL : strdup(text);
  if (string || !copy)
    return string;
  for (char *byte = copy; *byte; byte++)
    if ((unsigned char)*byte >= 0x80)
      *byte = '?';
  string = json_string(copy);
  free(copy);
  return string;
}

void json_print(json_t *object) {
  json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(10));
  putchar('\n');
  json_decref(object);
}
