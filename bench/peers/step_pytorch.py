#!/usr/bin/env python3
"""One training step in PyTorch: four losses, the gradient of their sum, fused Adam; fp32 where nothing else is said.

    step_pytorch.py [--compiled] [--batch N] [--steps N] [--threads N]
        of R64 on the processor, the batch being there
    step_pytorch.py --preset FILE --device cuda|cpu [--compiled] [--cuda-graphs] [--precision fp32|tf32|bf16]
                    [--deterministic] [--batch N] [--steps N]
        of a preset's network, the batch crossing to the device in each step, as in vane
"""

import argparse
import os

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from r64_pytorch import R64
from timing import median_ms, report, step_times


def name(arguments):
    words = ["compiled"] * arguments.compiled + ["CUDA graphs"] * arguments.cuda_graphs or ["eager"]
    words += [arguments.precision] * (arguments.precision != "fp32") + ["deterministic"] * arguments.deterministic
    return "PyTorch, " + ", ".join(words)


def bench_r64(arguments):
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    batch = arguments.batch or 200

    network = R64().to(memory_format=torch.channels_last)
    n = sum(parameter.numel() for parameter in network.parameters())
    assert n == 729158, f"R64 has 729,158 parameters, this one {n}"
    x = torch.rand(batch, 3, 64, 64).to(memory_format=torch.channels_last)
    present = (torch.rand(batch, 1) < 0.75).float()
    target = {"angle": torch.randn(batch, 2), "magnitude": torch.rand(batch, 1),
              "position": torch.randn(batch, 2)}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, eps=1e-4, fused=True)

    def total_loss():
        answers = network(x)
        total = binary_cross_entropy_with_logits(answers["presence"], present)
        for name, truth in target.items():
            total = total + ((answers[name] - truth) ** 2 * present).sum() / present.sum()
        return total

    loss = torch.compile(total_loss) if arguments.compiled else total_loss

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    report(peer=name(arguments), version=torch.__version__, batch=batch, threads=arguments.threads,
           step_ms=median_ms(step, arguments.steps))


def bench_preset(arguments):
    from preset_step import WARM_UP, PresetStep

    # Products of vane's precision; engines by measurement, PyTorch's own best.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    if arguments.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS may not repeat
        torch.use_deterministic_algorithms(True)
    step = PresetStep(arguments.preset, arguments.device, arguments.batch, arguments.compiled, arguments.cuda_graphs,
                      bf16=arguments.precision == "bf16")
    device = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
    report(peer=name(arguments), version=torch.__version__, device=device, batch=step.batch,
           parameters=sum(parameter.numel() for parameter in step.network.parameters()),
           **step_times(step.run, step.wait, arguments.steps, WARM_UP))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiled", action="store_true", help="torch.compile of forward and losses")
    parser.add_argument("--batch", type=int, help="default: the preset's; 200 of R64")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2, help="of the processor, for R64")
    parser.add_argument("--preset", help="a configuration of vane")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--cuda-graphs", action="store_true", help="record the step once and replay it")
    parser.add_argument("--deterministic", action="store_true", help="as vane by default: the same bits every time")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32", help="of products; bf16: autocast")
    arguments = parser.parse_args()
    if not arguments.preset and (arguments.device == "cuda" or arguments.cuda_graphs):
        parser.error("--device cuda and --cuda-graphs want a --preset")
    if arguments.precision != "fp32" and arguments.device != "cuda":
        parser.error("--precision wants --device cuda")
    if arguments.cuda_graphs and arguments.device != "cuda":
        parser.error("--cuda-graphs wants --device cuda")
    if arguments.preset:
        bench_preset(arguments)
    else:
        bench_r64(arguments)


if __name__ == "__main__":
    main()
