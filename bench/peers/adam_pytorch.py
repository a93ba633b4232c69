#!/usr/bin/env python3
"""PyTorch's fused Adam: at 32 Mi parameters in one tensor, at R64's in 62 tensors, and at R64's in
the tensors that R64 has.

    adam_pytorch.py [--repeats N] [--threads N]
"""

import argparse

import torch

from r64_pytorch import R64
from timing import median_ms, report


def adam_ms(shapes, repeats):
    parameters = [torch.randn(shape, requires_grad=True) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape)
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    return median_ms(optimizer.step, repeats)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    own = [parameter.shape for parameter in R64().parameters()]
    n = sum(shape.numel() for shape in own)
    equal = [(n // 62,)] * 61 + [(n - n // 62 * 61,)]
    # The small sizes take microseconds, so they are repeated more often.
    report(peer="PyTorch, fused", version=torch.__version__, threads=arguments.threads,
           large_ms=adam_ms([(32 << 20,)], arguments.repeats),
           r64_ms=adam_ms(equal, 20 * arguments.repeats),
           r64_own_tensors_ms=adam_ms(own, 20 * arguments.repeats), r64_tensors=len(own))


if __name__ == "__main__":
    main()
