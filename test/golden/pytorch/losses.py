# Losses.

import torch
import torch.nn.functional as F

hard = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]]).bool()
ids = torch.tensor([2, 0, 3, 1])
signs = torch.tensor([1, -1, 1, -1])


# torchvision's sigmoid_focal_loss
def focal(x, y, alpha=0.25, gamma=2.0):
    p = torch.sigmoid(x)
    ce = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    p_t = p * y + (1 - p) * (1 - y)
    return (ce * (1 - p_t) ** gamma * (alpha * y + (1 - alpha) * (1 - y))).mean()


# F.cosine_embedding_loss without the 1e-12 that it adds to the squares of the lengths
def cosine_embedding(x, y, signs):
    c = F.cosine_similarity(x, y, dim=-1)
    return torch.where(signs > 0, 1 - c, F.relu(c + 0.9))


def info_nce(query, key, negatives):
    own = (query * key).sum(-1, keepdim=True)
    return F.cross_entropy(torch.cat([own, query @ negatives.T], 1) / 0.2, torch.zeros(len(query), dtype=torch.long))


pair = [(3, 4), (3, 4)]
cases = [
    ("mseLoss", F.mse_loss, pair, 2),
    ("l1Loss", lambda x, y: F.l1_loss(x, y, reduction="none"), pair, 1),
    ("huberLoss", lambda x, y: F.huber_loss(x, y, delta=0.7), pair, 2),
    ("huberLoss of the target itself", lambda x: F.huber_loss(x, x.detach()), [(3,)], 2),
    ("smoothL1Loss", lambda x, y: F.smooth_l1_loss(x, y, beta=0.7, reduction="sum"), pair, 2),
    (
        "bceWithLogitsLoss",
        lambda x, y, w, p: F.binary_cross_entropy_with_logits(
            x * 5, torch.sigmoid(y), weight=w.detach(), pos_weight=p.detach()
        ),
        [(4, 3), (4, 3), (3,), (3,)],
        2,
    ),
    ("bceWithLogitsLoss of bools", lambda x, y: F.binary_cross_entropy_with_logits(x, y.double()), [(4, 3), hard], 2),
    ("focalLoss", lambda x, y: focal(x, y.double()), [(4, 3), hard], 2),
    ("nllLoss", lambda x, i: F.nll_loss(x.log_softmax(-1), i.long()), [(4, 5), ids], 2),
    (
        "nllLoss, weighted",
        lambda x, i, w: F.nll_loss(x, i.long(), weight=w.detach().exp(), ignore_index=0),
        [(4, 5), ids, (5,)],
        2,
    ),
    (
        "klDivergenceLoss",
        lambda p, q: F.kl_div(q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="batchmean"),
        pair,
        2,
    ),
    (
        "cosineEmbeddingLoss",
        cosine_embedding,
        [(4, 3), (4, 3), signs],
        2,
    ),
    ("tripletLoss", lambda x, y, z: F.triplet_margin_loss(x, y, z, margin=2.0), [(3, 4)] * 3, 2),
    (
        "tripletLoss, swapped",
        lambda x, y, z: F.triplet_margin_loss(x, y, z, margin=2.0, p=2, swap=True, reduction="none"),
        [(3, 4)] * 3,
        2,
    ),
    ("infoNceLoss", info_nce, [(3, 4), (3, 4), (5, 4)], 2),
]
