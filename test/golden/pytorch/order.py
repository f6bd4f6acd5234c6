# Order and what is selected by it. Elements are distinct where PyTorch does not say which of equal ones it takes.

import torch

x = (3, 5)
equal = torch.tensor([[1.0, 0.5, 1.0, -2.0], [0.0, 0.0, 3.0, -1.0]])
special = torch.tensor([0.0, torch.nan, -torch.inf, 2.0, torch.inf, -1.0, 2.0])
truths = torch.tensor([[True, False, True], [False, False, True]])
ids = torch.tensor([3, 1, 1, 0, 5])


def curved(f):
    """The second derivative of a selection is 0, that of its square is not."""
    return lambda *xs: f(*xs).square() * xs[0].sum().sin()


def picked(f):
    return lambda x: f(x).values


def positions(f):
    return lambda x: f(x).indices


methods = ["linear", "lower", "higher", "nearest", "midpoint"]
cases = [
    ("argsort", lambda x: x.argsort(dim=-1, stable=True), [x], 0),
    ("argsort of equal elements", lambda x: x.argsort(dim=-1, stable=True), [equal], 0),
    ("argsort of equal elements, descending", lambda x: x.argsort(dim=-1, descending=True, stable=True), [equal], 0),
    ("argsort of special numbers", lambda x: x.argsort(stable=True), [special], 0),
    ("argsort of special numbers, descending", lambda x: x.argsort(descending=True, stable=True), [special], 0),
    ("argsort of whole numbers along the first axis", lambda x: x.argsort(dim=0, stable=True), [truths.int() * 3 - 1], 0),
    ("argsort of truths", lambda x: x.argsort(dim=-1, stable=True), [truths], 0),
    ("sort", picked(lambda x: x.sort(-1)), [x], 2),
    ("sort, squared", curved(picked(lambda x: x.sort(0, descending=True))), [x], 2),
    ("sort of special numbers", picked(lambda x: x.sort()), [special], 0),
    ("topk", picked(lambda x: x.topk(3)), [x], 2),
    ("topk, squared", curved(picked(lambda x: x.topk(2, 0, largest=False))), [x], 2),
    ("topk's positions", positions(lambda x: x.topk(4)), [x], 0),
    ("kthValue", curved(picked(lambda x: x.kthvalue(2, 1))), [x], 2),
    ("kthValue's positions", positions(lambda x: x.kthvalue(2, 0, keepdim=True)), [x], 0),
    ("maxWithIndices", curved(picked(lambda x: x.max(1))), [x], 2),
    ("maxWithIndices' positions", positions(lambda x: x.max(0, keepdim=True)), [x], 0),
    ("minWithIndices", curved(picked(lambda x: x.min(0))), [x], 2),
    ("minWithIndices' positions", positions(lambda x: x.min(1)), [x], 0),
    ("minWithIndices of special numbers", positions(lambda x: x.min(0)), [special], 0),
    ("median", lambda x: x.median() ** 2, [(4, 3)], 2),
    ("median along an axis", curved(picked(lambda x: x.median(0, keepdim=True))), [(4, 3)], 2),
    ("median of special numbers", lambda x: x.median(), [special], 0),
    ("quantiles", curved(lambda x: torch.quantile(x, torch.tensor([0.1, 0.5, 0.9]), dim=1)), [x], 2),
    ("quantile of special numbers", lambda x: torch.quantile(x, 0.5), [special], 0),
    ("searchSorted, left", lambda line, v: torch.searchsorted(line, v), [torch.tensor([-1.0, 0, 0, 1]), equal], 0),
    (
        "searchSorted, right",
        lambda line, v: torch.searchsorted(line, v, right=True),
        [torch.tensor([-1.0, 0, 0, 1]), equal],
        0,
    ),
    (
        "searchSorted in lines of their own",
        lambda line, v: torch.searchsorted(line, v),
        [torch.tensor([[-1.0, 0, 1], [0.0, 2, 3]]), equal],
        0,
    ),
    ("histogram's counts", lambda x: torch.histogram(x, 4, range=(-1.0, 1.0)).hist.int(), [(20,)], 0),
    ("histogram's edges", lambda x: torch.histogram(x, 4).bin_edges, [(20,)], 0),
    ("bincount", lambda i: torch.bincount(i), [ids], 0),
    ("bincount of weights", lambda i, w: torch.zeros(6).scatter_add(0, i, w).sin(), [ids, (5,)], 2),
] + [
    (f"quantile, {m}", (lambda m: curved(lambda x: torch.quantile(x, 0.4, dim=0, keepdim=True, interpolation=m)))(m), [(4, 3)], 2)
    for m in methods
]
