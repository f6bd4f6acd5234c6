# A small GPT that learns a poem and writes, as character-gpt.ts.

import torch
from torch import nn
from torch.nn.functional import cross_entropy

# Lewis Carroll, Jabberwocky (1871)
text = '''Twas brillig, and the slithy toves
Did gyre and gimble in the wabe:
All mimsy were the borogoves,
And the mome raths outgrabe.

Beware the Jabberwock, my son!
The jaws that bite, the claws that catch!
Beware the Jubjub bird, and shun
The frumious Bandersnatch!

He took his vorpal sword in hand;
Long time the manxome foe he sought
So rested he by the Tumtum tree
And stood awhile in thought.
'''
characters = sorted(set(text))
ids_of = lambda some: torch.tensor([characters.index(character) for character in some])
ids = ids_of(text)
context = 32


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(characters), 48)
        self.positions = nn.Embedding(context, 48)
        block = lambda: nn.TransformerEncoderLayer(48, 4, 192, 0, 'gelu', batch_first=True, norm_first=True)
        self.blocks = nn.ModuleList(block() for _ in range(2))
        self.norm = nn.LayerNorm(48)
        self.output = nn.Linear(48, len(characters))
        for embedding in [self.embedding, self.positions]:
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, x):
        length = x.shape[1]
        y = self.embedding(x) + self.positions(torch.arange(length))
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        for block in self.blocks:
            y = block(y, mask, is_causal=True)
        return self.output(self.norm(y))


torch.manual_seed(0)
model = Gpt()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
offsets = torch.arange(context + 1)
for step in range(151):
    pieces = ids[torch.randint(0, len(ids) - context, [12, 1]) + offsets]
    x, y = pieces[:, :-1], pieces[:, 1:]
    optimizer.zero_grad()
    loss = cross_entropy(model(x).transpose(1, 2), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    if step % 30 == 0:
        print(f'step {step}: loss {loss.item():.3f}')

written = 'Beware'
while len(written) < 100:
    logits = model(ids_of(written[-context:])[None])
    written += characters[logits[0, -1].argmax().item()]
print(f'\n{written}')
