/* vane eval: a run or checkpoint on its test images. */
#include <getopt.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/cli.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"

static const char help[] =
    "usage: vane eval RUN|CHECKPOINT [--set KEY=VALUE]... [--device KIND] [--json]\n\n"
    "Evaluates the best checkpoint of a run (or the given file) on data.test of its "
    "configuration.\n\n"
    "  --set KEY=VALUE  change one setting, such as data.test.path=other/*.tfrecord\n"
    "  --device KIND    auto, cpu, ref or cuda\n"
    "  --json           one JSON object instead of a table\n"
    "  --help           this text\n\n"
    "example: vane eval runs/first --json\n";

static vane_status evaluate(const char *path, const vane_settings *settings, vane_scores *scores,
                            int64_t *step) {
  char file[1200];
  vane_checkpoint *checkpoint = NULL;
  vane_trainer *trainer = NULL;
  vane_loader *loader = NULL;
  VANE_TRY(vane_run_find_checkpoint(path, true, file, sizeof file));
  VANE_TRY(vane_checkpoint_open(file, &checkpoint));
  vane_config config = *vane_checkpoint_config(checkpoint);
  /* Figures do not hang on the last bit: algorithms are chosen for the machine at hand, and without
   * measuring them first. */
  config.device_convolution = VANE_CONVOLUTION_DIRECT;
  vane_status status = settings_apply(settings, &config);
  if (status == VANE_OK && config.data_test_source == VANE_SOURCE_NONE)
    status =
        vane_fail(VANE_ERR_CONFIG, "%s: data.test.source is not set; give it with --set", file);
  if (status == VANE_OK)
    status = vane_trainer_create(&config, NULL, &trainer);
  if (status == VANE_OK)
    status = vane_checkpoint_restore(checkpoint, trainer);
  if (status == VANE_OK)
    status = vane_loader_open(&config, true, config.train_batch, 0, &stderr_log, &loader);
  if (status == VANE_OK)
    status = vane_evaluate(trainer, loader, scores);
  *step = vane_checkpoint_step(checkpoint);
  vane_loader_close(loader);
  vane_trainer_destroy(trainer);
  vane_checkpoint_close(checkpoint);
  return status;
}

int command_eval(int argc, char **argv) {
  static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                          {"device", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  vane_settings settings = {0};
  bool json = false, room = true;
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 's':
      room = room && settings_add(&settings, optarg);
      break;
    case 'd':
      room = room && settings_add_device(&settings, optarg);
      break;
    case 'j':
      json = true;
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_GOOD;
    default:
      return EXIT_WRONG_CALL;
    }
  }
  if (!room)
    return wrong_call("eval", "too many --set");
  if (argc - optind != 1)
    return wrong_call("eval", "give one run or checkpoint");
  vane_scores scores;
  int64_t step;
  if (evaluate(argv[optind], &settings, &scores, &step) != VANE_OK)
    return failure();
  if (json)
    print_scores_json(&scores, step);
  else
    print_scores(&scores, step);
  return EXIT_GOOD;
}
