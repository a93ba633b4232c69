#!/usr/bin/env python3
"""Makes the golden vectors beside this file: what TensorFlow and PyTorch compute, for vane to agree with.

    python3 tests/golden/make_golden.py

needs tensorflow (or tensorflow-cpu), torch, numpy and safetensors. The inputs are not stored but drawn by a
formula that tests/golden/golden.h repeats: fractions of a power of two from an integer generator, so that both
sides start from the same bits. The settings of each case stand in both places too; the tests fail where they differ.
"""

import concurrent.futures
import multiprocessing
import pathlib

import numpy as np
import safetensors.numpy

FOLDER = pathlib.Path(__file__).parent
STEPS = 1000
N_DECAY, N_PLAIN = 40, 23  # parameters with and without weight decay
N = N_DECAY + N_PLAIN


class Draws:
    """Knuth's 64-bit linear congruential generator; a draw is its top 20 bits as a fraction in [-1, 1)."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return ((self.state >> 44) - 2**19) / 2**19

    def array(self, n):
        return np.array([self.next() for _ in range(n)])


def gradient(draws, step):
    """Each parameter has its own mean and size, and all gradients halve every 256 steps."""
    i = np.arange(N)
    return (draws.array(N) + (i % 5 - 2) / 4) * 2.0 ** -(i % 8) * 2.0 ** -(step // 256)


# ---- Adam ----------------------------------------------------------------------------------------

TENSORFLOW_CASES = {
    "tf1_1e-8": dict(learning_rate=1e-2, beta1=0.9, beta2=0.999, epsilon=1e-8),
    "tf1_1e-4": dict(learning_rate=1e-2, beta1=0.9, beta2=0.999, epsilon=1e-4),
}
# lr decay = 2^-12: PyTorch multiplies theta by 1 - lr decay, and this factor is a float32. Most are not: with 0.02
# PyTorch's own float32 and float64 are 1.5e-5 of the distance apart after 1,000 steps.
DECOUPLED = 2**-12 / 1e-2
TORCH_CASES = {
    "adam": ("Adam", dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8), 0),
    "adam_1e-4": ("Adam", dict(lr=1e-2, betas=(0.8, 0.99), eps=1e-4), 0),
    "adam_l2": ("Adam", dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8), 0.02),
    "adamw": ("AdamW", dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8), DECOUPLED),
    "amsgrad": ("Adam", dict(lr=1e-2, betas=(0.9, 0.99), eps=1e-8, amsgrad=True), 0),
    "amsgrad_l2": ("Adam", dict(lr=1e-2, betas=(0.9, 0.99), eps=1e-8, amsgrad=True), 0.02),
    "amsgradw": ("AdamW", dict(lr=1e-2, betas=(0.9, 0.99), eps=1e-8, amsgrad=True), DECOUPLED),
}


def tensorflow_adam(settings, dtype):
    import tensorflow as tf

    draws = Draws(1)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        theta = tf.compat.v1.get_variable("theta", initializer=draws.array(N).astype(dtype), use_resource=True)
        fed = tf.compat.v1.placeholder(dtype, [N])
        adam = tf.compat.v1.train.AdamOptimizer(**settings)
        step_op = adam.apply_gradients([(fed, theta)])
        session.run(tf.compat.v1.global_variables_initializer())
        for step in range(STEPS):
            session.run(step_op, {fed: gradient(draws, step).astype(dtype)})
            if step == 0:
                first = session.run(theta)
        last, m, v = session.run([theta, adam.get_slot(theta, "m"), adam.get_slot(theta, "v")])
    return {"theta_1": first, "theta_1000": last, "m_1000": m, "v_1000": v}


def torch_adam(kind, settings, decay, dtype):
    import torch

    draws, dtype = Draws(1), getattr(torch, dtype)
    start = torch.tensor(draws.array(N), dtype=dtype)
    parts = [start[:N_DECAY].clone().requires_grad_(), start[N_DECAY:].clone().requires_grad_()]
    groups = [dict(params=[parts[0]], weight_decay=decay), dict(params=[parts[1]], weight_decay=0)]
    adam = getattr(torch.optim, kind)(groups, **settings)
    joined = lambda tensors: torch.cat([t.detach() for t in tensors]).numpy()
    for step in range(STEPS):
        g = torch.tensor(gradient(draws, step), dtype=dtype)
        parts[0].grad, parts[1].grad = g[:N_DECAY].clone(), g[N_DECAY:].clone()
        adam.step()
        if step == 0:
            first = joined(parts)
    state = [adam.state[p] for p in parts]
    return {"theta_1": first, "theta_1000": joined(parts),
            "m_1000": joined([s["exp_avg"] for s in state]), "v_1000": joined([s["exp_avg_sq"] for s in state])}


def adam_case(name, run, *arguments):
    """A case in the framework's own float32, and its end in float64, which says how far float32 may drift."""
    tensors = {f"{name}/{key}": value for key, value in run(*arguments, "float32").items()}
    return tensors | {f"{name}/theta_1000_double": run(*arguments, "float64")["theta_1000"]}


# ---- Clips and sums --------------------------------------------------------------------------------

AVERAGE_LIMITS = {"acting": 0.7, "idle": 1.0}
NORM_LIMITS = {"acting": 100.0, "idle": 5000.0}
N_CLIP = 32
N_FEATURES = 48


def average_clip(limit):
    """Values of size 8: the norm of 32 of them is near 26, the limit times 32 is 22 or 32. TensorFlow has float32 only."""
    import tensorflow as tf

    draws = Draws(2)
    values, upstream = (8 * draws.array(N_CLIP)).astype("float32"), draws.array(N_CLIP).astype("float32")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        t = tf.constant(values)
        clipped = tf.compat.v1.clip_by_average_norm(t, limit)
        back = tf.gradients(clipped, t, grad_ys=tf.constant(upstream))[0]
        clipped, back = session.run([clipped, back])
    return {"output": clipped, "gradient": back}


def norm_clip(limit):
    """Norms near 1,000 leave PyTorch's 1e-6 beside the norm without effect."""
    import torch

    values = 256 * Draws(3).array(N)
    parts = [torch.zeros(N_DECAY, dtype=torch.float64), torch.zeros(N_PLAIN, dtype=torch.float64)]
    for part, grad in zip(parts, np.split(values, [N_DECAY])):
        part.requires_grad_().grad = torch.tensor(grad)
    norm = torch.nn.utils.clip_grad_norm_(parts, limit)
    return {"norm": norm.detach().numpy().reshape(1), "gradient": torch.cat([p.grad for p in parts]).numpy()}


def vector_of_losses():
    """TensorFlow's gradient of a vector of losses is that of their sum; one Adam step on four losses and L2."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        w = tf.compat.v1.get_variable("w", initializer=Draws(4).array(N_FEATURES), use_resource=True)
        rows = tf.reshape(w, [8, 6])
        losses = [
            tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=rows[:, 0], labels=tf.cast(rows[:, 1] > 0, w.dtype))),
            tf.reduce_mean(1 - tf.cos(rows[:, 1] - 2 * rows[:, 2])),
            tf.reduce_mean(tf.square(rows[:, 3] * rows[:, 4] - 0.5)),
            tf.reduce_mean(tf.reduce_sum(tf.square(rows[:, 4:] - rows[:, :2]), axis=1)),
        ]
        regularization = tf.nn.l2_loss(w)
        each = [tf.gradients(loss, w)[0] for loss in losses]
        together = tf.gradients(tf.stack(losses), w)[0]
        adam = tf.compat.v1.train.AdamOptimizer(learning_rate=1e-2, epsilon=1e-4)
        step = adam.minimize(tf.stack(losses + [regularization]))
        session.run(tf.compat.v1.global_variables_initializer())
        each, together, l2 = session.run([each, together, regularization])
        session.run(step)
        after = session.run(w)
    names = ("presence", "angle", "magnitude", "position")
    return {name: g for name, g in zip(names, each)} | {"sum": together, "l2": l2.reshape(1), "theta_1": after}


# ---- Files -----------------------------------------------------------------------------------------


def tensorflow_part():
    import tensorflow as tf

    adam, clip = {}, {}
    for name, settings in TENSORFLOW_CASES.items():
        adam |= adam_case(name, tensorflow_adam, settings)
    for name, limit in AVERAGE_LIMITS.items():
        clip |= {f"average_{name}/{key}": value for key, value in average_clip(limit).items()}
    clip |= {f"vector/{key}": value for key, value in vector_of_losses().items()}
    return adam, clip, f"tensorflow {tf.__version__}"


def torch_part():
    import torch

    adam, clip = {}, {}
    for name, case in TORCH_CASES.items():
        adam |= adam_case(name, torch_adam, *case)
    for name, limit in NORM_LIMITS.items():
        clip |= {f"norm_{name}/{key}": value for key, value in norm_clip(limit).items()}
    return adam, clip, f"torch {torch.__version__}"


def main():
    # A process each: the two libraries do not load into the same one.
    processes = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1)
    with processes:
        parts = [processes.submit(part) for part in (tensorflow_part, torch_part)]
        results = [part.result() for part in parts]
    versions = ", ".join(version for _, _, version in results)
    for i, name in enumerate(("adam", "clip")):
        tensors = {key: np.ascontiguousarray(value) for result in results for key, value in result[i].items()}
        # One key: the order of several is not fixed, and the file would change with every run.
        safetensors.numpy.save_file(tensors, FOLDER / f"{name}.safetensors", metadata={"made_by": versions})


if __name__ == "__main__":
    main()
