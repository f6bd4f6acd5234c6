"""The flags of a program in Python that times the training step of bench/model.ts, its timing, and its result: the last line, as JSON."""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time

from weights import Weights


def flags(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", default="tiny", choices=["tiny", "small", "medium"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights")
    return parser


def start(flags):
    return Weights(flags.weights or os.path.join(tempfile.gettempdir(), f"cocagrad-bench-{flags.size}.safetensors"))


def time_steps(flags, step, peer, version, parameters):
    """Runs `step`, which returns the loss before the update, and prints the result."""
    losses, times = [], []
    for _ in range(flags.warmup + flags.steps):
        began = time.perf_counter()
        losses.append(step())
        times.append(1000 * (time.perf_counter() - began))
    timed = times[flags.warmup :]
    result = {
        "peer": peer,
        "version": version,
        "size": flags.size,
        "threads": flags.threads,
        "ms": statistics.median(timed),
        "min_ms": min(timed),
        "loss": losses[-1],
        "first_loss": losses[0],
        "params": parameters,
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(result))
