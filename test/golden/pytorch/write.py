# Writes what PyTorch computes of one subject, in float64:
#
#     python3 test/golden/pytorch/write.py core
#
# reads core.py and writes core.json. `cases` of core.py is a list of (name, function, inputs, order). An input is a shape,
# which becomes a tensor of random numbers, or a tensor; those of int32 and bool are not differentiated. s0 = sum(w * f(x)),
# g1 = grad s0, s1 = sum(u * g1), g2 = grad s1, and so on to the order, with fixed w and u, so that every derivative counts in
# a few numbers. Order 0 is a function without gradients; its result may be of int32 or bool. A function of several results
# gives them flattened and joined.

import importlib
import json
import math
import sys
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)


def number(x):
    return x if math.isfinite(x) else str(x)


def numbers(x):
    return [number(n) for n in x.detach().reshape(-1).to(torch.float64).tolist()]


def random(shape, generator):
    return torch.randn(shape, generator=generator)


def run(name, f, inputs, order):
    # by its name, so that a new case leaves the numbers of the others as they are
    generator = torch.Generator().manual_seed(sum(ord(c) * 31**i for i, c in enumerate(name)) % 2**31)
    xs = [x.clone() if torch.is_tensor(x) else random(x, generator) for x in inputs]
    leaves = [x.requires_grad_() for x in xs if x.is_floating_point() and order > 0]
    value = f(*xs)
    if isinstance(value, (tuple, list)):
        value = torch.cat([part.reshape(-1).to(torch.float64) for part in value])
    w = random(value.shape, generator)
    directions = [random(x.shape, generator) for x in leaves]
    gradients = []
    scalar = (w * value).sum() if order > 0 else None
    for _ in range(order):
        slopes = [None] * len(leaves)
        if scalar.requires_grad:
            slopes = torch.autograd.grad(scalar, leaves, create_graph=True, allow_unused=True)
        slopes = [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, slopes)]
        gradients.append([numbers(g) for g in slopes])
        scalar = sum((u * g).sum() for u, g in zip(directions, slopes))
    dtype = {torch.int32: "int32", torch.int64: "int32", torch.bool: "bool"}
    return {
        "name": name,
        "inputs": [{"shape": list(x.shape), "data": numbers(x), "dtype": dtype.get(x.dtype, "float64")} for x in xs],
        "directions": [numbers(u) for u in directions],
        "result": {"shape": list(value.shape), "data": numbers(value), "dtype": dtype.get(value.dtype, "float64")},
        "weights": numbers(w),
        "gradients": gradients,
    }


subject = sys.argv[1]
folder = Path(__file__).parent
lines = ",\n".join(json.dumps(run(*case)) for case in importlib.import_module(subject).cases)
(folder / f"{subject}.json").write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{lines}\n]}}\n')
