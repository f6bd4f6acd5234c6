# The heat equation, solved by a network whose loss holds its own second derivatives, as physics.ts.

import math

import torch
from torch import nn
from torch.func import grad


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 24)
        self.second = nn.Linear(24, 24)
        self.last = nn.Linear(24, 1)

    def forward(self, x, t):
        return self.last(self.second(self.first(torch.cat([x, t], 1)).tanh()).tanh())


torch.manual_seed(0)
model = Network()
draw = lambda count, high: high * torch.rand(count, 1)

u = model
ux = grad(lambda x, t: u(x, t).sum())
ut = grad(lambda x, t: u(x, t).sum(), argnums=1)
uxx = grad(lambda x, t: ux(x, t).sum())


def loss():
    x, t = draw(64, math.pi), draw(64, 1)
    equation = (ut(x, t) - uxx(x, t)).square().mean()
    beginning = (u(x, 0 * t) - x.sin()).square().mean()
    ends = u(0 * x, t).square().mean() + u(0 * x + math.pi, t).square().mean()
    return equation + 10 * beginning + 10 * ends, equation


steps = 600
optimizer = torch.optim.AdamW(model.parameters())
for step in range(steps + 1):
    optimizer.param_groups[0]['lr'] = 0.01 * (1 - step / (steps + 1))
    optimizer.zero_grad()
    total, equation = loss()
    total.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f'step {step}: loss {total.item():.2e}, of which equation {equation.item():.2e}')

x, t = draw(500, math.pi), draw(500, 1)
error = (u(x, t) - x.sin() * (-t).exp()).abs().max()
print(f'largest error {error.item():.4f}, of a solution between 0 and 1')
