/* safetensors: 8 bytes of header length, a JSON header, raw little-endian tensors. Only F32 and F64
 * are written; metadata are strings. */
#ifndef VANE_FORMAT_SAFETENSORS_H
#define VANE_FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "vane/status.h"

#define VANE_SAFETENSORS_MAX_DIMS 8

typedef struct vane_safetensor {
  const char *name;
  int64_t n_dims;
  int64_t dims[VANE_SAFETENSORS_MAX_DIMS];
  const char *dtype; /* "F32", "F64"; a file by others may hold any other */
  /* Borrowed when writing; when read, inside the file's memory, aligned for its type in the files
   * that vane and the safetensors package write. */
  const void *data;
  size_t bytes;
} vane_safetensor;

/* Metadata: keys and texts, in the order given. */
typedef struct vane_safetensors_text {
  const char *key, *text;
} vane_safetensors_text;

/* Writes atomically (base/file.h). The header is padded so that data begin on 64 bytes; doubles
 * come first. Names given twice, texts that are not UTF-8 and sizes that do not fit the shape are
 * VANE_ERR_ARGUMENT. */
VANE_CHECKED
vane_status vane_safetensors_write(const char *path, const vane_safetensor *tensors,
                                   int64_t n_tensors, const vane_safetensors_text *metadata,
                                   int64_t n_metadata);

/* A file in memory. Header, offsets, sizes and overlaps are all checked before anything is given
 * out; a damaged file is VANE_ERR_FORMAT naming the file and the tensor. */
typedef struct vane_safetensors_file vane_safetensors_file;
VANE_CHECKED
vane_status vane_safetensors_open(const char *path, vane_safetensors_file **file);
void vane_safetensors_close(vane_safetensors_file *file); /* takes NULL */

/* The tensors in the order of their data. */
int64_t vane_safetensors_count(const vane_safetensors_file *file);
const vane_safetensor *vane_safetensors_at(const vane_safetensors_file *file, int64_t i);
/* By name; NULL where there is none. Borrowed. */
const vane_safetensor *vane_safetensors_find(const vane_safetensors_file *file, const char *name);
/* A metadata text; NULL where there is none. Borrowed. */
const char *vane_safetensors_text_of(const vane_safetensors_file *file, const char *key);

/* All metadata texts, in the order of the file. Borrowed. */
int64_t vane_safetensors_n_texts(const vane_safetensors_file *file);
vane_safetensors_text vane_safetensors_text_at(const vane_safetensors_file *file, int64_t i);

#endif
