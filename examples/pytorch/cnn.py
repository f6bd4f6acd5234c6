# A convolutional network on real digits, as cnn.ts.

import numpy
import torch
from torch import nn
from torch.nn.functional import cross_entropy, max_pool2d

rows = torch.tensor(numpy.loadtxt('examples/digits.csv.gz', delimiter=','), dtype=torch.float32)
images_of = lambda data: (data[:, :64] / 16).reshape(-1, 1, 8, 8)
labels_of = lambda data: data[:, 64].long()
train = rows[torch.arange(len(rows)) % 5 > 0]
test = rows[::5]


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.output = nn.Linear(32 * 2 * 2, 10)

    def features(self, x):
        edges = max_pool2d(self.norm1(self.conv1(x)).relu(), 2)
        return self.norm2(self.conv2(edges)).relu()

    def classify(self, features):
        return self.output(max_pool2d(features, 2).flatten(1))

    def forward(self, x):
        return self.classify(self.features(x))


torch.manual_seed(0)
model = Cnn()
images, labels = images_of(test), labels_of(test)
optimizer = torch.optim.Adam(model.parameters())
for step in range(301):
    batch = train[torch.randint(0, len(train), [64])]
    optimizer.param_groups[0]['lr'] = 5e-3 * (1 - step / 301)
    optimizer.zero_grad()
    loss = cross_entropy(model(images_of(batch)), labels_of(batch))
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f'step {step}: loss {loss.item():.3f}')

model.eval()
accuracy = 100 * (model(images).argmax(1) == labels).float().mean().item()
print(f'accuracy on digits that were not trained on: {accuracy:.1f} %')
