#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/inspect.h"
#include "cli/json.h"
#include "format/safetensors.h"

/* Over the finite values; NaN where there is none, or where the type is not read. */
typedef struct nutshell {
  int64_t n_finite, n_other;
  double min, max, mean, rms;
} nutshell;

static double value_at(const vane_safetensor *tensor, bool is_double, int64_t i) {
  const unsigned char *bytes = tensor->data;
  double wide;
  float narrow;
  /* By copies: a file by others need not align its tensors. */
  if (is_double) {
    memcpy(&wide, bytes + (size_t)i * sizeof wide, sizeof wide);
    return wide;
  }
  memcpy(&narrow, bytes + (size_t)i * sizeof narrow, sizeof narrow);
  return (double)narrow;
}

static nutshell sum_up(const vane_safetensor *tensor) {
  nutshell all = {.min = (double)NAN, .max = (double)NAN, .mean = (double)NAN, .rms = (double)NAN};
  bool is_double = strcmp(tensor->dtype, "F64") == 0;
  if (!is_double && strcmp(tensor->dtype, "F32") != 0)
    return all;
  int64_t count = (int64_t)(tensor->bytes / (is_double ? sizeof(double) : sizeof(float)));
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; i++) {
    double value = value_at(tensor, is_double, i);
    if (!isfinite(value)) {
      all.n_other++;
      continue;
    }
    all.n_finite++;
    sum += value;
    squares += value * value;
    all.min = fmin(all.min, value); /* fmin and fmax pass over the first NaN */
    all.max = fmax(all.max, value);
  }
  if (all.n_finite > 0) {
    all.mean = sum / (double)all.n_finite;
    all.rms = sqrt(squares / (double)all.n_finite);
  }
  return all;
}

/* --- for people --- */

static void print_shape(const vane_safetensor *tensor) {
  char text[VANE_SAFETENSORS_MAX_DIMS * 24] = "";
  size_t length = 0;
  for (int64_t d = 0; d < tensor->n_dims; d++)
    length += (size_t)snprintf(text + length, sizeof text - length, "%s%" PRId64, d ? " x " : "",
                               tensor->dims[d]);
  printf("  %-20s", length ? text : "a number");
}

static void print_value(double value) {
  if (isfinite(value))
    printf("  %11.4g", value);
  else
    printf("  %11s", "-");
}

/* The first line of a text; a configuration has a hundred. */
static void print_text(vane_safetensors_text text) {
  size_t length = strcspn(text.text, "\n"), n_lines = 0;
  for (const char *c = text.text; *c; c++)
    n_lines += *c == '\n';
  printf("  %-36s %.*s", text.key, (int)length, text.text);
  if (n_lines > 1)
    printf(" ... (%zu lines; --json shows all)", n_lines);
  putchar('\n');
}

static void print_table(const char *path, const vane_safetensors_file *file) {
  int64_t n = vane_safetensors_count(file), n_other = 0;
  int width = 6;
  for (int64_t i = 0; i < n; i++)
    if ((int)strlen(vane_safetensors_at(file, i)->name) > width)
      width = (int)strlen(vane_safetensors_at(file, i)->name);
  printf("%s: safetensors, %" PRId64 " tensors\n", path, n);
  if (vane_safetensors_n_texts(file) > 0)
    printf("\nmetadata\n");
  for (int64_t i = 0; i < vane_safetensors_n_texts(file); i++)
    print_text(vane_safetensors_text_at(file, i));
  printf("\n%-*s  type  %-20s  %11s  %11s  %11s  %11s\n", width, "tensor", "shape", "min", "max",
         "mean", "rms");
  for (int64_t i = 0; i < n; i++) {
    const vane_safetensor *tensor = vane_safetensors_at(file, i);
    nutshell all = sum_up(tensor);
    printf("%-*s  %-4s", width, tensor->name, tensor->dtype);
    print_shape(tensor);
    print_value(all.min);
    print_value(all.max);
    print_value(all.mean);
    print_value(all.rms);
    if (all.n_other > 0)
      printf("  %" PRId64 " not finite", all.n_other);
    putchar('\n');
    n_other += all.n_other;
  }
  if (n_other > 0)
    printf("\n%" PRId64 " values are not finite\n", n_other);
}

/* --- for programs --- */

static json_t *json_of_tensor(const vane_safetensor *tensor) {
  nutshell all = sum_up(tensor);
  json_t *shape = json_array();
  for (int64_t d = 0; d < tensor->n_dims; d++)
    json_array_append_new(shape, json_integer(tensor->dims[d]));
  return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "name", tensor->name, "dtype",
                   tensor->dtype, "shape", shape, "min", json_of_number(all.min), "max",
                   json_of_number(all.max), "mean", json_of_number(all.mean), "rms",
                   json_of_number(all.rms), "not_finite", (json_int_t)all.n_other);
}

static void print_json(const char *path, const vane_safetensors_file *file) {
  json_t *metadata = json_object(), *tensors = json_array();
  for (int64_t i = 0; i < vane_safetensors_n_texts(file); i++) {
    vane_safetensors_text text = vane_safetensors_text_at(file, i);
    json_object_set_new(metadata, text.key, json_string(text.text));
  }
  for (int64_t i = 0; i < vane_safetensors_count(file); i++)
    json_array_append_new(tensors, json_of_tensor(vane_safetensors_at(file, i)));
  json_print(json_pack("{s:o, s:s, s:o, s:o}", "file", json_of_text(path), "kind", "safetensors",
                       "metadata", metadata, "tensors", tensors));
}

vane_status inspect_tensors(const char *path, bool json) {
  vane_safetensors_file *file;
  VANE_TRY(vane_safetensors_open(path, &file));
  if (json)
    print_json(path, file);
  else
    print_table(path, file);
  vane_safetensors_close(file);
  return VANE_OK;
}
