"""Times the training step of bench/model.ts in PyTorch by several processes, each with its part of the batch: DistributedDataParallel over
gloo. The contrastive loss is that of the whole batch, as in one process. Started by mpirun of Open MPI, which only numbers the processes.

    mpirun -n 2 -x OMP_NUM_THREADS=1 python bench/peers/torch_ddp.py --threads 1 --store /tmp/a-file-that-does-not-exist"""

import json
import os
import time

import steps
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch_model import CoCa, adamw, load

parser = steps.flags(__doc__)
parser.add_argument("--store", required=True, help="a new file through which the processes find each other")
flags = parser.parse_args()
torch.set_num_threads(flags.threads)
rank, size = (int(os.environ[f"OMPI_COMM_WORLD_{name}"]) for name in ("RANK", "SIZE"))
dist.init_process_group("gloo", init_method=f"file://{flags.store}", rank=rank, world_size=size)
weights = steps.start(flags)


def gather(own):
    """The rows of all processes; those of this one have a gradient."""
    every = [torch.empty_like(own) for _ in range(size)]
    dist.all_gather(every, own.detach())
    every[rank] = own
    return torch.cat(every)


class Together(CoCa):
    """The loss whose gradients, averaged over the processes, are those of the whole batch."""

    def forward(self, images, ids):
        batch, length = ids.shape
        pooled = self.generativePooler(self.encoder(images), batch).view(batch, -1, self.imageProjection.in_features)
        image = gather(F.normalize(self.imageProjection(pooled[:, 0]), dim=-1))
        tokens, summary = self.unimodal(ids)
        text = gather(F.normalize(self.textProjection(summary), dim=-1))
        # each process has the gradient of its own embeddings, and the average divides them by the number of processes; all have that of the scale
        scale = self.logScale / size + self.logScale.detach() * (1 - 1 / size)
        similarity = image @ text.t() * scale.exp()
        pairs = torch.arange(batch * size)
        contrastive = (F.cross_entropy(similarity, pairs) + F.cross_entropy(similarity.t(), pairs)) / 2
        logits = self.multimodal(tokens, pooled[:, 1:].flatten(0, 1), batch).view(batch, length, -1)
        captioning = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        return size * contrastive + 2 * captioning, (contrastive + 2 * captioning).detach()


model = Together(weights.config)
load(model, weights)
images, ids = torch.from_numpy(weights["batch.images"]), torch.from_numpy(weights["batch.ids"]).long()
if len(ids) % size:
    raise ValueError(f"a batch of {len(ids)} is not divided by {size}")
own = slice(rank * len(ids) // size, (rank + 1) * len(ids) // size)
# before the model is wrapped, which watches every backward pass
whole = torch.autograd.grad(model.loss(images, ids), list(model.parameters()))
wrapped = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True)
optimizer = adamw(model.parameters())


def step():
    optimizer.zero_grad(set_to_none=True)
    loss, reported = wrapped(images[own], ids[own])
    loss.backward()
    optimizer.step()
    dist.all_reduce(reported)
    return reported.item() / size


def check():
    """The gradients of the first step are those of one process."""
    wrapped(images[own], ids[own])[0].backward()
    apart = sum((parameter.grad - other).square().sum() for parameter, other in zip(model.parameters(), whole)).sqrt()
    norm = sum(other.square().sum() for other in whole).sqrt()
    if not apart <= 1e-4 * norm:
        raise ValueError(f"gradients of {size} processes differ from those of one by {apart / norm} of their norm")


check()
losses, times = [], []
for _ in range(flags.warmup + flags.steps):
    dist.barrier()
    began = time.perf_counter()
    losses.append(step())
    times.append(1000 * (time.perf_counter() - began))
slowest = torch.tensor(times[flags.warmup :])
dist.all_reduce(slowest, dist.ReduceOp.MAX)
if rank == 0:
    result = {"ranks": size, "threads": flags.threads, "times": slowest.tolist(), "losses": [losses[0], losses[-1]]}
    print(json.dumps(result))
dist.destroy_process_group()
