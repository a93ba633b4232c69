/* Evaluations on paper: a table for people, the contract's JSON for scripts. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "net/heads.h"

void print_scores_json(const vane_scores *s, int64_t step) {
  json_t *loss = json_object();
  for (int k = 0; k < VANE_N_LOSSES; k++)
    json_object_set_new(loss, vane_loss_names[k], json_of_number(s->loss[k]));
  json_t *object = json_pack(
      "{s:I, s:I, s:o, s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:{s:o}, "
      "s:{s:o}}",
      "step", (json_int_t)step, "images", (json_int_t)s->images, "loss", loss, "presence", "auroc",
      json_of_number(s->auroc), "average_precision", json_of_number(s->average_precision),
      "accuracy", json_of_number(s->accuracy), "ece", json_of_number(s->ece), "angle", "mae_deg",
      json_of_number(s->mae_deg), "median_deg", json_of_number(s->median_deg), "rmse_deg",
      json_of_number(s->rmse_deg), "acc5", json_of_number(s->acc5), "acc10",
      json_of_number(s->acc10), "acc30", json_of_number(s->acc30), "flip", json_of_number(s->flip),
      "magnitude", "mape", json_of_number(s->mape), "position", "mae_px",
      json_of_number(s->mae_px));
  json_print(object);
}

static void line(const char *name, double value, double factor, const char *format) {
  printf("  %-28s", name);
  if (isfinite(value))
    printf(format, value * factor);
  else
    printf("%10s", "-");
  putchar('\n');
}

void print_scores(const vane_scores *s, int64_t step) {
  printf("step %lld, %lld images\n", (long long)step, (long long)s->images);
  printf("presence\n");
  line("area under the ROC curve", s->auroc, 1, "%10.4f");
  line("average precision", s->average_precision, 1, "%10.4f");
  line("accuracy", s->accuracy, 100, "%10.2f %%");
  line("calibration error", s->ece, 100, "%10.2f %%");
  printf("angle\n");
  line("mean error", s->mae_deg, 1, "%10.2f degrees");
  line("median error", s->median_deg, 1, "%10.2f degrees");
  line("root mean square error", s->rmse_deg, 1, "%10.2f degrees");
  line("within 5 degrees", s->acc5, 100, "%10.2f %%");
  line("within 10 degrees", s->acc10, 100, "%10.2f %%");
  line("within 30 degrees", s->acc30, 100, "%10.2f %%");
  line("off by more than 150", s->flip, 100, "%10.2f %%");
  printf("magnitude\n");
  line("mean relative error", s->mape, 100, "%10.2f %%");
  printf("position\n");
  line("mean distance", s->mae_px, 1, "%10.2f pixels");
  printf("losses\n");
  for (int k = 0; k < VANE_N_LOSSES; k++)
    line(vane_loss_names[k], s->loss[k], 1, "%10.5f");
}
