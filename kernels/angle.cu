// The angle head's four kinds of loss (N12..N15), value and seed in one pass.
#include "bessel.cuh"
#include "loss.cuh"

// ---- Two outputs, a sine and a cosine (N12..N14): a thread for each sample ----

struct direction {
  double sin, cos;
};

// Each returns the loss of output o and target t, and leaves its gradient with respect to o.

static __device__ double sincos_loss(direction o, direction t, direction *gradient) {
  double e_sin = o.sin - t.sin, e_cos = o.cos - t.cos;
  gradient->sin = 2.0 * e_sin;
  gradient->cos = 2.0 * e_cos;
  return e_sin * e_sin + e_cos * e_cos;
}

static __device__ double unit_loss(direction o, direction t, direction *gradient) {
  const double smallest = 1e-12; // N13's; below it o has no direction
  double rho = hypot(o.sin, o.cos);
  if (rho < smallest) {
    gradient->sin = -t.sin;
    gradient->cos = -t.cos;
    return 1.0;
  }
  double u_sin = o.sin / rho, u_cos = o.cos / rho;
  double along = u_sin * t.sin + u_cos * t.cos;
  gradient->sin = -(t.sin - u_sin * along) / rho;
  gradient->cos = -(t.cos - u_cos * along) / rho;
  return 1.0 - along;
}

static __device__ double von_mises_loss(direction o, direction t, direction *gradient) {
  const double turn = 6.28318530717958647692;
  double kappa = hypot(o.sin, o.cos), i0, i1;
  bessel_scaled(kappa, &i0, &i1);
  double pull = kappa == 0.0 ? 0.0 : i1 / i0 / kappa;
  gradient->sin = pull * o.sin - t.sin;
  gradient->cos = pull * o.cos - t.cos;
  return log(turn * i0) + kappa - (o.sin * t.sin + o.cos * t.cos);
}

static __device__ double pair_loss(int kind, direction o, double phi, direction *gradient) {
  direction t = {sin(phi), cos(phi)};
  switch (kind) {
  case VANE_ANGLE_SINCOS:
    return sincos_loss(o, t, gradient);
  case VANE_ANGLE_UNIT:
    return unit_loss(o, t, gradient);
  default:
    return von_mises_loss(o, t, gradient);
  }
}

static __global__ void k_angle_pair(int kind, const float *out, const float *target,
                                    const float *mask, int64_t n, float *sample, float *seed,
                                    vane_step_record *record, vane_scratch scratch) {
  double inv_count = record->in.inv_count[VANE_LOSS_ANGLE], sum = 0.0;
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    direction gradient = {0.0, 0.0};
    double loss = 0.0;
    if (mask[i] > 0.0f) {
      direction o = {(double)out[2 * i], (double)out[2 * i + 1]};
      loss = pair_loss(kind, o, (double)target[i], &gradient);
    }
    sum += loss;
    sample[i] = (float)loss;
    seed[2 * i] = (float)(inv_count * gradient.sin);
    seed[2 * i + 1] = (float)(inv_count * gradient.cos);
  }
  put_loss(sum, VANE_LOSS_ANGLE, scratch, record);
}

// ---- Bins (N15): eight lanes for each sample ----

enum { BIN_LANES = 8 };

// In all lanes of a sample: the same sum, or maximum, over them.
static __device__ double sum_of_lanes(double value) {
  for (int distance = BIN_LANES / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

static __device__ double max_of_lanes(double value) {
  for (int distance = BIN_LANES / 2; distance > 0; distance /= 2)
    value = fmax(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

struct bin_label {
  double width;   // radians from class to class
  double inverse; // 1/sigma^2
  double phi, top;
};

// log of the soft label of class b, up to a constant.
static __device__ double label_score(bin_label label, double b) {
  return cos(label.width * b - label.phi) * label.inverse;
}

static __device__ bin_label label_of(vane_angle_desc desc, double phi) {
  const double turn = 6.28318530717958647692;
  bin_label label = {turn / (double)desc.n_outputs, 1.0 / (desc.bin_width * desc.bin_width), phi,
                     0.0};
  label.top = label_score(label, rint(phi / label.width)); // of the class next to phi
  return label;
}

// Both softmaxes are taken relative to their largest score, so that nothing overflows. All lanes of
// a warp take part; those of a sample that does not count have `n_outputs` 0.
static __device__ double bins_loss(bin_label label, const float *o, int64_t n_outputs, int lane,
                                   double scale, float *gradient) {
  double top = -HUGE_VAL, sum_label = 0.0, sum_output = 0.0, loss = 0.0;
  for (int64_t b = lane; b < n_outputs; b += BIN_LANES)
    top = fmax(top, (double)o[b]);
  top = max_of_lanes(top);
  for (int64_t b = lane; b < n_outputs; b += BIN_LANES) {
    sum_label += exp(label_score(label, (double)b) - label.top);
    sum_output += exp((double)o[b] - top);
  }
  sum_label = sum_of_lanes(sum_label);
  sum_output = sum_of_lanes(sum_output);
  double log_sum = log(sum_output);
  for (int64_t b = lane; b < n_outputs; b += BIN_LANES) {
    double q = exp(label_score(label, (double)b) - label.top) / sum_label;
    double log_p = (double)o[b] - top - log_sum;
    loss -= q * log_p;
    gradient[b] = (float)(scale * (exp(log_p) - q));
  }
  return sum_of_lanes(loss);
}

static __global__ void k_angle_bins(vane_angle_desc desc, const float *out, const float *target,
                                    const float *mask, int64_t n, float *sample, float *seed,
                                    vane_step_record *record, vane_scratch scratch) {
  double inv_count = record->in.inv_count[VANE_LOSS_ANGLE], sum = 0.0;
  const int lane = (int)threadIdx.x % BIN_LANES;
  const int64_t samples_per_block = blockDim.x / BIN_LANES;
  // All threads of a block go round together, for the shuffles.
  for (int64_t first = blockIdx.x * samples_per_block; first < n;
       first += gridDim.x * samples_per_block) {
    int64_t i = first + threadIdx.x / BIN_LANES;
    bool is_sample = i < n, counts = is_sample && mask[i] > 0.0f;
    int64_t begin = is_sample ? i * desc.n_outputs : 0;
    double loss = bins_loss(label_of(desc, counts ? (double)target[i] : 0.0), out + begin,
                            counts ? desc.n_outputs : 0, lane, inv_count, seed + begin);
    for (int64_t b = lane; is_sample && !counts && b < desc.n_outputs; b += BIN_LANES)
      seed[begin + b] = 0.0f;
    if (is_sample && lane == 0) {
      sum += loss;
      sample[i] = (float)loss;
    }
  }
  put_loss(sum, VANE_LOSS_ANGLE, scratch, record);
}

cudaError_t vane_launch_angle(vane_angle_desc desc, const float *out, const float *target,
                              const float *mask, int64_t n, float *sample, float *seed,
                              vane_step_record *record, vane_scratch scratch, cudaStream_t stream) {
  bool bins = desc.kind == VANE_ANGLE_BINS;
  unsigned threads = loss_block(bins ? n * BIN_LANES : n);
  if (bins)
    return VANE_LAUNCH_MEETING(k_angle_bins, blocks_for(n * BIN_LANES, threads, MOST_LOSS_BLOCKS),
                               threads, stream, desc, out, target, mask, n, sample, seed, record,
                               scratch);
  if (desc.n_outputs != 2)
    return cudaErrorInvalidValue;
  return VANE_LAUNCH_MEETING(k_angle_pair, blocks_for(n, threads, MOST_LOSS_BLOCKS), threads,
                             stream, desc.kind, out, target, mask, n, sample, seed, record,
                             scratch);
}
