# A small GPT with rotary positions, RMSNorm and SwiGLU that writes words backwards, as rotary-gpt.ts.

import torch
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention, silu

characters = 'abcdefghijklmnopqrstuvwxyz>'
letters, width, heads = 5, 48, 4


def rotary(x):
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * 10000 ** (-torch.arange(half) / half)
    a, b = x.split(half, -1)
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


class SwiGLU(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down(silu(self.gate(x)) * self.up(x))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.input = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x):
        q, k, v = (y.unflatten(2, [heads, -1]).transpose(1, 2) for y in self.input(x).split(width, 2))
        y = scaled_dot_product_attention(rotary(q), rotary(k), v, is_causal=True)
        return self.output(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.RMSNorm(width)
        self.attention = Attention()
        self.gated_norm = nn.RMSNorm(width)
        self.gated = SwiGLU(width, 128)

    def forward(self, x):
        y = x + self.attention(self.attention_norm(x))
        return y + self.gated(self.gated_norm(y))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(characters), width)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.RMSNorm(width)
        self.output = nn.Linear(width, len(characters), bias=False)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, ids):
        return self.output(self.norm(self.blocks(self.embedding(ids))))


def asked(words):
    return torch.cat([words, torch.full([len(words), 1], characters.index('>'))], 1)


torch.manual_seed(0)
model = Gpt()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(301):
    words = torch.randint(0, 26, [48, letters])
    text = torch.cat([asked(words), words.flip(1)], 1)
    optimizer.zero_grad()
    answer = model(text[:, :-1])[:, letters:]
    loss = cross_entropy(answer.transpose(1, 2), words.flip(1))
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    if step % 50 == 0:
        print(f'step {step}: loss {loss.item():.3f}')


def written(words):
    text = asked(words)
    for _ in range(letters):
        text = torch.cat([text, model(text)[:, -1].argmax(1)[:, None]], 1)
    return text


for word in ['hello', 'world', 'stars']:
    ids = written(torch.tensor([[characters.index(character) for character in word]]))[0]
    print(''.join(characters[i] for i in ids))

unseen = torch.randint(0, 26, [500, letters])
right = (written(unseen)[:, letters + 1:] == unseen.flip(1)).all(1)
print(f'right for {100 * right.float().mean().item():.1f} % of 500 words')
