#!/usr/bin/env python3
"""Makes rules.safetensors beside this file: 1,000 steps of each rule and remedy that Adam has besides, for vane to
agree with. RAdam is PyTorch's own; the others are their papers' algorithms, written down here as they are printed,
in float64. Gradients, start and tensors are those of make_golden.py.

    python3 tests/golden/make_rules.py

needs torch, numpy and safetensors. The settings of each case stand in test_golden_rules.c too.
"""

import math

import numpy as np
import safetensors.numpy
from make_golden import FOLDER, N_DECAY, STEPS, Draws, gradient, torch_adam

LR, BETA1, BETA2, EPSILON = 1e-2, 0.9, 0.99, 1e-8
TENSORS = (slice(0, N_DECAY), slice(N_DECAY, None))


def run(step):
    """theta after 1,000 steps of `step(t, theta, g, state)`, which returns it; t is 1 for the first."""
    draws, state = Draws(1), {}
    theta = draws.array(len(gradient(Draws(1), 0)))
    state.update(m=np.zeros_like(theta), v=np.zeros_like(theta))
    for t in range(1, STEPS + 1):
        theta = step(t, theta, gradient(draws, t - 1), state)
    return theta


def moments(g, state):
    state["m"] = BETA1 * state["m"] + (1 - BETA1) * g
    state["v"] = BETA2 * state["v"] + (1 - BETA2) * g**2


def hats(t, state):
    return state["m"] / (1 - BETA1**t), state["v"] / (1 - BETA2**t)


def adopt(limited):
    """Taniguchi et al. 2024, algorithm 2: v_0 = g_0^2, then theta moves before v does."""

    def step(t, theta, g, state):
        if t == 1:
            state["v"] = g**2
            return theta
        normed = g / np.maximum(np.sqrt(state["v"]), EPSILON)
        if limited:
            normed = np.clip(normed, -((t - 1) ** 0.25), (t - 1) ** 0.25)
        state["m"] = BETA1 * state["m"] + (1 - BETA1) * normed
        state["v"] = BETA2 * state["v"] + (1 - BETA2) * g**2
        return theta - LR * state["m"]

    return step


def atan2(t, theta, g, state):
    """Everett et al. 2024."""
    moments(g, state)
    m, v = hats(t, state)
    return theta - LR * np.arctan2(m, np.sqrt(v))


def adabelief(t, theta, g, state):
    """Zhuang et al. 2020, algorithm 2; epsilon in s as well."""
    state["m"] = BETA1 * state["m"] + (1 - BETA1) * g
    state["v"] = BETA2 * state["v"] + (1 - BETA2) * (g - state["m"]) ** 2 + EPSILON
    m, s = hats(t, state)
    return theta - LR * m / (np.sqrt(s) + EPSILON)


def amsgrad_that_forgets(t, theta, g, state):
    """Reddi et al. 2018 with a maximum that shrinks; the maximum of uncorrected v, as in PyTorch."""
    moments(g, state)
    state["most"] = np.maximum(0.95 * state.get("most", 0), state["v"])
    return theta - LR * state["m"] / (1 - BETA1**t) / (np.sqrt(state["most"] / (1 - BETA2**t)) + EPSILON)


def spam(t, theta, g, state):
    """Huang et al. 2025: spikes limited, moments set back every 300 steps, the learning rate after that in half a
    cosine over 40 steps. Bias corrections begin anew with the moments."""
    age = (t - 1) % 300 + 1
    if age == 1:
        state["m"], state["v"] = np.zeros_like(g), np.zeros_like(g)
    most = np.sqrt(3 * state["v"])
    g = np.where((state["v"] > 0) & (np.abs(g) > most), np.sign(g) * most, g)
    moments(g, state)
    m, v = hats(age, state)
    scale = 1 - 0.99 * 0.5 * (1 + math.cos(math.pi * (age - 1) / 40)) if t > 300 and age <= 40 else 1
    return theta - LR * scale * m / (np.sqrt(v) + EPSILON)


def stable_adamw(t, theta, g, state):
    """Wortsman et al. 2023, algorithm 2: a tensor whose RMS of g over its root passes 1 takes smaller steps."""
    moments(g, state)
    m, v = hats(t, state)
    theta = theta.copy()
    for of in TENSORS:
        rms = math.sqrt(np.mean(g[of] ** 2 / np.maximum(v[of], EPSILON**2)))
        theta[of] -= LR / max(1, rms) * m[of] / (np.sqrt(v[of]) + EPSILON)
    return theta


def adaptive_clip(t, theta, g, state):
    """Brock et al. 2021, equation 3, a whole tensor for a unit."""
    g = g.copy()
    for of in TENSORS:
        most, norm = 0.02 * max(np.linalg.norm(theta[of]), 1e-3), np.linalg.norm(g[of])
        if norm > most:
            g[of] *= most / norm
    moments(g, state)
    m, v = hats(t, state)
    return theta - LR * m / (np.sqrt(v) + EPSILON)


PAPERS = {
    "adopt": adopt(True),
    "adopt_unlimited": adopt(False),
    "atan2": atan2,
    "adabelief": adabelief,
    "amsgrad_decay": amsgrad_that_forgets,
    "spam": spam,
    "update_clip": stable_adamw,
    "adaptive_clip": adaptive_clip,
}
RADAM = dict(lr=LR, betas=(BETA1, BETA2), eps=EPSILON)
TORCH = {
    "radam": ("RAdam", RADAM, 0),
    "radam_l2": ("RAdam", RADAM, 0.02),
    "radam_decoupled": ("RAdam", RADAM | dict(decoupled_weight_decay=True), 2**-12 / LR),
}


def main():
    tensors = {name: run(step) for name, step in PAPERS.items()}
    tensors |= {name: torch_adam(*case, "float64")["theta_1000"] for name, case in TORCH.items()}
    import torch

    safetensors.numpy.save_file(
        {f"{name}/theta_1000_double": np.ascontiguousarray(theta) for name, theta in tensors.items()},
        FOLDER / "rules.safetensors", metadata={"made_by": f"torch {torch.__version__}, numpy {np.__version__}"})


if __name__ == "__main__":
    main()
