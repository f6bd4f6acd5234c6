# Grad-CAM of the network of cnn.py, as grad-cam.ts.

import torch
from torch.nn.functional import interpolate

from cnn import images, labels, model

features = model.features(images)
logits = model.classify(features).gather(1, labels[:, None])
(gradients,) = torch.autograd.grad(logits.sum(), features)
weights = gradients.mean((2, 3), keepdim=True)
maps = (features * weights).sum(1, keepdim=True).relu().detach()
heat = interpolate(maps / (maps.amax((2, 3), keepdim=True) + 1e-9), size=8, mode='bilinear')

print('\nsome digits, and below each the heat of its pixels:')
for pictures in [images, heat]:
    grey = pictures[:6].tolist()
    for y in range(8):
        print('  '.join(''.join(' .:+#@'[int(5.99 * value)] * 2 for value in rows[y]) for (rows,) in grey))


def accuracy_without(scores):
    twelfth = scores.flatten(1).topk(12).values[:, -1].reshape(-1, 1, 1, 1)
    hidden = images.masked_fill(scores >= twelfth, 0)
    return f'{100 * (model(hidden).argmax(1) == labels).float().mean().item():.1f} %'


print(f'\nwithout 12 hot pixels the network is right for {accuracy_without(heat)}')
print(f'without 12 random pixels it is right for {accuracy_without(torch.rand_like(heat))}')
