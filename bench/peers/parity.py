#!/usr/bin/env python3
"""Compares a vane run with its twin, step one and over all of the run's steps.

    parity.py RUN

RUN was trained with data.shuffle false and train.log_every 1, and holds the checkpoints of step 0
and of its last step. Step one: losses to 1e-6, norms of the losses' gradients to 1e-5, against the
twin in fp64. The whole run: vane's distance to the twin in fp64 is at most three times the distance
between the twin in fp32 and in fp64, both relative to the way that the parameters went. A run of one
step shows the first alone. Exit status 1 where a bound is broken.
"""

import argparse
import json
import pathlib
import sys

import torch

from losses import LOSSES
from network import Network, parameter_vector
from records import Examples
from settings import Settings
from twin import Twin, batch_order

LOSS_BOUND = 1e-6
NORM_BOUND = 1e-5
DISTANCE_BOUND = 3.0


def first_record(run):
    """The line of metrics.jsonl that holds step 1 alone."""
    with open(run / "metrics.jsonl") as lines:
        for line in lines:
            record = json.loads(line)
            if record["step"] == 1 and "loss" in record:
                return record
    raise SystemExit(f"{run}/metrics.jsonl has no losses of step 1: train with --set train.log_every=1")


def difference(value, truth):
    """Relative, where the truth is not 0."""
    return abs(value - truth) / abs(truth) if truth else abs(value)


def first_step(settings, checkpoint, examples):
    """Losses and norms of step one by the twin in fp64 and in fp32."""
    index = next(batch_order(len(examples), settings.whole("train.batch"), False, 0))
    records = []
    for dtype in (torch.float64, torch.float32):
        twin = Twin(settings, dtype, checkpoint)
        records.append(twin.step(*twin.batch(examples, index), measure=True))
    return records


def compare_first_step(settings, vane, checkpoint, examples):
    """Prints the table of step one; true where all bounds hold."""
    exact, rounded = first_step(settings, checkpoint, examples)
    good = True
    print(f"{'step one':32}{'vane':>16}{'twin fp64':>16}{'vane off by':>13}{'twin fp32 by':>13}{'bound':>9}")
    for kind, bound in (("loss", LOSS_BOUND), ("norm", NORM_BOUND)):
        for name in LOSSES:
            truth = exact[kind][name]
            off = difference(vane[kind][name], truth)
            good &= off <= bound
            print(f"{kind + ' ' + name:32}{vane[kind][name]:16.9g}{truth:16.9g}{off:13.1e}"
                  f"{difference(rounded[kind][name], truth):13.1e}{bound:9.0e}{'' if off <= bound else '  BROKEN'}")
    cosines = [abs(value - exact["cosine"][pair]) for pair, value in vane["cosine"].items()]
    print(f"{'cosines, largest difference':32}{'':32}{max(cosines):13.1e}{'':13}{NORM_BOUND:9.0e}"
          f"{'' if max(cosines) <= NORM_BOUND else '  BROKEN'}")
    return good and max(cosines) <= NORM_BOUND


def walk(settings, dtype, checkpoint, examples, steps):
    """The parameters after `steps` steps of the twin."""
    twin = Twin(settings, dtype, checkpoint)
    twin.train(examples, steps)
    return parameter_vector(twin.network)


def parameters_of(settings, checkpoint):
    network = Network(settings)
    network.load(checkpoint)
    return parameter_vector(network)


def compare_walk(settings, run, examples):
    """Prints how far the run ended from the twin; true where the bound holds."""
    steps = settings.whole("train.steps")
    start = run / "checkpoints" / "step-00000000.safetensors"
    exact = walk(settings, torch.float64, start, examples, steps)
    rounded = walk(settings, torch.float32, start, examples, steps)
    vane = parameters_of(settings, run / "checkpoints" / f"step-{steps:08d}.safetensors")
    way = float((exact - parameters_of(settings, start)).norm())
    off, own = float((vane - exact).norm()) / way, float((rounded - exact).norm()) / way
    good = off <= DISTANCE_BOUND * own
    print(f"{steps} steps: distance to the twin in fp64, relative to the way: vane {off:.2e}, twin fp32 {own:.2e}, "
          f"ratio {off / own:.2f} (at most {DISTANCE_BOUND:g}){'' if good else '  BROKEN'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    run = parser.parse_args().run
    settings = Settings.read(run / "config.yaml")
    if settings.flag("data.shuffle"):
        raise SystemExit(f"{run} was shuffled: train with --set data.shuffle=false")
    examples = Examples(settings, settings.word("data.train.path"), settings.whole("data.train.count"))
    checkpoint = run / "checkpoints" / "step-00000000.safetensors"
    good = compare_first_step(settings, first_record(run), checkpoint, examples)
    if settings.whole("train.steps") > 1:
        good &= compare_walk(settings, run, examples)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
