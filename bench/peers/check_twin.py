#!/usr/bin/env python3
"""Checks the judge: the twin's parts against docs/numerics.md and against TensorFlow.

Gradients that autograd takes of the twin's losses are compared with the page's formulas, its record
reader with files that TensorFlow wrote, its clip and its optimisers with TensorFlow's own.
"""

import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

from losses import Targets, angle_samples, clip_by_average_norm, decode_phase, regression_samples
from metrics import auroc, calibration_error
from optimizer import learning_rate, make_optimizer
from records import Examples
from settings import Settings
from twin import Twin, batch_order

PEERS = pathlib.Path(__file__).resolve().parent
WRITER = PEERS.parents[1] / "tests" / "interop" / "write_records.py"

CONFIG = """
model:
  input: [16, 16, 1]
  trunk:
    - conv: {channels: 8, kernel: 5, stride: 2}
    - block: {channels: 8}
    - block: {channels: 12, stride: 2}
    - conv: {channels: 4, kernel: 1, norm: false, relu: false}
    - relu
    - max_pool: {kernel: 3, stride: 1, padding: 1}
    - average_pool: {kernel: 2, stride: 1, padding: 1}
    - flatten
  heads:
    presence: {hidden: [8]}
    angle: {hidden: [8, 8]}
    position: {scale: 4, offset: [7.5, 7.5]}
train: {batch: 6}
loss: {weights: {regularization: 1e-3}}
data: {shuffle: false, mean: [0.5], std: [0.25]}
"""


def settings_with(**changes):
    return Settings(CONFIG, {key.replace("__", "."): value for key, value in changes.items()})


def near(name, value, truth, bound=1e-12):
    value, truth = np.asarray(value, np.float64), np.asarray(truth, np.float64)
    off = np.abs(value - truth).max() / max(np.abs(truth).max(), 1e-30)
    print(f"{name:60}{off:10.1e}{'' if off <= bound else f'  above {bound:g}'}")
    assert off <= bound, name


def gradient(samples, output):
    return torch.autograd.grad(samples.sum(), output)[0].numpy()


def check_angle_gradients():
    """(N12) to (N15)."""
    generator = torch.Generator().manual_seed(1)
    phase = torch.rand(7, dtype=torch.float64, generator=generator) * 6 - 3
    target = np.stack((np.sin(phase.numpy()), np.cos(phase.numpy())), 1)
    out = torch.randn(7, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    o = out.detach().numpy()
    rho = np.linalg.norm(o, axis=1, keepdims=True)
    u = o / rho
    expected = {
        "sincos": 2 * (o - target),
        "unit": -(target - u * (u * target).sum(1, keepdims=True)) / rho,
        "von_mises": bessel_ratio(rho) * u - target,
    }
    for kind, truth in expected.items():
        samples = angle_samples(settings_with(model__heads__angle__kind=kind), out, phase)
        near(f"gradient of {kind}", gradient(samples, out), truth)
    unit, zero = settings_with(model__heads__angle__kind="unit"), torch.zeros(7, 2, dtype=torch.float64).requires_grad_()
    near("gradient of unit without a direction", gradient(angle_samples(unit, zero, phase), zero), -target)
    bins = settings_with(model__heads__angle__kind="bins")
    logits = torch.randn(7, 72, dtype=torch.float64, generator=generator, requires_grad=True)
    soft = np.exp(np.cos(2 * np.pi * np.arange(72) / 72 - phase.numpy()[:, None]) / math.radians(5) ** 2
                  - 1 / math.radians(5) ** 2)
    share = np.exp(logits.detach().numpy())
    truth = share / share.sum(1, keepdims=True) - soft / soft.sum(1, keepdims=True)
    near("gradient of bins", gradient(angle_samples(bins, logits, phase), logits), truth)
    peaked = torch.log(torch.from_numpy(soft / soft.sum(1, keepdims=True)).clamp(min=1e-300))
    near("bins decode what they encode", decode_phase(bins, peaked), phase, 1e-3)


def bessel_ratio(kappa):
    """I1/I0 by their power series."""
    terms = np.arange(60)
    factorial = np.array([math.factorial(int(k)) for k in terms], np.float64)
    half = kappa[..., None] / 2
    i0 = (half ** (2 * terms) / factorial**2).sum(-1)
    i1 = (half ** (2 * terms + 1) / (factorial**2 * (terms + 1))).sum(-1)
    return i1 / i0


def check_huber_gradient():
    """(N11)."""
    out = torch.tensor([[-3.0, 0.2], [0.9, 1.7]], dtype=torch.float64, requires_grad=True)
    samples = regression_samples(settings_with(loss__position="huber"), "position", out, torch.zeros_like(out))
    near("gradient of Huber", gradient(samples, out), [[-2, 0.4], [1.8, 2]])


def check_clip(answers):
    """(N16) against TensorFlow 1."""
    for limit in (0.1, 2.0):
        rows = torch.tensor(answers["clip_rows"], dtype=torch.float64, requires_grad=True)
        clipped = clip_by_average_norm(rows, limit)
        total = (clipped * torch.tensor(answers["clip_weights"])).sum()
        near(f"clip_by_average_norm, limit {limit}", clipped.detach(), answers[f"clip_{limit}"], 1e-6)
        near(f"its gradient, limit {limit}", torch.autograd.grad(total, rows)[0],
             answers[f"clip_gradient_{limit}"], 1e-6)
    near("clip_by_average_norm of zeros", clip_by_average_norm(torch.zeros(3, 2), 2.0), np.zeros((3, 2)))


def check_hat_adam(answers):
    """(N33) against TensorFlow 1, which keeps its constants in fp32 (0.999 is off by 1e-8 there, 1e-5 of
    1 - 0.999)."""
    settings = settings_with(optim__epsilon_mode="hat", optim__epsilon="1e-4", optim__lr="1e-2")
    start = torch.tensor(answers["adam_start"])
    network = torch.nn.Linear(5, 4, bias=False, dtype=torch.float64)
    network.weights = lambda: list(network.parameters())
    with torch.no_grad():
        network.weight.copy_(start)
    optimizer = make_optimizer(settings, network)
    for gradient in answers["adam_gradients"]:
        network.weight.grad = torch.tensor(gradient)
        optimizer.step()
    near("Adam with epsilon mode hat, distance moved", network.weight.detach() - start,
         answers["adam_end"] - start.numpy(), 1e-5)


def check_schedule():
    settings = settings_with(optim__schedule="cosine", optim__warmup="10", train__steps="110", optim__lr="1")
    near("cosine after a warm-up", [learning_rate(settings, step) for step in (5, 10, 60, 110)], [0.5, 1, 0.5, 0])


def check_records(folder):
    """What TensorFlow wrote (tests/interop) is what the twin reads."""
    truth = np.load(folder / "truth.npz")
    examples = Examples(settings_with(), f"{folder}/*.tfrecord")
    # Sorted by name the files come as png-float, png-sin-cos, raw-int64, raw-masked.
    order = np.arange(80).reshape(4, 20)[[0, 2, 1, 3]].ravel()
    known = examples.known
    near("pixels read", examples.pixels, truth["pixels"][order], 0)
    near("presence read", examples.present, truth["present"][order], 0)
    for label in ("angle", "magnitude", "position"):
        near(f"{label} known", known[label], truth[f"known_{label}"][order], 0)
    near("angles read", examples.angle[known["angle"]], np.deg2rad(truth["angle"][order][known["angle"]]), 1e-6)
    near("magnitude read", examples.magnitude[known["magnitude"]], truth["magnitude"][order][known["magnitude"]], 0)
    where = np.stack((truth["x"], truth["y"]), 1)[order]
    near("position read", examples.position[known["position"]], where[known["position"]], 0)
    return examples


def check_training(examples):
    """Both spaces tell the same losses; the norms in parameter space add up; training goes down."""
    twin = Twin(settings_with(grad__space="parameters", model__norm="batch"), torch.float64, seed=3)
    index = next(batch_order(len(examples), 6, False, 0))
    x, targets = twin.batch(examples, index)
    losses, features = twin.losses(x, targets)
    gradients = twin.gradients(losses, features, "parameters")
    total = torch.autograd.grad(sum(losses.values()), list(twin.network.parameters()))
    for i, whole in enumerate(total):
        parts = sum(gradients[name][i] for name in losses)
        assert torch.allclose(parts, whole, atol=1e-12), i
    norms, _ = twin.gradient_figures(*twin.losses(x, targets), "trunk_output")
    norm_all, _ = twin.gradient_figures(*twin.losses(x, targets), "parameters")
    near("norm of the regularisation, both ways", norms["regularization"], norm_all["regularization"])
    first = twin.evaluate(examples)["loss"]
    twin.train(examples, 150)
    last = twin.evaluate(examples)["loss"]
    assert last["angle"] < first["angle"] / 2, (first, last)
    print(f"angle loss over 150 steps on 80 images: {first['angle']:.3f} to {last['angle']:.3f}")


def check_masks():
    """Absent objects and missing labels count for nothing, not even their NaN."""
    targets = Targets(settings_with(), *(torch.tensor(v) for v in (
        [1.0, 0.0, 1.0], [0.1, math.nan, 0.3], [1.0, 2.0, 3.0], [[0.0, 0.0]] * 3)),
        {"angle": torch.tensor([True, True, False]),
         "magnitude": torch.tensor([True] * 3), "position": torch.tensor([False] * 3)})
    counts = {head: int(mask.sum()) for head, mask in targets.mask.items()}
    assert counts == {"presence": 3, "angle": 1, "magnitude": 2, "position": 0}, counts


def check_metrics():
    score, truth = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    near("AUROC with a tie", auroc(score, truth), 3.5 / 4)
    near("ECE", calibration_error(np.array([0.9, 0.9, 0.1, 0.1]), np.array([1, 1, 0, 1])), (2 * 0.1 + 2 * 0.4) / 4)


def main():
    torch.set_num_threads(2)
    check_angle_gradients()
    check_huber_gradient()
    check_schedule()
    check_metrics()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        quiet = {"check": True, "stderr": subprocess.DEVNULL}
        subprocess.run([sys.executable, PEERS / "tensorflow_answers.py", folder / "answers.npz"], **quiet)
        subprocess.run([sys.executable, WRITER, folder, "--height", "16", "--width", "16"], **quiet)
        answers = np.load(folder / "answers.npz")
        check_clip(answers)
        check_hat_adam(answers)
        examples = check_records(folder)
    check_masks()
    check_training(examples)
    print("twin: all checks hold")


if __name__ == "__main__":
    main()
