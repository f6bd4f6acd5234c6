"""The CoCa of bench/model.ts in PyTorch, in its fastest form: tokens are flat, [batch * tokens, width], so that every linear
layer is one product that includes the bias; queries, keys and values come from one matrix."""

import torch
import torch.nn.functional as F
from torch import nn


class Joined(nn.Linear):
    """Several linear layers of one input as one product; `parts` are their names in our state dict."""

    def __init__(self, inputs, outputs, parts):
        super().__init__(inputs, outputs * len(parts))
        self.parts = parts


def attend(queries, keys, values, causal):
    """[batch, heads, tokens, size] each, in any layout of memory -> [batch * queries, heads * size]"""
    batch, heads, tokens, size = queries.shape
    seen = F.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
    return seen.transpose(1, 2).reshape(batch * tokens, heads * size)


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.joined = Joined(width, width, ("query", "key", "value"))
        self.output = nn.Linear(width, width)

    def forward(self, x, batch, causal):
        tokens, width = x.shape[0] // batch, x.shape[1]
        joined = self.joined(x).view(batch, tokens, 3, self.heads, width // self.heads)
        queries, keys, values = joined.permute(2, 0, 3, 1, 4).unbind(0)
        return self.output(attend(queries, keys, values, causal))


class CrossAttention(nn.Module):
    def __init__(self, width, heads, memory_width):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.joined = Joined(memory_width, width, ("key", "value"))
        self.output = nn.Linear(width, width)

    def forward(self, x, memory, batch):
        width = x.shape[1]
        size = width // self.heads
        queries = self.query(x).view(batch, -1, self.heads, size).transpose(1, 2)
        joined = self.joined(memory).view(batch, -1, 2, self.heads, size)
        keys, values = joined.permute(2, 0, 3, 1, 4).unbind(0)
        return self.output(attend(queries, keys, values, False))


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class Block(nn.Module):
    def __init__(self, width, heads, memory_width=None):
        super().__init__()
        self.attentionNorm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        if memory_width is not None:
            self.crossNorm = nn.LayerNorm(width)
            self.crossAttention = CrossAttention(width, heads, memory_width)
        self.mlpNorm = nn.LayerNorm(width)
        self.mlp = MLP(width)

    def forward(self, x, batch, causal, memory=None):
        x = x + self.attention(self.attentionNorm(x), batch, causal)
        if memory is not None:
            x = x + self.crossAttention(self.crossNorm(x), memory, batch)
        return x + self.mlp(self.mlpNorm(x))


class Encoder(nn.Module):
    def __init__(self, size, patch, width, layers, heads):
        super().__init__()
        self.patch = patch
        self.patches = nn.ModuleDict({"projection": nn.Linear(3 * patch * patch, width)})
        self.positions = nn.Parameter(torch.empty((size // patch) ** 2, width))
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])

    def forward(self, images):
        batch, channels, size, _ = images.shape
        across, side = size // self.patch, self.patch
        grid = images.view(batch, channels, across, side, across, side).permute(0, 2, 4, 1, 3, 5)
        x = self.patches["projection"](grid.reshape(batch * across * across, -1))
        x = (x.view(batch, across * across, -1) + self.positions).flatten(0, 1)
        for block in self.blocks:
            x = block(x, batch, False)
        return x


class Pooler(nn.Module):
    def __init__(self, queries, width, heads, memory_width):
        super().__init__()
        self.queries = nn.Parameter(torch.empty(queries, width))
        self.memoryNorm = nn.LayerNorm(memory_width)
        self.attention = CrossAttention(width, heads, memory_width)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens, batch):
        queries = self.queries.expand(batch, *self.queries.shape).flatten(0, 1)
        return self.norm(self.attention(queries, self.memoryNorm(tokens), batch))


class Unimodal(nn.Module):
    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.classToken = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(context + 1, width))
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        batch, length = ids.shape
        class_token = self.classToken.expand(batch, 1, -1)
        x = (torch.cat([self.embedding(ids), class_token], 1) + self.positions).flatten(0, 1)
        for block in self.blocks:
            x = block(x, batch, True)
        x = x.view(batch, length + 1, -1)
        return x[:, :length].flatten(0, 1), self.norm(x[:, length])


class Multimodal(nn.Module):
    def __init__(self, vocabulary, width, heads, layers, memory_width):
        super().__init__()
        self.blocks = nn.ModuleList([Block(width, heads, memory_width) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, vocabulary)

    def forward(self, x, memory, batch):
        for block in self.blocks:
            x = block(x, batch, True, memory)
        return self.output(self.norm(x))


class CoCa(nn.Module):
    def __init__(self, config):
        super().__init__()
        image, text, pooler = config["image"], config["text"], config["pooler"]
        width, heads, vocabulary = text["width"], text["heads"], text["vocabulary"]
        self.encoder = Encoder(image["size"], image["patch"], image["width"], image["layers"], image["heads"])
        self.generativePooler = Pooler(pooler["queries"] + 1, width, pooler["heads"], image["width"])
        self.imageProjection = nn.Linear(width, config["embedding"], bias=False)
        self.unimodal = Unimodal(vocabulary, text["context"], width, heads, text["unimodalLayers"])
        self.textProjection = nn.Linear(width, config["embedding"], bias=False)
        self.multimodal = Multimodal(vocabulary, width, heads, text["multimodalLayers"], width)
        self.logScale = nn.Parameter(torch.empty(()))

    def loss(self, images, ids):
        batch, length = ids.shape
        pooled = self.generativePooler(self.encoder(images), batch).view(batch, -1, self.imageProjection.in_features)
        image = F.normalize(self.imageProjection(pooled[:, 0]), dim=-1)
        tokens, summary = self.unimodal(ids)
        text = F.normalize(self.textProjection(summary), dim=-1)
        similarity = image @ text.t() * self.logScale.exp()
        pairs = torch.arange(batch)
        contrastive = (F.cross_entropy(similarity, pairs) + F.cross_entropy(similarity.t(), pairs)) / 2
        logits = self.multimodal(tokens, pooled[:, 1:].flatten(0, 1), batch).view(batch, length, -1)
        captioning = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        return contrastive + 2 * captioning


@torch.no_grad()
def load(model, weights):
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, Joined):
                attention = path.rpartition(".")[0]
                value = weights.joined([f"{attention}.{part}.{name}" for part in module.parts])
            else:
                value = weights[f"{path}.{name}" if path else name]
            value = torch.from_numpy(value)
            if value.shape != parameter.shape:
                raise ValueError(f"{path}.{name} is {list(parameter.shape)} here and {list(value.shape)} there")
            parameter.copy_(value)


def adamw(parameters):
    options = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    return torch.optim.AdamW(list(parameters), fused=True, **options)
