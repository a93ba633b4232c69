#!/usr/bin/env python3
"""One fp32 training step of R64 in TensorFlow: four losses, the gradient of their sum, Adam as one
kernel per variable.

    step_tensorflow.py [--eager | --xla] [--batch N] [--steps N] [--threads N]

By default the step is a tf.function, TensorFlow's compiled form; --xla compiles it with XLA.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from timing import median_ms, report

STAGES = ((32, 1), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1))  # channels, stride
OUTPUTS = (1, 2, 1, 2)  # presence, angle, magnitude, position
LR, BETA1, BETA2, EPSILON = 1e-4, 0.9, 0.999, 1e-4


def build_network():
    layers = tf.keras.layers
    image = layers.Input((64, 64, 3))
    x = layers.Conv2D(32, 5, 2, "same", activation="relu")(image)
    for channels, stride in STAGES:
        y = layers.Conv2D(channels, 3, stride, "same", activation="relu")(x)
        y = layers.Conv2D(channels, 3, 1, "same")(y)
        if stride != 1 or x.shape[-1] != channels:
            x = layers.Conv2D(channels, 1, stride)(x)
        x = layers.ReLU()(layers.Add()([y, x]))
    features = layers.GlobalAveragePooling2D()(x)
    outputs = [layers.Dense(n)(layers.Dense(64, activation="relu")(features)) for n in OUTPUTS]
    return tf.keras.Model(image, outputs)


class Adam:
    """TensorFlow's own fused update, without the bookkeeping that Keras puts around it."""

    def __init__(self, variables):
        self.variables = variables
        self.m = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        self.v = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        self.power1, self.power2 = tf.Variable(BETA1), tf.Variable(BETA2)

    def apply(self, gradients):
        for variable, m, v, gradient in zip(self.variables, self.m, self.v, gradients):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=self.power1, beta2_power=self.power2,
                lr=LR, beta1=BETA1, beta2=BETA2, epsilon=EPSILON, grad=gradient)
        self.power1.assign(self.power1 * BETA1)
        self.power2.assign(self.power2 * BETA2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--eager", action="store_true")
    form.add_argument("--xla", action="store_true")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.random.set_seed(1)

    network = build_network()
    assert network.count_params() == 729158, network.count_params()
    # Keras 3 wraps its variables; the kernel wants what lies below.
    variables = [getattr(variable, "value", variable) for variable in network.trainable_variables]
    adam = Adam(variables)
    x = tf.random.uniform((arguments.batch, 64, 64, 3))
    present = tf.cast(tf.random.uniform((arguments.batch, 1)) < 0.75, tf.float32)
    targets = [tf.random.normal((arguments.batch, n)) for n in OUTPUTS[1:]]

    def step():
        with tf.GradientTape() as tape:
            logit, *answers = network(x, training=True)
            total = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(present, logit))
            for answer, target in zip(answers, targets):
                total += tf.reduce_sum((answer - target) ** 2 * present) / tf.reduce_sum(present)
        adam.apply(tape.gradient(total, variables))
        return total

    if not arguments.eager:
        step = tf.function(step, jit_compile=arguments.xla)
    form = "eager" if arguments.eager else "XLA" if arguments.xla else "compiled"
    report(peer=f"TensorFlow, {form}", version=tf.__version__, batch=arguments.batch, threads=arguments.threads,
           step_ms=median_ms(lambda: step().numpy(), arguments.steps))


if __name__ == "__main__":
    main()
