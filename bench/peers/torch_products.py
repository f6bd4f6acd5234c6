"""Times matrix products in PyTorch with two threads, for ../products.ts: reads a JSON list of [kind, stack, m, n, k, layouts] from stdin and
prints one of [median, fastest] in milliseconds."""

import json
import statistics
import sys
import time

import torch

torch.set_num_threads(2)


def factor(stack, rows, columns, layout):
    shape = (columns, rows) if layout == "T" else (rows, columns)
    x = torch.ones((stack, *shape) if stack > 1 else shape)
    return x.transpose(-1, -2) if layout == "T" else x


def timed(kind, stack, m, n, k, layouts):
    x = factor(stack, m, k, layouts[0])
    y = factor(stack, k, n, layouts[1]) if kind == "matmul" else factor(1, n, k, layouts[1]).T
    out = torch.empty((stack, m, n) if stack > 1 else (m, n))
    bias = torch.ones(n)
    times = []
    for _ in range(30):
        began = time.perf_counter()
        if kind == "linear with bias":
            torch.addmm(bias, x, y, out=out)
        else:
            torch.matmul(x, y, out=out)
        times.append(1000 * (time.perf_counter() - began))
    return [statistics.median(times[5:]), min(times)]


print(json.dumps([timed(*product) for product in json.load(sys.stdin)]))
