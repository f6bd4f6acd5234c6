# The gradient of every sample of a batch, and differentially private training, as per-sample-gradients.ts.

import numpy
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

rows = torch.tensor(numpy.loadtxt('examples/digits.csv.gz', delimiter=','), dtype=torch.float32)
train, test = rows[torch.arange(len(rows)) % 5 > 0], rows[::5]
pixels_of = lambda rows: rows[..., :64] / 16
digits_of = lambda rows: rows[..., 64].long()

torch.manual_seed(0)
model = nn.Linear(64, 10)
parameters = dict(model.named_parameters())


def loss(parameters, row):
    return cross_entropy(functional_call(model, parameters, pixels_of(row))[None], digits_of(row)[None])


per_sample = vmap(grad(loss), in_dims=(None, 0))

some = train[:20]
looped = torch.stack([grad(loss)(parameters, row)['weight'] for row in some])
difference = (per_sample(parameters, some)['weight'] - looped).abs().max()
print(f'difference from a loop over the samples: {difference.item():.0e}')

longest, noise = 1, 1


def private_gradients(batch):
    gradients = per_sample(parameters, batch)
    norms = sum(g.flatten(1).square().sum(1) for g in gradients.values()).sqrt()
    factors = (norms / longest).clamp(min=1) ** -1
    means = {}
    for name, g in gradients.items():
        total = vmap(torch.mul)(g, factors).sum(0)
        means[name] = (total + torch.randn_like(total) * noise * longest) / len(batch)
    return norms, means


optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
for step in range(101):
    norms, gradients = private_gradients(train[torch.randint(0, len(train), [128])])
    for name, parameter in parameters.items():
        parameter.grad = gradients[name].detach()
    optimizer.step()
    if step % 25 == 0:
        print(f'step {step}: norms of the gradients from {norms.min().item():.2f} to {norms.max().item():.2f}')

accuracy = 100 * (model(pixels_of(test)).argmax(1) == digits_of(test)).float().mean().item()
print(f'accuracy on digits that were not trained on: {accuracy:.1f} %')
