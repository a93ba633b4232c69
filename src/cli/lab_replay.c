/* vane lab replay: a bad step computed again from its black box. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/lab.h"
#include "net/heads.h"
#include "train/replay.h"

static const char help[] =
    "usage: vane lab replay BOX\n\n"
    "BOX is a folder RUN/boxes/step-..., which a run writes when a loss leaps or is not finite.\n"
    "Goes on from the checkpoint in it to the bad step, tells whether the losses are the same to\n"
    "the bit, and which examples they come from. Exit status 1 where they are not the same.\n\n"
    "  --help           this text\n\n"
    "example: vane lab replay runs/first/boxes/step-00001234\n";

static void print(const vane_replay *replay) {
  printf("step %" PRId64 ", computed again from step %" PRId64 " on %s\n", replay->step,
         replay->from, replay->device);
  for (int k = 0; k < VANE_N_LOSSES; k++)
    printf("  %-15s %-24.17g %s\n", vane_loss_names[k], replay->loss[k],
           replay->same[k] ? "the same bits" : "OTHER BITS THAN IN THE BOX");
  printf("  %-15s %.17g\n", "weighted total", replay->total);
  printf("examples that contribute most:\n");
  for (int64_t i = 0; i < replay->n_examples; i++) {
    const vane_replayed_example *example = &replay->examples[i];
    char share[16] = "";
    if (isfinite(example->contribution) && isfinite(replay->total))
      snprintf(share, sizeof share, "%.1f%%", 100 * example->contribution / replay->total);
    printf("  %-12.5g %6s  place %" PRId64 " of the batch: %s\n", example->contribution, share,
           example->place, example->text);
  }
}

int lab_replay(int argc, char **argv) {
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    if (option != 'h')
      return EXIT_WRONG_CALL;
    fputs(help, stdout);
    return EXIT_GOOD;
  }
  if (argc - optind != 1)
    return wrong_call("lab replay", "give one BOX");
  vane_replay replay;
  if (vane_replay_box(argv[optind], &stderr_log, &replay) != VANE_OK)
    return failure();
  print(&replay);
  if (!replay.all_same && strcmp(replay.device, replay.boxed_device) != 0)
    vane_log_warning(&stderr_log, "the box was written on %s; %s has other roundings",
                     replay.boxed_device, replay.device);
  return replay.all_same ? EXIT_GOOD : EXIT_FAILED;
}
