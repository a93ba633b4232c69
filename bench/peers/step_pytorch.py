#!/usr/bin/env python3
"""One fp32 training step of R64 in PyTorch: four losses, the gradient of their sum, fused Adam.

    step_pytorch.py [--compiled] [--batch N] [--steps N] [--threads N]
"""

import argparse

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from r64_pytorch import R64
from timing import median_ms, report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiled", action="store_true", help="torch.compile of forward and losses")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)

    network = R64().to(memory_format=torch.channels_last)
    n = sum(parameter.numel() for parameter in network.parameters())
    assert n == 729158, f"R64 has 729,158 parameters, this one {n}"
    x = torch.rand(arguments.batch, 3, 64, 64).to(memory_format=torch.channels_last)
    present = (torch.rand(arguments.batch, 1) < 0.75).float()
    target = {"angle": torch.randn(arguments.batch, 2), "magnitude": torch.rand(arguments.batch, 1),
              "position": torch.randn(arguments.batch, 2)}
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

    report(peer="PyTorch, compiled" if arguments.compiled else "PyTorch, eager", version=torch.__version__,
           batch=arguments.batch, threads=arguments.threads, step_ms=median_ms(step, arguments.steps))


if __name__ == "__main__":
    main()
