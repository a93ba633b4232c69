/* What the conformance checks of ops/ do not reach: kernels on bf16, sums over many rows and
 * channels, NaN, nothing at all. Each kernel beside plain loops in double, on both kinds of
 * numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "simgpu/simgpu.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { MOST_ARRAYS = 32 };
#define CUDA(call) assert_int_equal((call), cudaSuccess)

/* ---- Arrays on both sides ---- */

/* Freed at the end of each check. */
typedef struct arrays {
  vane_number number;
  void *device[MOST_ARRAYS], *host[MOST_ARRAYS];
  int n_device, n_host;
  vane_scratch scratch;
} arrays;

static void *on_device(arrays *a, size_t bytes) {
  void *memory = NULL;
  assert_true(a->n_device < MOST_ARRAYS);
  CUDA(cudaMalloc(&memory, bytes + 1));
  CUDA(cudaMemset(memory, 0xff, bytes + 1)); /* NaN */
  a->device[a->n_device++] = memory;
  return memory;
}

static double *on_host(arrays *a, int64_t count) {
  assert_true(a->n_host < MOST_ARRAYS);
  double *memory = calloc((size_t)count + 1, sizeof *memory);
  assert_non_null(memory);
  a->host[a->n_host++] = memory;
  return memory;
}

static arrays begin(vane_number number) {
  arrays a = {.number = number};
  a.scratch.parts = on_device(&a, VANE_SCRATCH_PARTS * sizeof(double));
  a.scratch.arrived = on_device(&a, sizeof(uint32_t));
  CUDA(cudaMemset(a.scratch.arrived, 0, sizeof(uint32_t)));
  return a;
}

static void finish(arrays *a) {
  uint32_t arrived = 1;
  CUDA(cudaMemcpy(&arrived, a->scratch.arrived, sizeof arrived, cudaMemcpyDeviceToHost));
  assert_int_equal(arrived, 0);
  while (a->n_device > 0)
    CUDA(cudaFree(a->device[--a->n_device]));
  while (a->n_host > 0)
    free(a->host[--a->n_host]);
}

static size_t bytes_of(const arrays *a, int64_t count) {
  return (size_t)count * (a->number == VANE_NUMBER_BF16 ? sizeof(uint16_t) : sizeof(float));
}

static float float_of(uint16_t bf16) {
  uint32_t bits = (uint32_t)bf16 << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Cuts off what bf16 cannot hold. */
static uint16_t cut(double value) {
  float single = (float)value;
  uint32_t bits;
  memcpy(&bits, &single, sizeof bits);
  return (uint16_t)(bits >> 16);
}

/* Elements on the device; `values` become what these hold. */
static void *put(arrays *a, double *values, int64_t count) {
  void *memory = on_device(a, bytes_of(a, count)), *host = malloc(bytes_of(a, count) + 1);
  assert_non_null(host);
  for (int64_t i = 0; i < count; ++i)
    if (a->number == VANE_NUMBER_BF16) {
      uint16_t element = cut(values[i]);
      memcpy((uint16_t *)host + i, &element, sizeof element);
      values[i] = (double)float_of(element);
    } else {
      ((float *)host)[i] = (float)values[i];
      values[i] = (double)(float)values[i];
    }
  CUDA(cudaMemcpy(memory, host, bytes_of(a, count), cudaMemcpyHostToDevice));
  free(host);
  return memory;
}

static double *get(arrays *a, const void *memory, int64_t count) {
  double *values = on_host(a, count);
  void *host = malloc(bytes_of(a, count) + 1);
  assert_non_null(host);
  CUDA(cudaMemcpy(host, memory, bytes_of(a, count), cudaMemcpyDeviceToHost));
  for (int64_t i = 0; i < count; ++i)
    values[i] = a->number == VANE_NUMBER_BF16 ? (double)float_of(((uint16_t *)host)[i])
                                              : (double)((float *)host)[i];
  free(host);
  return values;
}

static float *put_floats(arrays *a, double *values, int64_t count) {
  arrays plain = *a;
  plain.number = VANE_NUMBER_FP32;
  void *memory = put(&plain, values, count);
  plain.number = a->number;
  *a = plain;
  return memory;
}

static double *get_floats(arrays *a, const float *memory, int64_t count) {
  arrays plain = *a;
  plain.number = VANE_NUMBER_FP32;
  double *values = get(&plain, memory, count);
  plain.number = a->number;
  *a = plain;
  return values;
}

/* About normal: the sum of twelve uniform numbers. */
static double *draw(arrays *a, int64_t count) {
  static uint64_t state = 1;
  double *values = on_host(a, count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = -6.0;
    for (int k = 0; k < 12; ++k) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      values[i] += (double)(state >> 40) / (double)(1 << 24);
    }
  }
  return values;
}

/* Off by `limit` times the largest expected value or, where that may be small by chance, `scale`;
 * and by the rounding of an element: half a unit in the last of the 8 binary digits of bf16. */
static void check_near(const char *what, int64_t c, const double *got, const double *want,
                       int64_t count, double limit, double scale, bool elements,
                       vane_number number) {
  double largest = scale, rounding = elements && number == VANE_NUMBER_BF16 ? 0x1p-8 : 0.0;
  for (int64_t i = 0; i < count; ++i)
    largest = fmax(largest, fabs(want[i]));
  for (int64_t i = 0; i < count; ++i)
    if (!(fabs(got[i] - want[i]) <= limit * largest + rounding * (1.0 + limit) * fabs(want[i])))
      fail_msg("%s, %d channels, %s: [%lld] is %.9g, expected %.9g", what, (int)c,
               number == VANE_NUMBER_BF16 ? "bf16" : "fp32", (long long)i, got[i], want[i]);
}

static void check_same(const char *what, const double *got, const double *want, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (isnan(want[i]) ? !isnan(got[i]) : got[i] != want[i])
      fail_msg("%s: [%lld] is %.9g, expected %.9g", what, (long long)i, got[i], want[i]);
}

static const vane_number numbers[] = {VANE_NUMBER_FP32, VANE_NUMBER_BF16};
static const int64_t counts[] = {0, 1, 7, 8, 9, 2047, 2048, 4099};

/* ---- One value at a time ---- */

static void check_rounding(void **state) {
  (void)state;
  /* Between 1 and its upper neighbour 1 + 2^-7: below the middle, the middle (to even), above. */
  double in[] = {1.0 + 0x1p-9,       1.0 + 0x1p-8,  1.0 + 0x1p-8 + 0x1p-20,
                 1.0 + 3 * 0x1p-8,   -1.0 - 0x1p-8, 0.0,
                 (double)INFINITY,   (double)NAN,   0x1.fffffep127, /* rounds up to infinity */
                 0x1p-133 + 0x1p-134};
  const double want[] = {1.0,
                         1.0,
                         1.0 + 0x1p-7,
                         1.0 + 0x1p-6,
                         -1.0,
                         0.0,
                         (double)INFINITY,
                         (double)NAN,
                         (double)INFINITY,
                         0x1p-132};
  arrays a = begin(VANE_NUMBER_BF16);
  int64_t n = COUNT(in);
  float *plain = put_floats(&a, in, n), *back = on_device(&a, (size_t)n * sizeof *back);
  void *narrow = on_device(&a, bytes_of(&a, n));
  CUDA(vane_launch_from_float(narrow, plain, a.number, n, NULL));
  CUDA(vane_launch_to_float(back, narrow, a.number, n, NULL));
  check_same("rounded", get(&a, narrow, n), want, n);
  check_same("widened", get_floats(&a, back, n), want, n);
  finish(&a);
}

/* `shift`: where in its memory the side of plain float begins, as a micro-batch's features do. */
static void check_values(vane_number number, int64_t n, int shift) {
  arrays a = begin(number);
  double *x = draw(&a, n), *y = draw(&a, n), *want = on_host(&a, n), *merged = on_host(&a, n);
  void *on_x = put(&a, x, n), *on_y = put(&a, y, n), *out = on_device(&a, bytes_of(&a, n));
  float *plain = (float *)on_device(&a, (size_t)(n + shift) * sizeof *plain) + shift;
  CUDA(vane_launch_to_float(plain, on_x, number, n, NULL));
  check_same("to float", get_floats(&a, plain, n), x, n);
  CUDA(vane_launch_from_float(out, plain, number, n, NULL));
  check_same("from float", get(&a, out, n), x, n);
  CUDA(vane_launch_relu(out, on_x, number, n, NULL));
  for (int64_t i = 0; i < n; ++i) {
    want[i] = x[i] < 0.0 ? 0.0 : x[i];
    merged[i] = want[i] > 0.0 ? x[i] + y[i] : 0.0;
  }
  check_same("relu", get(&a, out, n), want, n);
  CUDA(vane_launch_merge(on_y, out, on_x, on_y, number, n, NULL)); /* in place */
  check_near("merge", 1, get(&a, on_y, n), merged, n, 1.2e-7, 0.0, true, number);
  finish(&a);
}

static void check_input(vane_number number, int64_t n_pixels, int64_t c) {
  arrays a = begin(number);
  int64_t n = n_pixels * c;
  double *mean = draw(&a, c), *inv_std = draw(&a, c), *want = on_host(&a, n);
  float *on_mean = put_floats(&a, mean, c), *on_inv_std = put_floats(&a, inv_std, c);
  uint8_t *bytes = malloc((size_t)n + 1), *on_bytes = (uint8_t *)on_device(&a, (size_t)n + 1) + 1;
  void *x = on_device(&a, bytes_of(&a, n));
  assert_non_null(bytes);
  for (int64_t i = 0; i < n; ++i) {
    bytes[i] = (uint8_t)(i * 37);
    want[i] = (bytes[i] / 255.0 - mean[i % c]) * inv_std[i % c];
  }
  CUDA(cudaMemcpy(on_bytes, bytes, (size_t)n, cudaMemcpyHostToDevice));
  free(bytes);
  CUDA(vane_launch_input(x, number, on_bytes, on_mean, on_inv_std, n_pixels, c, NULL));
  check_near("input", c, get(&a, x, n), want, n, 5e-7, 0.0, true, number);
  finish(&a);
}

static void check_elementwise(void **state) {
  (void)state;
  for (int k = 0; k < 2; ++k)
    for (int i = 0; i < COUNT(counts); ++i) {
      check_values(numbers[k], counts[i], 0);
      check_values(numbers[k], counts[i], 3);
      check_input(numbers[k], counts[i], 1 + i % 4);
    }
}

/* Each real is written once, 128 bits at a time; nothing is read. */
static void check_draw(void **state) {
  (void)state;
  const int64_t n = 4099;
  const vane_draw_desc desc = {.seed = 1, .stream = VANE_RANDOM_BENCH, .low = 1, .high = 2};
  arrays a = begin(VANE_NUMBER_FP32);
  float *to = on_device(&a, (size_t)n * sizeof *to);
  simgpu_count_reset();
  CUDA(vane_launch_draw(to, n, &desc, NULL));
  const double *got = get_floats(&a, to, n);
  for (int64_t i = 0; i < n; ++i)
    assert_true(got[i] >= 1.0 && got[i] < 2.0);
  simgpu_kernel counted = simgpu_kernel_count("k_draw");
  assert_int_equal(counted.stores16, n / 4);
  assert_int_equal(counted.stores, n / 4 + n % 4);
  assert_int_equal(counted.store_bytes, n * sizeof *to);
  assert_int_equal(counted.loads, 0);
  vane_draw_desc wrong = desc;
  assert_int_equal(vane_launch_draw(to + 1, 4, &desc, NULL), cudaErrorInvalidValue);
  assert_int_equal(vane_launch_draw(to, -1, &desc, NULL), cudaErrorInvalidValue);
  wrong.high = 1;
  assert_int_equal(vane_launch_draw(to, 4, &wrong, NULL), cudaErrorInvalidValue);
  wrong.high = INFINITY;
  assert_int_equal(vane_launch_draw(to, 4, &wrong, NULL), cudaErrorInvalidValue);
  finish(&a);
}

/* ---- Pooling ---- */

typedef struct pooled {
  double *y, *dx;
} pooled;

/* What ref does, on doubles. */
static pooled pool_plainly(arrays *a, const vane_pool_plan *p, const double *x, const double *dz) {
  const vane_pool_desc *d = &p->desc;
  int64_t n_y = d->n * p->h_out * p->w_out * d->c;
  pooled out = {on_host(a, n_y), on_host(a, d->n * d->h * d->w * d->c)};
  for (int64_t at = 0; at < n_y; ++at) {
    int64_t c = at % d->c, j = at / d->c % p->w_out, i = at / d->c / p->w_out % p->h_out;
    int64_t n = at / d->c / p->w_out / p->h_out, best = -1, inside = 0;
    double sum = 0.0;
    for (int pass = 0; pass < 2; ++pass)
      for (int64_t u = 0; u < d->kernel * d->kernel; ++u) {
        int64_t h = i * d->stride - d->padding + u / d->kernel;
        int64_t w = j * d->stride - d->padding + u % d->kernel;
        if (h < 0 || h >= d->h || w < 0 || w >= d->w)
          continue;
        int64_t from = ((n * d->h + h) * d->w + w) * d->c + c;
        if (pass == 1) {
          out.dx[from] += d->average ? dz[at] / (double)inside : from == best ? dz[at] : 0.0;
          continue;
        }
        best = best < 0 || x[from] > x[best] ? from : best;
        sum += x[from];
        ++inside;
      }
    out.y[at] = d->average ? sum / (double)inside : x[best];
  }
  return out;
}

static void check_pool_case(vane_number number, const vane_pool_desc *d, bool nan) {
  vane_pool_plan p = {.desc = *d,
                      .h_out = (d->h + 2 * d->padding - d->kernel) / d->stride + 1,
                      .w_out = (d->w + 2 * d->padding - d->kernel) / d->stride + 1};
  arrays a = begin(number);
  int64_t n_x = d->n * d->h * d->w * d->c, n_y = d->n * p.h_out * p.w_out * d->c;
  double *x = draw(&a, n_x), *dz = draw(&a, n_y);
  for (int64_t i = 0; i < n_x; ++i)
    x[i] = nan && i % 5 == 0 ? (double)NAN : floor(2.0 * x[i]) - 8.0; /* many are equal */
  void *on_x = put(&a, x, n_x), *on_dz = put(&a, dz, n_y);
  void *y = on_device(&a, bytes_of(&a, n_y)), *dx = on_device(&a, bytes_of(&a, n_x));
  int32_t *index = d->average ? NULL : on_device(&a, (size_t)n_y * sizeof *index);
  pooled want = pool_plainly(&a, &p, x, dz);
  CUDA(vane_launch_pool(y, index, on_x, number, &p, NULL));
  CUDA(vane_launch_pool_backward(dx, on_dz, index, number, &p, NULL));
  if (d->average)
    check_near("mean", d->c, get(&a, y, n_y), want.y, n_y, 5e-7, 0.0, true, number);
  else
    check_same("maximum", get(&a, y, n_y), want.y, n_y);
  check_near("dx", d->c, get(&a, dx, n_x), want.dx, n_x, 1e-6, 0.0, true, number);
  finish(&a);
}

static void check_pool(void **state) {
  (void)state;
  const int64_t channels[] = {1, 4, 8, 17, 24};
  for (int k = 0; k < 2; ++k)
    for (int i = 0; i < COUNT(channels); ++i)
      for (int64_t kernel = 2; kernel <= 3; ++kernel) {
        vane_pool_desc d = {2, 7, 9, channels[i], kernel, 2, kernel / 2, false};
        check_pool_case(numbers[k], &d, false);
        check_pool_case(numbers[k], &d, true);
        d.average = true;
        check_pool_case(numbers[k], &d, false);
      }
}

static void check_mean_case(vane_number number, int64_t n, int64_t positions, int64_t c,
                            int shift) {
  arrays a = begin(number);
  int64_t n_x = n * positions * c;
  double *x = draw(&a, n_x), *want = on_host(&a, n * c), *want_dx = on_host(&a, n_x);
  void *on_x = put(&a, x, n_x), *dx = on_device(&a, bytes_of(&a, n_x));
  float *features = (float *)on_device(&a, (size_t)(n * c + shift) * sizeof *features) + shift;
  CUDA(vane_launch_pool_global(features, on_x, number, n, positions, c, NULL));
  for (int64_t i = 0; i < n_x; ++i)
    want[i / (positions * c) * c + i % c] += x[i] / (double)positions;
  const double *got = get_floats(&a, features, n * c);
  check_near("features", c, got, want, n * c, 1e-6, 0.0, false, number);
  CUDA(vane_launch_pool_global_backward(dx, features, number, n, positions, c, NULL));
  for (int64_t i = 0; i < n_x; ++i)
    want_dx[i] = got[i / (positions * c) * c + i % c] / (double)positions;
  check_near("dx", c, get(&a, dx, n_x), want_dx, n_x, 1e-6, 0.0, true, number);
  finish(&a);
}

static void check_mean(void **state) {
  (void)state;
  for (int k = 0; k < 2; ++k) {
    check_mean_case(numbers[k], 3, 49, 17, 0);
    check_mean_case(numbers[k], 2, 64, 264, 0);
    check_mean_case(numbers[k], 2, 9, 16, 1);
    check_mean_case(numbers[k], 1, 400, 5, 0);
    check_mean_case(numbers[k], 0, 4, 4, 0);
  }
}

/* ---- Sums per column ---- */

/* One block; several chunks; several tiles; both; more columns than a block has threads, where the
 * last block goes round; a first row far off the others. */
static const int64_t shapes[][2] = {{1, 1},     {2, 3},     {7, 8},     {300, 1},
                                    {9001, 1},  {5003, 3},  {3001, 17}, {2500, 64},
                                    {700, 132}, {515, 512}, {40, 1032}};

static double *draw_x(arrays *a, int64_t n_rows, int64_t c) {
  double *x = draw(a, n_rows * c);
  for (int64_t i = 0; i < n_rows * c; ++i)
    x[i] += i < c ? 40.0 : (double)(i % c % 16); /* a mean of up to 15 standard deviations */
  return x;
}

typedef struct normed {
  double *saved, *y, *inferred, *dx, *dgamma, *dbeta;
} normed;

static normed norm_plainly(arrays *a, const double *x, const double *dz, const double *residual,
                           const double *gamma, const double *beta, const double *running,
                           double epsilon, int64_t n_rows, int64_t c) {
  int64_t count = n_rows * c;
  normed out = {on_host(a, 2 * c), on_host(a, count), on_host(a, count),
                on_host(a, count), on_host(a, c),     on_host(a, c)};
  double *mean = out.saved, *inv_std = out.saved + c, m = (double)n_rows;
  for (int64_t i = 0; i < count; ++i)
    mean[i % c] += x[i] / m;
  for (int64_t i = 0; i < count; ++i)
    inv_std[i % c] += (x[i] - mean[i % c]) * (x[i] - mean[i % c]) / m;
  for (int64_t i = 0; i < c; ++i)
    inv_std[i] = 1.0 / sqrt(inv_std[i] + epsilon);
  for (int64_t i = 0; i < count; ++i) {
    double xhat = (x[i] - mean[i % c]) * inv_std[i % c];
    double fixed = (x[i] - running[i % c]) / sqrt(running[c + i % c] + epsilon);
    out.y[i] = fmax(0.0, gamma[i % c] * xhat + beta[i % c] + residual[i]);
    out.inferred[i] = gamma[i % c] * fixed + beta[i % c];
    out.dgamma[i % c] += dz[i] * xhat;
    out.dbeta[i % c] += dz[i];
  }
  for (int64_t i = 0; i < count; ++i) {
    double xhat = (x[i] - mean[i % c]) * inv_std[i % c];
    out.dx[i] = gamma[i % c] * inv_std[i % c] *
                (dz[i] - out.dbeta[i % c] / m - xhat * out.dgamma[i % c] / m);
  }
  return out;
}

static void check_norm_case(vane_number number, int64_t n_rows, int64_t c) {
  const double epsilon = 1e-3;
  arrays a = begin(number);
  int64_t n = n_rows * c;
  double *x = draw_x(&a, n_rows, c), *dz = draw(&a, n), *residual = draw(&a, n);
  double *gamma = draw(&a, c), *beta = draw(&a, c), *packed = draw(&a, 2 * c + 1);
  double *running = packed + 1; /* behind an odd number of other layers' */
  for (int64_t i = c; i < 2 * c; ++i)
    running[i] = fabs(running[i]) + 0.5;
  void *on_x = put(&a, x, n), *on_dz = put(&a, dz, n), *on_residual = put(&a, residual, n);
  void *y = on_device(&a, bytes_of(&a, n));
  float *on_gamma = put_floats(&a, gamma, c), *on_beta = put_floats(&a, beta, c);
  float *on_running = put_floats(&a, packed, 2 * c + 1) + 1,
        *saved = on_device(&a, (size_t)(8 * c));
  float *dgamma = on_device(&a, (size_t)(4 * c)), *dbeta = on_device(&a, (size_t)(4 * c));
  double of_dx = 0.0; /* dx is a difference that a few rows leave little of */
  normed want = norm_plainly(&a, x, dz, residual, gamma, beta, running, epsilon, n_rows, c);
  for (int64_t i = 0; i < n; ++i)
    of_dx = fmax(of_dx, fabs(gamma[i % c] * want.saved[c + i % c] * dz[i]));
  CUDA(vane_launch_norm_statistics(saved, on_x, number, n_rows, c, epsilon, a.scratch, NULL));
  const double *got = get_floats(&a, saved, 2 * c);
  check_near("mean", c, got, want.saved, c, 1e-6, 1.0, false, number);
  check_near("1/std", c, got + c, want.saved + c, c, 1e-6, 0.0, false, number);
  CUDA(vane_launch_norm_statistics(saved, on_x, number, n_rows, c, epsilon, a.scratch, NULL));
  check_same("statistics again", get_floats(&a, saved, 2 * c), got, 2 * c);
  CUDA(vane_launch_norm_apply(y, on_x, number, on_gamma, on_beta, on_residual, saved, true, n_rows,
                              c, NULL));
  check_near("y", c, get(&a, y, n), want.y, n, 2e-6, 0.0, true, number);
  CUDA(vane_launch_norm_infer(y, on_x, number, on_gamma, on_beta, NULL, on_running, epsilon, false,
                              n_rows, c, NULL));
  check_near("inferred", c, get(&a, y, n), want.inferred, n, 1e-6, 0.0, true, number);
  CUDA(
      vane_launch_norm_sums(dgamma, dbeta, on_x, on_dz, number, saved, n_rows, c, a.scratch, NULL));
  CUDA(vane_launch_norm_backward(on_dz, on_x, on_dz, number, on_gamma, saved, dgamma, dbeta, n_rows,
                                 c, NULL)); /* in place */
  check_near("dx", c, get(&a, on_dz, n), want.dx, n, 4e-6, of_dx, true, number);
  check_near("dgamma", c, get_floats(&a, dgamma, c), want.dgamma, c, 4e-6, sqrt((double)n_rows),
             false, number);
  check_near("dbeta", c, get_floats(&a, dbeta, c), want.dbeta, c, 4e-6, sqrt((double)n_rows), false,
             number);
  finish(&a);
}

static void check_norm(void **state) {
  (void)state;
  for (int k = 0; k < 2; ++k)
    for (int i = 0; i < COUNT(shapes); ++i)
      check_norm_case(numbers[k], shapes[i][0], shapes[i][1]);
}

static void check_bias_case(vane_number number, int64_t n_rows, int64_t c) {
  arrays a = begin(number);
  double *dz = draw(&a, n_rows * c), *want = on_host(&a, c);
  void *on_dz = put(&a, dz, n_rows * c);
  float *dbias = on_device(&a, (size_t)c * sizeof *dbias);
  for (int64_t i = 0; i < n_rows * c; ++i)
    want[i % c] += dz[i];
  CUDA(vane_launch_bias_gradient(dbias, on_dz, number, n_rows, c, a.scratch, NULL));
  check_near("dbias", c, get_floats(&a, dbias, c), want, c, 2e-6, sqrt((double)n_rows), false,
             number);
  finish(&a);
}

static void check_bias(void **state) {
  (void)state;
  for (int k = 0; k < 2; ++k) {
    for (int i = 0; i < COUNT(shapes); ++i)
      check_bias_case(numbers[k], shapes[i][0], shapes[i][1]);
    check_bias_case(numbers[k], 0, 5); /* a sum of nothing is 0 */
    check_bias_case(numbers[k], 0, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(check_rounding), cmocka_unit_test(check_elementwise),
      cmocka_unit_test(check_draw),     cmocka_unit_test(check_pool),
      cmocka_unit_test(check_mean),     cmocka_unit_test(check_norm),
      cmocka_unit_test(check_bias),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
