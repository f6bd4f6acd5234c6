# A denoising diffusion model of two moons, as diffusion.ts.

import torch
from torch import nn
from torch.nn.functional import mse_loss, silu

steps = 50
betas = 0.001 + 0.15 * torch.arange(steps) / steps
kept = (1 - betas).cumprod(0)
signal, noisiness = kept.sqrt(), (1 - kept).sqrt()


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2 + 16, 64)
        self.second = nn.Linear(64, 64)
        self.third = nn.Linear(64, 64)
        self.last = nn.Linear(64, 2)

    def forward(self, x, t):
        angles = t[:, None] * 2.0 ** -torch.arange(8)
        y = silu(self.first(torch.cat([x, angles.sin(), angles.cos()], 1)))
        return self.last(silu(self.third(silu(self.second(y)))))


def two_moons(count):
    angles = torch.randn(count, 1) * 100
    upper = torch.cat([angles.cos() - 0.5, angles.sin().abs() - 0.25], 1)
    return torch.cat([upper, -upper])


torch.manual_seed(0)
model = Denoiser()
optimizer = torch.optim.Adam(model.parameters())
for step in range(2001):
    points = two_moons(64)
    t = torch.randint(0, steps, [128])
    noise = torch.randn_like(points)
    noisy = points * signal[t][:, None] + noise * noisiness[t][:, None]
    optimizer.param_groups[0]['lr'] = 1e-2 * (1 - step / 2001)
    optimizer.zero_grad()
    loss = mse_loss(model(noisy, t), noise)
    loss.backward()
    optimizer.step()
    if step % 400 == 0:
        print(f'step {step}: loss {loss.item():.3f}')

beginning = torch.randn(500, 2)
x = beginning
with torch.no_grad():
    for t in reversed(range(steps)):
        noise = model(x, torch.full([500], t))
        x = (x - noise * betas[t] / (1 - kept[t]).sqrt()) / (1 - betas[t]).sqrt()
        if t > 0:
            x = x + torch.randn_like(x) * betas[t].sqrt()

picture = [[' '] * 64 for _ in range(20)]
for px, py in x.tolist():
    row, column = round(10 - 10 * py), round(32 + 20 * px)
    if 0 <= row < 20 and 0 <= column < 64:
        picture[row][column] = '*'
print('\n'.join(''.join(row) for row in picture))


def distance_to_moons(points):
    return torch.cdist(points, two_moons(500)).amin(1).mean().item()


print(f'distance from the moons: noise {distance_to_moons(beginning):.3f}, samples {distance_to_moons(x):.3f}')
