/* vane lab: what goes wrong in training, looked at closely. */
#include "cli/lab.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const char help[] = "usage: vane lab replay BOX\n\n"
                           "  replay   a bad step computed again from its black box\n\n"
                           "vane lab replay --help says more.\n";

int command_lab(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
    fputs(help, stdout);
    return EXIT_GOOD;
  }
  if (strcmp(name, "replay") == 0)
    return lab_replay(argc - 1, argv + 1);
  return wrong_call("lab", "say what to do: replay");
}
