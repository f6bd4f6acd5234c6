"""bench/openclip.ts in PyTorch, from the same checkpoint: python3 torch_openclip.py --folder /tmp/coca-b32 [--only encode].
The caller sets OMP_NUM_THREADS and OPENBLAS_NUM_THREADS. Captions are decoded without a key-value cache, as in OpenCLIP."""

import argparse
import json
import os
import resource
import statistics
import struct
import time

import torch
from openclip_model import CoCa

flags = argparse.ArgumentParser(description=__doc__)
flags.add_argument("--folder", default="/tmp/coca-b32")
flags.add_argument("--rounds", type=int, default=5)
flags.add_argument("--only")
flags = flags.parse_args()
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
START, LENGTH = 49406, 20


def load():
    """Tensors in the mapped file, without initial values or a second copy."""
    with open(os.path.join(flags.folder, "open_clip_config.json")) as file:
        config = json.load(file)["model_cfg"]
    for layer in (torch.nn.Linear, torch.nn.MultiheadAttention, torch.nn.Conv2d, torch.nn.Embedding):
        for name in ("reset_parameters", "_reset_parameters"):
            if hasattr(layer, name):
                setattr(layer, name, lambda self: None)
    model = CoCa(config).eval()
    own = model.state_dict()
    with open(os.path.join(flags.folder, "open_clip_model.safetensors"), "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            tensor = torch.frombuffer(bytearray(file.read(end - begin)), dtype=torch.float32)
            own[name].copy_(tensor.reshape(entry["shape"]))
    return model


def timed(f):
    times = []
    for _ in range(flags.rounds + 1):
        began = time.perf_counter()
        f()
        times.append(1000 * (time.perf_counter() - began))
    return {"median": round(statistics.median(times[1:])), "least": round(min(times[1:]))}


def greedy():
    tokens = model.visual(image)[1]
    ids = torch.full((1, 1), START)
    for _ in range(LENGTH):
        ids = torch.cat([ids, model.next_logits(tokens, ids).argmax(-1, keepdim=True)], 1)
    return ids


def beams(width=6):
    tokens = model.visual(image)[1].expand(width, -1, -1)
    ids, sums = torch.full((1, 1), START), torch.zeros(1)
    for _ in range(LENGTH):
        logs = model.next_logits(tokens[: len(ids)], ids).log_softmax(-1) + sums[:, None]
        sums, best = logs.flatten().topk(width)
        rows = torch.div(best, logs.shape[1], rounding_mode="floor")
        ids = torch.cat([ids[rows], (best % logs.shape[1])[:, None]], 1)
    return ids


with torch.no_grad():
    began = time.perf_counter()
    model = load()
    loaded = round(1000 * (time.perf_counter() - began))
    torch.manual_seed(1)
    image = torch.randn(1, 3, 224, 224)
    tasks = {"encode": lambda: model.visual(image)[0], "greedyWithoutCache": greedy, "beams6WithoutCache": beams}
    times = {name: timed(task) for name, task in tasks.items() if name == (flags.only or name)}
    threads = [torch.get_num_threads(), os.environ.get("OPENBLAS_NUM_THREADS")]
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps({"load": loaded, **times, "threads": threads, "peakMb": peak}))
