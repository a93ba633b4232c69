"""A training step of a preset's network in PyTorch, as one writes it for a GPU: batches lie in the
host's memory as bytes and labels and cross to the device in each step, weights are moved by fused Adam.

The gradient is that of the weighted sum of the losses. What vane does beside that (gradient norms per
loss, clipping, the search for values that are not finite) is not done here.
"""

import torch

from losses import Targets, regularization, sample_losses
from network import HEADS, Network
from settings import Settings

N_BATCHES = 4  # several, as in vane's own bench
N_LABELS = 5  # present, angle, magnitude, x, y
WARM_UP = 5  # steps before a recording, and before the clock


class PresetStep:
    """`run()` enqueues one step, `wait()` waits for all of them. device "cuda" or "cpu"."""

    def __init__(self, preset, device, batch, compiled=False, cuda_graphs=False, bf16=False):
        torch.manual_seed(1)
        self.settings = Settings.read(preset)
        self.device, self.batch, self.bf16 = device, batch or self.settings.whole("train.batch"), bf16
        self.network = Network(self.settings).to(device).to(memory_format=torch.channels_last)
        self.weight = {head: self.settings.real(f"loss.weights.{head}") for head in HEADS}
        self.decay = self.settings.real("loss.weights.regularization")
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=self.settings.real("optim.lr"), eps=self.settings.real("optim.epsilon"),
            betas=(self.settings.real("optim.beta1"), self.settings.real("optim.beta2")),
            fused=True, capturable=cuda_graphs)
        self.make_batches()
        self.total = torch.compile(self.total_loss) if compiled else self.total_loss
        self.steps_done, self.graph = 0, None
        if cuda_graphs:
            self.record()

    def make_batches(self):
        height, width, channels = self.settings.wholes("model.input")
        pinned = self.device == "cuda"
        self.host = []
        for _ in range(N_BATCHES):
            pixels = torch.randint(0, 256, (self.batch, height, width, channels), dtype=torch.uint8)
            labels = torch.rand(self.batch, N_LABELS)
            labels[:, 0] = (labels[:, 0] < 0.75).float()
            self.host.append([t.pin_memory() if pinned else t for t in (pixels, labels)])
        self.pixels, self.labels = (torch.empty_like(t, device=self.device) for t in self.host[0])
        self.mean = self.constant("data.mean", channels, 0.0)
        self.std = self.constant("data.std", channels, 1.0)

    def constant(self, key, channels, otherwise):
        return torch.tensor(self.settings.reals(key) or [otherwise] * channels, device=self.device)

    def targets(self):
        present = self.labels[:, 0] > 0.5
        targets = Targets.__new__(Targets)  # its __init__ takes labels as files have them
        targets.values = {"presence": self.labels[:, 0:1], "angle": self.labels[:, 1],
                          "magnitude": self.labels[:, 2:3], "position": self.labels[:, 3:5]}
        targets.mask = {head: present for head in HEADS}
        targets.mask["presence"] = torch.ones_like(present)
        return targets

    def total_loss(self):
        x = ((self.pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        targets = self.targets()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            features = self.network.features(x)
        outputs = self.network.answers(features.float())  # heads and losses in fp32, as in vane
        samples = sample_losses(self.settings, outputs, targets, training=False)
        total = self.decay * regularization(self.network) if self.decay else 0.0
        for head in HEADS:
            total = total + self.weight[head] * samples[head].sum() / targets.mask[head].sum().clamp(min=1)
        return total

    def compute(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.total().backward()
        self.optimizer.step()

    def record(self):
        """Some steps on a side stream, as PyTorch wants it before a capture; then one is captured."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.upload()
                self.compute()
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.total().backward()
            self.optimizer.step()

    def upload(self):
        pixels, labels = self.host[self.steps_done % N_BATCHES]
        self.pixels.copy_(pixels, non_blocking=True)
        self.labels.copy_(labels, non_blocking=True)
        self.steps_done += 1

    def run(self):
        self.upload()
        if self.graph:
            self.graph.replay()
        else:
            self.compute()

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()
