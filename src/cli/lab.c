/* vane lab: Adam's late failure and the remedies for it, in runs of seconds. */
#include "cli/lab.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "lab/matrix.h"
#include "lab/workers.h"

static const char help[] =
    "usage: vane lab haywire [--problem NAME]... [--seeds N] [--out DIR] [--json]\n"
    "       vane lab remedies [--problem NAME]... [--remedy NAME]... [--seeds N] --out DIR\n"
    "       vane lab list\n"
    "       vane lab replay BOX\n\n"
    "haywire   trains small problems with plain Adam, which learns them well and then fails: the\n"
    "          loss explodes, again after a restart from a checkpoint before that. Shows it live,\n"
    "          then a table; DIR gets every loss (curves/*.csv) and a picture (haywire.png, drawn\n"
    "          by gnuplot)\n"
    "remedies  trains every problem with every remedy, as many at a time as there are processors.\n"
    "          DIR gets a result per line as they come (cells.jsonl), then table.md, table.csv "
    "and\n"
    "          remedies.png. Called again for the same DIR after an interruption, it goes on\n"
    "list      names the problems and the remedies\n"
    "replay    computes a bad step again from the black box that a run left of it; its --help "
    "says\n"
    "          more\n\n"
    "  --problem NAME   only this one; may be given many times. Held-out problems take part only\n"
    "                   when they are named\n"
    "  --remedy NAME    only this one; may be given many times\n"
    "  --seeds N        seeds 1 to N (default 3)\n"
    "  --jobs N         runs at a time (default: one per processor)\n"
    "  --out DIR        where results go (haywire's default: runs/haywire-DATE-TIME)\n"
    "  --set KEY=VALUE  change one setting of every run, such as optim.epsilon=1e-4\n"
    "  --json           haywire: one JSON object instead of a table\n"
    "  --help           this text\n\n"
    "late is the median loss of the last quarter of the steps, worst the highest there, late/best\n"
    "how far a loss there was above the lowest before it; a spike passes ten times that.\n"
    "of limit is the largest curvature that was measured, as a share of what Adam is stable up "
    "to.\n"
    "Losses are means over an epoch, without the regularisation.\n\n"
    "example: vane lab haywire --problem regression --seeds 1\n";

#define DEFAULT_SEEDS 3

void lab_warn_of_picture(vane_status status) {
  if (status != VANE_OK)
    vane_log_warning(&stderr_log, "%s", vane_error_get()->message);
}

static vane_status list(const lab_call *call) {
  (void)call;
  printf("problems\n");
  for (int i = 0; i < vane_lab_n_problems; i++)
    printf("  %-22s %s%s\n", vane_lab_problems[i].name, vane_lab_problems[i].summary,
           vane_lab_problems[i].held_out ? " (held out)" : "");
  printf("remedies\n");
  for (int i = 0; i < vane_lab_n_remedies; i++)
    printf("  %-22s %s\n", vane_lab_remedies[i].name, vane_lab_remedies[i].summary);
  return VANE_OK;
}

static const struct lab_kind {
  const char *name;
  vane_status (*run)(const lab_call *call);
} kinds[] = {{"haywire", lab_haywire}, {"remedies", lab_remedies}, {"list", list}};

static bool add_problem(lab_call *call, const char *name) {
  if (call->n_problems == LAB_MAX_NAMES)
    return wrong_call("lab", "too many --problem"), false;
  if (vane_lab_problem_find(name, &call->problems[call->n_problems]) != VANE_OK)
    return wrong_call("lab", "%s", vane_error_get()->message), false;
  call->n_problems++;
  return true;
}

static bool add_remedy(lab_call *call, const char *name) {
  if (call->n_remedies == LAB_MAX_NAMES)
    return wrong_call("lab", "too many --remedy"), false;
  if (vane_lab_remedy_find(name, &call->remedies[call->n_remedies]) != VANE_OK)
    return wrong_call("lab", "%s", vane_error_get()->message), false;
  call->n_remedies++;
  return true;
}

/* False where the command is done already, with its exit status in `exit_status`. */
static bool read_options(int argc, char **argv, lab_call *call, int *exit_status) {
  static const struct option options[] = {{"problem", required_argument, NULL, 'p'},
                                          {"remedy", required_argument, NULL, 'r'},
                                          {"seeds", required_argument, NULL, 'n'},
                                          {"jobs", required_argument, NULL, 'm'},
                                          {"out", required_argument, NULL, 'o'},
                                          {"set", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  int option;
  *exit_status = EXIT_WRONG_CALL;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
    case 'p':
      if (!add_problem(call, optarg))
        return false;
      break;
    case 'r':
      if (!add_remedy(call, optarg))
        return false;
      break;
    case 'n':
      if (!count_read(optarg, &call->n_seeds))
        return wrong_count("lab", "seeds"), false;
      if (call->n_seeds > VANE_LAB_MAX_SEEDS)
        return wrong_call("lab", "at most %d seeds", VANE_LAB_MAX_SEEDS), false;
      break;
    case 'm':
      if (!count_read(optarg, &call->n_jobs))
        return wrong_count("lab", "jobs"), false;
      break;
    case 'o':
      call->folder = optarg;
      break;
    case 's':
      if (!settings_add(&call->settings, optarg))
        return wrong_call("lab", "too many --set"), false;
      break;
    case 'j':
      call->json = true;
      break;
    case 'h':
      fputs(help, stdout);
      *exit_status = EXIT_GOOD;
      return false;
    default:
      return false;
    }
  }
  return true;
}

/* What was not named is taken as a whole. */
static void complete(lab_call *call) {
  bool all_problems = call->n_problems == 0, all_remedies = call->n_remedies == 0;
  for (int i = 0; all_problems && i < vane_lab_n_problems; i++)
    if (!vane_lab_problems[i].held_out)
      call->problems[call->n_problems++] = &vane_lab_problems[i];
  for (int i = 0; all_remedies && i < vane_lab_n_remedies; i++)
    call->remedies[call->n_remedies++] = &vane_lab_remedies[i];
}

static const struct lab_kind *find_kind(const char *name) {
  for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(name, kinds[i].name) == 0)
      return &kinds[i];
  return NULL;
}

int command_lab(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "replay") == 0) /* shares none of the options */
    return lab_replay(argc - 1, argv + 1);
  lab_call call = {.n_seeds = DEFAULT_SEEDS, .n_jobs = vane_lab_processors()};
  int exit_status;
  if (!read_options(argc, argv, &call, &exit_status))
    return exit_status;
  const struct lab_kind *kind = find_kind(argv[optind]);
  if (!kind)
    return wrong_call("lab", "say haywire, remedies, list or replay");
  if (argc - optind > 1)
    return wrong_call("lab", "%s is too much", argv[optind + 1]);
  if (kind->run != lab_remedies && call.n_remedies)
    return wrong_call("lab", "--remedy belongs to remedies");
  if (kind->run != lab_haywire && call.json)
    return wrong_call("lab", "--json belongs to haywire");
  if (kind->run == lab_remedies && !call.folder)
    return wrong_call("lab", "remedies wants --out DIR");
  complete(&call);
  return kind->run(&call) == VANE_OK ? EXIT_GOOD : failure();
}
