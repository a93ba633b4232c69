/* What the commands share. This room alone prints and ends the process: results on standard output,
 * everything else on standard error. */
#ifndef VANE_CLI_CLI_H
#define VANE_CLI_CLI_H

#include "base/log.h"
#include "config/config.h"
#include "train/scores.h"

/* Exit statuses, part of the command line's contract. */
enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_WRONG_CALL = 2 };

/* Each command gets its own arguments, argv[0] being its name, and returns an exit status. */
int command_train(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_predict(int argc, char **argv);
int command_data(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_lab(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_doctor_epsilon(int argc, char **argv); /* argv[0] is "epsilon" */

/* Says why a call was wrong and where help is; returns EXIT_WRONG_CALL. */
int wrong_call(const char *command, const char *format, ...) VANE_PRINTF(2, 3);

/* Prints the recorded error; returns EXIT_FAILED, or EXIT_WRONG_CALL for VANE_ERR_CONFIG and
 * VANE_ERR_ARGUMENT. */
int failure(void);

/* Messages to standard error, "warning: " before warnings. */
extern const vane_log stderr_log;

/* Options that several commands take: collected while options are read, applied in order. Not to be
 * copied: an assignment may point to the struct's own text. */
typedef struct vane_settings {
  const char *assignments[256]; /* --set KEY=VALUE, and --device as device.kind=... */
  int n_assignments;
  char device[64]; /* the assignment that --device means */
} vane_settings;

/* Remembers one assignment; false when there are too many. */
bool settings_add(vane_settings *settings, const char *assignment);

/* Remembers "device.kind=NAME", the last one given. A name too long for it is cut, and no kind. */
bool settings_add_device(vane_settings *settings, const char *name);

/* Defaults, then the file, then the assignments, then vane_config_check. `path` NULL: no file. */
VANE_CHECKED
vane_status settings_read(const vane_settings *settings, const char *path, vane_config *config);

/* Applies the assignments to a configuration that is there already. */
VANE_CHECKED
vane_status settings_apply(const vane_settings *settings, vane_config *config);

/* An option's whole number, at least 1; false for anything else, */
bool count_read(const char *text, int64_t *count);
/* of which this says so, while getopt's optarg is the option's; returns EXIT_WRONG_CALL. */
int wrong_count(const char *command, const char *option);

/* The evaluation, for people or as the contract's JSON object on one line. */
void print_scores(const vane_scores *scores, int64_t step);
void print_scores_json(const vane_scores *scores, int64_t step);

#endif
