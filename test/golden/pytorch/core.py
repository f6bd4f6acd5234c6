# Operations of transformers, their losses, and functions of one number.

import math

import torch
import torch.nn.functional as F


def contrastive(image, text, log_scale):
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    logits = image @ text.T * log_scale.exp()
    target = torch.arange(len(image))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def attention(q, k, v, causal=False):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        past = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(scores.shape[-1] - scores.shape[-2])
        scores = scores.masked_fill(~past, -math.inf)
    return scores.softmax(-1) @ v


ids = torch.tensor([2, 0, 3])
elementwise = {
    "exp": torch.exp,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "softplus": F.softplus,
    "silu": F.silu,
    "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    "x exp x": lambda x: x * x.exp(),
    "x tanh x": lambda x: x * x.tanh(),
}
cases = [
    ("softmax", lambda x: x.softmax(-1), [(3, 4)], 2),
    ("softmax of the first axis", lambda x: x.softmax(0), [(3, 4)], 2),
    ("logSoftmax", lambda x: x.log_softmax(-1), [(3, 4)], 2),
    ("layerNorm", lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), [(3, 5), (5,), (5,)], 2),
    ("attention", attention, [(2, 3, 4), (2, 5, 4), (2, 5, 2)], 2),
    ("causal attention", lambda q, k, v: attention(q, k, v, True), [(3, 4), (5, 4), (5, 2)], 2),
    ("self-attention", lambda x: attention(x, x, x), [(3, 4)], 2),
    ("gelu of PyTorch", F.gelu, [(7,)], 2),
    ("geluTanh", lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), [(7,)], 3),
    ("crossEntropy", lambda x, ids: F.cross_entropy(x, ids), [(3, 4), ids], 2),
    ("crossEntropy, smoothed", lambda x, ids: F.cross_entropy(x, ids, label_smoothing=0.1), [(3, 4), ids], 2),
    ("crossEntropy, ignoring", lambda x, ids: F.cross_entropy(x, ids, ignore_index=0), [(3, 4), ids], 2),
    ("contrastiveLoss", contrastive, [(3, 4), (3, 4), ()], 2),
] + [(name, f, [(7,)], 3) for name, f in elementwise.items()]
