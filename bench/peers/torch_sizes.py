"""bench/sizes.ts in PyTorch: python3 torch_sizes.py --model FOLDER|base --task caption|embed|frozen|whole [--batch 8] [--steps 5]
For agreement of losses: [--dtype float64] [--optimizer sgd] [--learning-rate 1e-5] [--classes-last] [--attention math].
Captions are decoded without a key-value cache, as in OpenCLIP. AdamW is fused. The last line is JSON."""

import argparse
import json
import os
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from openclip_model import PAD, CoCa

flags = argparse.ArgumentParser(description=__doc__)
flags.add_argument("--model", required=True)
flags.add_argument("--task", default="whole")
flags.add_argument("--batch", type=int, default=8)
flags.add_argument("--steps", type=int, default=5)
flags.add_argument("--threads", type=int, default=2)
flags.add_argument("--dtype", choices=["float32", "float64"], default="float32")
flags.add_argument("--optimizer", choices=["adamw", "sgd"], default="adamw")
flags.add_argument("--learning-rate", type=float, default=1e-5)
flags.add_argument("--attention", choices=["fused", "math"], default="fused")
flags.add_argument("--classes-last", action="store_true")
flags = flags.parse_args()
torch.set_num_threads(flags.threads)
torch.backends.cuda.enable_flash_sdp(flags.attention == "fused")  # the switch of the fused kernel on a CPU, too
LENGTH = 20

PAPER = {"base": (768, 12, 12, 12)}


def sizes():
    if flags.model not in PAPER:
        with open(os.path.join(flags.model, "open_clip_config.json")) as file:
            return json.load(file)["model_cfg"]
    width, heads, layers, half = PAPER[flags.model]
    text = {"context_length": 64, "vocab_size": 64000, "width": width, "heads": heads, "layers": half}
    vision = {"image_size": 288, "patch_size": 18, "width": width, "layers": layers, "attn_pooler_heads": heads}
    return {"embed_dim": width, "vision_cfg": vision, "text_cfg": text, "multimodal_cfg": text}


def load():
    model = CoCa(sizes())
    if flags.model not in PAPER:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(os.path.join(flags.model, "open_clip_model.safetensors")), strict=False)
    return model


def images(n, size):
    i = torch.arange(n * 3 * size * size, dtype=torch.float64)
    return torch.sin(0.37 * (i % 9973) + 0.011 * (i % 131)).float().reshape(n, 3, size, size)


def texts(n, context, vocabulary):
    i = torch.arange(n * context)
    return torch.where(i % context < context / 2, 1 + (7919 * (i + 1)) % (vocabulary - 1), 0).reshape(n, context)


def loss_of(model, images, ids):
    """With --classes-last the cross entropy of captions is taken over the last axis. OpenCLIP takes it over the middle one,
    where PyTorch's CPU kernel adds the terms of the softmax one after another: less precise in float32."""
    outputs = model.outputs(images, ids)
    if not flags.classes_last:
        return outputs["total_loss"]
    rows = outputs["logits"][:, :-1].flatten(0, 1)
    return outputs["contrastive_loss"] + 2 * F.cross_entropy(rows, ids[:, 1:].flatten(), ignore_index=PAD)


began = time.perf_counter()
config = sizes()
size, text = config["vision_cfg"]["image_size"], config["text_cfg"]
model = load().to(getattr(torch, flags.dtype))
found = {}
if flags.task in ("embed", "caption"):
    model.eval()
    with torch.no_grad():
        embedding, tokens = model.visual(images(1, size))
        if flags.task == "caption":
            ids = torch.full((1, 1), text["vocab_size"] - 2)
            for _ in range(LENGTH):
                ids = torch.cat([ids, model.next_logits(tokens, ids).argmax(-1, keepdim=True)], 1)
    found["seconds"] = time.perf_counter() - began
else:
    if flags.task == "frozen":
        model.visual.requires_grad_(False)
        model.visual.attn_pool.requires_grad_(True)
        model.visual.ln_post.requires_grad_(True)
        model.visual.proj.requires_grad_(True)
    trained = [p for p in model.parameters() if p.requires_grad]
    if flags.optimizer == "sgd":
        optimizer = torch.optim.SGD(trained, lr=flags.learning_rate, momentum=0.9)
    else:
        settings = {"betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.01, "fused": True}
        optimizer = torch.optim.AdamW(trained, lr=flags.learning_rate, **settings)
    x, ids = images(flags.batch, size).to(model.logit_scale.dtype), texts(flags.batch, text["context_length"], text["vocab_size"])
    losses, times = [], []
    for _ in range(flags.steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(model, x, ids)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        times.append(time.perf_counter() - start)
    found = {"seconds": statistics.median(times[1:]), "losses": losses}
peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
print(json.dumps({"model": flags.model, "task": flags.task, "batch": flags.batch, **found, "peakMb": peak}))
