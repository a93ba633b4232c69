/* How far a float device may be from the oracle: the one table, and what tf32 and bf16 change in
 * it. An error is a difference divided by the largest expected value of the array, or by the scale
 * that the check states. u = 2^-24 = 6e-8 is half the distance of two floats near 1. Whoever widens
 * a row writes down why. */
#include "ops/check.h"

#include <string.h>

typedef struct tolerance {
  const char *op;
  double limit;
  const char *reason;
} tolerance;

static const tolerance table[] = {
    {"conv_forward", 2e-6,
     "sums of up to 1,617 products in float: error grows as sqrt(n) u = 2.4e-6 "
     "of a typical term, less of the largest sum"},
    {"conv_backward_data", 2e-6, "as conv_forward"},
    {"conv_backward_weights", 2e-6, "as conv_forward, over positions"},
    {"conv_epilogue", 2e-6, "as conv_forward"},
    {"conv_bias_gradient", 2e-6, "a sum over at most 1,024 positions in float"},
    {"conv_winograd", 3e-5,
     "the transforms of F(4,3) amplify rounding by about 10 (Lavin and Gray "
     "2016 report 1e-5 to 1e-4 for unit inputs)"},
    {"norm_forward", 2e-6, "mean and variance in float, then four operations"},
    {"norm_saved", 1e-6, "one mean, one root"},
    {"norm_infer", 1e-6, "six operations"},
    {"norm_backward", 4e-6, "two sums, differences of them; mean and 1/std rounded to float"},
    {"norm_parameters", 4e-6, "as norm_backward"},
    {"norm_track", 2e-6, "1/a^2 doubles the error of a"},
    {"pool_average", 5e-7, "a sum of at most 25 values, a division"},
    {"pool_average_backward", 1e-6, "a sum of at most 25 shares"},
    {"global_mean", 1e-6, "a sum of at most 400 values, a division"},
    {"global", 1e-6, "a division"},
    {"dense_forward", 2e-6, "as conv_forward"},
    {"dense_backward", 2e-6, "as conv_forward"},
    {"dense_mask", 0.0, "a choice: no rounding"},
    {"input", 5e-7, "three operations on a value of 0..1, and mean close to it"},
    {"merge", 1.2e-7, "one sum: one rounding"},
    {"accumulate", 1.2e-7, "one sum: one rounding"},
    {"follow", 3e-7, "two products and a sum, 1 - share rounded to float"},
    {"draw", 0, "whole numbers, one rounding: the same bits everywhere"},
    {"stream", 1.2e-7, "one sum, a product before it"},
    {"presence", 1e-6, "exp and log1p in float"},
    {"regression", 1e-6, "a difference, a square, a scale"},
    {"angle", 2e-6, "sine and cosine of a float phase, exp; sums over the classes in float"},
    {"clip_average", 1e-6, "a norm over the batch, a division"},
    {"clip_average_backward", 2e-6, "a dot over the batch, a difference"},
    {"regularization", 1e-6, "a sum of squares, all positive"},
    {"gram", 1e-6, "dots, measured against the product of the norms; double or pairwise sums"},
    {"coefficients", 1e-12, "record fields only, in double on every device"},
    {"dlog_variance", 1e-6, "one value rounded to a float"},
    {"combine", 3e-7, "four products summed; factors rounded to float"},
    {"norm", 1e-6, "a sum of squares"},
    {"decide", 1e-12, "record fields only, in double on every device"},
    {"spike", 2e-6, "a ratio in float where the deviation is near zero: log(1 + x) keeps x to u"},
    {"zclip", 1e-9,
     "record fields only, in double; differences that nearly cancel in the variance"},
    {"adam_moments", 3e-7, "m and v, against the sum of their terms: two products, one sum"},
    {"adam_rule_parameter", 4e-7,
     "against |old| + |update|, had m not cancelled: as adam_parameter and a few roundings more"},
    {"adam_limit", 1e-6, "a norm, or a mean of squares, in double, of terms in float"},
    {"adam_telemetry", 2e-6,
     "up to 128 terms of one sign added in float, whose roundings partly cancel; double beyond"},
    {"curvature", 1e-6,
     "two sums of terms of one sign, each with the rounding of a root, a division and two products "
     "in float"},
    {"adam_parameter", 2.4e-7, "against |old| + |update|: 2 ULP of a double reference"},
};

enum { n_rows = sizeof table / sizeof table[0] };
_Static_assert(n_rows <= CHECK_MAX_OPS, "check.worst has a place for every row");

/* Rows of the other precisions. */
#define NEIGHBOURS                                                                                 \
  "both sides round to bf16 at the end; what lies on either side of a middle comes out as "        \
  "neighbours, which are up to 2^-7 of the value apart"

static const struct {
  int precision;
  tolerance row;
} others[] = {
    {VANE_PRECISION_TF32,
     {"conv_forward", 2e-3,
      "both factors lose 13 of 24 bits: by rounding 2^-12 = 2.4e-4 of them, by cutting four times "
      "that; the errors of a sum partly cancel"}},
    {VANE_PRECISION_TF32, {"conv_epilogue", 2e-3, "as conv_forward"}},
    {VANE_PRECISION_TF32, {"conv_backward_data", 2e-3, "as conv_forward"}},
    {VANE_PRECISION_TF32, {"conv_backward_weights", 2e-3, "as conv_forward"}},
    {VANE_PRECISION_TF32, {"dense_forward", 5e-3, "as conv_forward, in arrays of few values"}},
    {VANE_PRECISION_TF32, {"dense_backward", 5e-3, "as dense_forward"}},
    {VANE_PRECISION_BF16, {"conv_forward", 8e-3, NEIGHBOURS "; weights are drawn as bf16"}},
    {VANE_PRECISION_BF16,
     {"conv_epilogue", 1.6e-2, "rounded by the engine, and by the kernel that follows it"}},
    {VANE_PRECISION_BF16, {"conv_backward_data", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"conv_backward_weights", 8e-3, NEIGHBOURS "; engines write bf16"}},
    {VANE_PRECISION_BF16, {"norm_forward", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"norm_infer", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"norm_backward", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"pool_average", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"pool_average_backward", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"global", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"input", 8e-3, NEIGHBOURS}},
    {VANE_PRECISION_BF16, {"merge", 8e-3, NEIGHBOURS}},
};

int tolerance_row(const char *op) {
  for (int i = 0; i < n_rows; ++i)
    if (strcmp(table[i].op, op) == 0)
      return i;
  return -1;
}

const char *tolerance_name(int row) {
  return table[row].op;
}

double tolerance_limit(int row, int precision) {
  for (size_t i = 0; i < sizeof others / sizeof others[0]; ++i)
    if (others[i].precision == precision && strcmp(others[i].row.op, table[row].op) == 0)
      return others[i].row.limit;
  return table[row].limit;
}

int tolerance_n_rows(void) {
  return n_rows;
}
