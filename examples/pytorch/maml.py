# MAML on sine waves, as maml.ts.

import math
from random import seed, uniform

import torch
from torch import nn
from torch.func import functional_call, grad


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(1, 32)
        self.second = nn.Linear(32, 32)
        self.last = nn.Linear(32, 1)

    def forward(self, x):
        return self.last(self.second(self.first(x).tanh()).tanh())


torch.manual_seed(0)
seed(1)


def draw_wave():
    amplitude, phase = uniform(0.5, 2), uniform(0, math.pi)

    def draw_points(count):
        x = torch.tensor([[uniform(-3, 3)] for _ in range(count)])
        return x, amplitude * (x + phase).sin()

    return draw_points


model = Network()
parameters = dict(model.named_parameters())


def error(parameters, points):
    x, y = points
    return (functional_call(model, parameters, x) - y).square().mean()


def error_after_step(few, others):
    gradients = grad(error)(parameters, few)
    adapted = {name: parameter - 0.03 * gradients[name] for name, parameter in parameters.items()}
    return error(adapted, others)


def evaluate():
    before = after = 0
    for _ in range(50):
        wave = draw_wave()
        few, others = wave(10), wave(50)
        before += error(parameters, others).item() / 50
        after += error_after_step(few, others).item() / 50
    return f'error {before:.3f}, after one step on ten points {after:.3f}'


print(f'untrained: {evaluate()}')
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(400):
    waves = [draw_wave() for _ in range(4)]
    optimizer.zero_grad()
    loss = sum(error_after_step(wave(10), wave(20)) for wave in waves) / 4
    loss.backward()
    optimizer.step()
print(f'trained: {evaluate()}')
