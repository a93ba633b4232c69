#!/usr/bin/env python3
"""vane beside its peers on the same two cores, in rounds: every round runs each program once, so that
a slow minute of the machine slows all of them.

    report.py step|adam|data|all [--rounds N] [--vane BINARY] [--records FOLDER]

Per program the median over the rounds and the median of its ratio to vane within a round; then one
line per claim with PASS or FAIL. Exit status 1 where a claim fails. scripts/bench prepares what this
needs: the build, the peers, the records.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
CORES = 2
DEMO = "presets/rotfashion-4.yaml"

# How many times as fast as the peer vane claims to be.
CLAIMS = {"step_ms": 1.3, "large_ms": 1.0, "r64_ms": 2.0, "images_per_s": 2.0}
ADAM_SHARE, ADAM_ULP = 0.95, 2
MAX_WAIT = 0.02  # share of a training run spent waiting for data


def run(command):
    """A program's last line of standard output as JSON."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"{command[0]} {command[1]} failed with status {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def peer(script, *options):
    return lambda: run([sys.executable, PEERS / script, *options])


def measure(programs, rounds):
    """{name: [figures of round 1, of round 2, ...]}; `programs` maps names to calls."""
    figures = {name: [] for name in programs}
    for number in range(rounds):
        for name, call in programs.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            figures[name].append(call())
    return figures


def compare(title, key, figures, unit):
    """Prints the medians of `key`; per peer the median ratio, above 1 where vane is faster."""
    ours = [row[key] for row in figures["vane"]]
    ratios = {}
    print(f"\n{title}")
    for name, rows in figures.items():
        values = [row[key] for row in rows]
        line = f"  {name:24}{statistics.median(values):12.2f} {unit}   ({min(values):.2f} .. {max(values):.2f})"
        if name != "vane":
            pairs = [(a / b if unit == "images/s" else b / a) for a, b in zip(ours, values)]
            ratios[name] = statistics.median(pairs)
            line += f"   vane is {ratios[name]:.2f} times as fast"
        print(line)
    return ratios


def judge(text, holds):
    print(f"  {'PASS' if holds else 'FAIL'}  {text}")
    return holds


def claim_faster(key, ratios):
    name = min(ratios, key=ratios.get)
    factor = CLAIMS[key]
    return judge(f"at least {factor:g} times as fast as the fastest peer: {ratios[name]:.2f} ({name})",
                 ratios[name] >= factor)


def bench_step(arguments):
    programs = {
        "vane": lambda: run([arguments.vane, "bench", "step", "presets/r64.yaml", "--json"]),
        "PyTorch, eager": peer("step_pytorch.py"),
        "PyTorch, compiled": peer("step_pytorch.py", "--compiled"),
        "TensorFlow, compiled": peer("step_tensorflow.py"),
        "TensorFlow, XLA": peer("step_tensorflow.py", "--xla"),
    }
    figures = measure(programs, arguments.rounds)
    good = claim_faster("step_ms", compare("One training step of R64, fp32, batch 200", "step_ms", figures, "ms"))
    allocations = [row["allocations"] for row in figures["vane"]]
    good &= judge(f"no allocation inside a step: {allocations[0]} of vane's own counted, "
                  f"{figures['vane'][0]['allocations_onednn']} by oneDNN", not any(allocations) and None not in allocations)
    return good


def adam_line(arguments, parameters, tensors, caches):
    """One line of vane bench adam, PyTorch's fused Adam in it."""
    peer_command = f"{sys.executable} {PEERS / 'adam_pytorch.py'} --only fused"
    lines = run([arguments.vane, "bench", "adam", "--parameters", parameters, "--tensors", tensors, "--caches", caches,
                 "--seconds", "1", "--peer", peer_command, "--json"])["lines"]
    return lines[0]


def bench_adam(arguments):
    calls = {"large_ms": lambda: adam_line(arguments, 32 << 20, 1, "cold"),
             "r64_ms": lambda: adam_line(arguments, 729158, 62, "warm")}
    lines = measure(calls, arguments.rounds)
    titles = {"large_ms": "Adam, 32 Mi parameters", "r64_ms": "Adam, 729,158 parameters in 62 tensors"}
    good = True
    for key, title in titles.items():
        figures = {"vane": [{key: line["ms"]} for line in lines[key]],
                   "PyTorch, fused": [{key: line["peers"]["PyTorch fused"]} for line in lines[key]]}
        good &= claim_faster(key, compare(title, key, figures, "ms"))
    share = statistics.median(line["share"] for line in lines["large_ms"])
    good &= judge(f"at 32 Mi parameters at least {ADAM_SHARE:g} of what memory does: {share:.3f}", share >= ADAM_SHARE)
    ulp = max(max(line["ulp"].values()) for key in lines for line in lines[key])
    return good & judge(f"a step within {ADAM_ULP:g} ULP of the formulas in double: {ulp:.2f}", ulp <= ADAM_ULP)


def waiting(arguments, changes):
    """The share of a short training run that it waits for data."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "run"
        subprocess.run([arguments.vane, "train", DEMO, *changes, "--set", "data.test.source=none", "--set",
                        "train.steps=300", "--out", out], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with open(out / "metrics.jsonl") as lines:
            return statistics.mean(json.loads(line)["speed"]["data_wait"] for line in lines)


def bench_data(arguments):
    changes = ["--set", "data.train.source=tfrecord", "--set", f"data.train.path={arguments.records}"]
    programs = {
        "vane": lambda: run([arguments.vane, "bench", "data", DEMO, *changes, "--set", "train.batch=200",
                             "--batches", "500", "--json"]),
        "tf.data": peer("data_tfdata.py", arguments.records),
        "PyTorch, DataLoader": peer("data_pytorch.py", arguments.records),
    }
    figures = measure(programs, arguments.rounds)
    ratios = compare("Records to batches of 200, 64x64 grey PNG", "images_per_s", figures, "images/s")
    good = claim_faster("images_per_s", ratios)
    wait = waiting(arguments, changes)
    good &= judge(f"training waits for data at most {100 * MAX_WAIT:g} % of its time: {100 * wait:.2f} %",
                  wait <= MAX_WAIT)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("step", "adam", "data", "all"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vane", default="build/release/vane")
    parser.add_argument("--records", help="folder of TFRecords with 64x64 grey PNG images, for data")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    os.environ["OMP_NUM_THREADS"] = str(CORES)
    benches = {"step": bench_step, "adam": bench_adam, "data": bench_data}
    chosen = benches.values() if arguments.what == "all" else [benches[arguments.what]]
    good = [bench(arguments) for bench in chosen]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
