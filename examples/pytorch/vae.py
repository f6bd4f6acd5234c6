# A variational autoencoder of real digits, as vae.ts.

import numpy
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

rows = torch.tensor(numpy.loadtxt('examples/digits.csv.gz', delimiter=','), dtype=torch.float32)
digits = rows[:, :64] / 16


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(64, 128)
        self.mean = nn.Linear(128, 8)
        self.log_variance = nn.Linear(128, 8)
        self.decoder = nn.Linear(8, 128)
        self.pixels = nn.Linear(128, 64)

    def decode(self, z):
        return self.pixels(self.decoder(z).relu())

    def loss(self, x):
        hidden = self.encoder(x).relu()
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        reconstruction = binary_cross_entropy_with_logits(self.decode(z), x, reduction='sum') / len(x)
        divergence = ((mean**2 + log_variance.exp() - log_variance - 1) / 2).sum(1).mean()
        return reconstruction, divergence


torch.manual_seed(0)
model = Vae()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(1501):
    optimizer.zero_grad()
    reconstruction, divergence = model.loss(digits[torch.randint(0, len(digits), [64])])
    loss = reconstruction + divergence
    loss.backward()
    optimizer.step()
    if step % 300 == 0:
        print(f'step {step}: loss {loss:.1f} (reconstruction {reconstruction:.1f}, divergence {divergence:.1f})')

print('\ndigits that nobody wrote:')
drawn = model.decode(torch.randn(8, 8)).sigmoid().reshape(8, 8, 8).tolist()
for y in range(8):
    print('  '.join(''.join(' .:+#@'[int(5.99 * grey)] * 2 for grey in rows[y]) for rows in drawn))
