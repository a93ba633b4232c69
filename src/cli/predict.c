/* vane predict: answers for images. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/answers.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/overlay.h"
#include "train/predict.h"

static const char help[] =
    "usage: vane predict RUN|CHECKPOINT IMAGE|DIR... [--json|--csv] [--overlay DIR]\n"
    "                    [--limit N] [--set KEY=VALUE]... [--device KIND]\n\n"
    "Answers for each image whether the object is there, which way it points, how large it is and\n"
    "where. Images are PNG files, folders of them, or TFRecord files; they have the size that the\n"
    "network was trained on. Of a run the best checkpoint is used. A question that was not "
    "trained\n"
    "(its loss has weight 0), or an uncertainty that the angle head does not tell, stays empty.\n\n"
    "  --json           one JSON object per line: image, present, angle_deg, angle_std_deg,\n"
    "                   magnitude, position\n"
    "  --csv            the same as comma-separated values with a header\n"
    "  --overlay DIR    also draw each answer into its image, and all of them into overview.png\n"
    "  --limit N        only the first N records of each TFRecord file\n"
    "  --set KEY=VALUE  change one setting of the run, such as data.features.image=picture\n"
    "  --device KIND    auto, cpu, ref or cuda\n"
    "  --help           this text\n\n"
    "example: vane predict runs/first data/test-00000-of-00001.tfrecord --limit 10 --overlay "
    "shown\n";

#define MOST_IMAGES_AT_ONCE 32 /* large enough to keep all cores busy, and soon answered */
#define MOST_ON_A_SHEET     50

typedef struct predict_call {
  const char *run, *overlay;
  char *const *images;
  int n_images;
  int64_t limit;
  vane_answer_format format;
  vane_settings settings;
} predict_call;

/* Everything between the call and its end. */
typedef struct predict_job {
  const predict_call *call;
  vane_config config;
  vane_predictor *predictor;
  vane_inputs inputs;
  int64_t batch;
  size_t image_bytes;
  uint8_t *pixels;      /* [batch, H, W, C] */
  vane_answer *answers; /* [inputs.n] */
  vane_labels *labels;  /* [inputs.n] */
} predict_job;

/* --- answering --- */

static vane_status open_predictor(predict_job *job) {
  char file[1200];
  vane_checkpoint *checkpoint = NULL;
  VANE_TRY(vane_run_find_checkpoint(job->call->run, true, file, sizeof file));
  VANE_TRY(vane_checkpoint_open(file, &checkpoint));
  job->config = *vane_checkpoint_config(checkpoint);
  vane_status status = settings_apply(&job->call->settings, &job->config);
  job->batch = job->inputs.n < MOST_IMAGES_AT_ONCE ? job->inputs.n : MOST_IMAGES_AT_ONCE;
  if (status == VANE_OK)
    status = vane_predictor_create(checkpoint, &job->config, job->batch, &job->predictor);
  vane_checkpoint_close(checkpoint);
  return status;
}

static vane_status allocate(predict_job *job) {
  const int64_t *size = job->config.model_input;
  job->image_bytes = (size_t)(size[0] * size[1] * size[2]);
  job->pixels = malloc((size_t)job->batch * job->image_bytes);
  job->answers = calloc((size_t)job->inputs.n, sizeof *job->answers);
  job->labels = calloc((size_t)job->inputs.n, sizeof *job->labels);
  if (!job->pixels || !job->answers || !job->labels)
    return vane_fail(VANE_ERR_MEMORY, "no memory for %" PRId64 " images", job->inputs.n);
  return VANE_OK;
}

static vane_status answer_batch(predict_job *job, int64_t first, int64_t n, int name_width) {
  for (int64_t i = 0; i < n; i++)
    VANE_TRY(inputs_read(&job->inputs.items[first + i], &job->config,
                         job->pixels + (size_t)i * job->image_bytes, &job->labels[first + i]));
  VANE_TRY(vane_predictor_run(job->predictor, job->pixels, n, &job->answers[first]));
  for (int64_t i = first; i < first + n; i++)
    answers_print(job->call->format, name_width, job->inputs.items[i].name, &job->answers[i]);
  return VANE_OK;
}

static vane_status answer_all(predict_job *job) {
  size_t name_width = strlen("image");
  for (int64_t i = 0; i < job->inputs.n; i++)
    if (strlen(job->inputs.items[i].name) > name_width)
      name_width = strlen(job->inputs.items[i].name);
  answers_print_header(job->call->format, (int)name_width);
  for (int64_t first = 0; first < job->inputs.n; first += job->batch) {
    int64_t left = job->inputs.n - first;
    VANE_TRY(answer_batch(job, first, left < job->batch ? left : job->batch, (int)name_width));
  }
  return VANE_OK;
}

/* --- drawing --- */

/* Images are read a second time for it, so that a long list of them needs no memory. */
static vane_status read_picture(void *user, int64_t i, vane_picture *picture) {
  predict_job *job = user;
  vane_labels labels;
  *picture = (vane_picture){.name = job->inputs.items[i].name,
                            .pixels = job->pixels,
                            .answer = &job->answers[i],
                            .labels = &job->labels[i]};
  return inputs_read(&job->inputs.items[i], &job->config, job->pixels, &labels);
}

/* FOLDER/0007-NAME.png: the number keeps the order, and equal names of two folders apart. */
static void picture_path(const char *folder, int64_t i, const char *name, char *path,
                         size_t n_bytes) {
  const char *slash = strrchr(name, '/');
  const char *base = slash ? slash + 1 : name;
  size_t length = strlen(base);
  if (length > 4 && strcmp(base + length - 4, ".png") == 0)
    length -= 4;
  snprintf(path, n_bytes, "%s/%04" PRId64 "-%.*s.png", folder, i, (int)length, base);
}

static vane_status draw_all(predict_job *job) {
  const char *folder = job->call->overlay;
  char path[4096];
  VANE_TRY(vane_folder_create(folder));
  vane_overlay overlay = overlay_for(&job->config, job->answers, job->labels, job->inputs.n);
  for (int64_t i = 0; i < job->inputs.n; i++) {
    vane_picture picture;
    VANE_TRY(read_picture(job, i, &picture));
    picture_path(folder, i, picture.name, path, sizeof path);
    VANE_TRY(overlay_write_picture(&overlay, &picture, path));
  }
  int64_t n = job->inputs.n < MOST_ON_A_SHEET ? job->inputs.n : MOST_ON_A_SHEET;
  vane_album album = {.read = read_picture, .user = job, .n = n};
  snprintf(path, sizeof path, "%s/overview.png", folder);
  VANE_TRY(overlay_write_sheet(&overlay, &album, path));
  fprintf(stderr, "drew %" PRId64 " image%s; %s shows %s\n", job->inputs.n,
          job->inputs.n == 1 ? "" : "s", path,
          n < job->inputs.n ? "the first 50" : (n == 1 ? "it" : "all of them"));
  return VANE_OK;
}

static vane_status predict(predict_job *job) {
  const predict_call *call = job->call;
  VANE_TRY(inputs_find(call->images, call->n_images, call->limit, &job->inputs));
  VANE_TRY(open_predictor(job));
  VANE_TRY(allocate(job));
  VANE_TRY(answer_all(job));
  return call->overlay ? draw_all(job) : VANE_OK;
}

/* --- the call --- */

static bool read_options(int argc, char **argv, predict_call *call, int *exit_status) {
  static const struct option options[] = {
      {"json", no_argument, NULL, 'j'},          {"csv", no_argument, NULL, 'c'},
      {"overlay", required_argument, NULL, 'o'}, {"limit", required_argument, NULL, 'l'},
      {"set", required_argument, NULL, 's'},     {"device", required_argument, NULL, 'd'},
      {"help", no_argument, NULL, 'h'},          {0}};
  bool json = false, csv = false, good = true;
  int option;
  *exit_status = EXIT_WRONG_CALL;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 'j':
      json = true;
      break;
    case 'c':
      csv = true;
      break;
    case 'o':
      call->overlay = optarg;
      break;
    case 'l':
      if (!count_read(optarg, &call->limit))
        return wrong_call("predict", "--limit %s is no number of records", optarg), false;
      break;
    case 's':
      good = good && settings_add(&call->settings, optarg);
      break;
    case 'd':
      good = good && settings_add_device(&call->settings, optarg);
      break;
    case 'h':
      fputs(help, stdout);
      *exit_status = EXIT_GOOD;
      return false;
    default:
      return false;
    }
  }
  if (!good)
    return wrong_call("predict", "too many --set"), false;
  if (json && csv)
    return wrong_call("predict", "choose --json or --csv"), false;
  call->format = json ? ANSWERS_JSON : csv ? ANSWERS_CSV : ANSWERS_TABLE;
  return true;
}

int command_predict(int argc, char **argv) {
  predict_call call = {0};
  int exit_status;
  if (!read_options(argc, argv, &call, &exit_status))
    return exit_status;
  if (argc - optind < 2)
    return wrong_call("predict", "give a run or checkpoint, then at least one image or folder");
  call.run = argv[optind];
  call.images = argv + optind + 1;
  call.n_images = argc - optind - 1;
  predict_job job = {.call = &call};
  vane_status status = predict(&job);
  vane_predictor_destroy(job.predictor);
  inputs_finish(&job.inputs);
  free(job.pixels);
  free(job.answers);
  free(job.labels);
  return status == VANE_OK ? EXIT_GOOD : failure();
}
