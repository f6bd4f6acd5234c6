"""The tasks of tasks.ts in OpenCLIP, from the same checkpoint; the last line is JSON. The caller sets OMP_NUM_THREADS."""

import argparse
import json
import resource
import statistics
import time

import numpy as np
import torch

# torchvision's operations, which are not used, may not fit a build of PyTorch for the CPU
torch.library.register_fake = lambda *_, **__: lambda f: f
import open_clip  # noqa: E402

flags = argparse.ArgumentParser(description=__doc__)
flags.add_argument("--folder", default="/tmp/coca-b32")
flags.add_argument("--rounds", type=int, default=3)
flags.add_argument("--threads", type=int, default=2)
flags.add_argument("--only", default="")
flags = flags.parse_args()
torch.set_num_threads(flags.threads)
START, END, LENGTH = 49406, 49407, 20

began = time.perf_counter()
model = open_clip.create_model(f"local-dir:{flags.folder}").eval()
loaded = round(1000 * (time.perf_counter() - began))


def images(n):
    i = np.arange(n * 3 * 224 * 224)
    return torch.from_numpy(np.sin(0.37 * (i % 9973) + 0.011 * (i % 131)).astype(np.float32)).view(n, 3, 224, 224)


i = np.arange(64 * 76)
ids = 1 + (7919 * (i + 1)) % (START - 1)
ids[i % 76 == 0] = START
ids[i % 76 == 75] = END
texts = torch.from_numpy(ids).view(64, 76)
many, few = images(64), images(8)
caption = None


def next_logits(ids, latent, tokens):
    """As OpenCLIP's `generate` computes them, which encodes the image once and the whole text for every token."""
    return model(None, ids, image_latent=latent, image_embs=tokens, output_labels=False)["logits"][:, -1]


def encoded(times=1):
    latent, tokens = model._encode_image(few)
    return latent.repeat_interleave(times, 0), tokens.repeat_interleave(times, 0)


def greedy():
    global caption
    latent, tokens = encoded()
    ids = torch.full((len(few), 1), START)
    for _ in range(LENGTH):
        ids = torch.cat([ids, next_logits(ids, latent, tokens).argmax(-1, keepdim=True)], 1)
    caption = ids[0].tolist()


def beams(width=6):
    latent, tokens = encoded(width)
    ids = torch.full((len(few) * width, 1), START)
    sums = torch.full((len(few), width), -1e9)
    sums[:, 0] = 0
    for _ in range(LENGTH):
        logs = next_logits(ids, latent, tokens).log_softmax(-1).view(len(few), width, -1) + sums[:, :, None]
        sums, best = logs.flatten(1).topk(width)
        classes = logs.shape[-1]
        rows = (best // classes + width * torch.arange(len(few))[:, None]).flatten()
        ids = torch.cat([ids[rows], (best % classes).view(-1, 1)], 1)


def timed(f):
    times = []
    for _ in range(flags.rounds + 1):
        began = time.perf_counter()
        f()
        times.append(round(1000 * (time.perf_counter() - began)))
    return {"median": statistics.median(times[1:]), "least": min(times[1:])}


tasks = {
    "encode images": lambda: model.encode_image(many),
    "encode texts": lambda: model.encode_text(texts),
    "greedy, recomputed": greedy,
    "six beams, recomputed": beams,
}
with torch.inference_mode():
    times = {name: timed(task) for name, task in tasks.items() if flags.only in name}
peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
version = f"OpenCLIP {open_clip.__version__}, PyTorch {torch.__version__}"
print(json.dumps({"version": version, "load": loaded, "times": times, "peakMb": peak, "caption": caption}))
