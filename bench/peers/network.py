"""The network that `model.trunk` and `model.heads` describe, in PyTorch.

Modules carry the names of vane's checkpoint tensors (`trunk.3.conv1.weight`, `heads.angle.0.bias`),
so a checkpoint is a state dict as it stands.
"""

import math

import torch
from torch import nn
from torch.nn import functional

HEADS = ("presence", "angle", "magnitude", "position")


class Conv(nn.Module):
    def __init__(self, c_in, c_out, kernel, stride, padding, normalise, relu, norm_options):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=not normalise)
        self.norm = nn.BatchNorm2d(c_out, **norm_options) if normalise else None
        self.relu = relu

    def forward(self, x):
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return functional.relu(x) if self.relu else x


class Block(nn.Module):
    """relu(norm2(conv2(relu(norm1(conv1(x))))) + skip); the skip is a 1x1 convolution with a bias
    where stride or channels change."""

    def __init__(self, c_in, c_out, kernel, stride, normalise, norm_options):
        super().__init__()
        half = kernel // 2
        self.conv1 = nn.Conv2d(c_in, c_out, kernel, stride, half, bias=not normalise)
        self.conv2 = nn.Conv2d(c_out, c_out, kernel, 1, half, bias=not normalise)
        self.norm1 = nn.BatchNorm2d(c_out, **norm_options) if normalise else nn.Identity()
        self.norm2 = nn.BatchNorm2d(c_out, **norm_options) if normalise else nn.Identity()
        changes = stride != 1 or c_in != c_out
        self.projection = nn.Conv2d(c_in, c_out, 1, stride) if changes else None

    def forward(self, x):
        skip = x if self.projection is None else self.projection(x)
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + skip)


class GlobalPool(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Flatten(nn.Module):
    """In the order height, width, channel, which is vane's."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def make_layer(name, keys, c_in, normalise, norm_options):
    """One layer of the trunk and its output channels."""
    if name == "conv":
        padding = keys["kernel"] // 2 if keys["padding"] < 0 else keys["padding"]
        layer = Conv(c_in, keys["channels"], keys["kernel"], keys["stride"], padding,
                     normalise and bool(keys["norm"]), bool(keys["relu"]), norm_options)
        return layer, keys["channels"]
    if name == "block":
        layer = Block(c_in, keys["channels"], keys["kernel"], keys["stride"], normalise, norm_options)
        return layer, keys["channels"]
    if name == "max_pool":
        return nn.MaxPool2d(keys["kernel"], keys["stride"], keys["padding"]), c_in
    if name == "average_pool":
        pool = nn.AvgPool2d(keys["kernel"], keys["stride"], keys["padding"], count_include_pad=False)
        return pool, c_in
    return {"global_pool": GlobalPool, "flatten": Flatten, "relu": nn.ReLU}[name](), c_in


class Network(nn.Module):
    def __init__(self, settings):
        super().__init__()
        height, width, channels = settings.wholes("model.input")
        normalise = settings.word("model.norm") == "batch"
        norm_options = {"eps": settings.real("model.norm_epsilon"), "momentum": settings.real("model.norm_momentum")}
        layers, c = [], channels
        for name, keys in settings.trunk:
            layer, c = make_layer(name, keys, c, normalise, norm_options)
            layers.append(layer)
        self.trunk = nn.ModuleList(layers)
        with torch.no_grad():
            n_features = self.eval().features(torch.zeros(1, channels, height, width)).shape[1]
        self.train()
        bins = settings.word("model.heads.angle.kind") == "bins"
        n_outputs = {"presence": 1, "angle": settings.whole("model.heads.angle.bins") if bins else 2,
                     "magnitude": 1, "position": 2}
        self.heads = nn.ModuleDict()
        for head in HEADS:
            widths = [n_features, *settings.wholes(f"model.heads.{head}.hidden"), n_outputs[head]]
            self.heads[head] = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def features(self, x):
        for layer in self.trunk:
            x = layer(x)
        return x

    def answers(self, features):
        """The four heads' raw outputs."""
        outputs = {}
        for head, layers in self.heads.items():
            x = features
            for i, layer in enumerate(layers):
                x = layer(x) if i + 1 == len(layers) else functional.relu(layer(x))
            outputs[head] = x
        return outputs

    def weights(self):
        """What is regularised and decays: no biases, no norm parameters."""
        return [parameter for parameter in self.parameters() if parameter.dim() > 1]

    def rectified(self):
        """The layers that a ReLU follows directly."""
        layers = [layer.conv for layer in self.trunk if isinstance(layer, Conv) and layer.relu]
        layers += [layer.conv1 for layer in self.trunk if isinstance(layer, Block)]
        return layers + [layer for head in self.heads.values() for layer in head[:-1]]

    @torch.no_grad()
    def initialise(self, kind, seed):
        """Draws of its own: He, with the factor 2 where a ReLU follows, or Xavier; biases 0."""
        generator = torch.Generator().manual_seed(seed)
        rectified = {id(layer) for layer in self.rectified()}
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                weight = module.weight
                area = weight[0, 0].numel()
                fan_in, fan_out = weight.shape[1] * area, weight.shape[0] * area
                he = (2 if id(module) in rectified else 1) / fan_in
                variance = he if kind == "he" else 2 / (fan_in + fan_out)
                weight.copy_(torch.randn(weight.shape, generator=generator) * math.sqrt(variance))
                if module.bias is not None:
                    module.bias.zero_()

    def load(self, checkpoint):
        """Weights and running statistics of a vane checkpoint; every tensor must be there, and no
        other beside the moments."""
        from safetensors import safe_open  # where nothing is loaded, it need not be there

        with safe_open(checkpoint, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys() if not name.startswith("adam.")}
        missing, unexpected = self.load_state_dict(tensors, strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        unexpected = [name for name in unexpected if name.startswith(("trunk.", "heads."))]
        if missing or unexpected:
            raise ValueError(f"{checkpoint}: missing {missing}, unexpected {unexpected}")


def parameter_vector(network):
    """All parameters in one fp64 vector, for distances between trainers."""
    return torch.cat([parameter.detach().double().flatten() for parameter in network.parameters()])
