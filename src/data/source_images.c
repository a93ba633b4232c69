/* PNG files, one example each, in a folder or matching a pattern. A labels.csv beside them labels
 * them; without one they count as upright pictures. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "data/labels_csv.h"
#include "data/source_kind.h"
#include "format/png.h"

typedef struct images_source {
  int64_t height, width, channels;
  vane_path_list files;
  vane_labels *labels; /* [n_paths] */
} images_source;

static void close_images(void *state) {
  images_source *set = state;
  if (!set)
    return;
  vane_path_list_finish(&set->files);
  free(set->labels);
  free(set);
}

static void describe_images(const void *state, vane_origin origin, char *text, size_t n_bytes) {
  const images_source *set = state;
  snprintf(text, n_bytes, "%s", set->files.paths[origin.index]);
}

static vane_status read_image(void *state, vane_origin origin, uint8_t *pixels,
                              vane_labels *labels) {
  const images_source *set = state;
  unsigned char *png;
  size_t n_bytes;
  VANE_TRY(vane_file_read(set->files.paths[origin.index], &png, &n_bytes));
  vane_status status =
      vane_png_decode(png, n_bytes, set->height, set->width, set->channels, pixels);
  free(png);
  if (status != VANE_OK)
    return vane_error_add_context("%s", set->files.paths[origin.index]);
  *labels = set->labels[origin.index];
  return VANE_OK;
}

/* What else lies in the folder, labels.csv above all, is no image. */
static void keep_png_files(vane_path_list *files) {
  size_t n_kept = 0;
  for (size_t i = 0; i < files->n_paths; i++) {
    const char *end = strrchr(files->paths[i], '.');
    if (end && strcasecmp(end, ".png") == 0)
      files->paths[n_kept++] = files->paths[i];
    else
      free(files->paths[i]);
  }
  files->n_paths = n_kept;
}

static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Labels the files `first` .. `last` - 1, which lie in one folder. */
static vane_status label_folder(const vane_source_request *request, images_source *set,
                                size_t first, size_t last) {
  static const char name[] = "labels.csv";
  size_t n_folder = folder_length(set->files.paths[first]);
  char *path = malloc(n_folder + sizeof name);
  if (!path)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the name of a file");
  memcpy(path, set->files.paths[first], n_folder);
  memcpy(path + n_folder, name, sizeof name);
  vane_labels_csv *table = NULL;
  vane_status status = VANE_OK;
  if (vane_file_exists(path))
    status =
        vane_labels_csv_read(path, request->config->data_angle_unit == VANE_ANGLE_UNIT_DEG, &table);
  for (size_t i = first; status == VANE_OK && i < last; i++) {
    const char *file = set->files.paths[i] + n_folder;
    if (!table)
      set->labels[i] = vane_source_upright_labels(request->height, request->width);
    else if (!vane_labels_csv_find(table, file, &set->labels[i]))
      status = vane_fail(
          VANE_ERR_DATA,
          "%s: no line for '%s'; add one, with empty fields where a label is unknown", path, file);
  }
  vane_labels_csv_destroy(table);
  free(path);
  return status;
}

static vane_status label_files(const vane_source_request *request, images_source *set) {
  char *const *paths = set->files.paths;
  size_t n = set->files.n_paths;
  set->labels = calloc(n, sizeof *set->labels);
  if (!set->labels)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the labels of %zu images", n);
  for (size_t first = 0, last; first < n; first = last) {
    size_t n_folder = folder_length(paths[first]);
    for (last = first + 1; last < n; last++)
      if (folder_length(paths[last]) != n_folder || memcmp(paths[last], paths[first], n_folder))
        break;
    VANE_TRY(label_folder(request, set, first, last));
  }
  return VANE_OK;
}

/* Every image is a file of its own, so that the shuffle reaches over all of them. */
static vane_status lay_out(const vane_source_request *request, const images_source *set,
                           vane_source *source) {
  int64_t n = (int64_t)set->files.n_paths;
  int64_t *file_first = malloc((size_t)(n + 1) * sizeof *file_first);
  if (!file_first)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a list of %" PRId64 " images", n);
  for (int64_t f = 0; f <= n; f++)
    file_first[f] = f;
  vane_status status = vane_source_lay_out(request, file_first, n, source);
  free(file_first);
  return status;
}

vane_status vane_source_open_images(const vane_source_request *request, vane_source *source) {
  static const vane_source_operations operations = {read_image, describe_images, close_images};
  if (!request->path[0])
    return vane_fail(VANE_ERR_CONFIG, "%s.path: name a folder of PNG files", request->key);
  images_source *set = calloc(1, sizeof *set);
  if (!set)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %s", request->path);
  source->operations = &operations;
  source->state = set;
  set->height = request->height;
  set->width = request->width;
  set->channels = request->channels;
  VANE_TRY(vane_path_list_match(request->path, &set->files));
  keep_png_files(&set->files);
  if (set->files.n_paths == 0)
    return vane_fail(VANE_ERR_DATA, "%s: no PNG files there", request->path);
  VANE_TRY(label_files(request, set));
  return lay_out(request, set, source);
}
