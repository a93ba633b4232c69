/* vane COMMAND ...: finds the command and hands over. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *summary;
} commands[] = {
    {"train", command_train, "train a network as a configuration says, or go on with a run"},
    {"eval", command_eval, "evaluate a run or a checkpoint on its test images"},
    {"predict", command_predict, "answer for images: is it there, which way, how large, where"},
    {"data", command_data, "make record files, or check them"},
    {"inspect", command_inspect, "show what a checkpoint, record file or event file holds"},
    {"bench", command_bench, "measure a training step, Adam, or the data pipeline"},
    {"lab", command_lab, "show Adam's late failure and what helps; compute a bad step again"},
    {"doctor", command_doctor, "show devices and libraries, and what would be used and why"},
};

static void print_help(FILE *stream) {
  fprintf(stream,
          "vane trains networks that look at an image and tell whether an object is there,\n"
          "which way it points, how large it is and where.\n\n"
          "usage: vane COMMAND [ARGUMENTS]\n\n");
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    fprintf(stream, "  %-9s %s\n", commands[i].name, commands[i].summary);
  fprintf(stream, "\nvane COMMAND --help says more. vane --version prints the version.\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    print_help(stderr);
    return EXIT_WRONG_CALL;
  }
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    print_help(stdout);
    return EXIT_GOOD;
  }
  if (strcmp(name, "--version") == 0) {
    printf("vane %s\n", VANE_VERSION);
    return EXIT_GOOD;
  }
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcmp(name, commands[i].name) == 0)
      return commands[i].run(argc - 1, argv + 1);
  fprintf(stderr, "vane: there is no command '%s'; vane --help lists them\n", name);
  return EXIT_WRONG_CALL;
}
