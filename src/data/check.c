#include "data/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/parallel.h"
#include "data/record.h"
#include "format/png.h"
#include "format/tfrecord.h"

typedef struct noted_bad {
  int64_t record, offset;
  char *message; /* owned */
} noted_bad;

/* What one file gave, kept until its turn comes. */
typedef struct file_result {
  vane_check_summary summary;
  noted_bad *bad;
  int64_t capacity; /* summary.n_bad are in use */
} file_result;

typedef struct check_job {
  const vane_config *config;
  char *const *paths;
  file_result **results; /* [n_paths]; NULL before and after */
  void (*on_bad)(void *user, const vane_check_bad *bad);
  void *user;
  vane_check_summary *summary;
} check_job;

static void result_destroy(file_result *result) {
  if (!result)
    return;
  for (int64_t i = 0; i < result->summary.n_bad; i++)
    free(result->bad[i].message);
  free(result->bad);
  free(result);
}

/* Keeps the calling thread's last error as a bad record. */
static vane_status note_bad(file_result *result, int64_t record, int64_t offset) {
  if (result->summary.n_bad == result->capacity) {
    int64_t capacity = result->capacity ? 2 * result->capacity : 16;
    noted_bad *bad = realloc(result->bad, (size_t)capacity * sizeof *bad);
    if (!bad)
      return vane_fail(VANE_ERR_MEMORY, "no memory to remember a bad record");
    result->bad = bad;
    result->capacity = capacity;
  }
  char *message = strdup(vane_error_get()->message);
  if (!message)
    return vane_fail(VANE_ERR_MEMORY, "no memory to remember a bad record");
  result->bad[result->summary.n_bad++] = (noted_bad){record, offset, message};
  return VANE_OK;
}

static void range_merge(vane_check_range *into, const vane_check_range *from) {
  if (from->n == 0)
    return;
  if (into->n == 0 || from->min < into->min)
    into->min = from->min;
  if (into->n == 0 || from->max > into->max)
    into->max = from->max;
  into->sum += from->sum;
  into->n += from->n;
}

static void range_add(vane_check_range *range, double value) {
  range_merge(range, &(vane_check_range){1, value, value, value});
}

static void images_merge(vane_check_summary *into, const vane_check_images *from) {
  for (int64_t i = 0; i < into->n_image_kinds; i++) {
    vane_check_images *kind = &into->images[i];
    if (kind->height == from->height && kind->width == from->width &&
        kind->channels == from->channels && kind->raw_bytes == from->raw_bytes) {
      kind->n += from->n;
      return;
    }
  }
  if (into->n_image_kinds < VANE_CHECK_KINDS)
    into->images[into->n_image_kinds++] = *from;
  else
    into->n_other_images += from->n;
}

static void summary_merge(vane_check_summary *into, const vane_check_summary *from) {
  into->n_files += from->n_files;
  into->n_records += from->n_records;
  into->n_bytes += from->n_bytes;
  into->n_bad += from->n_bad;
  into->n_present += from->n_present;
  into->n_absent += from->n_absent;
  range_merge(&into->angle_rad, &from->angle_rad);
  range_merge(&into->magnitude, &from->magnitude);
  range_merge(&into->x, &from->x);
  range_merge(&into->y, &from->y);
  for (int64_t i = 0; i < from->n_image_kinds; i++)
    images_merge(into, &from->images[i]);
  into->n_other_images += from->n_other_images;
}

static void add_labels(vane_check_summary *summary, const vane_labels *labels) {
  if (labels->present != 0.0f)
    summary->n_present++;
  else
    summary->n_absent++;
  if (labels->known & VANE_LABEL_ANGLE)
    range_add(&summary->angle_rad, (double)labels->angle);
  if (labels->known & VANE_LABEL_MAGNITUDE)
    range_add(&summary->magnitude, (double)labels->magnitude);
  if (labels->known & VANE_LABEL_POSITION) {
    range_add(&summary->x, (double)labels->x);
    range_add(&summary->y, (double)labels->y);
  }
}

/* Decodes a PNG at its own size; raw pixels have none, so that only their number is known. */
static vane_status look_at_image(const void *bytes, size_t n_bytes, vane_check_images *image) {
  *image = (vane_check_images){.n = 1};
  if (!vane_png_detect(bytes, n_bytes)) {
    image->raw_bytes = (int64_t)n_bytes;
    return VANE_OK;
  }
  VANE_TRY(vane_png_size(bytes, n_bytes, &image->height, &image->width, &image->channels));
  uint8_t *pixels = malloc((size_t)(image->height * image->width * image->channels));
  if (!pixels)
    return vane_fail(VANE_ERR_MEMORY, "no memory for an image");
  vane_status status =
      vane_png_decode(bytes, n_bytes, image->height, image->width, image->channels, pixels);
  free(pixels);
  return status;
}

static vane_status look_at_message(const vane_config *config, const vane_example_message *message,
                                   vane_check_summary *summary) {
  vane_labels labels;
  const void *bytes;
  size_t n_bytes;
  vane_check_images image;
  VANE_TRY(vane_record_labels(config, message, &labels));
  VANE_TRY(vane_record_image(config, message, &bytes, &n_bytes));
  VANE_TRY(look_at_image(bytes, n_bytes, &image));
  add_labels(summary, &labels);
  images_merge(summary, &image);
  return VANE_OK;
}

static vane_status check_record(const vane_config *config, int descriptor,
                                const vane_record_span *span, vane_check_summary *summary) {
  void *data = malloc((size_t)span->bytes + 1);
  if (!data)
    return vane_fail(VANE_ERR_MEMORY, "no memory for a record");
  vane_example_message *message = NULL;
  vane_status status = vane_tfrecord_read(descriptor, span, data);
  if (status == VANE_OK)
    status = vane_example_parse(data, (size_t)span->bytes, &message);
  if (status == VANE_OK)
    status = look_at_message(config, message, summary);
  if (message)
    vane_example_destroy(message);
  free(data);
  return status;
}

static vane_status check_records(const vane_config *config, const char *path,
                                 const vane_record_span *spans, int64_t n_spans,
                                 file_result *result) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot open it", path);
  vane_status status = VANE_OK;
  for (int64_t i = 0; status == VANE_OK && i < n_spans; i++) {
    result->summary.n_records++;
    result->summary.n_bytes += spans[i].bytes;
    status = check_record(config, descriptor, &spans[i], &result->summary);
    if (status == VANE_ERR_FORMAT || status == VANE_ERR_DATA)
      status = note_bad(result, i, spans[i].offset);
  }
  close(descriptor);
  return status;
}

/* Where the first record after `spans` would begin. */
static int64_t end_of(const vane_record_span *spans, int64_t n_spans) {
  if (n_spans == 0)
    return 0;
  const vane_record_span *last = &spans[n_spans - 1];
  return last->offset + VANE_TFRECORD_HEADER_BYTES + last->bytes + VANE_TFRECORD_FOOTER_BYTES;
}

static vane_status check_file(void *user, int64_t f) {
  check_job *job = user;
  file_result *result = calloc(1, sizeof *result);
  if (!result)
    return vane_fail(VANE_ERR_MEMORY, "no memory for what a file holds");
  job->results[f] = result;
  result->summary.n_files = 1;
  vane_record_span *spans;
  int64_t n_spans;
  vane_status framing = vane_tfrecord_index(job->paths[f], &spans, &n_spans);
  vane_error why = *vane_error_get();
  vane_status status = framing;
  if (framing == VANE_OK || framing == VANE_ERR_FORMAT)
    status = check_records(job->config, job->paths[f], spans, n_spans, result);
  if (status == VANE_OK && framing == VANE_ERR_FORMAT) {
    vane_error_adopt(&why);
    status = note_bad(result, n_spans, end_of(spans, n_spans));
  }
  free(spans);
  return status;
}

static vane_status report_file(void *user, int64_t f) {
  check_job *job = user;
  file_result *result = job->results[f];
  for (int64_t i = 0; job->on_bad && i < result->summary.n_bad; i++) {
    const noted_bad *noted = &result->bad[i];
    job->on_bad(job->user,
                &(vane_check_bad){job->paths[f], noted->record, noted->offset, noted->message});
  }
  summary_merge(job->summary, &result->summary);
  result_destroy(result);
  job->results[f] = NULL;
  return VANE_OK;
}

vane_status vane_check_files(const vane_config *config, char *const *paths, int64_t n_paths,
                             void (*on_bad)(void *user, const vane_check_bad *bad), void *user,
                             vane_check_summary *summary) {
  memset(summary, 0, sizeof *summary);
  check_job job = {config, paths, NULL, on_bad, user, summary};
  job.results = calloc((size_t)n_paths + 1, sizeof *job.results);
  if (!job.results)
    return vane_fail(VANE_ERR_MEMORY, "no memory to check so many files");
  vane_parallel parallel = {check_file, report_file, &job};
  vane_status status = vane_parallel_run(&parallel, n_paths, config->data_threads);
  for (int64_t f = 0; f < n_paths; f++)
    result_destroy(job.results[f]); /* those that a failure left without a turn */
  free(job.results);
  return status;
}
