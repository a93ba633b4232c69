"""R64, the network of presets/r64.yaml, as one writes it in PyTorch."""

import torch
from torch import nn

OUTPUTS = {"presence": 1, "angle": 2, "magnitude": 1, "position": 2}
STAGES = ((32, 1), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1))  # channels, stride


class Residual(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.first = nn.Conv2d(c_in, c_out, 3, stride, 1)
        self.second = nn.Conv2d(c_out, c_out, 3, 1, 1)
        self.skip = nn.Identity() if c_in == c_out and stride == 1 else nn.Conv2d(c_in, c_out, 1, stride)

    def forward(self, x):
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + self.skip(x))


class R64(nn.Module):
    def __init__(self):
        super().__init__()
        layers, c = [nn.Conv2d(3, 32, 5, 2, 2), nn.ReLU()], 32
        for c_out, stride in STAGES:
            layers.append(Residual(c, c_out, stride))
            c = c_out
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.heads = nn.ModuleDict({
            name: nn.Sequential(nn.Linear(c, 64), nn.ReLU(), nn.Linear(64, n)) for name, n in OUTPUTS.items()
        })

    def forward(self, x):
        features = self.trunk(x)
        return {name: head(features) for name, head in self.heads.items()}
