/* vane doctor epsilon: how far a run is from Adam's limit of stability, and what would keep it
 * below. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "data/loader.h"
#include "train/advisor.h"
#include "train/checkpoint.h"

static const char help[] =
    "usage: vane doctor epsilon RUN|CHECKPOINT [--batches N] [--gradients N] [--set KEY=VALUE]...\n"
    "                           [--device KIND] [--json]\n\n"
    "Measures the largest curvature of the loss at a run's last checkpoint, as it is and in "
    "Adam's\n"
    "own metric, over the next batches of training, and compares it with the limit up to which "
    "Adam\n"
    "is stable. Says which epsilon would suffice at this learning rate, and which learning rate "
    "at\n"
    "this epsilon, however small the gradients become.\n\n"
    "  --batches N      training batches to take the curvature over, 4 if not given\n"
    "  --gradients N    how many gradients may be spent, 400 if not given\n"
    "  --set KEY=VALUE  change one setting, such as optim.epsilon=1e-4\n"
    "  --device KIND    auto, cpu, ref or cuda\n"
    "  --json           one JSON object instead of a page\n"
    "  --help           this text\n\n"
    "example: vane doctor epsilon runs/first\n";

typedef struct advice_call {
  const char *path;
  vane_settings settings;
  int64_t batches, gradients;
  bool json;
} advice_call;

/* The curvature of several batches is that of one large batch, in as many parts. */
static vane_status configure(const advice_call *call, vane_config *config) {
  VANE_TRY(settings_apply(&call->settings, config));
  config->device_convolution = VANE_CONVOLUTION_DIRECT; /* nothing is gained by measuring first */
  config->device_precision = VANE_PRECISION_FP32;       /* differences want all digits */
  config->optim_guard_mode = VANE_GUARD_WATCH;          /* what the probe needs is planned */
  config->train_batch *= call->batches;
  config->train_accumulate *= call->batches;
  return VANE_OK;
}

static void show_progress(void *user, int64_t gradients) {
  (void)user;
  fprintf(stderr, "\rgradient %" PRId64, gradients);
}

static vane_status advise_on(const advice_call *call, vane_trainer *trainer, vane_advice *advice) {
  vane_loader *loader = NULL;
  const vane_batch *batch;
  bool terminal = isatty(STDERR_FILENO);
  const vane_advice_effort effort = {.most_gradients = call->gradients,
                                     .progress = terminal ? show_progress : NULL};
  VANE_TRY(vane_loader_open(&trainer->config, false, trainer->config.train_batch,
                            trainer->step / call->batches, &stderr_log, &loader));
  vane_status status = vane_loader_take(loader, &batch);
  if (status == VANE_OK) {
    status = vane_advise(trainer, batch, &effort, advice);
    if (terminal)
      fputs("\r\033[K", stderr);
    vane_loader_give_back(loader, batch);
  }
  vane_loader_close(loader);
  return status;
}

static vane_status advise(const advice_call *call, vane_advice *advice) {
  char file[1200];
  vane_checkpoint *checkpoint = NULL;
  vane_trainer *trainer = NULL;
  VANE_TRY(vane_run_find_checkpoint(call->path, false, file, sizeof file));
  VANE_TRY(vane_checkpoint_open(file, &checkpoint));
  vane_config config = *vane_checkpoint_config(checkpoint);
  vane_status status = configure(call, &config);
  if (status == VANE_OK)
    status = vane_trainer_create(&config, NULL, &trainer);
  if (status == VANE_OK)
    status = vane_checkpoint_restore(checkpoint, trainer);
  if (status == VANE_OK)
    status = advise_on(call, trainer, advice);
  vane_trainer_destroy(trainer);
  vane_checkpoint_close(checkpoint);
  return status;
}

static void print_advice(const vane_advice *advice) {
  printf("step %" PRId64 ", learning rate %.3g, epsilon %.3g, curvature over %" PRId64
         " images\n\n",
         advice->step, advice->lr, advice->epsilon, advice->images);
  printf("  largest curvature of the loss      %.4g\n", advice->curvature);
  printf("  the same in Adam's metric          %.4g\n", advice->adam_curvature);
  printf("  learning rate times that           %.4g; the limit is %.4g\n",
         advice->lr * advice->adam_curvature, advice->limit);
  printf("  margin to the limit                %.3g: %s\n\n", advice->margin,
         advice->margin > 1 ? "stable as it is" : "unstable");
  printf("however small the gradients become, stable with\n");
  printf("  optim.epsilon                      %.3g or more, at this learning rate\n",
         advice->epsilon_always);
  printf("  optim.lr                           %.3g or less, at this epsilon\n", advice->lr_always);
  printf("with Adam's averages as they are now, stable with\n");
  printf("  optim.lr                           %.3g or less\n\n", advice->lr_now);
  printf("optim.guard.mode: on keeps the learning rate below the limit by itself, only when that "
         "is needed.\n");
}

static void print_advice_json(const vane_advice *advice) {
  json_print(json_pack(
      "{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "step", (json_int_t)advice->step,
      "images", (json_int_t)advice->images, "lr", json_of_number(advice->lr), "epsilon",
      json_of_number(advice->epsilon), "limit", json_of_number(advice->limit), "curvature",
      json_of_number(advice->curvature), "adam_curvature", json_of_number(advice->adam_curvature),
      "margin", json_of_number(advice->margin), "lr_now", json_of_number(advice->lr_now),
      "lr_always", json_of_number(advice->lr_always), "epsilon_always",
      json_of_number(advice->epsilon_always)));
}

int command_doctor_epsilon(int argc, char **argv) {
  static const struct option options[] = {{"batches", required_argument, NULL, 'b'},
                                          {"gradients", required_argument, NULL, 'g'},
                                          {"set", required_argument, NULL, 's'},
                                          {"device", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  advice_call call = {.batches = 4, .gradients = 400};
  bool room = true;
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 'b':
      if (!count_read(optarg, &call.batches))
        return wrong_call("doctor epsilon", "--batches wants a whole number, 1 or more");
      break;
    case 'g':
      if (!count_read(optarg, &call.gradients))
        return wrong_call("doctor epsilon", "--gradients wants a whole number, 1 or more");
      break;
    case 's':
      room = room && settings_add(&call.settings, optarg);
      break;
    case 'd':
      room = room && settings_add_device(&call.settings, optarg);
      break;
    case 'j':
      call.json = true;
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_GOOD;
    default:
      return EXIT_WRONG_CALL;
    }
  }
  if (!room)
    return wrong_call("doctor epsilon", "too many --set");
  if (argc - optind != 1)
    return wrong_call("doctor epsilon", "give one run or checkpoint");
  call.path = argv[optind];
  vane_advice advice;
  if (advise(&call, &advice) != VANE_OK)
    return failure();
  if (call.json)
    print_advice_json(&advice);
  else
    print_advice(&advice);
  return EXIT_GOOD;
}
