#!/usr/bin/env python3
"""PyTorch's Adam as a peer of vane bench adam: fused, foreach and the plain loop over tensors.

    vane bench adam --peer "python3 bench/peers/adam_pytorch.py [--threads N] [--only NAME,...]"

Reads one JSON object per line from standard input, prints one for each: the name of a peer and the
milliseconds of its step, null where PyTorch has no such mode. --threads: on the CPU, as many as
vane's device.threads (default: one per core).

Cold means what it means for vane: sets of arrays take turns. Each has an optimizer of its own here;
where more than 64 of them would be needed, nothing is measured, since Python's own objects would be
what is cold.
"""

import argparse
import json
import os
import sys
import time

import torch

COLD_BYTES = 512 << 20
MOST_SETS = 64
BATCH_S = {"cpu": 1e-3, "cuda": 20e-3}  # as vane has it
LEAST_ROUNDS, MOST_ROUNDS = 5, 101
KINDS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False, "fused": False}}
MODES = ("adam", "amsgrad", "l2", "decoupled")


def shapes_of(request):
    """Tensors of equal size; the last one takes the remainder."""
    n, tensors = request["parameters"], request["tensors"]
    return [n // tensors] * (tensors - 1) + [n // tensors + n % tensors]


def optimizer_of(request, options):
    """One set: an optimizer over parameters with gradients, or a ValueError where there is none such."""
    device = request["device"]
    parameters = [torch.rand(shape, device=device, requires_grad=True) for shape in shapes_of(request)]
    for parameter in parameters:
        parameter.grad = torch.rand(parameter.shape, device=device)
    make = torch.optim.AdamW if request["decoupled"] else torch.optim.Adam
    return make(parameters, lr=1e-3, betas=(request["beta1"], request["beta2"]), eps=request["epsilon"],
                weight_decay=request["weight_decay"], amsgrad=request["amsgrad"], **options)


def sets_of(request):
    """How many take turns; None: too many."""
    if not request["cold"]:
        return 1
    bytes_of_set = request["parameters"] * 4 * (5 if request["amsgrad"] else 4)
    count = 1 if bytes_of_set >= COLD_BYTES else 2 + COLD_BYTES // bytes_of_set
    return count if count <= MOST_SETS else None


def median_ms(request, options):
    """Of one step; batches end when the device has done them, one step before each does not count."""
    device = request["device"]
    count = sets_of(request)
    if count is None:
        return None
    optimizers = [optimizer_of(request, options) for _ in range(count)]
    turn = 0

    def step():
        nonlocal turn
        optimizers[turn % count].step()
        turn += 1

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    def batch(calls):
        step()
        wait()
        begin = time.perf_counter()
        for _ in range(calls):
            step()
        wait()
        return time.perf_counter() - begin

    for _ in range(count):  # the first step of each makes its moments
        step()
    calls, seconds = 1, batch(1)
    while seconds < BATCH_S[device]:
        calls = int(calls * min(10, 1.1 * BATCH_S[device] / seconds)) + 1
        seconds = batch(calls)
    times, end = [], time.perf_counter() + request["seconds"]
    while len(times) < LEAST_ROUNDS or (time.perf_counter() < end and len(times) < MOST_ROUNDS):
        times.append(1e3 * batch(calls) / calls)
    times.sort()
    return (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2


def answer(request, kinds):
    figures = {}
    for kind in kinds:
        figures[f"PyTorch {kind}"] = None
        if request["mode"] in MODES:
            figures[f"PyTorch {kind}"] = median_ms(request, KINDS[kind])
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default=",".join(KINDS), help="which of " + ", ".join(KINDS))
    arguments = parser.parse_args()
    kinds = arguments.only.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--only: no {', '.join(sorted(unknown))}")
    torch.set_num_threads(arguments.threads)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), kinds)), flush=True)


if __name__ == "__main__":
    main()
