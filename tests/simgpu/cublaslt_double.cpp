// A double of cuBLASLt: what vane calls of it, by plain loops on the simulated GPU's memory.
//
// The judge's error is whatever the documentation forbids: a descriptor after its end, an attribute
// of the wrong size, matrices that do not fit each other, addresses that are not aligned as the
// heuristics were told, too small or misaligned a workspace, an epilogue without its vector, an
// algorithm for another product. Where the documentation leaves a choice, the double takes the one
// that hurts: a ReLU makes 0 of a NaN; the workspace is full of NaN afterwards.
//
// SIMGPU_EPILOGUES=plain: a GPU whose heuristics find nothing for BGRADB.
#include <cublasLt.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <set>
#include <vector>

#include "simgpu/simgpu.h"

// ---- What is alive ----

namespace {

std::recursive_mutex &all_of_cublaslt() {
  static std::recursive_mutex mutex;
  return mutex;
}

struct handle {
  static constexpr const char *kind = "handles of cuBLASLt";
};

struct layout {
  static constexpr const char *kind = "matrix layouts of cuBLASLt";
  cudaDataType type;
  int64_t rows, columns, leading;
};

struct operation {
  static constexpr const char *kind = "operation descriptors of cuBLASLt";
  cublasComputeType_t compute;
  cudaDataType scale;
  int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void *bias = nullptr;
};

struct preference {
  static constexpr const char *kind = "preferences of cuBLASLt";
  uint64_t workspace = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t alignment[4] = {256, 256, 256, 256}; // of A, B, C, D
};

template <typename thing> std::set<const void *> &alive() {
  static std::set<const void *> things;
  return things;
}

template <typename thing, typename key> void give_out(thing *made, key *out) {
  alive<thing>().insert(made);
  simgpu_handle(thing::kind, 1);
  *out = reinterpret_cast<key>(made);
}

template <typename thing> thing *find(const void *key, const char *caller) {
  if (alive<thing>().count(key))
    return static_cast<thing *>(const_cast<void *>(key));
  simgpu_blame("%s: %p is none of the %s, or destroyed", caller, key, thing::kind);
  return nullptr;
}

template <typename thing> cublasStatus_t destroy(const void *key, const char *caller) {
  const int fails = simgpu_enter(caller); // after its work
  thing *t = find<thing>(key, caller);
  if (!t)
    return CUBLAS_STATUS_INVALID_VALUE;
  alive<thing>().erase(t);
  delete t;
  simgpu_handle(thing::kind, -1);
  return fails ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t invalid(const char *rule, const char *caller) {
  simgpu_blame("%s: %s", caller, rule);
  return CUBLAS_STATUS_INVALID_VALUE;
}

template <typename value> bool take(value *to, const void *from, size_t bytes) {
  if (!from || bytes != sizeof *to)
    return false;
  memcpy(to, from, bytes);
  return true;
}

// ---- Products ----

// D = op(A) op(B), D [m, n], over k; matrices as they are stored, column-major.
struct product {
  int64_t m, n, k;
  layout a, b, d;
  operation operation_;
};

// What the heuristics put into an algorithm, which is opaque to those who carry it.
struct recipe {
  uint64_t magic, product, workspace;
  uint32_t alignment[4], bias_alignment;
};
constexpr uint64_t MAGIC = 0x76616e65636c7401;
static_assert(sizeof(recipe) <= sizeof(cublasLtMatmulAlgo_t), "fits into an algorithm");

bool reads_bias(uint32_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
}

bool is_known(uint32_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_DEFAULT || epilogue == CUBLASLT_EPILOGUE_BGRADB ||
         reads_bias(epilogue);
}

uint64_t mixed(uint64_t h, uint64_t value) {
  h = (h ^ value) * 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

uint64_t name_of(const product &p) {
  uint64_t h = MAGIC;
  for (const layout *l : {&p.a, &p.b, &p.d})
    for (const int64_t value : {l->rows, l->columns, l->leading})
      h = mixed(h, static_cast<uint64_t>(value));
  const operation &o = p.operation_;
  h = mixed(h, static_cast<uint64_t>(o.transpose_a) << 8 | static_cast<uint64_t>(o.transpose_b));
  return mixed(h, static_cast<uint64_t>(o.compute) << 32 | o.epilogue);
}

// Null where all is in order, else the rule that is broken.
const char *check_layouts(const product &p, const layout &c) {
  const operation &o = p.operation_;
  for (const layout *l : {&p.a, &p.b, &p.d, &c}) {
    if (l->type != CUDA_R_32F)
      return "the double computes with float matrices only";
    if (l->leading < l->rows)
      return "a leading dimension is smaller than the rows of its matrix";
  }
  const bool ta = o.transpose_a == CUBLAS_OP_T, tb = o.transpose_b == CUBLAS_OP_T;
  if ((ta ? p.a.columns : p.a.rows) != p.d.rows || (tb ? p.b.rows : p.b.columns) != p.d.columns ||
      (ta ? p.a.rows : p.a.columns) != (tb ? p.b.columns : p.b.rows))
    return "the matrices do not fit each other";
  if (c.rows != p.d.rows || c.columns != p.d.columns || c.leading != p.d.leading)
    return "C and D in one place need the same layout";
  return nullptr;
}

const char *check_operation(const product &p) {
  const operation &o = p.operation_;
  if (o.scale != CUDA_R_32F ||
      (o.compute != CUBLAS_COMPUTE_32F && o.compute != CUBLAS_COMPUTE_32F_FAST_TF32))
    return "the double knows float and TF32, scaled by floats";
  if (!is_known(o.epilogue))
    return "the double does not know this epilogue";
  return nullptr;
}

const char *describe(const operation &o, const layout &a, const layout &b, const layout &c,
                     const layout &d, product *p) {
  *p = {d.rows, d.columns, o.transpose_a == CUBLAS_OP_T ? a.rows : a.columns, a, b, d, o};
  const char *rule = check_layouts(*p, c);
  return rule ? rule : check_operation(*p);
}

// The largest power of two that divides the address, as far as anybody cares.
uint32_t alignment_of(const void *address) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(address) | 256;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

bool is_refused(uint32_t epilogue) {
  const char *choice = getenv("SIMGPU_EPILOGUES");
  return choice && strcmp(choice, "plain") == 0 && epilogue == CUBLASLT_EPILOGUE_BGRADB;
}

// ---- The work ----

struct job {
  product p;
  const float *a, *b;
  float *d, *bias;
  void *workspace;
  size_t workspace_bytes;
  float alpha;
};

bool check_matrix(const layout &l, const float *matrix, bool write) {
  for (int64_t j = 0; j < l.columns; j++)
    if (!simgpu_check_range(matrix + j * l.leading, static_cast<size_t>(l.rows) * sizeof *matrix,
                            write))
      return false;
  return true;
}

bool check_job(const job &j) {
  const operation &o = j.p.operation_;
  bool fine = check_matrix(j.p.a, j.a, false) && check_matrix(j.p.b, j.b, false) &&
              check_matrix(j.p.d, j.d, true);
  if (reads_bias(o.epilogue))
    fine = fine && simgpu_check_range(j.bias, static_cast<size_t>(j.p.m) * sizeof *j.bias, false);
  if (o.epilogue == CUBLASLT_EPILOGUE_BGRADB)
    fine = fine && simgpu_check_range(j.bias, static_cast<size_t>(j.p.n) * sizeof *j.bias, true);
  if (j.workspace_bytes)
    fine = fine && simgpu_check_range(j.workspace, j.workspace_bytes, true);
  return fine;
}

// To ten bits of mantissa, nearest, ties to even.
float to_tf32(float value) {
  uint32_t bits;
  if (!std::isfinite(value))
    return value;
  memcpy(&bits, &value, sizeof bits);
  bits += 0xfff + ((bits >> 13) & 1);
  bits &= ~uint32_t{0x1fff};
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Row i of the result is row i of the matrix, or column i of it.
std::vector<double> packed(const layout &l, const float *matrix, bool columns, bool tf32) {
  const int64_t n = columns ? l.columns : l.rows, k = columns ? l.rows : l.columns;
  std::vector<double> rows(static_cast<size_t>(n * k));
  for (int64_t i = 0; i < n; i++)
    for (int64_t t = 0; t < k; t++) {
      const float value = columns ? matrix[i * l.leading + t] : matrix[t * l.leading + i];
      rows[static_cast<size_t>(i * k + t)] = static_cast<double>(tf32 ? to_tf32(value) : value);
    }
  return rows;
}

// What becomes of a sum in D's row i.
float finished(const job &job_, int64_t i, double sum) {
  double value = static_cast<double>(job_.alpha) * sum;
  const uint32_t epilogue = job_.p.operation_.epilogue;
  if (reads_bias(epilogue))
    value += static_cast<double>(job_.bias[i]);
  if (epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
    return value > 0 ? static_cast<float>(value) : 0.0f;
  return static_cast<float>(value);
}

void run(void *user) {
  const job &j = *static_cast<const job *>(user);
  const product &p = j.p;
  if (!check_job(j))
    return;
  const bool tf32 = p.operation_.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const std::vector<double> a = packed(p.a, j.a, p.operation_.transpose_a == CUBLAS_OP_T, tf32);
  const std::vector<double> b = packed(p.b, j.b, p.operation_.transpose_b == CUBLAS_OP_N, tf32);
  for (int64_t column = 0; column < p.n; column++)
    for (int64_t row = 0; row < p.m; row++) {
      const double *from_a = a.data() + row * p.k, *from_b = b.data() + column * p.k;
      double sum = 0;
      for (int64_t t = 0; t < p.k; t++)
        sum += from_a[t] * from_b[t];
      j.d[column * p.d.leading + row] = finished(j, row, sum);
    }
  for (int64_t column = 0; column < p.n && p.operation_.epilogue == CUBLASLT_EPILOGUE_BGRADB;
       column++) {
    double sum = 0;
    for (int64_t t = 0; t < p.k; t++)
      sum += b[static_cast<size_t>(column * p.k + t)];
    j.bias[column] = static_cast<float>(sum);
  }
  if (j.workspace_bytes)
    memset(j.workspace, 0xff, j.workspace_bytes);
}

// ---- Rules of a run ----

bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
  const uintptr_t from_a = reinterpret_cast<uintptr_t>(a), from_b = reinterpret_cast<uintptr_t>(b);
  return from_a < from_b + b_bytes && from_b < from_a + a_bytes;
}

size_t bytes_of(const layout &l) {
  return static_cast<size_t>((l.columns - 1) * l.leading + l.rows) * sizeof(float);
}

const char *check_addresses(const job &j, const recipe &r) {
  const operation &o = j.p.operation_;
  const void *addresses[] = {j.a, j.b, j.d, j.d};
  for (int i = 0; i < 4; i++)
    if (alignment_of(addresses[i]) < r.alignment[i])
      return "a matrix is not aligned as the heuristics were told";
  const bool has_vector = reads_bias(o.epilogue) || o.epilogue == CUBLASLT_EPILOGUE_BGRADB;
  if (has_vector && alignment_of(o.bias) < r.bias_alignment)
    return "the epilogue's vector is not aligned as the heuristics saw it";
  if (has_vector && !o.bias)
    return "the epilogue has no address";
  const size_t d_bytes = bytes_of(j.p.d);
  if (overlap(j.d, d_bytes, j.a, bytes_of(j.p.a)) || overlap(j.d, d_bytes, j.b, bytes_of(j.p.b)))
    return "D lies over A or B";
  return nullptr;
}

const char *check_workspace(const job &j, const recipe &r, size_t bytes) {
  if (bytes < r.workspace)
    return "the workspace is smaller than the algorithm needs";
  if (!r.workspace)
    return nullptr;
  if (alignment_of(j.workspace) < 256)
    return "the workspace must be aligned to 256 bytes";
  if (overlap(j.workspace, j.workspace_bytes, j.a, bytes_of(j.p.a)) ||
      overlap(j.workspace, j.workspace_bytes, j.b, bytes_of(j.p.b)) ||
      overlap(j.workspace, j.workspace_bytes, j.d, bytes_of(j.p.d)))
    return "the workspace lies over a matrix";
  return nullptr;
}

} // namespace

// ---- The library's functions ----

#define CUBLASLT_CALL                                                                              \
  std::lock_guard<std::recursive_mutex> hold(all_of_cublaslt());                                   \
  if (simgpu_enter(__func__))                                                                      \
  return strstr(__func__, "Create") ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_INTERNAL_ERROR

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out) {
  CUBLASLT_CALL;
  if (simgpu_setup()->n_devices == 0)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  give_out(new handle, out);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t key) {
  std::lock_guard<std::recursive_mutex> hold(all_of_cublaslt());
  return destroy<handle>(key, __func__);
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
  case CUBLAS_STATUS_SUCCESS:
    return "success";
  case CUBLAS_STATUS_NOT_INITIALIZED:
    return "the library was not initialized";
  case CUBLAS_STATUS_ALLOC_FAILED:
    return "the resource allocation failed";
  case CUBLAS_STATUS_INVALID_VALUE:
    return "an unsupported value or parameter was passed to the function";
  case CUBLAS_STATUS_NOT_SUPPORTED:
    return "the functionality requested is not supported";
  case CUBLAS_STATUS_EXECUTION_FAILED:
    return "the GPU program failed to execute";
  default:
    return "an internal operation failed";
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t leading) {
  CUBLASLT_CALL;
  if (rows < 1 || columns < 1)
    return invalid("a matrix without rows or columns", __func__);
  give_out(new layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading},
           out);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t key) {
  std::lock_guard<std::recursive_mutex> hold(all_of_cublaslt());
  return destroy<layout>(key, __func__);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  CUBLASLT_CALL;
  operation *made = new operation;
  made->compute = compute;
  made->scale = scale;
  give_out(made, out);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t key) {
  std::lock_guard<std::recursive_mutex> hold(all_of_cublaslt());
  return destroy<operation>(key, __func__);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t key,
                                              cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t bytes) {
  CUBLASLT_CALL;
  operation *o = find<operation>(key, __func__);
  bool taken = false;
  if (!o)
    return CUBLAS_STATUS_INVALID_VALUE;
  switch (name) {
  case CUBLASLT_MATMUL_DESC_TRANSA:
    taken = take(&o->transpose_a, value, bytes);
    break;
  case CUBLASLT_MATMUL_DESC_TRANSB:
    taken = take(&o->transpose_b, value, bytes);
    break;
  case CUBLASLT_MATMUL_DESC_EPILOGUE:
    taken = take(&o->epilogue, value, bytes);
    break;
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    taken = take(&o->bias, value, bytes);
    break;
  default:
    return invalid("the double does not know this attribute", __func__);
  }
  return taken ? CUBLAS_STATUS_SUCCESS : invalid("an attribute of the wrong size", __func__);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out) {
  CUBLASLT_CALL;
  give_out(new preference, out);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t key) {
  std::lock_guard<std::recursive_mutex> hold(all_of_cublaslt());
  return destroy<preference>(key, __func__);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t key,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void *value, size_t bytes) {
  CUBLASLT_CALL;
  preference *p = find<preference>(key, __func__);
  bool taken = false;
  if (!p)
    return CUBLAS_STATUS_INVALID_VALUE;
  switch (name) {
  case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
    taken = take(&p->workspace, value, bytes);
    break;
  case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
    taken = take(&p->reductions, value, bytes);
    break;
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
    taken = take(&p->alignment[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
    break;
  default:
    return invalid("the double does not know this attribute", __func__);
  }
  return taken ? CUBLAS_STATUS_SUCCESS : invalid("an attribute of the wrong size", __func__);
}

cublasStatus_t
cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle_key, cublasLtMatmulDesc_t operation_key,
                               cublasLtMatrixLayout_t a_key, cublasLtMatrixLayout_t b_key,
                               cublasLtMatrixLayout_t c_key, cublasLtMatrixLayout_t d_key,
                               cublasLtMatmulPreference_t preference_key, int n_wanted,
                               cublasLtMatmulHeuristicResult_t *results, int *n_results) {
  CUBLASLT_CALL;
  const operation *o = find<operation>(operation_key, __func__);
  const layout *a = find<layout>(a_key, __func__), *b = find<layout>(b_key, __func__);
  const layout *c = find<layout>(c_key, __func__), *d = find<layout>(d_key, __func__);
  const preference *wish = find<preference>(preference_key, __func__);
  if (!find<handle>(handle_key, __func__) || !o || !a || !b || !c || !d || !wish)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (n_wanted < 1 || !results || !n_results)
    return invalid("no place for a result", __func__);
  product p;
  if (const char *rule = describe(*o, *a, *b, *c, *d, &p))
    return invalid(rule, __func__);
  *n_results = 0;
  if (is_refused(o->epilogue))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  // Long sums are split where that is allowed and there is room for the parts.
  const uint64_t parts = (static_cast<uint64_t>(p.m * p.n) * sizeof(float) + 255) / 256 * 256;
  const bool split = p.k >= 64 && parts <= wish->workspace &&
                     (wish->reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
  recipe r = {MAGIC, name_of(p), split ? parts : 0, {}, alignment_of(o->bias)};
  memcpy(r.alignment, wish->alignment, sizeof r.alignment);
  results[0] = {};
  memcpy(&results[0].algo, &r, sizeof r);
  results[0].workspaceSize = static_cast<size_t>(r.workspace);
  results[0].state = CUBLAS_STATUS_SUCCESS;
  results[0].wavesCount = 1;
  *n_results = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle_key, cublasLtMatmulDesc_t operation_key,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_key,
                              const void *b, cublasLtMatrixLayout_t b_key, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_key, void *d,
                              cublasLtMatrixLayout_t d_key, const cublasLtMatmulAlgo_t *algorithm,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
  CUBLASLT_CALL;
  const operation *o = find<operation>(operation_key, __func__);
  const layout *al = find<layout>(a_key, __func__), *bl = find<layout>(b_key, __func__);
  const layout *cl = find<layout>(c_key, __func__), *dl = find<layout>(d_key, __func__);
  if (!find<handle>(handle_key, __func__) || !o || !al || !bl || !cl || !dl)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!alpha || !beta || simgpu_is_device(alpha) || simgpu_is_device(beta))
    return invalid("alpha and beta lie on the host", __func__);
  float zero;
  job j = {};
  memcpy(&j.alpha, alpha, sizeof j.alpha);
  memcpy(&zero, beta, sizeof zero);
  if (zero != 0 || c != d)
    return invalid("the double knows D = op(A) op(B) alone, with C in D's place", __func__);
  if (const char *rule = describe(*o, *al, *bl, *cl, *dl, &j.p))
    return invalid(rule, __func__);
  recipe r;
  if (!algorithm)
    return invalid("a running step asks no heuristics: give the algorithm", __func__);
  memcpy(&r, algorithm, sizeof r);
  if (r.magic != MAGIC || r.product != name_of(j.p))
    return invalid("the algorithm is for another product", __func__);
  j.a = static_cast<const float *>(a);
  j.b = static_cast<const float *>(b);
  j.d = static_cast<float *>(d);
  j.bias = static_cast<float *>(o->bias);
  j.workspace = workspace;
  j.workspace_bytes = static_cast<size_t>(r.workspace);
  const char *rule = check_addresses(j, r);
  if (!rule)
    rule = check_workspace(j, r, workspace_bytes);
  if (rule)
    return invalid(rule, __func__);
  return simgpu_enqueue(stream, __func__, run, &j, sizeof j) == cudaSuccess
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}
}
