"""Batches as OpenCLIP's training makes them from pictures that a list names; the last line is JSON."""

import argparse
import json
import multiprocessing
import os
import resource
import time
from itertools import islice
from pathlib import Path

import torch

# torchvision's operations, which are not used, may not fit a build of PyTorch for the CPU
torch.library.register_fake = lambda *_, **__: lambda f: f
import open_clip  # noqa: E402
import PIL  # noqa: E402
from open_clip.transform import image_transform  # noqa: E402
from PIL import Image  # noqa: E402

flags = argparse.ArgumentParser(description=__doc__)
flags.add_argument("--folder", default=".cache/loading")
flags.add_argument("--task", default="train")
flags.add_argument("--workers", type=int, default=1)
flags.add_argument("--batch", type=int, default=32)
flags.add_argument("--passes", type=int, default=2)
flags.add_argument("--check")
flags.add_argument("--vocabulary", action="store_true")
flags = flags.parse_args()
training = flags.task == "train"

if flags.vocabulary:
    print(Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz")
    raise SystemExit


class Captioned(torch.utils.data.Dataset):
    """As CsvDataset of open_clip_train/data.py, whose list needs pandas."""

    def __init__(self, folder):
        lines = map(json.loads, (Path(folder) / "captions.jsonl").read_text().splitlines())
        self.examples = [(Path(folder) / line["file"], line["caption"]) for line in lines]
        self.transforms = image_transform(224, is_train=training)
        self.tokenize = open_clip.get_tokenizer("ViT-B-32")

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, i):
        file, caption = self.examples[i]
        return self.transforms(Image.open(str(file))), self.tokenize([caption])[0]


class Endless(torch.utils.data.Sampler):
    """Epoch after epoch, so that no pass waits for the first batch of an epoch."""

    def __iter__(self):
        while True:
            yield from torch.randperm(len(dataset)).tolist() if training else range(len(dataset))


dataset = Captioned(flags.folder)
batches = iter(torch.utils.data.DataLoader(dataset, flags.batch, sampler=Endless(), num_workers=flags.workers, drop_last=True))

if flags.check:
    images, ids = next(batches)
    Path(flags.check).write_bytes(images.numpy().tobytes() + ids.numpy().tobytes())
    raise SystemExit

per_pass = len(dataset) // flags.batch


def cpu():
    """Seconds of this process and its workers, whose own are known only at their end (man 5 proc)."""
    stats = [Path(f"/proc/{child.pid}/stat").read_text() for child in multiprocessing.active_children()]
    ticks = sum(int(tick) for stat in stats for tick in stat.rpartition(")")[2].split()[11:13])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def timed():
    began, worked = time.perf_counter(), cpu()
    for _ in islice(batches, per_pass):
        pass
    images = per_pass * flags.batch
    return images / (time.perf_counter() - began), 1000 * (cpu() - worked) / images


timed()
rates, work = zip(*(timed() for _ in range(flags.passes)))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
version = f"OpenCLIP {open_clip.__version__}, PyTorch {torch.__version__}, Pillow {PIL.__version__}"
print(json.dumps({"version": version, "rates": rates, "work": work, "peakMb": peak}), flush=True)
