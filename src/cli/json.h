/* JSON on standard output. */
#ifndef VANE_CLI_JSON_H
#define VANE_CLI_JSON_H

#include <jansson.h>

/* JSON has neither NaN nor infinity: both are null. */
json_t *json_of_number(double value);

/* A text that need not be UTF-8, such as a file's name: foreign bytes become '?'. */
json_t *json_of_text(const char *text);

/* One line; releases the object. */
void json_print(json_t *object);

#endif
