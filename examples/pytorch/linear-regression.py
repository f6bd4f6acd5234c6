# Linear regression by gradient descent, as linear-regression.ts.

import torch
from torch.func import grad_and_value

torch.manual_seed(1)
x = torch.randn(200, 2)
y = x @ torch.tensor([[2.0], [-3.0]]) + 0.5 + 0.1 * torch.randn(200, 1)


def loss(w, b):
    return (x @ w + b - y).square().mean()


gradients_and_loss = grad_and_value(loss, argnums=(0, 1))

w = torch.zeros(2, 1)
b = torch.zeros(1)
for step in range(61):
    (dw, db), value = gradients_and_loss(w, b)
    if step % 20 == 0:
        print(f'step {step}: loss {value.item():.4f}')
    w = w - 0.1 * dw
    b = b - 0.1 * db
print('w', *w.flatten().tolist())
print('b', *b.tolist())
