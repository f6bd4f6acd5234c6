"""Times the training step of bench/model.ts in PyTorch; the last line is JSON. The caller sets OMP_NUM_THREADS and
OPENBLAS_NUM_THREADS, because a thread pool cannot shrink once a library is loaded."""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time

import torch
from torch_model import CoCa, Weights, adamw, load

flags = argparse.ArgumentParser(description=__doc__)
flags.add_argument("--size", default="tiny", choices=["tiny", "small", "medium"])
flags.add_argument("--steps", type=int, default=10)
flags.add_argument("--warmup", type=int, default=3)
flags.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
flags.add_argument("--blas-threads", type=int, default=int(os.environ.get("OPENBLAS_NUM_THREADS", "1")))
flags.add_argument("--weights")
flags = flags.parse_args()

torch.set_num_threads(flags.threads)
weights = Weights(flags.weights or os.path.join(tempfile.gettempdir(), f"cocagrad-bench-{flags.size}.safetensors"))
model = CoCa(weights.config)
load(model, weights)
images, ids = weights["batch.images"], weights["batch.ids"].long()
optimizer = adamw(model.parameters())


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = model.loss(images, ids)
    loss.backward()
    optimizer.step()
    return loss.item()


losses, times = [], []
for _ in range(flags.warmup + flags.steps):
    began = time.perf_counter()
    losses.append(step())
    times.append(1000 * (time.perf_counter() - began))
timed = times[flags.warmup :]
print(
    json.dumps(
        {
            "peer": "torch",
            "version": torch.__version__,
            "size": flags.size,
            "threads": flags.threads,
            "blas_threads": flags.blas_threads,
            "ms": statistics.median(timed),
            "min_ms": min(timed),
            "loss": losses[-1],
            "first_loss": losses[0],
            "params": sum(parameter.numel() for parameter in model.parameters()),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    )
)
