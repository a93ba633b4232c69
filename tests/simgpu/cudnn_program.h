// What an operation graph of cuDNN computes, with plain loops: one convolution in one direction,
// and what follows it. The double of cuDNN builds a program from the descriptors and runs it on
// device memory.
#ifndef VANE_TESTS_SIMGPU_CUDNN_PROGRAM_H
#define VANE_TESTS_SIMGPU_CUDNN_PROGRAM_H

#include <cstddef>
#include <cstdint>

namespace simgpu {

enum class number : int { FP32, BF16 };
enum class direction : int { FORWARD, DATA, WEIGHTS };

// A tensor [n, c, h, w] of cuDNN's, dense in the order n, h, w, c.
struct program_tensor {
  int64_t id, n, c, h, w, alignment;
  number of;
  bool used, is_virtual;
  int64_t count() const {
    return n * c * h * w;
  }
  size_t bytes() const {
    return static_cast<size_t>(count()) * (of == number::BF16 ? 2 : 4);
  }
};

// Pointwise steps behind a forward convolution, in their order.
struct program_step {
  enum kind : int { ADD, RELU } what;
  int operand;        // ADD: index into tensors
  bool propagate_nan; // RELU
};

// Plain data: the queue copies it.
struct cudnn_program {
  enum { X, W, Y, FIRST_OPERAND, MOST_TENSORS = 6, MOST_STEPS = 4 };
  direction towards;
  int64_t padding[2], stride[2];
  program_tensor tensors[MOST_TENSORS]; // Y: what the last step writes
  int n_tensors;
  program_step steps[MOST_STEPS];
  int n_steps;
  // Of the engine.
  size_t workspace_bytes;
  bool tf32; // inputs are rounded to 10 bits of mantissa
  bool nondeterministic;
  // Of the run.
  void *pointers[MOST_TENSORS], *workspace;
  int output() const {
    return towards == direction::DATA ? X : towards == direction::WEIGHTS ? W : Y;
  }
};

void run_cudnn_program(void *program);

} // namespace simgpu

#endif
