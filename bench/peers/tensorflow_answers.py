#!/usr/bin/env python3
"""TensorFlow's answers to questions that check_twin.py asks its twin.

    tensorflow_answers.py FILE.npz

A process of its own, for PyTorch and TensorFlow both bring an LLVM and cannot be loaded together.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

CLIP_LIMITS = (0.1, 2.0)  # the first acts, the second does not
N_STEPS = 20


def clip_answers(generator):
    """clip_by_average_norm, which TensorFlow has in fp32 only, and its gradient for given weights."""
    rows = generator.normal(size=(5, 2)).astype(np.float32) * 3
    weights = np.arange(10, dtype=np.float32).reshape(5, 2)
    answers = {"clip_rows": rows, "clip_weights": weights}
    for limit in CLIP_LIMITS:
        variable = tf.Variable(rows)
        with tf.GradientTape() as tape:
            clipped = tf.compat.v1.clip_by_average_norm(variable, limit)
            total = tf.reduce_sum(clipped * weights)
        answers[f"clip_{limit}"] = clipped.numpy()
        answers[f"clip_gradient_{limit}"] = tape.gradient(total, variable).numpy()
    return answers


def adam_answers(generator):
    """tf.compat.v1.train.AdamOptimizer at lr 1e-2, epsilon 1e-4 over given gradients, in fp64."""
    start = generator.normal(size=(4, 5))
    gradients = generator.normal(size=(N_STEPS, 4, 5)) * 1e-3
    variable = tf.Variable(start)
    optimizer = tf.compat.v1.train.AdamOptimizer(1e-2, epsilon=1e-4)
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
    return {"adam_start": start, "adam_gradients": gradients, "adam_end": variable.numpy()}


def main():
    tf.get_logger().setLevel("ERROR")
    generator = np.random.default_rng(2)
    np.savez(sys.argv[1], **clip_answers(generator), **adam_answers(generator))


if __name__ == "__main__":
    main()
