"""Adam as the configuration asks for it, (N30) to (N35), and the course of the learning rate.

`outside` is torch.optim itself. `hat` is TensorFlow 1's rule, which torch.optim does not have.
"""

import math

import torch


class HatAdam(torch.optim.Optimizer):
    """(N33), with (N30), (N34), (N35) where they are asked for."""

    def __init__(self, groups, lr, betas, eps, amsgrad, decoupled):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0}
        super().__init__(groups, defaults)
        self.amsgrad, self.decoupled, self.t = amsgrad, decoupled, 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            rate = group["lr"] * math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, group, beta1, beta2, rate)

    def move(self, parameter, group, beta1, beta2, rate):
        state = self.state[parameter]
        if not state:
            state["m"], state["v"], state["top"] = (torch.zeros_like(parameter) for _ in range(3))
        gradient, decay = parameter.grad, group["weight_decay"]
        if decay and self.decoupled:
            parameter.mul_(1 - group["lr"] * decay)
        elif decay:
            gradient = gradient + decay * parameter
        state["m"].mul_(beta1).add_(gradient, alpha=1 - beta1)
        state["v"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        second = state["v"]
        if self.amsgrad:
            second = torch.maximum(state["top"], second, out=state["top"])
        parameter.addcdiv_(state["m"], second.sqrt().add_(group["eps"]), value=-rate)


def make_optimizer(settings, network):
    weights = network.weights()
    decaying = {id(weight) for weight in weights}
    others = [parameter for parameter in network.parameters() if id(parameter) not in decaying]
    groups = [
        {"params": weights, "weight_decay": settings.real("optim.weight_decay")},
        {"params": others, "weight_decay": 0.0},
    ]
    options = {
        "lr": settings.real("optim.lr"),
        "betas": (settings.real("optim.beta1"), settings.real("optim.beta2")),
        "eps": settings.real("optim.epsilon"),
        "amsgrad": settings.flag("optim.amsgrad"),
    }
    decoupled = settings.word("optim.decay_mode") == "decoupled"
    if settings.word("optim.epsilon_mode") == "hat":
        return HatAdam(groups, decoupled=decoupled, **options)
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    return kind(groups, fused=True, **options)


def learning_rate(settings, step):
    """Of step 1, 2, ..."""
    top, final = settings.real("optim.lr"), settings.real("optim.lr_final")
    warmup, steps = settings.whole("optim.warmup"), settings.whole("train.steps")
    if step < warmup:
        return top * step / warmup
    after, schedule = step - warmup, settings.word("optim.schedule")
    done = after / (steps - warmup) if step < steps else 1.0
    if schedule == "cosine":
        return final + (top - final) * 0.5 * (1 + math.cos(math.pi * done))
    if schedule == "linear":
        return top + (final - top) * done
    if schedule == "step":
        return top * settings.real("optim.step_factor") ** (max(after - 1, 0) // settings.whole("optim.step_every"))
    return top
