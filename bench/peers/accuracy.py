#!/usr/bin/env python3
"""What vane and its twin learn from the same records in the same number of steps.

    accuracy.py --vane BINARY --train FOLDER --test FOLDER --out FOLDER [--config YAML] [--seeds N]

Both train the same network N times, each from its own draws, on the same TFRecords, and are evaluated
on the same test records. Shown are mean and range over the seeds; vane passes where no figure is
worse than the twin's by more than a tenth. The twin also evaluates vane's own checkpoint: its figures
must equal those of `vane eval`, or the two would not be measured alike. Exit status 1 where vane is
worse or the evaluations differ.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import torch

from records import Examples
from settings import Settings
from twin import Twin

# figure, format, and whether more is better
FIGURES = (
    ("presence.auroc", "{:.5f}", True),
    ("angle.mae_deg", "{:.2f}", False),
    ("angle.median_deg", "{:.2f}", False),
    ("angle.acc10", "{:.4f}", True),
    ("magnitude.mape", "{:.4f}", False),
    ("position.mae_px", "{:.3f}", False),
)
MARGIN = 1.1
# Evaluations of one checkpoint differ by fp32 rounding, which can carry an image over a threshold.
SAME = 2e-3


def pick(figures, name):
    group, key = name.split(".")
    return figures[group][key]


def run_vane(arguments, changes, seed):
    """Trains once; the run's folder."""
    run = arguments.out / f"vane-{seed}"
    command = [arguments.vane, "train", arguments.config, "--out", run, "--set", f"seed={seed}"]
    for key, value in changes.items():
        command += ["--set", f"{key}={value}"]
    begin = time.monotonic()
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
    print(f"vane, seed {seed}: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return run


def evaluate_vane(arguments, checkpoint):
    command = [str(arguments.vane), "eval", str(checkpoint), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def run_twin(settings, train, test, seed):
    begin = time.monotonic()
    twin = Twin(settings, torch.float32, seed=seed)
    twin.train(train, settings.whole("train.steps"), seed)
    figures = twin.evaluate(test)
    print(f"twin, seed {seed}: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return figures


def compare_evaluations(settings, checkpoint, vane, test):
    """True where the twin computes the same figures from vane's checkpoint."""
    twin = Twin(settings, torch.float32, checkpoint).evaluate(test)
    good = True
    for name, shape, _ in FIGURES:
        mine, theirs = pick(vane, name), pick(twin, name)
        if abs(mine - theirs) > SAME * max(abs(theirs), 1e-9):
            good = False
            print(f"{name}: vane eval says {shape.format(mine)}, the twin {shape.format(theirs)} of the same weights")
    return good


def summary(values, shape):
    text = shape.format(sum(values) / len(values))
    return f"{text} ({shape.format(min(values))} .. {shape.format(max(values))})"


def compare(vane, twin):
    """Prints the table; true where no mean is worse by more than the margin."""
    good = True
    print(f"{'':20}{'vane, mean (range)':>34}{'twin, mean (range)':>34}{'ratio':>8}")
    for name, shape, more in FIGURES:
        ours, theirs = [pick(row, name) for row in vane], [pick(row, name) for row in twin]
        ratio = sum(ours) / sum(theirs)
        holds = ratio >= 1 / MARGIN if more else ratio <= MARGIN
        good &= holds
        print(f"{name:20}{summary(ours, shape):>34}{summary(theirs, shape):>34}{ratio:8.3f}{'' if holds else '  WORSE'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vane", type=pathlib.Path, required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--config", default="presets/rotfashion-4.yaml")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="instead of the configuration's train.steps")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    changes = {
        "data.train.source": "tfrecord", "data.train.path": arguments.train, "data.train.count": 0,
        "data.test.source": "tfrecord", "data.test.path": arguments.test, "data.test.count": 0,
        "data.augment.rotate": 0, "data.augment.shift": 0, "data.augment.scale": 1, "data.augment.flip": "false",
        "device.threads": arguments.threads, "train.eval_every": 0, "train.save_every": 0,
    }
    if arguments.steps:
        changes["train.steps"] = arguments.steps
    seeds = range(1, arguments.seeds + 1)
    runs = [run_vane(arguments, changes, seed) for seed in seeds]
    settings = Settings.read(runs[0] / "config.yaml")
    train, test = (Examples(settings, folder) for folder in (arguments.train, arguments.test))
    last = [run / "checkpoints" / "last.safetensors" for run in runs]
    vane = [evaluate_vane(arguments, checkpoint) for checkpoint in last]
    good = compare_evaluations(settings, last[0], vane[0], test)
    twin = [run_twin(settings, train, test, seed) for seed in seeds]
    (arguments.out / "accuracy.json").write_text(json.dumps({"vane": vane, "twin": twin}, indent=1) + "\n")
    print(f"{len(train)} training records, {len(test)} test records, {settings.whole('train.steps')} steps, "
          f"batch {settings.whole('train.batch')}, {len(runs)} seeds each")
    good &= compare(vane, twin)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
