// Convolutions (N1..N3) over patches: the window of one output position lies in a row of
// kernel x kernel x c_in numbers, like the weights of one output channel. Sums are double.
#include "simgpu/cudnn_program.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "simgpu/simgpu.h"

namespace simgpu {

using numbers = std::vector<double>;

// ---- Numbers as they are stored ----

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Rounds the mantissa to what is left without its `dropped` low bits: nearest, ties to even.
static float rounded(float value, int dropped) {
  if (!std::isfinite(value))
    return value;
  const uint32_t bits = bits_of(value), half = (1u << (dropped - 1)) - 1;
  return float_of((bits + half + (bits >> dropped & 1)) >> dropped << dropped);
}

static numbers load(const cudnn_program &p, int i) {
  const program_tensor &t = p.tensors[i];
  numbers values(static_cast<size_t>(t.count()));
  if (t.of == number::BF16) {
    const auto *from = static_cast<const uint16_t *>(p.pointers[i]);
    for (size_t k = 0; k < values.size(); k++)
      values[k] = static_cast<double>(float_of(static_cast<uint32_t>(from[k]) << 16));
  } else {
    const auto *from = static_cast<const float *>(p.pointers[i]);
    const bool narrow = p.tf32 && i < cudnn_program::FIRST_OPERAND;
    for (size_t k = 0; k < values.size(); k++)
      values[k] = static_cast<double>(narrow ? rounded(from[k], 13) : from[k]);
  }
  return values;
}

// An engine that does not repeat its bits: from run to run, the last ones fall another way.
static double restlessness(const cudnn_program &p) {
  static int run = 0;
  if (!p.nondeterministic)
    return 1;
  run = (run + 1) % 7;
  return 1 + (run - 3) * 0x1p-22;
}

static void store(const cudnn_program &p, int i, const numbers &values) {
  const program_tensor &t = p.tensors[i];
  const double restless = restlessness(p);
  for (size_t k = 0; k < values.size(); k++) {
    const float value = static_cast<float>(values[k] * restless);
    if (t.of == number::BF16)
      static_cast<uint16_t *>(p.pointers[i])[k] =
          static_cast<uint16_t>(std::isnan(value) ? 0x7fff : bits_of(rounded(value, 16)) >> 16);
    else
      static_cast<float *>(p.pointers[i])[k] = value;
  }
}

// ---- Patches ----

struct window {
  const cudnn_program &p;
  const program_tensor &x, &w, &y;
  int64_t length; // of a patch
  explicit window(const cudnn_program &program)
      : p(program), x(p.tensors[cudnn_program::X]), w(p.tensors[cudnn_program::W]),
        y(p.tensors[cudnn_program::Y]), length(w.h * w.w * w.c) {
  }
  // Visits the pixels of image n that position (i, j) sees: visit(place in the patch, in x).
  template <typename visitor> void each(int64_t n, int64_t i, int64_t j, visitor visit) const {
    for (int64_t u = 0; u < w.h; u++)
      for (int64_t v = 0; v < w.w; v++) {
        const int64_t a = i * p.stride[0] + u - p.padding[0];
        const int64_t b = j * p.stride[1] + v - p.padding[1];
        if (a >= 0 && a < x.h && b >= 0 && b < x.w)
          visit((u * w.w + v) * w.c, ((n * x.h + a) * x.w + b) * x.c);
      }
  }
  template <typename visitor> void each_position(visitor visit) const {
    for (int64_t n = 0, row = 0; n < y.n; n++)
      for (int64_t i = 0; i < y.h; i++)
        for (int64_t j = 0; j < y.w; j++, row++)
          visit(n, i, j, row);
  }
};

static void gather(const window &s, const numbers &x, int64_t n, int64_t i, int64_t j,
                   double *patch) {
  memset(patch, 0, static_cast<size_t>(s.length) * sizeof *patch);
  s.each(n, i, j, [&](int64_t at, int64_t from) {
    memcpy(patch + at, &x[static_cast<size_t>(from)], static_cast<size_t>(s.x.c) * sizeof *patch);
  });
}

// sum[k] += factor * row[k].
static void add_row(double *__restrict__ sum, const double *__restrict__ row, double factor,
                    int64_t n) {
  for (int64_t k = 0; k < n; k++)
    sum[k] += factor * row[k];
}

// ---- The three directions ----

static numbers forward(const window &s, const numbers &x, const numbers &w) {
  const int64_t c = s.y.c;
  numbers y(static_cast<size_t>(s.y.count())), patch(static_cast<size_t>(s.length));
  numbers turned(w.size()); // [patch, c_out], so that the inner loop runs over channels
  for (int64_t o = 0; o < c; o++)
    for (int64_t k = 0; k < s.length; k++)
      turned[static_cast<size_t>(k * c + o)] = w[static_cast<size_t>(o * s.length + k)];
  s.each_position([&](int64_t n, int64_t i, int64_t j, int64_t row) {
    gather(s, x, n, i, j, patch.data());
    for (int64_t k = 0; k < s.length; k++)
      add_row(&y[static_cast<size_t>(row * c)], &turned[static_cast<size_t>(k * c)],
              patch[static_cast<size_t>(k)], c);
  });
  return y;
}

static numbers backward_data(const window &s, const numbers &w, const numbers &dy) {
  numbers dx(static_cast<size_t>(s.x.count())), patch(static_cast<size_t>(s.length));
  s.each_position([&](int64_t n, int64_t i, int64_t j, int64_t row) {
    std::fill(patch.begin(), patch.end(), 0.0);
    for (int64_t o = 0; o < s.y.c; o++)
      add_row(patch.data(), &w[static_cast<size_t>(o * s.length)],
              dy[static_cast<size_t>(row * s.y.c + o)], s.length);
    s.each(n, i, j, [&](int64_t at, int64_t to) {
      add_row(&dx[static_cast<size_t>(to)], &patch[static_cast<size_t>(at)], 1.0, s.x.c);
    });
  });
  return dx;
}

static numbers backward_weights(const window &s, const numbers &x, const numbers &dy) {
  numbers dw(static_cast<size_t>(s.w.count())), patch(static_cast<size_t>(s.length));
  s.each_position([&](int64_t n, int64_t i, int64_t j, int64_t row) {
    gather(s, x, n, i, j, patch.data());
    for (int64_t o = 0; o < s.y.c; o++)
      add_row(&dw[static_cast<size_t>(o * s.length)], patch.data(),
              dy[static_cast<size_t>(row * s.y.c + o)], s.length);
  });
  return dw;
}

static void follow(const cudnn_program &p, const program_step &step, numbers *y) {
  if (step.what == program_step::RELU) {
    for (double &value : *y)
      if (value < 0 || (std::isnan(value) && !step.propagate_nan))
        value = 0;
    return;
  }
  const program_tensor &t = p.tensors[step.operand];
  const numbers other = load(p, step.operand);
  const bool per_channel = t.count() == t.c;
  for (size_t k = 0; k < y->size(); k++)
    (*y)[k] += other[per_channel ? k % static_cast<size_t>(t.c) : k];
}

// ---- As device work ----

// An engine may write anything into all of its workspace: NaNs.
static bool use_workspace(const cudnn_program &p) {
  if (p.workspace_bytes == 0)
    return true;
  if (!simgpu_check_range(p.workspace, p.workspace_bytes, true))
    return false;
  memset(p.workspace, 0xff, p.workspace_bytes);
  return true;
}

static bool check_ranges(const cudnn_program &p) {
  for (int i = 0; i < p.n_tensors; i++)
    if (p.tensors[i].used &&
        !simgpu_check_range(p.pointers[i], p.tensors[i].bytes(), i == p.output()))
      return false;
  return use_workspace(p);
}

void run_cudnn_program(void *program) {
  const cudnn_program &p = *static_cast<const cudnn_program *>(program);
  const window s(p);
  if (!check_ranges(p))
    return;
  numbers result;
  if (p.towards == direction::FORWARD)
    result = forward(s, load(p, cudnn_program::X), load(p, cudnn_program::W));
  else if (p.towards == direction::DATA)
    result = backward_data(s, load(p, cudnn_program::W), load(p, cudnn_program::Y));
  else
    result = backward_weights(s, load(p, cudnn_program::X), load(p, cudnn_program::Y));
  for (int i = 0; i < p.n_steps; i++)
    follow(p, p.steps[i], &result);
  store(p, p.output(), result);
}

} // namespace simgpu
