/* vane inspect: what a file holds. */
#include "cli/inspect.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "format/tfrecord.h"

static const char help[] =
    "usage: vane inspect FILE [--json]\n\n"
    "Shows what a file holds; which kind it is its bytes tell.\n\n"
    "  a checkpoint or other safetensors file: metadata, and each tensor's shape, type, smallest,\n"
    "      largest and mean value, root mean square, and how many values are not finite\n"
    "  a TFRecord file: how many records, and the features of the first\n"
    "  a TensorBoard event file: each tag's first and last value\n\n"
    "  --json  one JSON object instead of a table\n"
    "  --help  this text\n\n"
    "example: vane inspect runs/first/checkpoints/last.safetensors\n";

/* safetensors: eight bytes of header length, then a JSON object. */
static bool looks_like_tensors(const unsigned char *bytes, size_t n_bytes) {
  return n_bytes > 8 && bytes[8] == '{';
}

static vane_status inspect(const char *path, bool json) {
  unsigned char bytes[16];
  FILE *file = fopen(path, "rb");
  errno = file ? 0 : errno;
  size_t n_bytes = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  int problem = errno;
  if (file)
    fclose(file);
  if (problem)
    return vane_fail_foreign(VANE_ERR_IO, problem, strerror(problem), "%s: cannot read it", path);
  if (vane_tfrecord_detect(bytes, n_bytes))
    return inspect_records(path, json);
  if (looks_like_tensors(bytes, n_bytes))
    return inspect_tensors(path, json);
  return vane_fail(VANE_ERR_FORMAT,
                   "%s: neither a safetensors file, nor a TFRecord or TensorBoard event file",
                   path);
}

int command_inspect(int argc, char **argv) {
  static const struct option options[] = {
      {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
  bool json = false;
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
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
  if (argc - optind != 1)
    return wrong_call("inspect", "give one file");
  return inspect(argv[optind], json) == VANE_OK ? EXIT_GOOD : failure();
}
