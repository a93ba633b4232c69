"""Losses and angle heads by docs/numerics.md, (N10) to (N17), with autograd for the gradients."""

import math

import torch
from torch.nn import functional

from network import HEADS

LOSSES = (*HEADS, "regularization")


class Targets:
    """What the heads should answer, in their own units, and which samples count per head.

    The arithmetic is fp32 in both precisions of the twin, as labels reach vane's device as floats.
    """

    def __init__(self, settings, present, angle, magnitude, position, known):
        turns = 360 / settings.real("model.heads.angle.period")
        there = present > 0.5
        self.values = {
            "presence": present[:, None],
            "angle": angle * turns,
            "magnitude": self.magnitude(settings, magnitude)[:, None],
            "position": self.position(settings, position),
        }
        self.mask = {"presence": torch.ones_like(there)}
        for head in HEADS[1:]:
            self.mask[head] = known[head] & there

    @staticmethod
    def magnitude(settings, magnitude):
        if settings.flag("model.heads.magnitude.log"):
            magnitude = torch.log(magnitude.clamp(min=1e-30))
        return magnitude / settings.real("model.heads.magnitude.scale")

    @staticmethod
    def position(settings, position):
        offset = settings.reals("model.heads.position.offset") or [0.0, 0.0]
        scale = settings.real("model.heads.position.scale")
        return (position - torch.tensor(offset, dtype=position.dtype)) / scale

    def to(self, dtype):
        self.values = {head: value.to(dtype) for head, value in self.values.items()}
        return self


def directions(settings, output):
    """Angles of the bins' centres [B], in numbers like the output's."""
    bins = settings.whole("model.heads.angle.bins")
    return torch.arange(bins, dtype=output.dtype, device=output.device) * (2 * math.pi / bins)


def angle_samples(settings, output, phase):
    """(N12) to (N15): the loss of each sample [n]."""
    kind = settings.word("model.heads.angle.kind")
    if kind == "bins":
        width = math.radians(settings.real("model.heads.angle.bin_width"))
        centres = directions(settings, output)
        soft = functional.softmax(torch.cos(centres - phase[:, None]) / width**2, 1)
        return -(soft * functional.log_softmax(output, 1)).sum(1)
    target = torch.stack((phase.sin(), phase.cos()), 1)
    if kind == "sincos":
        return ((output - target) ** 2).sum(1)
    agreement = (output * target).sum(1)
    length = output.norm(dim=1)
    if kind == "unit":
        # Without a direction the value is 1, and the gradient -t.
        nowhere = 1 - (agreement - agreement.detach())
        return torch.where(length < 1e-12, nowhere, 1 - agreement / length.clamp(min=1e-12))
    return math.log(2 * math.pi) + torch.log(torch.special.i0e(length)) + length - agreement


def regression_samples(settings, head, output, target):
    """(N11), summed over the components [n]."""
    error = output - target
    if settings.word(f"loss.{head}") == "huber":
        delta = settings.real("loss.huber_delta")
        size = error.abs()
        error = torch.where(size <= delta, error**2, delta * (2 * size - delta))
        return error.sum(1)
    return (error**2).sum(1)


def clip_by_average_norm(tensor, limit):
    """(N16): limits |t| to limit * n, n the number of elements."""
    norm = tensor.norm()
    bound = limit * tensor.numel()
    return tensor * (bound / norm) if norm > bound else tensor


def sample_losses(settings, outputs, targets, training):
    """Per head the loss of every sample [n], 0 where it does not count. The clip belongs to
    training: it depends on who else is in the batch."""
    angle = outputs["angle"]
    limit = settings.real("grad.clip.average_norm")
    if training and limit > 0:
        angle = clip_by_average_norm(angle, limit)
    values = targets.values
    logit = outputs["presence"]
    samples = {
        "presence": functional.binary_cross_entropy_with_logits(logit, values["presence"], reduction="none")[:, 0],
        "angle": angle_samples(settings, angle, values["angle"]),
    }
    for head in ("magnitude", "position"):
        samples[head] = regression_samples(settings, head, outputs[head], values[head])
    zero = logit.new_zeros(())
    return {head: torch.where(targets.mask[head], samples[head], zero) for head in HEADS}


def mean_losses(settings, outputs, targets):
    """The four losses: sums over the samples that count, divided by their number."""
    samples = sample_losses(settings, outputs, targets, training=True)
    return {head: samples[head].sum() / max(int(targets.mask[head].sum()), 1) for head in HEADS}


def regularization(network):
    """(N17)."""
    return sum((weight**2).sum() for weight in network.weights()) / 2


def decode_phase(settings, output):
    """The direction that the angle head's output means, in radians of the full turn."""
    if settings.word("model.heads.angle.kind") != "bins":
        return torch.atan2(output[:, 0], output[:, 1])
    centres = directions(settings, output)
    share = functional.softmax(output, 1)
    near = (output.argmax(1)[:, None] + torch.arange(-3, 4)) % len(centres)
    weight = share.gather(1, near)
    return torch.atan2((weight * centres[near].sin()).sum(1), (weight * centres[near].cos()).sum(1))
