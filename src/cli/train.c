/* vane train: a configuration becomes a run. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "net/heads.h"
#include "train/loop.h"

static const char help[] =
    "usage: vane train CONFIG [--set KEY=VALUE]... [--out DIR] [--device KIND]\n"
    "       vane train --resume DIR [--set KEY=VALUE]...\n\n"
    "Trains a network as CONFIG (YAML) says. The run's folder gets the resolved configuration,\n"
    "metrics (metrics.jsonl and TensorBoard events) and checkpoints.\n\n"
    "  --set KEY=VALUE  change one setting; may be given many times\n"
    "  --out DIR        the run's folder (default: runs/NAME-DATE-TIME)\n"
    "  --resume DIR     go on with the run in DIR from its last checkpoint, to the same bits;\n"
    "                   its own configuration is used, --set changes it (train.steps, say)\n"
    "  --device KIND    auto, cpu, ref or cuda; short for --set device.kind=KIND\n"
    "  --keys           list every setting with its type, range, default and meaning\n"
    "  --help           this text\n\n"
    "SIGINT and SIGTERM end the run after the step under way, with a checkpoint.\n\n"
    "example: vane train presets/scenes.yaml --set train.steps=500 --out runs/first\n";

static volatile sig_atomic_t stop;

static void request_stop(int signal_number) {
  (void)signal_number;
  stop = 1;
}

typedef struct train_call {
  const char *config_path, *out, *resume;
  vane_settings settings;
} train_call;

/* --- telling people --- */

static void print_time_left(char *text, size_t n_bytes, double seconds) {
  long total = (long)(seconds + 0.5);
  if (total >= 3600)
    snprintf(text, n_bytes, "%ldh%02ldm", total / 3600, total / 60 % 60);
  else
    snprintf(text, n_bytes, "%ldm%02lds", total / 60, total % 60);
}

/* One line that rewrites itself on a terminal, plain lines elsewhere. */
static void tell_progress(void *user, const vane_progress *p) {
  bool terminal = *(const bool *)user;
  char left[32];
  print_time_left(left, sizeof left, p->seconds_left);
  if (terminal)
    fprintf(stderr, "\r\033[K");
  fprintf(stderr, "step %" PRId64 "/%" PRId64 "  %.0f images/s", p->step, p->steps,
          p->images_per_s);
  for (int k = 0; k < VANE_N_HEADS; k++)
    if (p->loss[k] != 0)
      fprintf(stderr, "  %s %.4g", vane_loss_names[k], p->loss[k]);
  if (p->data_wait > 0.02)
    fprintf(stderr, "  waiting for data %.0f%%", 100 * p->data_wait);
  if (p->lr_scale < 1)
    fprintf(stderr, "  guard: learning rate x%.3g", p->lr_scale);
  if (p->skipped > 0)
    fprintf(stderr, "  %.0f steps skipped", p->skipped);
  fprintf(stderr, "  %s left%s", left, terminal ? "" : "\n");
  fflush(stderr);
}

static void tell_scores(void *user, int64_t step, const vane_scores *s, bool is_best) {
  if (*(const bool *)user)
    fprintf(stderr, "\r\033[K");
  fprintf(stderr, "evaluation at step %" PRId64 "%s:", step, is_best ? " (best so far)" : "");
  if (isfinite(s->auroc))
    fprintf(stderr, "  presence AUROC %.4f", s->auroc);
  if (isfinite(s->mae_deg))
    fprintf(stderr, "  angle MAE %.2f (median %.2f, within 10: %.1f%%)", s->mae_deg, s->median_deg,
            100 * s->acc10);
  if (isfinite(s->mape))
    fprintf(stderr, "  magnitude %.2f%%", 100 * s->mape);
  if (isfinite(s->mae_px))
    fprintf(stderr, "  position %.2f px", s->mae_px);
  fprintf(stderr, "\n");
}

static vane_status tell_plan(const vane_trainer *trainer) {
  const vane_network *network = trainer->network;
  char *memory = NULL;
  VANE_TRY(vane_trainer_describe_memory(trainer, &memory));
  fprintf(stderr, "device: %s, %s\nnetwork: %" PRId64 " parameters, %" PRId64 " features\n%s",
          trainer->device->name, trainer->device->description,
          vane_parameters_count(&network->parameters), vane_trunk_features(network->trunk), memory);
  free(memory);
  return VANE_OK;
}

/* --- the run --- */

/* runs/NAME-20260131-120000, NAME the configuration's file name without its ending. */
static void default_folder(const char *config_path, char *folder, size_t n_bytes) {
  const char *slash = strrchr(config_path, '/');
  const char *name = slash ? slash + 1 : config_path;
  int length = (int)strcspn(name, ".");
  time_t now = time(NULL);
  struct tm local;
  char stamp[32];
  strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &local));
  snprintf(folder, n_bytes, "runs/%.*s-%s", length, name, stamp);
}

static vane_status start(const train_call *call, vane_trainer **trainer, vane_run **run,
                         vane_best *best) {
  vane_config config;
  char folder[1024];
  char *text = NULL;
  *best = (vane_best){0};
  VANE_TRY(settings_read(&call->settings, call->config_path, &config));
  if (config.data_train_source == VANE_SOURCE_NONE)
    return vane_fail(VANE_ERR_CONFIG, "%s: data.train.source is not set; it says what to train on",
                     call->config_path);
  if (call->out)
    snprintf(folder, sizeof folder, "%s", call->out);
  else
    default_folder(call->config_path, folder, sizeof folder);
  VANE_TRY(vane_trainer_create(&config, NULL, trainer));
  VANE_TRY(vane_network_draw((*trainer)->network));
  VANE_TRY(vane_config_print(&config, &text));
  vane_status status = vane_run_create(folder, text, config.train_keep, run);
  free(text);
  return status;
}

static void warn_of_other_bits(const vane_checkpoint *checkpoint, const vane_trainer *trainer) {
  if (strcmp(vane_checkpoint_choices(checkpoint)->device, trainer->device->name) != 0)
    vane_log_warning(&stderr_log,
                     "the checkpoint comes from another kind of device than %s: the run goes on, "
                     "but not to the same bits",
                     trainer->device->name);
}

static vane_status go_on(const train_call *call, vane_trainer **trainer, vane_run **run,
                         vane_best *best) {
  char path[1200];
  vane_checkpoint *checkpoint = NULL;
  VANE_TRY(vane_run_find_checkpoint(call->resume, false, path, sizeof path));
  VANE_TRY(vane_checkpoint_open(path, &checkpoint));
  vane_config config = *vane_checkpoint_config(checkpoint);
  vane_status status = settings_apply(&call->settings, &config);
  if (status == VANE_OK)
    status = vane_trainer_create(&config, vane_checkpoint_choices(checkpoint), trainer);
  if (status == VANE_OK)
    status = vane_checkpoint_restore(checkpoint, *trainer);
  if (status == VANE_OK)
    status = vane_run_resume(call->resume, (*trainer)->step, config.train_keep, run);
  if (status == VANE_OK)
    warn_of_other_bits(checkpoint, *trainer);
  *best = vane_checkpoint_best(checkpoint);
  vane_checkpoint_close(checkpoint);
  return status;
}

static vane_status train(vane_trainer *trainer, vane_run *run, vane_best best) {
  bool terminal = isatty(STDERR_FILENO);
  vane_observer observer = {
      .user = &terminal, .progress = tell_progress, .evaluated = tell_scores, .stop = &stop};
  VANE_TRY(tell_plan(trainer));
  fprintf(stderr, "run: %s, from step %" PRId64 " to %" PRId64 "\n", vane_run_folder(run),
          trainer->step, trainer->config.train_steps);
  vane_status status = vane_train(trainer, run, best, &stderr_log, &observer);
  if (terminal)
    fprintf(stderr, "\n");
  VANE_TRY(status);
  if (trainer->step < trainer->config.train_steps)
    fprintf(stderr, "stopped after step %" PRId64 "; vane train --resume %s goes on\n",
            trainer->step, vane_run_folder(run));
  printf("%s\n", vane_run_folder(run));
  return VANE_OK;
}

/* --- the call --- */

/* False where the command is done already, with its exit status in `exit_status`. */
static bool read_call(int argc, char **argv, train_call *call, int *exit_status) {
  static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                          {"out", required_argument, NULL, 'o'},
                                          {"resume", required_argument, NULL, 'r'},
                                          {"device", required_argument, NULL, 'd'},
                                          {"keys", no_argument, NULL, 'k'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    bool room = true;
    *exit_status = EXIT_GOOD;
    switch (option) {
    case 's':
      room = settings_add(&call->settings, optarg);
      break;
    case 'd':
      room = settings_add_device(&call->settings, optarg);
      break;
    case 'o':
      call->out = optarg;
      break;
    case 'r':
      call->resume = optarg;
      break;
    case 'k':
      vane_config_print_help(stdout);
      return false;
    case 'h':
      fputs(help, stdout);
      return false;
    default:
      *exit_status = EXIT_WRONG_CALL;
      return false;
    }
    if (!room) {
      *exit_status = wrong_call("train", "too many --set");
      return false;
    }
  }
  *exit_status = EXIT_WRONG_CALL;
  if (argc - optind > 1)
    return wrong_call("train", "one CONFIG is enough"), false;
  call->config_path = optind < argc ? argv[optind] : NULL;
  if (!call->config_path == !call->resume)
    return wrong_call("train", "give either CONFIG or --resume DIR"), false;
  if (call->resume && call->out)
    return wrong_call("train", "--resume goes on in the run's own folder; leave --out away"), false;
  return true;
}

int command_train(int argc, char **argv) {
  train_call call = {0};
  int exit_status;
  if (!read_call(argc, argv, &call, &exit_status))
    return exit_status;
  struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);

  vane_trainer *trainer = NULL;
  vane_run *run = NULL;
  vane_best best;
  vane_status status =
      call.resume ? go_on(&call, &trainer, &run, &best) : start(&call, &trainer, &run, &best);
  if (status == VANE_OK)
    status = train(trainer, run, best);
  vane_run_close(run);
  vane_trainer_destroy(trainer);
  return status == VANE_OK ? EXIT_GOOD : failure();
}
