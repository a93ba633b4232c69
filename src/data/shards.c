#include "data/shards.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "data/record.h"
#include "data/source.h"
#include "format/tfrecord.h"

typedef struct shard_job {
  const vane_config *config;
  vane_source *source;
  const char *folder, *name;
  const vane_log *log;
  int64_t n_examples, n_shards;
} shard_job;

static vane_status write_example(const shard_job *job, int64_t example, uint8_t *pixels,
                                 vane_atomic_file *file) {
  vane_origin origin = {example % vane_source_count(job->source), (uint64_t)example};
  vane_labels labels;
  VANE_TRY(vane_source_read(job->source, origin, pixels, &labels));
  unsigned char *bytes;
  size_t n_bytes;
  VANE_TRY(vane_record_print(job->config, pixels, &labels, &bytes, &n_bytes));
  vane_status status = vane_tfrecord_write(file, bytes, n_bytes);
  free(bytes);
  return status;
}

static vane_status write_examples(const shard_job *job, int64_t shard, vane_atomic_file *file) {
  const int64_t *size = job->config->model_input;
  uint8_t *pixels = malloc((size_t)(size[0] * size[1] * size[2]));
  if (!pixels)
    return vane_fail(VANE_ERR_MEMORY, "no memory for an image");
  int64_t first = shard * VANE_SHARD_EXAMPLES, last = first + VANE_SHARD_EXAMPLES;
  if (last > job->n_examples)
    last = job->n_examples;
  vane_status status = VANE_OK;
  for (int64_t example = first; status == VANE_OK && example < last; example++)
    status = write_example(job, example, pixels, file);
  free(pixels);
  return status;
}

static vane_status write_shard(void *user, int64_t shard) {
  const shard_job *job = user;
  size_t n_bytes = strlen(job->folder) + strlen(job->name) + 64; /* two numbers and the rest */
  char *path = malloc(n_bytes);
  if (!path)
    return vane_fail(VANE_ERR_MEMORY, "no memory for the name of a file");
  snprintf(path, n_bytes, "%s/%s-%05" PRId64 "-of-%05" PRId64 ".tfrecord", job->folder, job->name,
           shard, job->n_shards);
  vane_atomic_file *file;
  vane_status status = vane_atomic_file_open(path, &file);
  free(path);
  VANE_TRY(status);
  status = write_examples(job, shard, file);
  if (status == VANE_OK)
    return vane_atomic_file_commit(file);
  vane_atomic_file_discard(file);
  return status;
}

/* A word after every tenth of the way. */
static vane_status report_shard(void *user, int64_t shard) {
  const shard_job *job = user;
  int64_t done = shard + 1, tenth = (job->n_shards + 9) / 10;
  if (done % tenth == 0 && done < job->n_shards)
    vane_log_info(job->log, "%" PRId64 " of %" PRId64 " files written", done, job->n_shards);
  return VANE_OK;
}

/* Whether `entry` is a shard of this name out of another number of shards. */
static bool is_of_another_set(const shard_job *job, const char *entry) {
  size_t n_name = strlen(job->name);
  int64_t shard, n_shards;
  char tail[16];
  return strncmp(entry, job->name, n_name) == 0 &&
         sscanf(entry + n_name, "-%" SCNd64 "-of-%" SCNd64 "%15s", &shard, &n_shards, tail) == 3 &&
         strcmp(tail, ".tfrecord") == 0 && n_shards != job->n_shards;
}

static vane_status check_folder(const shard_job *job) {
  VANE_TRY(vane_folder_create(job->folder));
  DIR *entries = opendir(job->folder);
  if (!entries)
    return vane_fail_foreign(VANE_ERR_IO, errno, strerror(errno), "%s: cannot read this folder",
                             job->folder);
  vane_status status = VANE_OK;
  for (struct dirent *entry; status == VANE_OK && (entry = readdir(entries));)
    if (is_of_another_set(job, entry->d_name))
      status = vane_fail(VANE_ERR_ARGUMENT,
                         "%s/%s: shards of another set lie there; remove them or choose another "
                         "folder",
                         job->folder, entry->d_name);
  closedir(entries);
  return status;
}

static vane_status write_all(shard_job *job, int64_t count) {
  int64_t n_source = vane_source_count(job->source);
  if (count > n_source && !vane_source_is_drawn(job->source))
    return vane_fail(VANE_ERR_ARGUMENT,
                     "%" PRId64 " examples asked for, but the source holds %" PRId64, count,
                     n_source);
  job->n_examples = count > 0 ? count : n_source;
  job->n_shards = (job->n_examples + VANE_SHARD_EXAMPLES - 1) / VANE_SHARD_EXAMPLES;
  VANE_TRY(check_folder(job));
  vane_parallel parallel = {.work = write_shard, .finish = report_shard, .user = job};
  return vane_parallel_run(&parallel, job->n_shards, job->config->data_threads);
}

vane_status vane_shards_write(const vane_config *config, bool test, int64_t count,
                              const char *folder, const char *name, const vane_log *log,
                              int64_t *n_examples, int64_t *n_files) {
  if (!name[0] || strchr(name, '/') || count < 0)
    return vane_fail(VANE_ERR_ARGUMENT, "'%s' is no name for a file, or %" PRId64 " no count", name,
                     count);
  shard_job job = {.config = config, .folder = folder, .name = name, .log = log};
  VANE_TRY(vane_source_open(config, test, log, &job.source));
  vane_status status = write_all(&job, count);
  vane_source_close(job.source);
  *n_examples = job.n_examples;
  *n_files = job.n_shards;
  return status;
}
