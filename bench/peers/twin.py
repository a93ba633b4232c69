"""The twin: vane's trainer once more, in PyTorch, from the same configuration, checkpoint and records.

It shares no code with vane and takes its gradients from autograd, so an agreement of the two means
something. It covers what parity and the accuracy comparison need, and refuses the rest.
"""

import math

import numpy as np
import torch

from losses import LOSSES, HEADS, Targets, decode_phase, mean_losses, regularization, sample_losses
from metrics import angle_figures, auroc, calibration_error
from network import Network
from optimizer import learning_rate, make_optimizer


def check_supported(settings):
    """Names the first setting whose meaning the twin does not repeat."""
    for axis, still in (("rotate", 0), ("shift", 0), ("scale", 1)):
        if settings.real(f"data.augment.{axis}") != still:
            raise ValueError(f"the twin does not augment: set data.augment.{axis} to {still}")
    if settings.flag("data.augment.flip"):
        raise ValueError("the twin does not augment: set data.augment.flip to false")
    if settings.word("grad.weighting") != "fixed":
        raise ValueError("the twin weighs losses by fixed weights only: set grad.weighting to fixed")
    if settings.whole("train.accumulate") > 1 and settings.word("model.norm") == "batch":
        raise ValueError("the twin normalises over the whole batch: set train.accumulate to 1")


def batch_order(n, batch, shuffle, seed):
    """Endless batches of indices over epochs without a break: batch b holds positions b*batch ..
    b*batch + batch-1. Unshuffled this is vane's own order."""
    generator = np.random.default_rng(seed)
    held = np.empty(0, np.int64)
    while True:
        while len(held) < batch:
            held = np.concatenate((held, generator.permutation(n) if shuffle else np.arange(n)))
        yield held[:batch]
        held = held[batch:]


def norm_of(tensors):
    return math.sqrt(sum(float((tensor.double() ** 2).sum()) for tensor in tensors))


class Twin:
    """A network in training.

    dtype torch.float32 or torch.float64; weights from a vane checkpoint, or drawn from `seed`.
    """

    def __init__(self, settings, dtype=torch.float32, checkpoint=None, seed=1):
        check_supported(settings)
        self.settings, self.dtype = settings, dtype
        self.network = Network(settings)
        if checkpoint is None:
            self.network.initialise(settings.word("model.init"), seed)
        else:
            self.network.load(checkpoint)
        self.network.to(dtype)
        if dtype == torch.float32:
            self.network.to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(settings, self.network)
        self.steps_done = 0
        channels = settings.wholes("model.input")[2]
        self.mean = torch.tensor(settings.reals("data.mean") or [0.0] * channels, dtype=dtype)
        self.std = torch.tensor(settings.reals("data.std") or [1.0] * channels, dtype=dtype)
        self.weight = {loss: settings.real(f"loss.weights.{loss}") for loss in LOSSES}

    def batch(self, examples, index):
        """Network input [n, C, H, W] and targets of the given examples."""
        bytes_ = torch.from_numpy(examples.pixels[index]).to(self.dtype)
        x = ((bytes_ / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        pick = lambda array: torch.from_numpy(array[index])
        known = {head: pick(examples.known[head]) for head in HEADS[1:]}
        targets = Targets(self.settings, pick(examples.present), pick(examples.angle),
                          pick(examples.magnitude), pick(examples.position), known)
        return x, targets.to(self.dtype)

    def losses(self, x, targets):
        """The five losses and the trunk's output features, with their graph."""
        features = self.network.features(x)
        losses = mean_losses(self.settings, self.network.answers(features), targets)
        losses["regularization"] = regularization(self.network)
        return losses, features

    def gradients(self, losses, features, space):
        """g_k of every loss: with respect to the features, or to all parameters (N20)."""
        inputs = [features] if space == "trunk_output" else list(self.network.parameters())
        result = {}
        for name, loss in losses.items():
            if name == "regularization" and space == "trunk_output":
                continue
            result[name] = [
                torch.zeros_like(tensor) if gradient is None else gradient
                for gradient, tensor in zip(
                    torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True), inputs)
            ]
        return result

    def gradient_figures(self, losses, features, space):
        """Norms and cosines of the losses' gradients, as metrics.jsonl has them."""
        gradients = self.gradients(losses, features, space)
        norms = {name: norm_of(gradient) for name, gradient in gradients.items()}
        norms.setdefault("regularization", math.sqrt(2 * float(losses["regularization"].detach())))
        cosines = {}
        for i, a in enumerate(LOSSES):
            for b in LOSSES[i + 1 :]:
                dot = 0.0
                if a in gradients and b in gradients:
                    dot = sum(float((p.double() * q.double()).sum()) for p, q in zip(gradients[a], gradients[b]))
                scale = norms[a] * norms[b]
                cosines[f"{a}_{b}"] = dot / scale if scale > 0 else 0.0
        return norms, cosines

    def step(self, x, targets, measure=False):
        """One training step; the losses before it, with `measure` also norms and cosines."""
        settings, space = self.settings, self.settings.word("grad.space")
        self.network.train()
        losses, features = self.losses(x, targets)
        record = {"loss": {name: float(loss.detach()) for name, loss in losses.items()}}
        limit = settings.real("grad.clip.per_loss")
        norms = {}
        if measure or limit > 0:
            norms, cosines = self.gradient_figures(losses, features, space)
            record.update(norm=norms, cosine=cosines)
        total = 0
        for name, loss in losses.items():
            coefficient = self.weight[name]
            if limit > 0 and coefficient * norms[name] > limit:
                coefficient = limit / norms[name]
            if coefficient > 0:
                total = total + coefficient * loss
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.update(record)
        return record

    def update(self, record):
        """Global clip (N26), learning rate, Adam."""
        limit = self.settings.real("grad.clip.global")
        present = [p.grad for p in self.network.parameters() if p.grad is not None]
        if limit > 0 or "norm" in record:
            record["gradient_norm"] = norm_of(present)
            if 0 < limit < record["gradient_norm"]:
                for gradient in present:
                    gradient.mul_(limit / record["gradient_norm"])
        self.steps_done += 1
        rate = learning_rate(self.settings, self.steps_done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    def train(self, examples, steps, seed=1, report=None):
        """`steps` steps over the examples, shuffled unless data.shuffle is false."""
        order = batch_order(len(examples), self.settings.whole("train.batch"),
                            self.settings.flag("data.shuffle"), seed)
        for step in range(steps):
            record = self.step(*self.batch(examples, next(order)))
            if report:
                report(step + 1, record)

    @torch.no_grad()
    def answer(self, examples, batch=500):
        """Outputs, targets and per-sample losses of a whole set."""
        self.network.eval()
        outputs, targets, samples = [], [], []
        for begin in range(0, len(examples), batch):
            x, target = self.batch(examples, np.arange(begin, min(begin + batch, len(examples))))
            output = self.network.answers(self.network.features(x))
            samples.append(sample_losses(self.settings, output, target, training=False))
            outputs.append(output)
            targets.append(target)
        join = lambda rows: {head: torch.cat([row[head] for row in rows]) for head in HEADS}
        return (join(outputs), join([t.values for t in targets]), join([t.mask for t in targets]),
                join(samples))

    def evaluate(self, examples):
        """What `vane eval --json` prints, for the same images."""
        settings = self.settings
        outputs, values, mask, samples = self.answer(examples)
        losses = {head: float(samples[head].sum()) / max(int(mask[head].sum()), 1) for head in HEADS}
        losses["regularization"] = float(regularization(self.network).detach())

        probability = torch.sigmoid(outputs["presence"][:, 0].double()).numpy()
        truth = values["presence"][:, 0].numpy() > 0.5

        turn = 360 / settings.real("model.heads.angle.period")
        off = (decode_phase(settings, outputs["angle"]) - values["angle"]).double()[mask["angle"]]
        error_deg = torch.rad2deg(torch.atan2(off.sin(), off.cos()).abs()).numpy() / turn

        size, expected = (self.magnitude(table["magnitude"][:, 0])[mask["magnitude"]] for table in (outputs, values))
        away = (outputs["position"] - values["position"]).double()[mask["position"]]
        return {
            "images": len(examples),
            "loss": losses,
            "presence": {
                "auroc": auroc(probability, truth),
                "accuracy": float(((probability > 0.5) == truth).mean()),
                "ece": calibration_error(probability, truth),
            },
            "angle": angle_figures(error_deg),
            "magnitude": {"mape": float(((size - expected).abs() / expected).mean())},
            "position": {"mae_px": float((away.norm(dim=1) * settings.real("model.heads.position.scale")).mean())},
        }

    def magnitude(self, output):
        scaled = output.double() * self.settings.real("model.heads.magnitude.scale")
        return scaled.exp() if self.settings.flag("model.heads.magnitude.log") else scaled
