"""Times the operations of names.ts in PyTorch one by one; the last line is JSON. OMP_NUM_THREADS
is the number of threads."""

import json
import os
import statistics
import time

import torch
import torch.nn.functional as F
from torch_model import adamw, attend

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
torch.manual_seed(0)
times = {}


def measure(name, f):
    """The median of at least 5 runs and, within half a second, of 50."""
    for _ in range(2):
        f()
    found = []
    end = time.perf_counter() + 0.5
    while len(found) < 5 or (len(found) < 50 and time.perf_counter() < end):
        began = time.perf_counter()
        f()
        found.append(1000 * (time.perf_counter() - began))
    times[name] = statistics.median(found)


def measure_both(name, f, *inputs):
    with torch.no_grad():
        measure(name, lambda: f(*inputs))
        gradient = torch.randn_like(f(*inputs))
    for x in inputs:
        x.requires_grad_()
    measure(f"{name}, both ways", lambda: torch.autograd.grad(f(*inputs), inputs, gradient))


for n in (512, 1024):
    a, b, g = torch.randn(3, n, n).unbind(0)
    measure(f"matmul {n}", lambda: a @ b)
    measure(f"matmul {n}, left gradient", lambda: g @ b.t())
    measure(f"matmul {n}, right gradient", lambda: a.t() @ g)

a, b = torch.randn(2, 48, 64, 64).unbind(0)
measure("48 products of 64", lambda: torch.bmm(a, b))

measure_both("exp", torch.exp, torch.randn(4096, 256))
measure_both("gelu", F.gelu, torch.randn(4096, 256))
measure_both("softmax", lambda x: x.softmax(-1), torch.randn(4096, 256))
row = (256,)
measure_both("layerNorm", lambda x, w, b: F.layer_norm(x, row, w, b), torch.randn(4096, 256), torch.ones(row), torch.zeros(row))
heads = [torch.randn(8, 4, 64, 64) for _ in range(3)]
measure_both("attention", lambda q, k, v: attend(q, k, v, True), *heads)

images, channels = torch.randn(8, 32, 32, 32), torch.randn(8, 64, 32, 32)
measure_both("conv2d", lambda x, w, b: F.conv2d(x, w, b, padding=1), images, torch.randn(64, 32, 3, 3), torch.randn(64))
measure_both("maxPool2d", lambda x: F.max_pool2d(x, 2), channels.clone())
normed = lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)
measure_both("batchNorm", normed, channels.clone(), torch.ones(64), torch.zeros(64))
rows = torch.randn(1024, 1000)
measure("sort", lambda: rows.sort(-1))
measure("topk", lambda: rows.topk(10))

table = torch.randn(8192, 384, requires_grad=True)
rows = F.embedding(torch.randint(8192, (256,)), table)
gradient = torch.randn_like(rows)
measure("embedding gradient", lambda: torch.autograd.grad(rows, table, gradient, retain_graph=True))

parameters = [torch.randn(500, 500, requires_grad=True) for _ in range(20)]
for parameter in parameters:
    parameter.grad = torch.randn_like(parameter)
measure("adamw", adamw(parameters).step)

print(json.dumps({"version": torch.__version__, "ms": times}))
