// A double of cuDNN: the real library plans, for the GPU that the settings name; what it planned
// runs here (cudnn_program.cpp), on device memory of the simulated GPU.
//
// Each descriptor stands beside a real one and remembers what it was given. The judge's error is
// what the real library would do to us only on a GPU, or not at all: tensors missing from a run,
// addresses that are not aligned or not the device's, a plan for no handle, a handle without a
// stream, a descriptor that is used after its end.
#include <cudnn.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "simgpu/cudnn_program.h"
#include "simgpu/simgpu.h"

using namespace simgpu;

// ---- The real library ----

namespace {

struct real_library {
  decltype(&cudnnBackendCreateDescriptor) create;
  decltype(&cudnnBackendDestroyDescriptor) destroy;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendSetAttribute) set;
  decltype(&cudnnBackendGetAttribute) get;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnGetLastErrorString) last_error_string;
  decltype(&cudnnGetVersion) version;
};

template <typename function> void find(void *library, const char *name, function *found) {
  void *address = dlsym(library, name);
  memcpy(found, &address, sizeof address);
  if (!address) {
    fprintf(stderr, "simgpu: cuDNN has no %s\n", name);
    abort();
  }
}

real_library load_real() {
  void *library = dlopen(SIMGPU_CUDNN, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "simgpu: the real cuDNN is needed: %s\n", dlerror());
    abort();
  }
  // cuDNN 9.19 loads its compiler anew for each engine, which takes time, and each copy that goes
  // leaves 71 KiB. Where it is already there it stays, with both; where not, no harm is done.
  char compiler[40];
  snprintf(compiler, sizeof compiler, "libnvrtc.so.%d", CUDART_VERSION / 1000);
  void *kept = dlopen(compiler, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  (void)kept;
  real_library r;
  find(library, "cudnnBackendCreateDescriptor", &r.create);
  find(library, "cudnnBackendDestroyDescriptor", &r.destroy);
  find(library, "cudnnBackendFinalize", &r.finalize);
  find(library, "cudnnBackendSetAttribute", &r.set);
  find(library, "cudnnBackendGetAttribute", &r.get);
  find(library, "cudnnGetErrorString", &r.error_string);
  find(library, "cudnnGetLastErrorString", &r.last_error_string);
  find(library, "cudnnGetVersion", &r.version);
  return r;
}

const real_library &real() {
  static const real_library library = load_real();
  return library;
}

std::recursive_mutex &all_of_cudnn() {
  static std::recursive_mutex mutex;
  return mutex;
}

// The description of the GPU that the settings name, for the real library.
cudnnBackendDescriptor_t properties() {
  static auto &made = *new std::map<int, cudnnBackendDescriptor_t>; // until the process ends
  const std::map<int, const char *> files = {{75, "t4"},   {80, "a100"},  {89, "l4"},
                                             {90, "h100"}, {100, "b200"}, {120, "rtx5090"}};
  const int capability = simgpu_setup()->major * 10 + simgpu_setup()->minor;
  if (made.count(capability))
    return made[capability];
  const auto file = files.find(capability);
  if (file == files.end()) {
    fprintf(stderr, "simgpu: no description of a GPU of sm_%d\n", capability);
    abort();
  }
  std::ifstream in(std::string(SIMGPU_DEVICES) + "/" + file->second + ".json");
  std::stringstream text;
  text << in.rdbuf();
  const std::string json = text.str();
  cudnnBackendDescriptor_t d = nullptr;
  if (real().create(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d) ||
      real().set(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                 static_cast<int64_t>(json.size()), json.data()) ||
      real().finalize(d)) {
    fprintf(stderr, "simgpu: cuDNN does not understand %s.json\n", file->second);
    abort();
  }
  return made[capability] = d;
}

// ---- What is remembered ----

struct descriptor;
using descriptor_ptr = std::shared_ptr<descriptor>;

struct attribute {
  std::vector<unsigned char> bytes;
  int64_t count = 0;
  std::vector<descriptor_ptr> descriptors; // of CUDNN_TYPE_BACKEND_DESCRIPTOR
};

struct descriptor {
  cudnnBackendDescriptorType_t type;
  cudnnBackendDescriptor_t real = nullptr;
  bool finalized = false, alive = true;
  std::map<int, attribute> attributes;
  std::shared_ptr<cudnn_program> program; // of a graph and of all that is made from it
  cudnnHandle_t handle = nullptr;         // it was planned for

  template <typename value> value get(int name, value otherwise = {}) const {
    const auto found = attributes.find(name);
    if (found == attributes.end() || found->second.bytes.size() < sizeof(value))
      return otherwise;
    value v;
    memcpy(&v, found->second.bytes.data(), sizeof v);
    return v;
  }
  template <typename value> std::vector<value> get_all(int name) const {
    const auto found = attributes.find(name);
    std::vector<value> all;
    if (found != attributes.end()) {
      all.resize(found->second.bytes.size() / sizeof(value));
      memcpy(all.data(), found->second.bytes.data(), all.size() * sizeof(value));
    }
    return all;
  }
  descriptor_ptr child(int name) const {
    const auto found = attributes.find(name);
    return found == attributes.end() || found->second.descriptors.empty()
               ? nullptr
               : found->second.descriptors[0];
  }
};

std::map<void *, descriptor_ptr> &descriptors() {
  static std::map<void *, descriptor_ptr> all;
  return all;
}

descriptor_ptr find_descriptor(const void *key, const char *where) {
  const auto found = descriptors().find(const_cast<void *>(key));
  if (found != descriptors().end())
    return found->second;
  simgpu_blame("%s: %p is no descriptor, or no longer", where, key);
  return nullptr;
}

struct handle {
  cudaStream_t stream = nullptr;
  bool has_stream = false;
};

std::map<void *, handle> &handles() {
  static std::map<void *, handle> all;
  return all;
}

handle *find_handle(cudnnHandle_t key, const char *where) {
  const auto found = handles().find(static_cast<void *>(key));
  if (found != handles().end())
    return &found->second;
  simgpu_blame("%s: %p is no handle of cuDNN, or no longer", where, static_cast<void *>(key));
  return nullptr;
}

size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
  case CUDNN_TYPE_INT64:
  case CUDNN_TYPE_DOUBLE:
  case CUDNN_TYPE_VOID_PTR:
  case CUDNN_TYPE_HANDLE:
    return 8;
  case CUDNN_TYPE_BOOLEAN:
  case CUDNN_TYPE_CHAR:
    return 1;
  default: // floats and enumerations
    return 4;
  }
}

// ---- From descriptors to a program ----

bool refuse(const char *what) {
  simgpu_blame("cuDNN's double: %s", what);
  return false;
}

bool read_tensor(const descriptor_ptr &d, program_tensor *t) {
  if (!d)
    return refuse("an operation lacks a tensor");
  const auto sizes = d->get_all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
  const auto strides = d->get_all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  const auto of = d->get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
  if (sizes.size() != 4 || strides.size() != 4)
    return refuse("a tensor has not four axes");
  *t = {};
  t->id = d->get<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
  t->n = sizes[0], t->c = sizes[1], t->h = sizes[2], t->w = sizes[3];
  t->alignment = d->get<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  t->of = of == CUDNN_DATA_BFLOAT16 ? number::BF16 : number::FP32;
  t->is_virtual = d->get<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  t->used = true;
  if (of != CUDNN_DATA_BFLOAT16 && of != CUDNN_DATA_FLOAT)
    return refuse("a tensor is neither float nor bf16");
  if (strides[1] != 1 || strides[3] != t->c || strides[2] != t->w * t->c ||
      strides[0] != t->h * t->w * t->c)
    return refuse("a tensor is not dense in the order n, h, w, c");
  return true;
}

bool read_convolution(const descriptor &operation, cudnn_program *p) {
  struct names {
    int x, w, y, convolution, alpha, beta;
  };
  const bool is_forward = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
  const bool is_data =
      operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
  const names n = is_forward ? names{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA}
                  : is_data  ? names{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA}
                             : names{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  const descriptor_ptr convolution = operation.child(n.convolution);
  if (!convolution)
    return refuse("an operation lacks its convolution");
  if (operation.get<float>(n.alpha) != 1 || operation.get<float>(n.beta, 1) != 0)
    return refuse("a convolution is scaled or added to what was there");
  const auto padding = convolution->get_all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  const auto behind = convolution->get_all<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
  const auto stride = convolution->get_all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  const auto dilation = convolution->get_all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  if (padding.size() != 2 || padding != behind || stride.size() != 2 ||
      dilation != std::vector<int64_t>{1, 1} ||
      convolution->get<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) !=
          CUDNN_CROSS_CORRELATION ||
      convolution->get<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT)
    return refuse("a convolution that vane has no use for");
  p->towards = is_forward ? direction::FORWARD : is_data ? direction::DATA : direction::WEIGHTS;
  for (int axis = 0; axis < 2; axis++)
    p->padding[axis] = padding[axis], p->stride[axis] = stride[axis];
  p->n_tensors = 3;
  return read_tensor(operation.child(n.x), &p->tensors[cudnn_program::X]) &&
         read_tensor(operation.child(n.w), &p->tensors[cudnn_program::W]) &&
         read_tensor(operation.child(n.y), &p->tensors[cudnn_program::Y]);
}

// The next pointwise step: it reads what the one before wrote.
bool read_step(const descriptor &operation, cudnn_program *p) {
  const descriptor_ptr pointwise = operation.child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
  program_tensor x, y;
  if (!pointwise || p->n_steps == cudnn_program::MOST_STEPS ||
      !read_tensor(operation.child(CUDNN_ATTR_OPERATION_POINTWISE_XDESC), &x) ||
      !read_tensor(operation.child(CUDNN_ATTR_OPERATION_POINTWISE_YDESC), &y))
    return refuse("a pointwise operation lacks something");
  program_tensor &last = p->tensors[cudnn_program::Y];
  if (x.id != last.id || !x.is_virtual || y.count() != last.count())
    return refuse("a pointwise operation does not follow the one before it");
  program_step &step = p->steps[p->n_steps++];
  const auto mode = pointwise->get<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
  step = {};
  if (mode == CUDNN_POINTWISE_RELU_FWD) {
    step.what = program_step::RELU;
    step.propagate_nan =
        pointwise->get<cudnnNanPropagation_t>(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION,
                                              CUDNN_NOT_PROPAGATE_NAN) == CUDNN_PROPAGATE_NAN;
  } else if (mode == CUDNN_POINTWISE_ADD && p->n_tensors < cudnn_program::MOST_TENSORS) {
    step.what = program_step::ADD;
    step.operand = p->n_tensors++;
    program_tensor &other = p->tensors[step.operand];
    if (!read_tensor(operation.child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC), &other))
      return false;
    if (other.count() != y.count() && (other.count() != other.c || other.c != y.c))
      return refuse("what is added has neither the tensor's shape nor its channels");
  } else {
    return refuse("a pointwise operation that vane has no use for");
  }
  last = y;
  return true;
}

bool read_graph(descriptor &graph) {
  graph.program = std::make_shared<cudnn_program>();
  const auto found = graph.attributes.find(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (found == graph.attributes.end() || found->second.descriptors.empty())
    return refuse("a graph without operations");
  const auto &operations = found->second.descriptors;
  if (!read_convolution(*operations[0], graph.program.get()))
    return false;
  for (size_t i = 1; i < operations.size(); i++)
    if (!read_step(*operations[i], graph.program.get()))
      return false;
  return !graph.program->tensors[cudnn_program::Y].is_virtual ||
         refuse("the last tensor of a graph is virtual");
}

// ---- Finalizing ----

bool give_properties(descriptor &d, cudnnBackendAttributeName_t name) {
  const cudnnBackendDescriptor_t gpu = properties();
  return real().set(d.real, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &gpu) == CUDNN_STATUS_SUCCESS;
}

// What a descriptor is made from: its graph's program, and the handle that the graph was given.
void inherit(descriptor &d, const descriptor_ptr &from) {
  if (!from)
    return;
  d.program = from->program;
  d.handle = from->handle;
}

// Before the real library finalizes.
void prepare(descriptor &d) {
  switch (d.type) {
  case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
    d.handle = d.get<cudnnHandle_t>(CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
    if (!d.handle)
      simgpu_blame("cudnnBackendFinalize: a graph without a handle");
    read_graph(d);
    break;
  case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
    inherit(d, d.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
    give_properties(d, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    break;
  case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
    inherit(d, d.child(CUDNN_ATTR_ENGINE_OPERATION_GRAPH));
    give_properties(d, CUDNN_ATTR_ENGINE_DEVICEPROP);
    break;
  case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
    inherit(d, d.child(CUDNN_ATTR_ENGINECFG_ENGINE));
    break;
  case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
    inherit(d, d.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
    give_properties(d, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    if (!d.handle || d.get<cudnnHandle_t>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != d.handle)
      simgpu_blame("cudnnBackendFinalize: a plan for another handle than its graph's");
    break;
  default:
    break;
  }
}

// The engine's notes say how its plan computes.
void read_engine(descriptor &plan) {
  const descriptor_ptr configuration = plan.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const descriptor_ptr engine = configuration->child(CUDNN_ATTR_ENGINECFG_ENGINE);
  if (!engine || !plan.program)
    return;
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t n = 0, one = 0, bytes = 0;
  real().get(engine->real, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
             CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes);
  real().get(plan.real, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one,
             &bytes);
  auto program = std::make_shared<cudnn_program>(*plan.program);
  program->workspace_bytes = static_cast<size_t>(bytes);
  for (int64_t i = 0; i < n; i++) {
    program->tf32 |= notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ||
                     notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    program->nondeterministic |= notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
  }
  plan.program = program;
}

// ---- Runs ----

bool find_pointers(const descriptor &pack, cudnn_program *p) {
  const auto ids = pack.get_all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.get_all<void *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  if (ids.size() != pointers.size())
    return refuse("a run has more ids than pointers, or fewer");
  for (int i = 0; i < p->n_tensors; i++) {
    const program_tensor &t = p->tensors[i];
    size_t k = 0;
    while (k < ids.size() && ids[k] != t.id)
      k++;
    if (k == ids.size() || !simgpu_is_device(pointers[k])) {
      simgpu_blame("cudnnBackendExecute: tensor %lld is not there, or not in device memory",
                   static_cast<long long>(t.id));
      return false;
    }
    if (reinterpret_cast<uintptr_t>(pointers[k]) % static_cast<uintptr_t>(t.alignment)) {
      simgpu_blame("cudnnBackendExecute: tensor %lld at %p is not aligned to %lld bytes",
                   static_cast<long long>(t.id), pointers[k], static_cast<long long>(t.alignment));
      return false;
    }
    p->pointers[i] = pointers[k];
  }
  p->workspace = pack.get<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  // The documentation is silent; engines cut it up as what cudaMalloc returned.
  if (p->workspace_bytes && reinterpret_cast<uintptr_t>(p->workspace) % 256) {
    simgpu_blame("cudnnBackendExecute: the workspace at %p is not aligned to 256 bytes",
                 p->workspace);
    return false;
  }
  return p->workspace_bytes == 0 || simgpu_is_device(p->workspace) ||
         refuse("a plan that needs a workspace has none in device memory");
}

// What is written overlaps nothing that is read.
bool is_apart(const cudnn_program &p) {
  const auto begin = [&](int i) { return reinterpret_cast<uintptr_t>(p.pointers[i]); };
  const int out = p.output();
  for (int i = 0; i < p.n_tensors; i++)
    if (i != out && begin(i) < begin(out) + p.tensors[out].bytes() &&
        begin(out) < begin(i) + p.tensors[i].bytes())
      return refuse("a run writes what it reads");
  return true;
}

} // namespace

// ---- The library as vane sees it ----

#define CUDNN_CALL                                                                                 \
  std::lock_guard<std::recursive_mutex> hold(all_of_cudnn());                                      \
  if (simgpu_enter(__func__))                                                                      \
  return CUDNN_STATUS_INTERNAL_ERROR

extern "C" {

size_t cudnnGetVersion(void) {
  return real().version();
}

const char *cudnnGetErrorString(cudnnStatus_t status) {
  return real().error_string(status);
}

void cudnnGetLastErrorString(char *message, size_t max_size) {
  real().last_error_string(message, max_size);
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *made) {
  CUDNN_CALL;
  if (simgpu_setup()->n_devices == 0)
    return CUDNN_STATUS_NOT_INITIALIZED;
  void *key = malloc(1);
  handles()[key] = {};
  *made = static_cast<cudnnHandle_t>(key);
  simgpu_handle("handles of cuDNN", 1);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t key) {
  std::lock_guard<std::recursive_mutex> hold(all_of_cudnn());
  if (!find_handle(key, "cudnnDestroy"))
    return CUDNN_STATUS_BAD_PARAM;
  handles().erase(static_cast<void *>(key));
  free(static_cast<void *>(key));
  simgpu_handle("handles of cuDNN", -1);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t key, cudaStream_t stream) {
  CUDNN_CALL;
  handle *h = find_handle(key, "cudnnSetStream");
  if (!h)
    return CUDNN_STATUS_BAD_PARAM;
  h->stream = stream;
  h->has_stream = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *made) {
  CUDNN_CALL;
  auto d = std::make_shared<descriptor>();
  d->type = type;
  const cudnnStatus_t status = real().create(type, &d->real);
  if (status != CUDNN_STATUS_SUCCESS)
    return status;
  *made = d.get();
  descriptors()[d.get()] = d;
  simgpu_handle("descriptors of cuDNN", 1);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t key) {
  std::lock_guard<std::recursive_mutex> hold(all_of_cudnn());
  const descriptor_ptr d = find_descriptor(key, "cudnnBackendDestroyDescriptor");
  if (!d)
    return CUDNN_STATUS_BAD_PARAM;
  real().destroy(d->real);
  d->alive = false;
  descriptors().erase(key);
  simgpu_handle("descriptors of cuDNN", -1);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t key,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values) {
  CUDNN_CALL;
  const descriptor_ptr d = find_descriptor(key, "cudnnBackendSetAttribute");
  if (!d)
    return CUDNN_STATUS_BAD_PARAM;
  attribute a;
  a.count = count;
  const auto *from = static_cast<const unsigned char *>(values);
  std::vector<cudnnBackendDescriptor_t> reals;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < count; i++) {
      const descriptor_ptr child = find_descriptor(
          static_cast<const cudnnBackendDescriptor_t *>(values)[i], "cudnnBackendSetAttribute");
      if (!child)
        return CUDNN_STATUS_BAD_PARAM;
      a.descriptors.push_back(child);
      reals.push_back(child->real);
    }
    values = reals.data();
  } else {
    a.bytes.assign(from, from + static_cast<size_t>(count) * size_of(type));
  }
  if (type == CUDNN_TYPE_HANDLE) { // the real library would look at the GPU through it
    if (!find_handle(*static_cast<const cudnnHandle_t *>(values), "cudnnBackendSetAttribute"))
      return CUDNN_STATUS_BAD_PARAM;
  } else if (const cudnnStatus_t status = real().set(d->real, name, type, count, values)) {
    return status;
  }
  d->attributes[name] = a;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const key,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room,
                                       int64_t *count, void *values) {
  CUDNN_CALL;
  const descriptor_ptr d = find_descriptor(key, "cudnnBackendGetAttribute");
  if (!d)
    return CUDNN_STATUS_BAD_PARAM;
  if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR || !values)
    return real().get(d->real, name, type, room, count, values);
  std::vector<cudnnBackendDescriptor_t> reals;
  for (int64_t i = 0; i < room; i++) {
    const descriptor_ptr filled = find_descriptor(
        static_cast<cudnnBackendDescriptor_t *>(values)[i], "cudnnBackendGetAttribute");
    if (!filled)
      return CUDNN_STATUS_BAD_PARAM;
    inherit(*filled, d);
    reals.push_back(filled->real);
  }
  return real().get(d->real, name, type, room, count, reals.data());
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t key) {
  CUDNN_CALL;
  const descriptor_ptr d = find_descriptor(key, "cudnnBackendFinalize");
  if (!d)
    return CUDNN_STATUS_BAD_PARAM;
  prepare(*d);
  const cudnnStatus_t status = real().finalize(d->real);
  if (status != CUDNN_STATUS_SUCCESS)
    return status;
  d->finalized = true;
  if (d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    read_engine(*d);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t key, cudnnBackendDescriptor_t plan_key,
                                  cudnnBackendDescriptor_t pack_key) {
  CUDNN_CALL;
  const handle *h = find_handle(key, "cudnnBackendExecute");
  const descriptor_ptr plan = find_descriptor(plan_key, "cudnnBackendExecute");
  const descriptor_ptr pack = find_descriptor(pack_key, "cudnnBackendExecute");
  if (!h || !plan || !pack)
    return CUDNN_STATUS_BAD_PARAM;
  if (!plan->finalized || !pack->finalized || !plan->program || plan->handle != key ||
      !h->has_stream) {
    refuse("a run of what is not finalized, for another handle, or without a stream");
    return CUDNN_STATUS_BAD_PARAM;
  }
  cudnn_program program = *plan->program;
  if (!find_pointers(*pack, &program) || !is_apart(program))
    return CUDNN_STATUS_BAD_PARAM;
  return simgpu_enqueue(h->stream, "cudnnBackendExecute", run_cudnn_program, &program,
                        sizeof program) == cudaSuccess
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_EXECUTION_FAILED_CUDART;
}
}
