#!/usr/bin/env python3
"""vane on the GPU: Adam beside the speed of memory, a training step beside PyTorch's, and what the
host's launches cost.

    report_gpu.py [--rounds N] [--vane PROGRAM] [--json FILE] [--small]

Tables, then one line per claim with PASS or FAIL, and everything as JSON in FILE. Exit status 1 where
a claim fails. PyTorch takes part where .venv/peers or the system's Python has one that sees the GPU
(and PyYAML); it is not installed here. Nothing needs the network.

A simulated GPU (--vane build/release/vane-simulated --small) runs all of this in small to show that it
works. Its times are a processor's and mean nothing: none is shown, no claim is judged.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

from report import ADAM_ULP, PEERS, judge, run

ROOT = pathlib.Path(__file__).resolve().parents[1]
PRESETS = ("r64", "tf1", "rotfashion-4")
DATA = ("--set", "data.train={source: scenes, count: 2000, path: ''}")  # drawn: no files are needed

REQUIRED = ("vane", "vane, no graphs", "vane, Adam")  # without one of these there is no report

# Adam's share of the bandwidth that memory reaches, and from how many parameters on: below, the
# arrays lie in the GPU's caches, and the launch counts.
ADAM_SHARE, ADAM_FROM = 0.9, 10_000_000


def find_peers():
    """A Python whose PyTorch sees a GPU, or None and why."""
    why = []
    for python in (ROOT / ".venv/peers/bin/python", sys.executable):
        if not pathlib.Path(python).exists():
            continue
        test = "import torch, yaml; assert torch.cuda.is_available(), 'PyTorch sees no GPU'"
        done = subprocess.run([python, "-c", test], capture_output=True, text=True)
        if done.returncode == 0:
            return python, ""
        why.append(f"{python}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return None, "; ".join(why)


def look_at_device(vane):
    """The GPU's description; without one the script ends here."""
    try:
        done = subprocess.run([vane, "doctor", "--json"], capture_output=True, text=True)
        cuda = json.loads(done.stdout)["devices"]["cuda"]
    except (OSError, ValueError) as error:
        raise SystemExit(f"scripts/bench --gpu: {vane} does not run: {error}") from error
    if not cuda["works"]:
        raise SystemExit(f"scripts/bench --gpu wants a GPU: {cuda['description']}")
    return cuda["description"]


def cell(value, width, digits):
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.device = look_at_device(arguments.vane)
        self.simulated = "simulated" in self.device.lower() or "simulated" in arguments.vane
        self.python, self.no_peers = find_peers()
        self.result = {"device": self.device, "simulated": self.simulated, "rounds": arguments.rounds}
        self.good = True

    def heading(self, text):
        print(f"\n{text}\n  {self.device}" + ("   SIMULATED: there are no times to tell" if self.simulated else ""))

    def median(self, values):
        """None on a simulated GPU, so that no time of it gets anywhere."""
        values = list(values)
        return None if self.simulated else statistics.median(values)

    def claim(self, text, shares, limit):
        if self.simulated:
            print(f"  NOT JUDGED, the GPU is simulated: {text}")
        elif not shares:
            self.good &= judge(f"{text}: no such size was run", False)
        else:
            self.good &= judge(f"{text}: {min(shares):.3f} at worst", min(shares) >= limit)

    def save(self):
        """After every table: an interrupted run leaves what it has."""
        pathlib.Path(self.arguments.json).write_text(json.dumps(self.result, indent=1) + "\n")

    def rounds(self, programs):
        """{name: [figures of each round]}; who fails is said, and left out: bf16 on an old GPU, say."""
        figures = {name: [] for name in programs}
        for number in range(self.arguments.rounds):
            for name, call in programs.items():
                if figures[name] is None:
                    continue
                print(f"round {number + 1} of {self.arguments.rounds}: {name}", file=sys.stderr)
                try:
                    figure = call()
                    figures[name].append(figure)
                    if "pipelined_ms" in figure and not self.simulated:
                        print(f"  {figure['pipelined_ms']:.3f} ms", file=sys.stderr)
                except (SystemExit, ValueError, IndexError) as error:
                    if name in REQUIRED:
                        raise
                    print(f"left out: {name}: {error}", file=sys.stderr)
                    figures[name] = None
        return {name: rows for name, rows in figures.items() if rows}

    # --- Adam ---

    def adam(self):
        small = ["--largest", 20000, "--caches", "warm", "--seconds", "0.01"] if self.arguments.small else []
        beside = ["--peer", f"{self.python} {PEERS / 'adam_pytorch.py'}"] if self.python else []
        rounds = self.rounds({"vane, Adam": lambda: run(
            [self.arguments.vane, "bench", "adam", "--device", "cuda", "--json", *small, *beside])})["vane, Adam"]
        self.heading("Adam, beside memory that is read and written alike (stream) in the same moments")
        print(f"  {'parameters':>13}{'tensors':>9} {'mode':<12}{'cache':<6}{'MB moved':>11}{'ms':>11}{'GB/s':>9}"
              f"{'stream GB/s':>13}{'share':>8}{'ULP':>6}{'launches':>9}  times as fast as PyTorch")
        table = []
        for lines in zip(*(row["lines"] for row in rounds)):
            line = {key: lines[0][key] for key in ("parameters", "tensors", "mode", "cache", "model_bytes", "launches")}
            for key in ("ms", "gb_per_s", "stream_gb_per_s", "stream_past_caches_gb_per_s", "share"):
                line[key] = self.median(each[key] for each in lines)
            line["ulp"] = max(max(each["ulp"].values()) for each in lines)
            line["peers"] = {name: self.median(each["peers"][name] / each["ms"] for each in lines)
                             for name, ms in (lines[0]["peers"] or {}).items() if ms}
            table.append(line)
        for line in table:
            stream = [line[key] for key in ("stream_gb_per_s", "stream_past_caches_gb_per_s")]
            print(f"  {line['parameters']:>13,}{line['tensors']:>9} {line['mode']:<12}{line['cache']:<6}"
                  f"{line['model_bytes'] / 1e6:>11.2f}" + cell(line["ms"], 11, 4) + cell(line["gb_per_s"], 9, 1)
                  + cell(None if None in stream else max(stream), 13, 1) + cell(line["share"], 8, 3)
                  + f"{line['ulp']:>6.2f}{line['launches'] or '-':>9}  "
                  + ", ".join(f"{name.removeprefix('PyTorch ')} {times:.2f}"
                              for name, times in line["peers"].items() if times))
        self.result["adam"] = table
        self.save()
        shares = [line["share"] for line in table if line["parameters"] >= ADAM_FROM and line["cache"] == "cold"]
        self.claim(f"Adam reaches {ADAM_SHARE} of memory's speed from {ADAM_FROM:,} parameters on", shares, ADAM_SHARE)
        ulp = max(line["ulp"] for line in table if line["mode"] == "adam")
        self.good &= judge(f"a step within {ADAM_ULP} ULP of the formulas in double: {ulp:.2f}", ulp <= ADAM_ULP)

    # --- a training step ---

    def vane_step(self, preset, *changes):
        arguments = self.arguments
        steps = 1 if arguments.small else 100
        small = ["--set", "train.batch=1", "--set", "data.train.count=8"] if arguments.small else []
        settings = [part for change in changes for part in ("--set", change)]
        return lambda: run([arguments.vane, "bench", "step", f"presets/{preset}.yaml", "--device", "cuda", *DATA,
                            *settings, *small, "--steps", steps, "--json"])

    def peer_step(self, preset, *options):
        small = ["--batch", "1", "--steps", "1"] if self.arguments.small else ["--steps", "100"]
        return lambda: run([self.python, PEERS / "step_pytorch.py", "--preset", f"presets/{preset}.yaml", "--device",
                            "cuda", *options, *small])

    def programs(self, preset):
        programs = {
            "vane": self.vane_step(preset),
            "vane, no graphs": self.vane_step(preset, "device.graphs=false"),
            "vane, timed engines": self.vane_step(preset, "device.benchmark=true"),
            "vane, fastest engines": self.vane_step(preset, "device.deterministic=false", "device.benchmark=true"),
            "vane, tf32": self.vane_step(preset, "device.precision=tf32"),
            "vane, bf16": self.vane_step(preset, "device.precision=bf16"),
        }
        if self.python:
            programs |= {
                "PyTorch, eager": self.peer_step(preset),
                "PyTorch, compiled": self.peer_step(preset, "--compiled"),
                "PyTorch, CUDA graphs": self.peer_step(preset, "--cuda-graphs"),
                "PyTorch, compiled, CUDA graphs": self.peer_step(preset, "--compiled", "--cuda-graphs"),
                "PyTorch, both, deterministic": self.peer_step(preset, "--compiled", "--cuda-graphs", "--deterministic"),
                "PyTorch, both, tf32": self.peer_step(preset, "--compiled", "--cuda-graphs", "--precision", "tf32"),
                "PyTorch, both, bf16": self.peer_step(preset, "--compiled", "--cuda-graphs", "--precision", "bf16"),
            }
        return programs

    def step(self, preset):
        figures = self.rounds(self.programs(preset))
        one = figures["vane"][0]
        self.heading(f"A training step of {preset}, {one['parameters']:,} parameters, batch {one['batch']}, fp32 where "
                     "nothing else is said; its batch crosses from the host")
        print(f"  {'':<32}{'pipelined ms':>13}{'waited for ms':>15}{'enqueued in ms':>16}{'times vane':>12}")
        table = {}
        for name, rows in figures.items():
            line = {key: self.median(row[key] for row in rows) for key in ("pipelined_ms", "step_ms", "enqueue_ms")}
            pairs = zip(figures["vane"], rows)
            line["times_vane"] = self.median(theirs["pipelined_ms"] / ours["pipelined_ms"] for ours, theirs in pairs)
            table[name] = line
            print(f"  {name:<32}" + cell(line["pipelined_ms"], 13, 3) + cell(line["step_ms"], 15, 3)
                  + cell(line["enqueue_ms"], 16, 3) + cell(line["times_vane"], 12, 2))
        if not self.python:
            print(f"  PyTorch left out: {self.no_peers}")
        self.result.setdefault("steps", {})[preset] = table
        self.save()
        if not self.simulated:
            self.gap(table)

    @staticmethod
    def gap(table):
        """A GPU that waits for launches is as slow as the host; graphs take the launches away."""
        recorded, enqueued = table["vane"], table["vane, no graphs"]
        print(f"  launches: without graphs the host takes {enqueued['enqueue_ms']:.3f} ms to enqueue a step of "
              f"{enqueued['pipelined_ms']:.3f} ms, with them {recorded['enqueue_ms']:.3f} of {recorded['pipelined_ms']:.3f}; "
              f"graphs save {enqueued['pipelined_ms'] - recorded['pipelined_ms']:.3f} ms a step")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vane", default="build/release/vane")
    parser.add_argument("--json", default="build/bench-gpu.json", metavar="FILE")
    parser.add_argument("--small", action="store_true", help="tiny sizes and batches, to see whether all of it runs")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    bench.adam()
    for preset in PRESETS:
        bench.step(preset)
    print(f"\nwritten to {arguments.json}")
    sys.exit(0 if bench.good else 1)


if __name__ == "__main__":
    main()
