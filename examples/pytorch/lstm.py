# An LSTM that counts whether the ones so far are even or odd, as lstm.ts.

import torch
from torch import nn
from torch.nn.functional import cross_entropy


class Parity(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 16, batch_first=True)
        self.output = nn.Linear(16, 2)

    def forward(self, bits, before=None):
        output, state = self.lstm(bits.float()[..., None], before)
        return self.output(output), state


is_odd = lambda bits: bits.cumsum(1) % 2

torch.manual_seed(0)
model = Parity()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(251):
    bits = torch.randint(0, 2, [64, 12])
    optimizer.zero_grad()
    logits, _ = model(bits)
    loss = cross_entropy(logits.transpose(1, 2), is_odd(bits))
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f'step {step}: loss {loss.item():.4f}')


def accuracy(logits, right):
    return f'{100 * (logits.argmax(2) == right).float().mean().item():.1f}'


long = torch.randint(0, 2, [20, 600])
whole, _ = model(long)
print(f'right after {accuracy(whole, is_odd(long))} % of 600 bits')

first, second = long[:, :300], long[:, 300:]
_, state = model(first)
answers = is_odd(long)[:, 300:]
print(f'the second half, with the state: {accuracy(model(second, state)[0], answers)} %')
print(f'the second half, without it: {accuracy(model(second)[0], answers)} %')
