"""OpenCLIP's CoCa in PyTorch, written from its definition and with its names, so that a state dict fits. The port is timed
beside it, and it writes golden numbers for sizes that have not been released."""

import torch
import torch.nn.functional as F
from torch import nn

PAD = 0


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class MLP(nn.Module):
    def __init__(self, width, hidden, quick):
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.act = QuickGELU() if quick else nn.GELU()
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, x):
        return self.c_proj(self.act(self.c_fc(x)))


class Block(nn.Module):
    """Pre-norm attention and a feed-forward layer; with `cross` the keys come from other tokens and have a norm too."""

    def __init__(self, width, heads, hidden, quick, cross=False):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        if cross:
            self.ln_1_kv = nn.LayerNorm(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width, hidden, quick)

    def forward(self, x, memory=None, mask=None):
        queries = self.ln_1(x)
        keys = queries if memory is None else self.ln_1_kv(memory)
        x = x + self.attn(queries, keys, keys, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Blocks(nn.Module):
    def __init__(self, layers, *options):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(*options) for _ in range(layers))

    def forward(self, x, mask=None):
        for block in self.resblocks:
            x = block(x, mask=mask)
        return x


class Pooler(nn.Module):
    def __init__(self, width, memory_width, heads, queries):
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, width))
        self.attn = nn.MultiheadAttention(width, heads, kdim=memory_width, vdim=memory_width, batch_first=True)
        self.ln_q = nn.LayerNorm(width)
        self.ln_k = nn.LayerNorm(memory_width)

    def forward(self, x):
        keys = self.ln_k(x)
        queries = self.ln_q(self.query).expand(len(x), -1, -1)
        return self.attn(queries, keys, keys, need_weights=False)[0]


class Visual(nn.Module):
    def __init__(self, config, embedding, quick):
        super().__init__()
        width, patch, size = config["width"], config["patch_size"], config["image_size"]
        heads = width // config.get("head_width", 64)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn((size // patch) ** 2 + 1, width))
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Blocks(config["layers"], width, heads, int(width * config.get("mlp_ratio", 4)), quick)
        queries, pooler_heads = config.get("attn_pooler_queries", 256), config.get("attn_pooler_heads", 8)
        self.attn_pool = Pooler(embedding, width, pooler_heads, queries)
        self.ln_post = nn.LayerNorm(embedding)
        self.proj = nn.Parameter(torch.randn(embedding, embedding))

    def forward(self, images):
        x = self.conv1(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        pooled = self.ln_post(self.attn_pool(self.transformer(self.ln_pre(x))))
        return pooled[:, 0] @ self.proj, pooled[:, 1:]


class Text(nn.Module):
    def __init__(self, config, embedding, quick, correct_mask):
        super().__init__()
        width = config["width"]
        self.correct_mask = correct_mask
        self.token_embedding = nn.Embedding(config["vocab_size"], width)
        self.positional_embedding = nn.Parameter(torch.randn(config["context_length"] + 1, width))
        self.cls_emb = nn.Parameter(torch.randn(width))
        hidden = int(width * config.get("mlp_ratio", 4))
        self.heads = config["heads"]
        self.transformer = Blocks(config["layers"], width, self.heads, hidden, quick)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, embedding))

    def forward(self, ids):
        batch, length = ids.shape
        x = torch.cat([self.token_embedding(ids), self.cls_emb.expand(batch, 1, -1)], 1)
        x = self.transformer(x + self.positional_embedding[: length + 1], self.hidden(ids))
        return self.ln_final(x[:, -1]) @ self.text_projection, x[:, :-1]

    def hidden(self, ids):
        """True where a query must not attend to a key, for every head."""
        batch, length = ids.shape
        one = torch.ones(batch, 1, dtype=torch.bool)
        seen = torch.cat([ids != PAD, one] if self.correct_mask else [one, ids != PAD], 1)
        mask = later(length + 1) | ~seen[:, None]
        return mask.repeat_interleave(self.heads, 0)


def later(n):
    return torch.ones(n, n, dtype=torch.bool).triu(1)


class Decoder(nn.Module):
    def __init__(self, config, vocabulary, quick):
        super().__init__()
        width, heads = config["width"], config["heads"]
        options = width, heads, 4 * width, quick
        self.resblocks = nn.ModuleList(Block(*options) for _ in range(config["layers"]))
        self.cross_attn = nn.ModuleList(Block(*options, cross=True) for _ in range(config["layers"]))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, vocabulary))

    def forward(self, x, image):
        mask = later(x.shape[1])
        for own, cross in zip(self.resblocks, self.cross_attn):
            x = cross(own(x, mask=mask), image)
        return self.ln_final(x) @ self.text_projection


class CoCa(nn.Module):
    def __init__(self, config):
        super().__init__()
        quick, embedding, text = config.get("quick_gelu", False), config["embed_dim"], config["text_cfg"]
        self.logit_scale = nn.Parameter(torch.tensor(2.6593))
        self.visual = Visual(config["vision_cfg"], embedding, quick)
        self.text = Text(text, embedding, quick, config.get("correct_cls_mask", False))
        self.text_decoder = Decoder(config["multimodal_cfg"], text["vocab_size"], quick)

    def outputs(self, images, ids):
        image, tokens = self.visual(images)
        text, text_tokens = self.text(ids)
        image_features, text_features = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
        logits = self.text_decoder(text_tokens, tokens)
        scale = self.logit_scale.exp()
        scores, pairs = scale * image_features @ text_features.T, torch.arange(len(images))
        contrastive = (F.cross_entropy(scores, pairs) + F.cross_entropy(scores.T, pairs)) / 2
        caption = 2 * F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], ignore_index=PAD)
        return {
            "image_features": image_features,
            "text_features": text_features,
            "image_features_unnormalized": image,
            "text_features_unnormalized": text,
            "image_embs": tokens,
            "text_embs": text_tokens,
            "logits": logits,
            "logit_scale": scale.reshape(1),
            "contrastive_loss": contrastive.reshape(1),
            "caption_loss": caption.reshape(1),
            "total_loss": (contrastive + caption).reshape(1),
        }

    def next_logits(self, tokens, ids):
        """Logits after the ids [n, t], given image tokens [n, q, width]."""
        return self.text_decoder(self.text(ids)[1], tokens)[:, -1]
