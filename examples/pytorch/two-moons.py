# A perceptron with one hidden layer separates two moons, as two-moons.ts.

import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 16)
        self.output = nn.Linear(16, 2)

    def forward(self, x):
        return self.output(self.hidden(x).tanh())


def two_moons(count):
    points = []
    labels = []
    for i in range(count):
        angle = math.pi * torch.rand(()).item()
        is_upper = i % 2 == 0
        px, py = (math.cos(angle), math.sin(angle)) if is_upper else (1 - math.cos(angle), 0.5 - math.sin(angle))
        points.append([px, py])
        labels.append(0 if is_upper else 1)
    return torch.tensor(points) + 0.1 * torch.randn(count, 2), torch.tensor(labels)


torch.manual_seed(0)
points, labels = two_moons(400)
test_points, test_labels = two_moons(400)

model = Perceptron()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
for step in range(201):
    optimizer.zero_grad()
    loss = cross_entropy(model(points), labels)
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f'step {step}: loss {loss.item():.4f}')

accuracy = 100 * (model(test_points).argmax(1) == test_labels).float().mean().item()
print(f'accuracy on points that were not trained on: {accuracy:.1f} %')
