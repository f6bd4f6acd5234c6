# A vision transformer on real digits, as digits.ts.

import math

import numpy
import torch
from torch import nn
from torch.nn.functional import cross_entropy

rows = torch.tensor(numpy.loadtxt('examples/digits.csv.gz', delimiter=','), dtype=torch.float32)
images_of = lambda data: (data[:, :64] / 8 - 1).reshape(-1, 1, 8, 8).expand(-1, 3, 8, 8)
labels_of = lambda data: data[:, 64].long()
train = rows[torch.arange(len(rows)) % 5 > 0]
test = rows[::5]


class ImageClassifier(nn.Module):
    def __init__(self, size=8, patch=2, width=32, layers=2, heads=4, classes=10):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.positions = nn.Parameter(torch.randn((size // patch) ** 2, width))
        block = nn.TransformerEncoderLayer(width, heads, 4 * width, 0, 'gelu', batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.query = nn.Parameter(torch.randn(1, 1, width) / width**0.5)
        self.pooler = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images):
        tokens = self.blocks(self.patches(images).flatten(2).mT + self.positions)
        pooled, _ = self.pooler(self.query.expand(len(images), -1, -1), tokens, tokens)
        return self.head(self.norm(pooled[:, 0]))


torch.manual_seed(0)
model = ImageClassifier()
print(f'{sum(p.numel() for p in model.parameters())} parameters')

steps = 300
optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
for step in range(steps + 1):
    warmup = (step + 1) / 20 if step < 20 else 0.5 * (1 + math.cos(math.pi * (step - 20) / (steps - 20)))
    optimizer.param_groups[0]['lr'] = 4e-3 * warmup
    batch = train[torch.randint(0, len(train), [32])]
    optimizer.zero_grad()
    loss = cross_entropy(model(images_of(batch)), labels_of(batch))
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f'step {step}: loss {loss.item():.3f}')

model.eval()
accuracy = 100 * (model(images_of(test)).argmax(1) == labels_of(test)).float().mean().item()
print(f'accuracy on digits that were not trained on: {accuracy:.1f} %')
